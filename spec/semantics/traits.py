"""What a definition is made of, as far as rounding goes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.card import Form
from einspec.language.formula import Apply, Binary, Bracket, Read, Reduce, terms, walk
from einspec.language.linear import EXACT, OpClass, reads, split
from einspec.semantics import oracle
from einspec.semantics.operations import FUNCTION_ULPS
from einspec.solve import Solution

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Traits:
    """What a definition is made of, as far as rounding goes."""

    arithmetic: bool
    divides: bool
    plain: bool
    constants: bool
    """Whether a term of an output reads nothing: what it adds is a fill other than zero."""
    brackets: bool
    """Whether every term of an output is one read of an input and brackets."""
    multilinear: bool
    """Whether values of the inputs are only multiplied and added."""
    reads: int
    """How many tensors are read."""
    nodes: int
    """How many terms the definition has: what analysing it costs."""
    extreme: bool
    """Whether it takes a maximum or minimum, and no function of it."""
    operations: int
    """How many operations and functions there are."""
    sums: tuple[tuple[str, ...], ...]
    """The axes of every sum."""


@functools.lru_cache(maxsize=512)
def traits_of(form: Form) -> Traits:
    """Return the traits of a form."""
    nodes = [n for e in form.equations for n in walk(e.body)]
    outputs = [form.equation(s.name) for s in form.signature.outputs]
    parts = [part for e in outputs for part in split(e.body, set(form.data))]
    return Traits(
        any(isinstance(n, Binary) for n in nodes),
        any(isinstance(n, Binary) and n.op == "/" for n in nodes),
        all(isinstance(e.body, Read) for e in form.equations),
        any(not any(isinstance(n, Read) and n.tensor in form.data for n in walk(t)) for e in outputs for t in terms(e.body)),
        all(p is not None and all(isinstance(c, Bracket) for c in p.coefficients) for p in parts),
        _multilinear(form),
        sum(isinstance(n, Read) for n in nodes),
        len(nodes),
        any(isinstance(n, Reduce) and n.kind != "sum" for n in nodes) and not any(isinstance(n, Apply) for n in nodes),
        sum(1 if isinstance(n, Binary) else FUNCTION_ULPS if isinstance(n, Apply) else 0 for n in nodes),
        tuple(n.axes for n in nodes if isinstance(n, Reduce) and n.kind == "sum"),
    )


def _multilinear(form: Form) -> bool:
    valued = set(form.data)
    for equation in form.equations:
        for node in walk(equation.body):
            match node:
                case Binary("*" | "+"):
                    continue
                case Binary("/", _, divisor) if not any(isinstance(n, Read) for n in walk(divisor)):
                    continue
                case Binary("/"):
                    return False
                case Binary() | Bracket() | Apply() if reads(node, valued):
                    return False
        if reads(equation.body, valued):
            valued.add(equation.tensor)
    return True


def moves(solution: Solution, inputs: Mapping[str, Array], brackets: dict[int, oracle.Labelled] | None = None) -> bool:
    """Whether each element of the outputs is one element of the inputs or a constant.

    A sum over brackets is looked at: it moves elements where one bracket at most holds. Then -0 may come out as 0.

    Args:
        solution: the sizes of the call.
        inputs: the inputs, of which only the indices matter.
        brackets: see :func:`einspec.semantics.oracle.evaluate`.
    """
    form = solution.form
    if form.kind in EXACT:
        return True
    indexed = len(form.data) < len(form.signature.inputs)
    if form.kind is not OpClass.LINEAR or not indexed or not traits_of(form).brackets:
        return False
    ones = {k: np.ones(v.shape, np.int64) if k in form.data else v for k, v in inputs.items()}
    found = oracle.evaluate(solution, ones, brackets=brackets)
    return all(np.max(found[s.name], initial=0) <= 1 for s in form.signature.outputs)
