"""Numbers with bounds: how far an array that was computed in a working precision may be from the exact one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.dtypes import finfo
from einspec.semantics.oracle import Labelled

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Quantity:
    """An array with named axes and a bound on the error of each element; infinite where nothing can be said."""

    value: Labelled
    error: Array
    """Of the shape of the array."""
    whole: bool = False
    """Whether it is made by adding and multiplying small whole numbers alone, which no order of doing so rounds."""

    @functools.cached_property
    def inexact(self) -> bool:
        """Whether an element may have an error."""
        return bool(self.error.any())

    @functools.cached_property
    def open(self) -> bool:
        """Whether there is an element of which nothing can be said."""
        return self.inexact and bool(np.isinf(self.error).any())


@dataclass(frozen=True)
class Tensor:
    """A tensor of a definition and the bounds on its errors."""

    array: Array
    error: Array
    whole: bool = False
    """See :class:`Quantity`."""

    @property
    def doubt(self) -> Array:
        """Where a tensor that holds integers or truth values may hold another one."""
        return self.error >= 0.5


def possible(bracket: Quantity) -> Labelled:
    """Return a bracket that is true wherever it may be."""
    if not bracket.open:
        return bracket.value
    array = np.where(np.isinf(bracket.error), 1, bracket.value.array)
    return Labelled(array, bracket.value.axes, mask=True)


def storing(tensor: Tensor, dtype: np.dtype[Any]) -> Array:
    """Return the error of rounding a tensor to a dtype once: none where the dtype holds an exact value."""
    if dtype.kind in "iub":
        return np.zeros(tensor.array.shape)
    limits = finfo(dtype)
    with np.errstate(all="ignore"):
        inexact = (tensor.error > 0) | (_in(dtype, tensor.array) != tensor.array)
        if not inexact.any():
            return np.zeros_like(inexact, float)
        size = np.abs(tensor.array)
        step = float(limits.eps) * size + float(limits.smallest_normal)
        over = size + tensor.error > float(limits.max) * (1 - float(limits.eps))
    return np.where(np.isfinite(tensor.array), np.where(over & inexact, np.inf, np.where(inexact, step, 0.0)), 0.0)


def _in(dtype: np.dtype[Any], array: Array) -> Array:
    """Return numbers as a dtype holds them, complex ones in parts of it."""
    kind = np.result_type(dtype, np.complex64) if array.dtype.kind == "c" else dtype
    return array.astype(kind).astype(array.dtype)


def all_whole(array: Array) -> bool:
    """Whether all numbers are whole, and finite."""
    return bool(np.isfinite(array).all() and np.array_equal(array, np.rint(array.real))) if array.dtype.kind in "fc" else True
