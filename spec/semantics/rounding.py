"""How far a rounded computation may be from the exact value: a running error analysis of the definition itself.

Every term is evaluated in float64 together with a bound on the absolute error that any order of computing it in the
working precision can have. Nothing is scaled by the size of an array, and no tolerance is typed in: a sum of n terms has
``(n - 1) * eps * sum|terms|``, a product, a quotient and a function pass on what comes in and add one rounding of their own.
A comparison that the errors of its sides could turn round is in doubt, and so is everything that depends on it; a count of
comparisons is off by as many as are in doubt. Rounded sides that are equal on these inputs by chance are in doubt too; those
that are equal whatever the inputs are, are not.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.dtypes import numpy_dtype
from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
    Node,
    Read,
    Reduce,
    applied,
    factors,
    walk,
)
from einspec.semantics.bounds import Quantity, Tensor, all_whole, storing
from einspec.semantics.oracle import Labelled, Machine, is_constant, open_rests, operands
from einspec.semantics.products import Products
from einspec.solve import Solution, atoms, expand, opened

Array = np.ndarray[Any, Any]


def analyse(
    solution: Solution,
    inputs: Mapping[str, Array],
    working: str,
    stored: str = "",
    kept: Collection[str] = (),
    along: Mapping[str, str] | None = None,
    given: Mapping[str, Array] | None = None,
    last: str = "",
    free_ties: bool = False,
) -> dict[str, Tensor]:
    """Return every tensor of a definition with the error that computing it may have.

    Args:
        solution: the sizes of the call.
        inputs: the inputs as float64 or int64, exact.
        working: the dtype in which everything is computed at least.
        stored: the dtype to which tensors on the way may be rounded, if any.
        kept: those that may not.
        along: the dtype in which sums along an axis may be held after each of its coordinates.
        given: tensors that are taken as they are, not by their equations.
        last: the tensor after which no more are looked at.
        free_ties: whether equal values may come in any order, so that a coordinate decides nothing.
    """
    run = Analysis(solution, inputs, working, stored, kept, along or {}, given or {}, free_ties)
    with np.errstate(all="ignore"):
        for equation in solution.form.equations if last not in inputs else ():
            run.define(equation)
            if equation.tensor == last:
                break
    return run.tensors


MOST_IN_ANY_ORDER = 2
"""How many numbers have one sum in floats in whichever order they are added."""


class Analysis(Products):
    """The tensors of one definition with their errors, as far as they are defined."""

    def __init__(
        self,
        solution: Solution,
        inputs: Mapping[str, Array],
        working: str,
        stored: str,
        kept: Collection[str],
        along: Mapping[str, str],
        given: Mapping[str, Array],
        free_ties: bool = False,
    ) -> None:
        super().__init__(solution, working, along)
        self.given, self.free_ties = given, free_ties
        self.tensors = {name: Tensor(array, np.zeros(array.shape), all_whole(array)) for name, array in inputs.items()}
        self.stored = numpy_dtype(stored) if stored else None
        self.inputs = inputs
        self.unrounded = {*kept, *(s.name for s in solution.form.signature.outputs)}
        """The tensors that are not rounded on the way."""
        self.known: dict[int, Quantity] = {}
        """The terms that are met again, by their identity."""

    def define(self, equation: Equation) -> None:
        """Evaluate an equation and keep its tensor."""
        dims = [atoms(d) for d in expand(equation.index, self.solution.ranks)]
        shape = tuple([math.prod(map(self.solution.size, axes)) for axes in dims])
        if equation.tensor in self.given:
            array = self.given[equation.tensor].reshape(shape)
            self.tensors[equation.tensor] = Tensor(array, np.zeros(shape))
            return
        found = self.spread(self.term(equation.body), tuple(itertools.chain(*dims)))
        tensor = Tensor(np.asarray(found.value.array).reshape(shape), found.error.reshape(shape), found.whole)
        if self.stored is not None and equation.tensor not in self.unrounded:
            tensor = Tensor(tensor.array, tensor.error + storing(tensor, self.stored), tensor.whole)
        self.tensors[equation.tensor] = tensor

    def term(self, node: Node) -> Quantity:
        """Return the value of a term with its error; one that stands in the definition more than once is evaluated once."""
        if id(node) not in self.solution.form.repeated:
            return self.found(node)
        if id(node) not in self.known:
            self.known[id(node)] = self.found(node)
        return self.known[id(node)]

    def found(self, node: Node) -> Quantity:
        """Evaluate a term with its error."""
        if is_constant(node):
            constant = self.rounded(self.machine.term(node), np.zeros(()))
            return replace(constant, whole=all_whole(np.asarray(constant.value.array)))
        match node:
            case Axis():
                return self.exact(self.machine.term(node))
            case Read(tensor, index):
                return self.read(self.tensors[tensor], index)
            case Bracket(op, left, right):
                return self.bracket(op, left, right)
            case Binary("*"):
                return self.contract([self.term(f) for f in factors(node)], None)
            case Binary(op, left, right):
                varies = op == "/" and any(isinstance(n, Read) for n in walk(right))
                found = self.arithmetic(op, self.term(left), self.term(right), varies)
                return self.either(found, *choice) if op == "+" and (choice := alternatives(left, right)) else found
            case Apply("exp", Binary("-", left, right)):
                return self.function("exp", self.shifted(self.term(left), self.term(right)))
            case Apply():
                function, argument = applied(node)
                return self.function(function, self.term(argument))
            case Reduce("sum", names, body):
                names = open_rests(self.solution, names)
                terms = [self.term(p) for p in factors(body)]
                missing = [a for a in names if not any(a in t.value.axes for t in terms)]
                if missing:
                    count = math.prod(map(self.solution.size, missing))
                    terms.append(self.exact(Labelled(np.asarray(count), (), mask=count == 0)))
                return self.contract(terms, names)
            case Reduce(kind, names, body):
                return self.extreme(kind, open_rests(self.solution, names), self.term(body))
        raise AssertionError(node)

    @functools.cached_property
    def moved(self) -> Swayed:
        """The definition on inputs that a smooth function has moved a little: equal ones stay equal, chance is gone.

        It is evaluated as far as it is needed. Sums are those of :class:`Swayed`.
        """
        data = self.solution.form.data
        inputs = {k: _moved(v) if k in data and v.dtype.kind in "fc" else v for k, v in self.inputs.items()}
        return Swayed(self.solution, {**inputs, **self.given}, np, None, False)

    def read(self, tensor: Tensor, index: Any) -> Quantity:
        """Return a tensor with the axes at which it is read."""
        names = opened(index, self.solution.ranks)
        shape = tuple([self.solution.size(a) for a in names])
        value = self.machine.diagonal(tensor.array.reshape(shape), names)
        return Quantity(value, np.asarray(self.machine.diagonal(tensor.error.reshape(shape), names).array), tensor.whole)

    def bracket(self, op: str, left: Node, right: Node) -> Quantity:
        """Return the truth of a comparison; its error is infinite where the errors of its sides could turn it round."""
        sides = list(zip(operands(left), operands(right), strict=True))
        pairs = [(self.term(a), self.term(b)) for a, b in sides]
        value = self.machine.compare(op, [(a.value, b.value) for a, b in pairs])
        loose = self.free_ties and breaks_tie(left)
        if not loose and not any(q.inexact for pair in pairs for q in pair):
            return self.exact(value)
        near = [self.near(a, b, terms, loose) for (a, b), terms in zip(pairs, sides, strict=True)]
        if not any(n.any() for n in near):
            return Quantity(value, np.zeros(np.shape(value.array)))
        doubt, open_tie = np.zeros((), bool), np.ones((), bool)
        axes: tuple[str, ...] = ()
        for (a, b), close in zip(pairs, near, strict=True):
            (x, y), _, own = self.aligned(a, b)
            same = (x == y) | (np.isnan(x) & np.isnan(y)) if x.dtype.kind == "f" or y.dtype.kind == "f" else x == y
            (d, o, n, s), axes = self.machine.align(
                Labelled(doubt, axes), Labelled(open_tie, axes), Labelled(close, own), Labelled(np.asarray(same), own)
            )
            doubt, open_tie = d | (o & n), o & (s | n)
        error = np.where(self.machine.spread(Labelled(doubt, axes), value.axes).array, np.inf, 0.0)
        return Quantity(value, error)

    def near(self, a: Quantity, b: Quantity, sides: tuple[Node, Node], loose: bool) -> Array:
        """Return where rounding could turn round the order of two terms, or make them equal or unequal.

        Args:
            a: the left term.
            b: the right one.
            sides: what they are in the definition.
            loose: whether equal values may come in any order.
        """
        (x, y), (ex, ey), own = self.aligned(a, b)
        near = np.zeros(np.broadcast_shapes(ex.shape, ey.shape), bool)
        if a.inexact or b.inexact:
            errors = ex + ey
            near = (errors > 0) & (np.abs(x - y) <= errors)
            if near.any():
                chance = np.zeros((), bool) if a.whole and b.whole else self.by_chance(x == y, errors, sides, own)
                counted = x.dtype.kind in "iub" and y.dtype.kind in "iub"  # counts are off by chance alone
                near &= (x != y) | np.isinf(errors) | chance | counted
        return near | (x != y) if loose and isinstance(sides[0], Axis) else near

    def by_chance(self, equal: Array, errors: Array, sides: tuple[Node, Node], axes: tuple[str, ...]) -> Array:
        """Return where two rounded terms are equal on these inputs and not on those that are moved."""
        if not np.any(equal & (errors > 0)):
            return np.zeros((), bool)
        for equation in self.solution.form.equations:
            if equation.tensor in self.tensors and equation.tensor not in self.moved.tensors:
                self.moved.define(equation)
        values, own = self.moved.align(*map(self.moved.term, sides))
        found: Array = self.machine.view(Labelled(np.asarray(values[0] != values[1]), own), axes)
        return found

    def either(self, found: Quantity, bracket: Bracket, one: Sequence[Node], other: Sequence[Node]) -> Quantity:
        """Return one of two alternatives: where it is in doubt which, it is no further from either than they are apart."""
        condition = self.term(bracket)
        sides = (self.term(n) for side in (bracket.left, bracket.right) for n in operands(side))
        if not condition.open or any(s.open for s in sides):
            return found  # no doubt, or one in which a side may be NaN, of which neither alternative comes
        (a, b), errors, axes = self.aligned(*(self.contract([self.term(f) for f in side], None) for side in (one, other)))
        apart = Labelled(np.abs(a - b) + errors[0] + errors[1], axes)
        doubt = self.machine.spread(Labelled(np.isinf(condition.error), condition.value.axes), found.value.axes).array
        apart = self.machine.spread(apart, found.value.axes).array
        return replace(found, error=np.where(doubt & np.isfinite(apart), apart, found.error))

    def extreme(self, kind: str, names: tuple[str, ...], body: Quantity) -> Quantity:
        """Return a maximum or minimum over axes."""
        axes = (*body.value.axes, *(a for a in names if a not in body.value.axes))
        body = self.spread(body, axes)
        where = tuple(axes.index(a) for a in names)
        kept = tuple(a for a in axes if a not in names)
        if not math.prod(self.solution.size(a) for a in names):
            nothing = np.full([self.solution.size(a) for a in kept], -math.inf if kind == "max" else math.inf)
            return self.exact(Labelled(nothing, kept))
        value = Labelled(self.machine.best(kind, body.value.array, where), kept)
        return Quantity(value, body.error.max(axis=where))


class Swayed(Machine):
    """A definition whose sums hang on the order of what is added: the same terms in another order are rounded otherwise.

    Two terms have one sum in either order, and so have three of which one is 0.
    """

    def contract(self, terms: list[Labelled], bound: Sequence[str] | None) -> Labelled:
        """Multiply terms and sum over the bound axes, each place of which counts a little more or less than the others."""
        plain = super().contract(terms, bound)
        along = [a for a in bound or () if any(a in t.axes for t in terms)]
        if not along or plain.array.dtype.kind not in "fc":
            return plain
        there = [Labelled((t.array != 0).astype(np.int64), t.axes) for t in terms]
        several = super().contract(there, bound).array > MOST_IN_ANY_ORDER
        if not several.any():
            return plain
        places = [Labelled(1 + 2**-11 * np.cos(3.0 * np.arange(1, self.size(a) + 1)), (a,)) for a in along]
        swayed = super().contract([*terms, *places], bound)
        return replace(plain, array=np.where(several, self.spread(swayed, plain.axes).array, plain.array))


def breaks_tie(side: Node) -> bool:
    """Whether a side of a comparison is a value and, where values are equal, a coordinate."""
    parts = operands(side)
    return any(isinstance(p, Read) for p in parts) and any(isinstance(p, Axis) for p in parts)


OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
"""The comparison that holds where one does not, NaN aside."""


def alternatives(left: Node, right: Node) -> tuple[Bracket, list[Node], list[Node]] | None:
    """Return the condition and both alternatives of ``[a < b] * x + [a >= b] * y``; None of any other sum."""
    one, other = list(factors(left)), list(factors(right))
    for bracket in (f for f in one if isinstance(f, Bracket)):
        against = Bracket(OPPOSITE[bracket.op], bracket.left, bracket.right)
        if against in other and len(one) > 1 and len(other) > 1:
            return bracket, [f for f in one if f != bracket], [f for f in other if f != against]
    return None


def _moved(array: Array) -> Array:
    """Return values moved a little, each by what it is, in the same order."""
    return np.where(np.isfinite(array), array * (1 + 2**-9) + 2**-7 * np.cos(3 * array), array)
