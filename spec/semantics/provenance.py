"""Where each element of an output comes from: the meaning of a definition, with a note of every read.

It evaluates as :mod:`einspec.semantics.pointwise` does, and says beside each value which elements were read for it and
what they had to do with it. So what is drawn of an op is what it computes.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Size,
    Tuple,
    applied,
    factors,
    walk,
)
from einspec.language.text import is_integer_zero
from einspec.semantics.pointwise import ARITHMETIC, COMPARE, FUNCTIONS, Point, Value, key
from einspec.solve import Solution, expand

Place = tuple[str, tuple[int, ...]]
"""An element: the name of its tensor and its coordinates."""
Array = np.ndarray[Any, Any]
AT_ZERO = ("exp", "log")
"""The functions that are not 0 at 0: of a term that does not count they make one that does."""


class Role(IntEnum):
    """What an element that is read has to do with the result; the greater says more."""

    LOOKED = 1
    """It was read by brackets alone of which one came out false, so that the term does not count."""
    DECIDES = 2
    """It stands in a bracket that came out true, of a term that counts."""
    COMPETES = 3
    """It lost in a maximum or minimum."""
    FLOWS = 4
    """The value is made of it."""


@dataclass(slots=True)
class Trace:
    """A value and where it comes from."""

    value: Value
    reads: dict[Place, Role] = field(default_factory=dict)
    """Every element that was read, of inputs and of tensors that the definition names."""
    pins: dict[str, int] = field(default_factory=dict)
    """The coordinates of summed axes at which a single term counts: where the winner of a selection stands."""
    terms: int = 1
    """How many terms of the outermost sum count; 0 where false brackets leave none."""

    def add(self, reads: Mapping[Place, Role], most: Role = Role.FLOWS) -> None:
        """Take over reads, each as what it is at most; an element that is read twice has the greater role."""
        for place, role in reads.items():
            own = min(role, most)
            if own > self.reads.get(place, 0):
                self.reads[place] = own

    def sources(self, tensors: Iterable[str], least: Role = Role.FLOWS) -> list[Place]:
        """Return the elements of some tensors whose role is this one or greater."""
        wanted = frozenset(tensors)
        return [place for place, role in self.reads.items() if role >= least and place[0] in wanted]


def provenance(solution: Solution, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return for every tensor of a definition an array of the traces of its elements.

    Args:
        solution: the sizes of the call.
        inputs: the input tensors by name, listed ones as their stack.
    """
    tracer = Tracer(solution, inputs)
    found = {}
    for equation in solution.form.equations:
        dims = expand(equation.index, solution.ranks)
        shape = tuple(math.prod(solution.size(a.name) for a in walk(d) if isinstance(a, Axis)) for d in dims)
        found[equation.tensor] = np.empty(shape, object)
        for at in np.ndindex(shape):
            found[equation.tensor][at] = tracer.trace(equation.tensor, at)
    return found


