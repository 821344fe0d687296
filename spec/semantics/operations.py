"""How far one operation in a working precision may be from the exact value: what comes in, and one rounding of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.dtypes import finfo, numpy_dtype
from einspec.semantics.bounds import Quantity, all_whole
from einspec.semantics.oracle import Labelled, Machine
from einspec.solve import Solution

Array = np.ndarray[Any, Any]
FUNCTION_ULPS = 8
"""How many units in the last place exp, log, tanh and erf of a framework may be off."""


class Operations:
    """The operations of the language on numbers with bounds."""

    def __init__(self, solution: Solution, working: str, along: Mapping[str, str]) -> None:
        self.solution, self.along = solution, along
        self.machine = Machine(solution, {}, np, None, False)
        limits = finfo(numpy_dtype(working))
        self.eps, self.least, self.most = float(limits.eps), float(limits.smallest_normal), float(limits.max)
        self.digits = limits.nmant
        narrow = working if limits.bits < np.finfo(np.float32).bits else "float32"
        self.short = numpy_dtype("complex64" if working.startswith("complex") else narrow)

    def exact(self, value: Labelled) -> Quantity:
        """Return a value that nothing has rounded."""
        return Quantity(value, np.zeros(np.shape(value.array)), all_whole(np.asarray(value.array)))

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
        size = np.abs(array)
        inexact = (error > 0) | (array.astype(self.short) != array)
        inexact |= (size < self.least) & (array != 0)  # flushed, on one way or another
        total = np.where(inexact, error + (ulps * self.eps * size + self.least), error)
        total = np.where((size > self.most) | np.isnan(total), np.inf, total)
        return Quantity(value, self.settled(array, total, error))

    def settled(self, array: Array, error: Array, passed: Array) -> Array:
        """Return the errors of results; one that is not finite is exact, unless what came in may be anything."""
        finite = np.isfinite(array)
        return error if finite.all() else np.where(finite, error, np.where(np.isinf(passed), np.inf, 0.0))

    def arithmetic(self, op: str, left: Quantity, right: Quantity, varies: bool = False) -> Quantity:
        """Return the result of an operation; a divisor that varies may itself be rounded, though here it is a short number."""
        (a, b), (ea, eb), axes = self.aligned(left, right)
        value = Labelled(self.machine.arithmetic(op, a, b), axes)
        if op in ("+", "-"):
            return self.rounded(value, np.broadcast_to(ea + eb, value.array.shape))
        if op == "/":
            size, divisor = np.abs(value.array), np.abs(b)
            finite = np.isfinite(value.array)
            turned = np.where(eb > 0, size * eb, 0.0)
            spread = np.where(eb < divisor, (ea + turned) / (divisor - eb), np.inf)
            lost = np.isfinite(b) & (divisor > 1 / self.least)  # 1 / b is subnormal, or zero
            spread = np.where(lost, np.fmax(spread, np.where(finite, size, np.inf)), spread)
            reciprocal = (a != 0) & finite & (varies | (np.frexp(divisor.astype(float))[0] != 0.5))
            least = np.where(reciprocal, self.least, 0.0)  # no product with 1 / b is exact
            return self.rounded(value, np.where((ea == 0) & (eb == 0) & ~lost, least, spread))
        unsure = np.broadcast_to(ea + eb, value.array.shape) > 0
        return Quantity(value, np.where(unsure, np.inf, 0.0))

    def shifted(self, left: Quantity, right: Quantity) -> Quantity:
        """Return the argument of ``exp(x - m)``, which may be ``x - (m + log(sum))`` and is then rounded as x and m are.

        Where that rounding is a whole step of the exponent, nobody computes it so.
        """
        found = self.arithmetic("-", left, right)
        (a, b), _, axes = self.aligned(left, right)
        away = self.machine.spread(Labelled(self.eps * (np.abs(a) + np.abs(b)), axes), found.value.axes).array
        return replace(found, error=found.error + np.where(away < 1, away, 0.0))

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
            case "log1p":  # the slope is 1 / (1 + x), so that what is small has a small error: nobody may add it to 1
                return self.rounded(value, np.where(e > 0, np.where(e < 1 + x, e / (1 + x - e), np.inf), 0.0), FUNCTION_ULPS)
            case "sqrt":
                return self.rounded(value, np.where(e > 0, np.sqrt(x + e) - np.sqrt(np.maximum(x - e, 0)), 0.0))
            case "tanh" | "erf":
                steep = np.where(np.isinf(x) & (name == "erf"), np.inf, e * 1.13)  # the steepest slope of either: 2 / sqrt(pi)
                return self.rounded(value, steep, FUNCTION_ULPS)  # GELU at infinity is NaN in PyTorch, of either sign
            case "abs":
                return Quantity(value, e)
        step = np.floor if name == "floor" else np.ceil
        return Quantity(value, np.where((e > 0) & (step(x - e) != step(x + e)), np.inf, 0.0))
