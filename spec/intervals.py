"""Bounds of expressions over sizes and parameters: what intervals and known inequalities prove."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from einspec.language.formula import Binary, Bracket, Node, Number, Param, Size, transform, walk


class Interval(NamedTuple):
    """The integers or floats from ``low`` to ``high``, both of them included."""

    low: float
    high: float

    @property
    def empty(self) -> bool:
        """Whether there is no number in it."""
        return self.low > self.high

    def meet(self, other: Interval) -> Interval:
        """Return what two intervals have in common."""
        return Interval(max(self.low, other.low), min(self.high, other.high))


ANY = Interval(-math.inf, math.inf)
NATURAL = Interval(0, math.inf)
TRUTH = Interval(0, 1)
Known = Mapping[Node, Interval]
"""The intervals of sizes and parameters."""
Polynomial = dict[tuple[Node, ...], float]
"""Coefficients by monomial: a sorted tuple of sizes, parameters and what is no polynomial."""


def product(intervals: Iterable[Interval]) -> Interval:
    """Return the interval of a product of independent factors."""
    found = Interval(1, 1)
    for factor in intervals:
        ends = [_times(a, b) for a in found for b in factor]
        found = Interval(min(ends), max(ends))
    return found


def bounds(node: Node, known: Known, facts: Iterable[Polynomial] = ()) -> Interval:
    """Return an interval that holds every value of an expression.

    Args:
        node: the expression, of sizes, parameters and ``+ - * // %`` and comparisons.
        known: the intervals of its sizes and parameters; one that is absent may be any number.
        facts: polynomials of which it is known that they are not negative.
    """
    facts = list(facts)
    split = _split(node, known)
    if split:
        cases = [bounds(part, narrowed, facts) for part, narrowed in split]
        return Interval(min(c.low for c in cases), max(c.high for c in cases))
    found = _bounds(node, known, facts)
    return found._replace(low=max([found.low, *(_least_above(node, f, known) for f in facts)]))


def holds(node: Node, known: Known, facts: Iterable[Polynomial] = ()) -> bool:
    """Return whether a comparison is proved to hold; false says only that it is not proved."""
    facts = list(facts)
    if any(isinstance(n, Bracket) and n.op == "!=" for n in walk(node)):
        return False
    needed = list(demands(node))
    return bool(needed) and all(_at_least_zero(p, known, facts) for p in needed)


def demands(node: Node, whole: bool = True) -> Iterator[Polynomial]:
    """Yield the polynomials that a comparison, or a chain of them, says are not negative.

    Args:
        node: the comparison.
        whole: both sides are integers, so that what is above zero is at least one.
    """
    match node:
        case Binary("*", left, right):
            yield from demands(left, whole)
            yield from demands(right, whole)
        case Bracket(sign, left, right):
            step = 1 if whole and sign in ("<", ">") else 0
            if sign in (">", ">=", "=="):
                yield polynomial(Binary("-", Binary("-", left, right), Number(step)))
            if sign in ("<", "<=", "=="):
                yield polynomial(Binary("-", Binary("-", right, left), Number(step)))


def polynomial(node: Node) -> Polynomial:
    """Return an expression as a polynomial, multiplied out: equal ones are equal however written.

    What is no sum or product stands in it as a whole.
    """
    found: Polynomial = {}
    match node:
        case Number(value):
            found = {(): value}
        case Binary("-", left, right):
            found = _minus(polynomial(left), polynomial(right))
        case Binary("+", left, right):
            negative = {m: -c for m, c in polynomial(right).items()}
            found = _minus(polynomial(left), negative)
        case Binary("*", left, right):
            pairs = itertools.product(polynomial(left).items(), polynomial(right).items())
            for (first, a), (second, b) in pairs:
                monomial = tuple(sorted((*first, *second), key=repr))
                found[monomial] = found.get(monomial, 0) + a * b
        case _:
            found = {(node,): 1}
    return {m: c for m, c in found.items() if c}


def _bounds(node: Node, known: Known, facts: list[Polynomial]) -> Interval:
    """Return the interval of an expression from those of its parts."""
    match node:
        case Number(value):
            return Interval(value, value)
        case Size() | Param():
            return known.get(node, ANY)
        case Bracket():
            return TRUTH
        case Binary(sign, left, right):
            a, b = bounds(left, known, facts), bounds(right, known, facts)
            return _combine(sign, a, b)
    return ANY


def _combine(sign: str, a: Interval, b: Interval) -> Interval:
    match sign:
        case "+":
            return Interval(a.low + b.low, a.high + b.high)
        case "-":
            return Interval(a.low - b.high, a.high - b.low)
        case "*":
            return product((a, b))
        case "//" if b.low > 0:
            ends = [_floor(n, d) for n in a for d in b]
            return Interval(min(ends), max(ends))
        case "%" if b.low > 0:
            return Interval(0, b.high - 1)
    return ANY


def _times(a: float, b: float) -> float:
    return 0 if 0 in (a, b) else a * b


def _floor(numerator: float, divisor: float) -> float:
    if math.isinf(divisor):
        return -1 if numerator < 0 else 0
    return numerator if math.isinf(numerator) else numerator // divisor


def _least_above(node: Node, fact: Polynomial, known: Known) -> float:
    """Return the least value of an expression that a fact proves: that of the rest without it."""
    return _range(_minus(polynomial(node), fact), known).low


def _at_least_zero(terms: Polynomial, known: Known, facts: list[Polynomial]) -> bool:
    return any(_range(_minus(terms, fact), known).low >= 0 for fact in [{}, *facts])


def _minus(left: Polynomial, right: Polynomial) -> Polynomial:
    return {m: left.get(m, 0) - right.get(m, 0) for m in {**left, **right}}


def _range(terms: Polynomial, known: Known) -> Interval:
    """Return the interval of a polynomial whose monomials are independent of each other."""
    low, high = 0.0, 0.0
    for monomial, factor in terms.items():
        if factor:
            part = product([Interval(factor, factor), *(bounds(n, known) for n in monomial)])
            low, high = low + part.low, high + part.high
    return Interval(low, high)


def _split(node: Node, known: Known) -> list[tuple[Node, Known]]:
    """Return an expression where its first comparison with a number holds, and where it does not.

    ``n + (n < 0) * m`` has a bound that its parts do not show: in each case n is on one side of
    the number.
    """
    for part in walk(node):
        match part:
            case Bracket("<" | ">=" as sign, Size() | Param() as name, Number(limit)):
                below, above = Interval(-math.inf, limit - 1), Interval(limit, math.inf)
                cases: list[tuple[Node, Known]] = []
                for side, true in ((below, sign == "<"), (above, sign == ">=")):
                    narrowed = known.get(name, ANY).meet(side)
                    if not narrowed.empty:
                        chosen = _replaced(node, part, Number(int(true)))
                        cases.append((chosen, {**known, name: narrowed}))
                return cases
    return []


def _replaced(node: Node, part: Node, other: Node) -> Node:
    """Return an expression with one of its parts replaced."""
    return transform(node, lambda n: other if n == part else n)
