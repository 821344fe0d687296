"""How far a sum of products in a working precision may be from the exact one, in any order of adding up its terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.dtypes import finfo, numpy_dtype
from einspec.language.formula import base
from einspec.semantics.bounds import Quantity, possible
from einspec.semantics.operations import Operations
from einspec.semantics.oracle import Labelled

Array = np.ndarray[Any, Any]


class Products(Operations):
    """Sums of products of numbers with bounds, some of them brackets that may be in doubt."""

    def contract(self, terms: list[Quantity], bound: Sequence[str] | None) -> Quantity:
        """Return a product of terms, summed over the bound axes; along some of them in a dtype of their own."""
        found = self.summed(terms, bound)
        for axis in bound or ():
            if base(axis) in self.along:
                found = self.held(found, terms, bound, self.solution.size(axis), self.along[base(axis)])
        return found

    def held(self, found: Quantity, terms: list[Quantity], bound: Sequence[str] | None, parts: int, dtype: str) -> Quantity:
        """Return a sum of so many parts of which each but the first may be added in another dtype.

        Each addition is off by at most ``eps`` times what is added up so far, which is at most the sum of all sizes.
        """
        masks = [possible(t) for t in terms if t.value.mask]
        upper = [Labelled(np.abs(t.value.array).astype(float) + t.error, t.value.axes) for t in terms if not t.value.mask]
        most, limits = self.like(self.machine.contract([*masks, *upper], bound), found.value), finfo(numpy_dtype(dtype))
        if found.whole and np.max(most, initial=0) <= 2.0**limits.nmant:
            return found
        added = np.maximum(np.minimum(self.count(masks, bound, found.value), parts) - 1 if masks else parts - 1, 0)
        step = added * np.where(most == 0, 0.0, float(limits.eps) * most + float(limits.smallest_normal))
        step = np.where((added > 0) & (most > float(limits.max) * (1 - float(limits.eps))), np.inf, step)
        error = self.settled(np.asarray(found.value.array), found.error + step, found.error)
        return Quantity(found.value, error)

    def summed(self, terms: list[Quantity], bound: Sequence[str] | None) -> Quantity:
        """Return a product of terms, summed over the bound axes in the working precision."""
        machine = self.machine
        value = machine.contract([t.value for t in terms], bound)
        brackets = [t for t in terms if t.value.mask]
        values = [t for t in terms if not t.value.mask]
        if all(np.asarray(t.value.array).dtype.kind in "iub" and not t.inexact for t in terms):
            return self.exact(value)
        masks = [possible(t) for t in brackets]
        if not values:
            doubts = self.doubts(value, brackets, masks, bound)
            return Quantity(value, np.where(doubts > 0, np.inf, 0.0) if value.mask else doubts)
        sizes = [Labelled(np.abs(t.value.array).astype(float), t.value.axes) for t in values]
        upper = [Labelled(s.array + t.error, s.axes) for s, t in zip(sizes, values, strict=True)]
        most = self.like(machine.contract([*masks, *upper], bound), value)
        known = not any(t.inexact for t in values)
        least = most if known else self.like(machine.contract([*masks, *sizes], bound), value)
        count = math.prod(self.solution.size(a) for a in bound or ()) if not masks else self.count(masks, bound, value)
        roundings = len([v for v in values if np.asarray(v.value.array).dtype.kind == "f"]) - 1 + np.maximum(count - 1, 0)
        passed = np.zeros(most.shape) if known else np.where(most == least, 0.0, most - least)
        if not np.isfinite(value.array).all():
            passed = np.where(self.vanishing(values, masks, bound, value), np.inf, passed)
        whole = all(v.whole for v in values) and bool(np.max(most, initial=0) <= 2.0**self.digits)
        if not np.any(roundings > 1):
            once = self.rounded(value, passed) if np.any(roundings) or passed.any() else Quantity(value, passed)
            return self.doubted(replace(once, whole=whole), brackets, masks, bound)
        step = np.maximum(roundings, 0) * (self.eps * most + self.least)
        error = passed + np.where(most == 0, 0.0, step)
        array = np.asarray(value.array)
        error = np.where((most > self.most) | np.isnan(error), np.inf, error)
        return self.doubted(Quantity(value, self.settled(array, error, passed), whole), brackets, masks, bound)

    def vanishing(self, values: list[Quantity], masks: list[Labelled], bound: Sequence[str] | None, like: Labelled) -> Array:
        """Return where a factor that rounding may make zero stands in a product: with infinity that would give NaN.

        A subnormal factor is such a one: matrix units take it for zero.
        """
        found = np.zeros(np.shape(like.array), bool)
        for quantity in values:
            size = np.abs(quantity.value.array)
            zero = (quantity.error > 0) & (size <= quantity.error)
            zero |= (size > 0) & (size < self.least)
            if zero.any():
                reached = [*masks, Labelled(zero.astype(np.int64), quantity.value.axes, mask=True)]
                found |= self.like(self.machine.contract(reached, self.within(bound, reached)), like) > 0
        return found

    def doubted(
        self, found: Quantity, brackets: list[Quantity], masks: list[Labelled], bound: Sequence[str] | None
    ) -> Quantity:
        """Return a sum of products about which nothing is known where a bracket in doubt is not ruled out by another."""
        if not any(b.open for b in brackets):
            return replace(found, error=np.asarray(found.error, order="C"))
        doubts = self.doubts(found.value, brackets, masks, bound)
        return replace(found, error=np.where(doubts > 0, np.inf, found.error))

    def doubts(self, like: Labelled, brackets: list[Quantity], masks: list[Labelled], bound: Sequence[str] | None) -> Array:
        """Return how many brackets in doubt each sum has that another does not rule out: so far may a count be off."""
        found = np.zeros(np.shape(like.array))
        for i, bracket in enumerate(brackets):
            if bracket.open:
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
