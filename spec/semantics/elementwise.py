"""What a definition does to numbers, element by element and in the total order, in NumPy, PyTorch or JAX.

Whole arrays (:mod:`einspec.semantics.oracle`), chosen points (:mod:`einspec.semantics.points`) and rounding errors are
computed with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Array = Any
"""An array of NumPy, PyTorch or JAX."""


class Elementwise:
    """The operations of the language in one framework, and what arrays of it hold."""

    def __init__(self, xp: Any, device: Any = None, finite: bool = False) -> None:
        """Take a framework.

        Args:
            xp: ``numpy``, ``torch`` or ``jax.numpy``.
            device: where PyTorch puts what is made here.
            finite: no array holds NaN or infinity, so that values need not be looked at (under a trace they cannot be).
        """
        self.xp = xp
        self.options = {"device": device} if device is not None else {}
        self.torch, self.all_finite = xp.__name__ == "torch", finite

    def quiet(self) -> Any:
        """Return a context without NumPy's warnings."""
        import numpy as np

        return np.errstate(all="ignore")

    def holds(self, op: str, pairs: Sequence[tuple[Array, Array]]) -> Array:
        """Return where a lexicographic comparison of pairs of arrays, all aligned, holds in the total order."""
        result: Array = None
        for x, y in reversed(pairs):
            numbers = [self.floating(a) or self.complex(a) for a in (x, y)]
            equal = (x == y) | (self.nan(x) & self.nan(y)) if all(numbers) else x == y
            if op in ("==", "!="):
                result = equal if result is None else equal & result
                continue
            low, high = (x, y) if op[0] == "<" else (y, x)
            here = (low < high) | (~self.nan(low) & self.nan(high)) if any(numbers) else low < high
            tail = equal & result if result is not None else equal if "=" in op else None
            result = here if tail is None else here | tail
        return ~result if op == "!=" else result

    def best(self, kind: str, array: Array, axes: tuple[int, ...]) -> Array:
        """Return the greatest or least element along some dimensions, in the total order."""
        xp = self.xp
        if kind == "max":
            return xp.amax(array, axis=axes) if self.torch else xp.max(array, axis=axes)
        nan = xp.isnan(array)
        filled = xp.where(nan, xp.full_like(array, math.inf), array) if self.floating(array) else array
        least = xp.amin(filled, axis=axes) if self.torch else xp.min(filled, axis=axes)
        return xp.where(nan.all(axis=axes), xp.full_like(least, math.nan), least) if self.floating(array) else least

    def arithmetic(self, op: str, a: Array, b: Array) -> Array:
        """Return the result of an operation on aligned arrays."""
        a, b = self.wrapping(a, b) if op in "+-" else (a, b)
        match op:
            case "+":
                return a + b
            case "-":
                return a - b
            case "/":
                return self.real(a) / self.real(b)
            case "//":
                return a // b
            case _:
                return a % b

    def wrapping(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return integers in one dtype in which they wrap: NumPy takes floats for uint64 beside int64, which lose digits."""
        if self.torch or {a.dtype.kind, b.dtype.kind} != {"i", "u"}:
            return a, b
        return a.astype(self.xp.uint64), b.astype(self.xp.uint64)

    def function(self, name: str, array: Array) -> Array:
        """Return a function of each element."""
        array = array if name == "abs" else self.real(array)
        if name != "erf":
            return getattr(self.xp, name)(array)
        if self.torch:
            return self.xp.erf(array)
        if self.xp.__name__ == "numpy":
            return self.xp.vectorize(math.erf, otypes=[float])(array)
        from jax.scipy.special import erf

        return erf(array)

    def constant(self, value: int | float) -> Array:
        """Return a number as an array."""
        return self.xp.asarray(value, dtype=self.xp.float64 if isinstance(value, float) else self.xp.int64, **self.options)

    def whole(self, truth: Array) -> Array:
        """Return truth values as integers."""
        return truth.to(self.xp.int64) if self.torch else self.xp.asarray(truth).astype(self.xp.int64)

    def real(self, array: Array) -> Array:
        """Return the array in a dtype that has fractions."""
        if self.floating(array) or self.complex(array):
            return array
        return array.to(self.xp.float64) if self.torch else self.xp.asarray(array).astype(self.xp.float64)

    def floating(self, array: Array) -> bool:
        """Whether an array holds real numbers."""
        return bool(array.is_floating_point()) if self.torch else array.dtype.kind == "f"

    def complex(self, array: Array) -> bool:
        """Whether an array holds complex numbers."""
        return bool(array.is_complex()) if self.torch else array.dtype.kind == "c"

    def nan(self, array: Array) -> Array:
        """Return where an array is NaN."""
        if self.floating(array) or self.complex(array):
            return self.xp.isnan(array)
        return self.xp.zeros_like(array, dtype=self.xp.bool if self.torch else bool)

    def finite(self, array: Array) -> bool:
        """Whether an array holds no NaN and no infinity."""
        if self.all_finite or not (self.floating(array) or self.complex(array)):
            return True
        return bool(self.xp.isfinite(array).all())
