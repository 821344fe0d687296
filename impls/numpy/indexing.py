"""NumPy: ops in which an index says where elements come from or go to."""

# a b any axes, n the axis that is read or written, i k the places of the index

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op

__all__ = ["masked_scatter", "one_hot", "scatter", "scatter_add", "take", "take_along"]

Array = np.ndarray[Any, Any]
Outside = Literal["zero", "clip", "wrap"]


@op
def take(x: Array, index: Array, *, axis: int, outside: Outside = "zero") -> Array:
    """Compute take (see its card)."""
    a, n = axis % x.ndim, x.shape[axis]
    places = _places(index, n, outside)
    lost = places < 0
    if not n:
        return np.zeros((*x.shape[:a], *index.shape, *x.shape[a + 1 :]), x.dtype)
    y = np.asarray(np.take(x, np.maximum(places, 0), axis=a))  # *a *i *b
    if lost.any():
        np.moveaxis(y, range(a, a + index.ndim), range(index.ndim))[lost] = 0
    return y


@op
def take_along(x: Array, index: Array, *, axis: int, outside: Outside = "zero") -> Array:
    """Compute take_along (see its card)."""
    if _is_inside(index, x.shape[axis]):
        return np.asarray(np.take_along_axis(x, index, axis))
    places = _places(index, x.shape[axis], outside)
    if not x.shape[axis]:
        return np.zeros(index.shape, x.dtype)
    y: Array = np.take_along_axis(x, np.maximum(places, 0), axis)
    y[places < 0] = 0
    return y


def _is_inside(index: Array, n: int) -> bool:
    """Whether an index means a position everywhere, whatever those beyond the ends mean."""
    return bool(index.size and index.min() >= 0 and index.max() < n)


def _places(index: Array, n: int, outside: Outside = "zero") -> Array:
    """Return the positions that an index means, -1 where it means none."""
    places = index.astype(np.int64)
    if outside == "zero":
        return places if _is_inside(places, n) else np.where((places >= 0) & (places < n), places, -1)
    return np.clip(places, 0, n - 1) if outside == "clip" else places % n


@op
def scatter(x: Array, index: Array, updates: Array, *, axis: int) -> Array:
    """Compute scatter (see its card)."""
    n, places = x.shape[axis], _places(index, x.shape[axis])
    y: Array = np.moveaxis(np.concatenate([x, _row(x, axis)], axis), axis, 0)  # one place more, for what goes nowhere
    np.put_along_axis(y, np.moveaxis(np.where(places < 0, n, places), axis, 0), np.moveaxis(updates, axis, 0), 0)
    return np.moveaxis(y[:n], 0, axis)


@op
def scatter_add(x: Array, index: Array, updates: Array, *, axis: int) -> Array:
    """Compute scatter_add (see its card)."""
    n, places = x.shape[axis], np.moveaxis(_places(index, x.shape[axis]), axis, 0)
    dtype = np.promote_types(x.dtype, np.float32) if x.dtype.kind not in "iu" else x.dtype
    y = np.moveaxis(np.concatenate([x, _row(x, axis)], axis).astype(dtype), axis, 0)
    grid = np.ogrid[tuple(map(slice, places.shape))]
    with np.errstate(all="ignore"):
        np.add.at(y, (np.where(places < 0, n, places), *grid[1:]), np.moveaxis(updates, axis, 0).astype(dtype, copy=False))
        z: Array = np.moveaxis(y[:n], 0, axis).astype(x.dtype, copy=False)
        return z


@op
def masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    """Compute masked_scatter (see its card)."""
    b, n, d = x.shape
    places = np.flatnonzero(mask)[: len(source)]
    y: Array = x.reshape(b * n, d).copy()
    y[places] = source[: len(places)]
    return y.reshape(x.shape)


@op
def one_hot(index: Array, *, classes: int) -> Array:
    """Compute one_hot (see its card)."""
    places = _places(index, classes).reshape(-1)
    y = np.zeros((index.size, classes), np.float32)
    rows = np.flatnonzero(places >= 0)
    y[rows, places[rows]] = 1
    return y.reshape(*index.shape, classes)


def _row(x: Array, axis: int) -> Array:
    """Return zeros of the shape of an array, of size 1 along an axis."""
    a = axis % x.ndim
    return np.zeros((*x.shape[:a], 1, *x.shape[a + 1 :]), x.dtype)
