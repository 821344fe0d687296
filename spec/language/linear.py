"""What kind of op a definition is, derived from its tree."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
    Node,
    Number,
    Read,
    Reduce,
    axes_of,
    factors,
    free_axes,
    terms,
    walk,
)

if TYPE_CHECKING:
    from einspec.solve import Signature


class OpClass(StrEnum):
    """How an op depends on its inputs; decides how exactly an implementation is judged."""

    PERMUTATION = "permutation"
    """Every input element goes to exactly one place: judged bit for bit."""
    GATHER = "gather"
    """Every output element is one input element or a constant: judged bit for bit."""
    SELECTION = "selection"
    """Integers or truth values come out: judged exactly."""
    LINEAR = "linear"
    """Sums of input elements with coefficients that do not depend on them."""
    NONLINEAR = "nonlinear"
    """Everything else."""


EXACT = (OpClass.PERMUTATION, OpClass.GATHER)
"""The classes of ops that move elements, which are judged bit for bit."""


def classify(signature: Signature, equations: tuple[Equation, ...], data: frozenset[str]) -> OpClass:
    """Return the class of an op.

    Args:
        signature: its inputs and outputs.
        equations: its definition.
        data: the inputs that hold values; the others are indices, on which an op may depend in any way.
    """
    outputs = [e for spec in signature.outputs for e in equations if e.tensor == spec.name]
    names = set(data)
    for equation in equations:
        if reads(equation.body, names):
            names.add(equation.tensor)
    if not names & {spec.name for spec in signature.outputs}:
        return OpClass.SELECTION
    if all(isinstance(e.body, Read) and e.body.tensor in data for e in outputs):
        used = {a for e in outputs for a in axes_of(e.index)}
        read = {a for e in outputs for a in axes_of(e.body.index)}  # type: ignore[union-attr]  # all are reads
        return OpClass.PERMUTATION if used == read else OpClass.GATHER
    parts = [list(split(e.body, names)) for e in outputs]
    if any(p is None or p.read.tensor not in data for part in parts for p in part):
        return OpClass.NONLINEAR
    if all(len(part) <= 1 and all(p is None or p.pinned for p in part) for part in parts):
        return OpClass.GATHER
    return OpClass.LINEAR


class Term:
    """One term of a linear definition: a read, what multiplies it, and the axes that are summed over."""

    def __init__(self, read: Read, coefficients: list[Node], bound: tuple[str, ...]) -> None:
        self.read, self.coefficients, self.bound = read, coefficients, bound

    @property
    def pinned(self) -> bool:
        """Whether brackets leave at most one coordinate of every bound axis, and nothing else multiplies the read."""
        if not all(isinstance(c, Bracket) for c in self.coefficients):
            return False
        open_axes = set(self.bound)
        progress = True
        while progress and open_axes:
            progress = False
            for bracket in self.coefficients:
                assert isinstance(bracket, Bracket)
                for axis, other in ((bracket.left, bracket.right), (bracket.right, bracket.left)):
                    pins = isinstance(axis, Axis) and axis.name in open_axes and not free_axes(other) & open_axes
                    if bracket.op == "==" and pins:
                        open_axes.remove(axis.name)  # type: ignore[union-attr]  # an Axis
                        progress = True
        return not open_axes


def split(body: Node, inputs: set[str]) -> Iterator[Term | None]:
    """Yield the terms of a definition that read an input; None for one that is not linear in it."""
    for term in terms(body):
        if not any(isinstance(n, Read) and n.tensor in inputs for n in walk(term)):
            continue
        yield _linear(term, inputs, ())


def _linear(term: Node, inputs: set[str], bound: tuple[str, ...]) -> Term | None:
    if isinstance(term, Reduce) and term.kind == "sum":
        return _linear(term.body, inputs, bound + term.axes)
    if isinstance(term, Binary) and term.op == "/" and not reads(term.right, inputs):
        inner = _linear(term.left, inputs, bound)
        return inner and Term(inner.read, [*inner.coefficients, Binary("/", _one(), term.right)], inner.bound)
    found = [f for f in factors(term) if reads(f, inputs)]
    if len(found) != 1:
        return None
    rest = [f for f in factors(term) if f is not found[0]]
    if isinstance(found[0], Read):
        return Term(found[0], rest, bound)
    if isinstance(found[0], Bracket | Apply) or found[0] == term:
        return None
    inner = _linear(found[0], inputs, bound)
    return inner and Term(inner.read, rest + inner.coefficients, inner.bound)


def reads(node: Node, inputs: set[str]) -> bool:
    """Return whether a term reads one of these tensors."""
    return any(isinstance(n, Read) and n.tensor in inputs for n in walk(node))


def _one() -> Node:
    return Number(1)
