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
import math
from collections.abc import Mapping, Sequence
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
    factors,
    walk,
)
from einspec.semantics.bounds import Quantity, Tensor, all_whole, possible, storing
from einspec.semantics.oracle import Labelled, Machine, is_constant, open_rests, operands
from einspec.solve import Solution, atoms, expand

Array = np.ndarray[Any, Any]
FUNCTION_ULPS = 8
"""How many units in the last place exp, log, tanh and erf of a framework may be off."""


def analyse(
    solution: Solution,
    inputs: Mapping[str, Array],
    working: str,
    stored: str = "",
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
        given: tensors that are taken as they are, not by their equations.
        last: the tensor after which no more are looked at.
        free_ties: whether equal values may come in any order, so that a coordinate decides nothing.
    """
    run = Analysis(solution, inputs, working, stored, given or {}, free_ties)
    with np.errstate(all="ignore"):
        for equation in solution.form.equations if last not in inputs else ():
            run.define(equation)
            if equation.tensor == last:
                break
    return run.tensors


class Analysis:
    """The tensors of one definition with their errors, as far as they are defined."""

    def __init__(
        self,
        solution: Solution,
        inputs: Mapping[str, Array],
        working: str,
        stored: str,
        given: Mapping[str, Array],
        free_ties: bool = False,
    ) -> None:
        self.solution, self.given, self.free_ties = solution, given, free_ties
        self.machine = Machine(solution, {}, np, None, False)
        self.tensors = {name: Tensor(array, np.zeros(array.shape), all_whole(array)) for name, array in inputs.items()}
        self.limits = np.finfo(working)
        self.short = np.dtype("complex64" if working.startswith("complex") else "float32")
        self.stored = numpy_dtype(stored) if stored else None
        self.inputs = inputs
        self.outputs = {s.name for s in solution.form.signature.outputs}

    def define(self, equation: Equation) -> None:
        """Evaluate an equation and keep its tensor."""
        dims = expand(equation.index, self.solution.ranks)
        shape = tuple(math.prod(self.solution.size(a) for a in atoms(d)) for d in dims)
        if equation.tensor in self.given:
            array = self.given[equation.tensor].reshape(shape)
            self.tensors[equation.tensor] = Tensor(array, np.zeros(shape))
            return
        names = tuple(a for d in dims for a in atoms(d))
        found = self.spread(self.term(equation.body), names)
        tensor = Tensor(np.asarray(found.value.array).reshape(shape), found.error.reshape(shape), found.whole)
        if self.stored is not None and equation.tensor not in self.outputs:
            tensor = Tensor(tensor.array, tensor.error + storing(tensor, self.stored), tensor.whole)
        self.tensors[equation.tensor] = tensor

    def term(self, node: Node) -> Quantity:
        """Return the value of a term with its error."""
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
                varies = any(isinstance(n, Read) for n in walk(right))
                found = self.arithmetic(op, self.term(left), self.term(right), varies)
                return self.either(found, *choice) if op == "+" and (choice := alternatives(left, right)) else found
            case Apply("exp", Binary("-", left, right)):
                return self.function("exp", self.shifted(self.term(left), self.term(right)))
            case Apply(function, argument):
                return self.function(function, self.term(argument))
            case Reduce("sum", names, body):
                names = open_rests(self.solution, names)
                terms = [self.term(p) for p in factors(body)]
                missing = [a for a in names if not any(a in t.value.axes for t in terms)]
                count = math.prod(self.solution.size(a) for a in missing)
                if missing:
                    terms.append(self.exact(Labelled(np.asarray(count), (), mask=count == 0)))
                return self.contract(terms, names)
            case Reduce(kind, names, body):
                return self.extreme(kind, open_rests(self.solution, names), self.term(body))
        raise AssertionError(node)

    @functools.cached_property
    def moved(self) -> Machine:
        """The definition on inputs that a smooth function has moved a little: equal ones stay equal, chance is gone."""
        data = self.solution.form.data
        inputs = {k: _moved(v) if k in data and v.dtype.kind in "fc" else v for k, v in self.inputs.items()}
        machine = Machine(self.solution, {**inputs, **self.given}, np, None, False)
        for equation in self.solution.form.equations:
            if equation.tensor not in self.given:
                machine.define(equation)
        return machine

    def exact(self, value: Labelled) -> Quantity:
        """Return a value that nothing has rounded."""
        return Quantity(value, np.zeros(np.shape(value.array)), all_whole(np.asarray(value.array)))

    def read(self, tensor: Tensor, index: Any) -> Quantity:
        """Return a tensor with the axes at which it is read."""
        names = tuple(a for d in expand(index, self.solution.ranks) for a in atoms(d))
        shape = tuple(self.solution.size(a) for a in names)
        value = self.machine.diagonal(tensor.array.reshape(shape), names)
        return Quantity(value, np.asarray(self.machine.diagonal(tensor.error.reshape(shape), names).array), tensor.whole)

    def spread(self, quantity: Quantity, axes: tuple[str, ...]) -> Quantity:
        """Return the quantity with exactly these axes."""
        error = self.machine.spread(Labelled(quantity.error, quantity.value.axes), axes).array
        return Quantity(self.machine.spread(quantity.value, axes), error, quantity.whole)

    def aligned(self, left: Quantity, right: Quantity) -> tuple[list[Array], list[Array], tuple[str, ...]]:
        """Return the values and errors of two quantities with the same axes in the same order."""
        values, axes = self.machine.align(left.value, right.value)
        errors = [self.machine.view(Labelled(q.error, q.value.axes), axes) for q in (left, right)]
        return values, errors, axes

    def rounded(self, value: Labelled, error: Array, ulps: float = 1) -> Quantity:
        """Return the result of one operation in the working precision: exact where the result is a short number."""
        array = np.asarray(value.array)
        if array.dtype.kind in "iub":
            return Quantity(value, np.broadcast_to(error, array.shape))
        inexact = (error > 0) | (array.astype(self.short) != array)
        inexact |= (array != 0) & (np.abs(array) < float(self.limits.smallest_normal))  # flushed, on one way or another
        step = ulps * float(self.limits.eps) * np.abs(array) + float(self.limits.smallest_normal)
        total = np.where(inexact, error + step, error)
        total = np.where(np.abs(array) > float(self.limits.max), np.inf, total)
        known = np.where(np.isinf(error), np.inf, 0.0)
        return Quantity(value, np.where(np.isfinite(array), np.where(np.isnan(total), np.inf, total), known))

    def bracket(self, op: str, left: Node, right: Node) -> Quantity:
        """Return the truth of a comparison; its error is infinite where the errors of its sides could turn it round."""
        pairs = [(self.term(a), self.term(b)) for a, b in zip(operands(left), operands(right), strict=True)]
        value = self.machine.compare(op, [(a.value, b.value) for a, b in pairs])
        loose = self.free_ties and breaks_tie(left)
        if not loose and not any(q.error.any() for pair in pairs for q in pair):
            return self.exact(value)
        doubt, open_tie = np.zeros((), bool), np.ones((), bool)
        axes: tuple[str, ...] = ()
        for (a, b), terms in zip(pairs, zip(operands(left), operands(right), strict=True), strict=True):
            (x, y), (ex, ey), own = self.aligned(a, b)
            errors = ex + ey
            chance = np.zeros((), bool) if a.whole and b.whole else self.by_chance(x == y, errors, terms, own)
            counted = x.dtype.kind in "iub" and y.dtype.kind in "iub"  # counts are off by chance alone
            near = (errors > 0) & (np.abs(x - y) <= errors) & ((x != y) | np.isinf(errors) | chance | counted)
            if loose and isinstance(terms[0], Axis):
                near = near | (x != y)
            same = (x == y) | (np.isnan(x) & np.isnan(y)) if x.dtype.kind == "f" or y.dtype.kind == "f" else x == y
            (d, o, n, s), axes = self.machine.align(
                Labelled(doubt, axes), Labelled(open_tie, axes), Labelled(near, own), Labelled(np.asarray(same), own)
            )
            doubt, open_tie = d | (o & n), o & (s | n)
        error = np.where(self.machine.spread(Labelled(doubt, axes), value.axes).array, np.inf, 0.0)
        return Quantity(value, error)

    def by_chance(self, equal: Array, errors: Array, sides: tuple[Node, Node], axes: tuple[str, ...]) -> Array:
        """Return where two rounded terms are equal on these inputs and not on those that are moved."""
        if not np.any(equal & (errors > 0)):
            return np.zeros((), bool)
        values, own = self.moved.align(*map(self.moved.term, sides))
        found: Array = self.machine.view(Labelled(np.asarray(values[0] != values[1]), own), axes)
        return found

    def contract(self, terms: list[Quantity], bound: Sequence[str] | None) -> Quantity:
        """Return a product of terms, summed over the bound axes."""
        machine = self.machine
        value = machine.contract([t.value for t in terms], bound)
        brackets = [t for t in terms if t.value.mask]
        masks = [possible(t) for t in brackets]
        values = [t for t in terms if not t.value.mask]
        if all(np.asarray(t.value.array).dtype.kind in "iub" and not t.error.any() for t in terms):
            return self.exact(value)
        if not values:
            doubts = self.doubts(value, brackets, masks, bound)
            return Quantity(value, np.where(doubts > 0, np.inf, 0.0) if value.mask else doubts)
        sizes = [Labelled(np.abs(t.value.array).astype(float), t.value.axes) for t in values]
        upper = [Labelled(s.array + t.error, s.axes) for s, t in zip(sizes, values, strict=True)]
        most = self.like(machine.contract([*masks, *upper], bound), value)
        known = not any(t.error.any() for t in values)
        least = most if known else self.like(machine.contract([*masks, *sizes], bound), value)
        count = math.prod(self.solution.size(a) for a in bound or ()) if not masks else self.count(masks, bound, value)
        roundings = len([v for v in values if np.asarray(v.value.array).dtype.kind == "f"]) - 1 + np.maximum(count - 1, 0)
        passed = np.zeros(most.shape) if known else np.where(most == least, 0.0, most - least)
        if not np.isfinite(value.array).all():
            passed = np.where(self.vanishing(values, masks, bound, value), np.inf, passed)
        whole = all(v.whole for v in values) and bool(np.max(most, initial=0) <= 2.0**self.limits.nmant)
        if not np.any(roundings > 1):
            once = self.rounded(value, passed) if np.any(roundings) or passed.any() else Quantity(value, passed)
            return self.doubted(replace(once, whole=whole), brackets, masks, bound)
        step = np.maximum(roundings, 0) * (float(self.limits.eps) * most + float(self.limits.smallest_normal))
        error = passed + np.where(most == 0, 0.0, step)
        array = np.asarray(value.array)
        error = np.where(most > float(self.limits.max), np.inf, np.where(np.isnan(error), np.inf, error))
        error = np.where(np.isfinite(array), error, np.where(np.isinf(passed), np.inf, 0.0))
        return self.doubted(Quantity(value, error, whole), brackets, masks, bound)

    def vanishing(self, values: list[Quantity], masks: list[Labelled], bound: Sequence[str] | None, like: Labelled) -> Array:
        """Return where a factor that rounding may make zero stands in a product: with infinity that would give NaN.

        A subnormal factor is such a one: matrix units take it for zero.
        """
        found = np.zeros(np.shape(like.array), bool)
        for quantity in values:
            size = np.abs(quantity.value.array)
            zero = (quantity.error > 0) & (size <= quantity.error)
            zero |= (size > 0) & (size < float(self.limits.smallest_normal))
            if zero.any():
                reached = [*masks, Labelled(zero.astype(np.int64), quantity.value.axes, mask=True)]
                found |= self.like(self.machine.contract(reached, self.within(bound, reached)), like) > 0
        return found

    def doubted(
        self, found: Quantity, brackets: list[Quantity], masks: list[Labelled], bound: Sequence[str] | None
    ) -> Quantity:
        """Return a sum of products about which nothing is known where a bracket in doubt is not ruled out by another."""
        doubts = self.doubts(found.value, brackets, masks, bound)
        return replace(found, error=np.where(doubts > 0, np.inf, found.error))

    def doubts(self, like: Labelled, brackets: list[Quantity], masks: list[Labelled], bound: Sequence[str] | None) -> Array:
        """Return how many brackets in doubt each sum has that another does not rule out: so far may a count be off."""
        found = np.zeros(np.shape(like.array))
        for i, bracket in enumerate(brackets):
            if np.isinf(bracket.error).any():
                doubt = Labelled(np.isinf(bracket.error).astype(np.int64), bracket.value.axes, mask=True)
                reached = self.machine.contract([*masks[:i], doubt, *masks[i + 1 :]], self.within(bound, masks))
                found = found + self.like(reached, like)
        return found

    def within(self, bound: Sequence[str] | None, masks: list[Labelled]) -> list[str]:
        """Return the bound axes that brackets have."""
        return [a for a in bound or () if any(a in m.axes for m in masks)]

    def count(self, masks: list[Labelled], bound: Sequence[str] | None, like: Labelled) -> Array:
        """Return how many terms of each sum have all brackets true."""
        own = self.within(bound, masks)
        rest = math.prod(self.solution.size(a) for a in bound or () if a not in own)
        return self.like(self.machine.contract(masks, own), like) * rest

    def like(self, found: Labelled, other: Labelled) -> Array:
        """Return an array with the axes of another."""
        array: Array = self.machine.spread(found, other.axes).array
        return array

    def arithmetic(self, op: str, left: Quantity, right: Quantity, varies: bool = False) -> Quantity:
        """Return the result of an operation; a divisor that varies may itself be rounded, though here it is a short number."""
        (a, b), (ea, eb), axes = self.aligned(left, right)
        value = Labelled(self.machine.arithmetic(op, a, b), axes)
        if op in ("+", "-"):
            return self.rounded(value, np.broadcast_to(ea + eb, value.array.shape))
        if op == "/":
            turned = np.where(eb > 0, np.abs(value.array) * eb, 0.0)
            spread = np.where(eb < np.abs(b), (ea + turned) / (np.abs(b) - eb), np.inf)
            lost = np.isfinite(b) & (np.abs(b) > 1 / float(self.limits.smallest_normal))  # 1 / b is subnormal, or zero
            spread = np.where(lost, np.fmax(spread, np.where(np.isfinite(value.array), np.abs(value.array), np.inf)), spread)
            reciprocal = (a != 0) & np.isfinite(value.array) & (varies | (np.frexp(np.abs(b).astype(float))[0] != 0.5))
            least = np.where(reciprocal, float(self.limits.smallest_normal), 0.0)  # no product with 1 / b is exact
            return self.rounded(value, np.where((ea == 0) & (eb == 0) & ~lost, least, spread))
        unsure = np.broadcast_to(ea + eb, value.array.shape) > 0
        return Quantity(value, np.where(unsure, np.inf, 0.0))

    def shifted(self, left: Quantity, right: Quantity) -> Quantity:
        """Return the argument of ``exp(x - m)``, which may be ``x - (m + log(sum))`` and is then rounded as x and m are.

        Where that rounding is a whole step of the exponent, nobody computes it so.
        """
        found = self.arithmetic("-", left, right)
        (a, b), _, axes = self.aligned(left, right)
        away = self.machine.spread(Labelled(float(self.limits.eps) * (np.abs(a) + np.abs(b)), axes), found.value.axes).array
        return replace(found, error=found.error + np.where(away < 1, away, 0.0))

    def either(self, found: Quantity, bracket: Bracket, one: Sequence[Node], other: Sequence[Node]) -> Quantity:
        """Return one of two alternatives: where it is in doubt which, it is no further from either than they are apart."""
        condition = self.term(bracket)
        sides = (self.term(n) for side in (bracket.left, bracket.right) for n in operands(side))
        if not np.isinf(condition.error).any() or any(np.isinf(s.error).any() for s in sides):
            return found  # no doubt, or one in which a side may be NaN, of which neither alternative comes
        (a, b), errors, axes = self.aligned(*(self.contract([self.term(f) for f in side], None) for side in (one, other)))
        apart = Labelled(np.abs(a - b) + errors[0] + errors[1], axes)
        doubt = self.machine.spread(Labelled(np.isinf(condition.error), condition.value.axes), found.value.axes).array
        apart = self.machine.spread(apart, found.value.axes).array
        return replace(found, error=np.where(doubt & np.isfinite(apart), apart, found.error))

    def function(self, name: str, inner: Quantity) -> Quantity:
        """Return a function of each element."""
        x, e = np.asarray(inner.value.array), inner.error
        value = Labelled(self.machine.function(name, inner.value.array), inner.value.axes)
        y = np.asarray(value.array)
        match name:
            case "exp":
                return self.rounded(value, np.where(e > 0, y * np.expm1(e), 0.0), FUNCTION_ULPS)
            case "log":
                return self.rounded(value, np.where(e > 0, np.where(e < x, e / (x - e), np.inf), 0.0), FUNCTION_ULPS)
            case "sqrt":
                return self.rounded(value, np.where(e > 0, np.sqrt(x + e) - np.sqrt(np.maximum(x - e, 0)), 0.0))
            case "tanh" | "erf":
                steep = np.where(np.isinf(x) & (name == "erf"), np.inf, e * 1.13)  # the steepest slope of either: 2 / sqrt(pi)
                return self.rounded(value, steep, FUNCTION_ULPS)  # GELU at infinity is NaN in PyTorch, of either sign
            case "abs":
                return Quantity(value, e)
        step = np.floor if name == "floor" else np.ceil
        return Quantity(value, np.where((e > 0) & (step(x - e) != step(x + e)), np.inf, 0.0))

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


def breaks_tie(side: Node) -> bool:
    """Whether a side of a comparison is a value and, where values are equal, a coordinate."""
    parts = operands(side)
    return any(isinstance(p, Read) for p in parts) and any(isinstance(p, Axis) for p in parts)


OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
"""The comparison that holds where one does not, NaN aside."""


def alternatives(left: Node, right: Node) -> tuple[Bracket, list[Node], list[Node]] | None:
    """Return the condition and both alternatives of ``[a < b] * x + [a >= b] * y``; None of any other sum."""
    one, other = list(factors(left)), list(factors(right))
    for bracket in (f for f in one if isinstance(f, Bracket) and f.op in OPPOSITE):
        against = Bracket(OPPOSITE[bracket.op], bracket.left, bracket.right)
        if against in other and len(one) > 1 and len(other) > 1:
            return bracket, [f for f in one if f != bracket], [f for f in other if f != against]
    return None


def _moved(array: Array) -> Array:
    """Return values moved a little, each by what it is, in the same order."""
    return np.where(np.isfinite(array), array * (1 + 2**-9) + 2**-7 * np.cos(3 * array), array)