class Tracer(Point):
    """What evaluates one element after another of a call and notes what it reads."""

    def __init__(self, solution: Solution, inputs: Mapping[str, Any]) -> None:
        super().__init__(solution, inputs)
        self.traced: dict[Place, Trace] = {}

    def trace(self, tensor: str, coordinate: Sequence[int]) -> Trace:
        """Return the trace of one element of a tensor of the call."""
        place = tensor, tuple(coordinate)
        if tensor in self.inputs:
            return Trace(self.element(*place), {place: Role.FLOWS})
        if place not in self.traced:
            equation = self.solution.form.equation(tensor)
            self.traced[place] = self.follow(equation.body, self.bind(equation, place[1]))
        return self.traced[place]

    def follow(self, node: Node, env: Mapping[str, int]) -> Trace:
        """Return the trace of a term at the coordinates of its axes."""
        match node:
            case Number() | Axis() | Size() | Param():
                return Trace(self.term(node, env))
            case Read(tensor, index):
                return self._read(tensor, tuple(self.position(d, env) for d in expand(index, self.solution.ranks)))
            case Bracket():
                return self._bracket(node, env)
            case Binary("*"):
                return self._product(node, env)
            case Binary("-", zero, right) if is_integer_zero(zero):
                found = self.follow(right, env)
                return replace(found, value=-found.value)
            case Binary(op, left, right):
                one, other = self.follow(left, env), self.follow(right, env)
                value = ARITHMETIC[op](one.value, other.value)
                return _added(value, [{}, {}], [one, other]) if op in "+-" else _joined(value, [one, other])
            case Apply():
                function, argument = applied(node)
                found = self.follow(argument, env)
                return replace(found, value=FUNCTIONS[function](found.value), terms=max(found.terms, function in AT_ZERO))
            case Reduce(kind, axes, body):
                ranges = (range(self.solution.size(axis)) for axis in axes)
                at = [dict(zip(axes, c, strict=True)) for c in itertools.product(*ranges)]
                parts = [self.follow(body, {**env, **coordinates}) for coordinates in at]
                if kind == "sum":
                    return _added(functools.reduce(operator.add, (p.value for p in parts), 0), at, parts)
                return _extreme(kind, at, parts)
        raise AssertionError(node)

    def _read(self, tensor: str, at: tuple[int, ...]) -> Trace:
        """Return an element; one that the definition names is a source itself, besides those that it is made of."""
        found = self.trace(tensor, at)
        own = {} if tensor in self.inputs else {(tensor, at): Role.FLOWS}
        return Trace(found.value, {**found.reads, **own}, found.pins, found.terms)

    def _bracket(self, node: Bracket, env: Mapping[str, int]) -> Trace:
        """Return whether a comparison holds; what it reads decides, if it does."""
        sides = [n.parts if isinstance(n, Tuple) else (n,) for n in (node.left, node.right)]
        left, right = ([self.follow(part, env) for part in parts] for parts in sides)
        holds = COMPARE[node.op](key(tuple(t.value for t in left)), key(tuple(t.value for t in right)))
        found = Trace(int(holds))
        for part in (*left, *right):
            found.add(part.reads, Role.DECIDES if holds else Role.LOOKED)
        return found

    def _product(self, node: Node, env: Mapping[str, int]) -> Trace:
        """Return a product: a false bracket annihilates it, and what stands beside it is not read."""
        parts = list(factors(node))
        brackets = sorted((p for p in parts if isinstance(p, Bracket)), key=_reads)  # those that read nothing come first
        found = Trace(1)
        for bracket in brackets:
            compared = self._bracket(bracket, env)
            found.add(compared.reads)
            if not compared.value:
                return Trace(0, dict.fromkeys(found.reads, Role.LOOKED), terms=0)
        rest = [self.follow(p, env) for p in parts if not isinstance(p, Bracket)]
        joined = _joined(functools.reduce(operator.mul, (t.value for t in rest)) if rest else 1, rest)
        joined.add(found.reads)
        return joined


def _reads(node: Node) -> bool:
    return any(isinstance(n, Read) for n in walk(node))


def _joined(value: Value, parts: Sequence[Trace]) -> Trace:
    """Return what is made of several factors; it does not count where one of them does not."""
    found = Trace(value, terms=min((p.terms for p in parts), default=1))
    for part in parts:
        found.add(part.reads)
        found.pins |= part.pins
    return found


def _added(value: Value, at: Sequence[dict[str, int]], parts: Sequence[Trace]) -> Trace:
    """Return a sum: a term that does not count was only looked at; one that counts alone pins its axes."""
    found = Trace(value)
    for part in parts:
        found.add(part.reads, Role.FLOWS if part.terms else Role.LOOKED)
    left = [(c, p) for c, p in zip(at, parts, strict=True) if p.terms]
    found.terms = len(left)
    if len(left) == 1:
        found.pins = left[0][0] | left[0][1].pins
    return found


def _extreme(kind: str, at: Sequence[dict[str, int]], found: Sequence[Trace]) -> Trace:
    """Return a maximum or minimum: the first of the winners makes it, the others compete."""
    if not found:
        return Trace(-math.inf if kind == "max" else math.inf)
    pick = max if kind == "max" else min
    best = pick(range(len(found)), key=lambda i: key((found[i].value,)))
    total = Trace(found[best].value, pins=at[best] | found[best].pins)
    for i, trace in enumerate(found):
        total.add(trace.reads, Role.FLOWS if i == best else Role.COMPETES)
    return total
