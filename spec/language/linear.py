"""What kind of op a definition is, and the transpose of a linear one: both derived from its tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
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
    base,
    factors,
    free_axes,
    rename_axis,
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


def _outside_brackets(node: Node) -> Iterator[Node]:
    """Yield the reads of a term that no bracket holds."""
    if isinstance(node, Read):
        yield node
    elif not isinstance(node, Bracket):
        for field in fields(node):
            value = getattr(node, field.name)
            if is_dataclass(value):
                yield from _outside_brackets(value)  # type: ignore[arg-type]  # a node


def _one() -> Node:
    return Number(1)


def transpose(
    signature: Signature, equations: tuple[Equation, ...], wrt: str, exclude: frozenset[str] = frozenset()
) -> tuple[Equation, ...] | None:
    """Return the definition of the gradient of a linear op: what the cotangents of the outputs give for one input.

    The cotangent of output ``y`` is read under the name ``y``; the result is defined under the name of the input. None
    when the op is not linear in that input. A bracket is constant almost everywhere, whatever it compares.

    Args:
        signature: the inputs and outputs of the op.
        equations: its definition.
        wrt: the input.
        exclude: outputs that have no gradient.
    """
    outputs = {spec.name for spec in signature.outputs} - exclude
    carried = {wrt}
    for equation in equations:
        if equation.tensor in outputs and any(reads(n, carried - {wrt}) for n in _outside_brackets(equation.body)):
            return None
        if any(reads(n, carried) for n in _outside_brackets(equation.body)):
            carried.add(equation.tensor)
    total: Node | None = None
    index = next(spec.index for spec in signature.inputs if spec.name == wrt)
    for equation in equations:
        if equation.tensor not in outputs:
            continue
        for term in split(equation.body, {wrt}):
            if term is None:
                return None
            part = _transpose_term(equation, term, index)
            total = part if total is None else Binary("+", total, part)
    return (Equation(wrt, index, total, f"the transpose of {wrt}"),) if total is not None else None


def _transpose_term(equation: Equation, term: Term, index: tuple[object, ...]) -> Node:
    renamed = _align(equation, term, index)
    equation, term = renamed
    body: Node = Read(equation.tensor, equation.index)
    for coefficient in reversed(term.coefficients):
        body = Binary("*", coefficient, body)
    kept = set(axes_of(term.read.index))
    summed = [a for a in (*axes_of(equation.index), *term.bound) if a not in kept]
    return Reduce("sum", tuple(dict.fromkeys(summed)), body) if summed else body


def _align(equation: Equation, term: Term, index: tuple[object, ...]) -> tuple[Equation, Term]:
    """Rename axes so that the input is read exactly as its signature writes it (``x[t,e1]`` as ``x[t,e]``)."""
    want, got = axes_of(index), axes_of(term.read.index)  # type: ignore[arg-type]  # an index
    pairs = [(old, new) for old, new in zip(got, want, strict=True) if old != new]
    aside = [(old, f"{base(old)}{900 + i}") for i, (old, _) in enumerate(pairs)]
    clashing = [(new, f"{base(new)}{800 + i}") for i, (_, new) in enumerate(pairs)]
    placed = [(spare, new) for (_, spare), (_, new) in zip(aside, pairs, strict=True)]
    for source, target in (*aside, *clashing, *placed):
        equation = replace(equation, index=tuple(rename_axis(i, source, target) for i in equation.index))
        term = Term(
            rename_axis(term.read, source, target),
            [rename_axis(c, source, target) for c in term.coefficients],
            tuple(target if a == source else a for a in term.bound),
        )
    return equation, term
