"""NumPy: means and maxima over images, channels and blocks."""

# b batch, c channels, h w pixels or blocks down and across, p q inside a block

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.views import unshared
from einspec.impls.params import Pair, each

__all__ = ["avg_pool_blocks", "channel_max_pool", "global_avg_pool", "global_max_pool", "max_pool_blocks", "maxout"]

Array = np.ndarray[Any, Any]


@op
def global_avg_pool(x: Array) -> Array:
    """Compute global_avg_pool (see its card)."""
    with np.errstate(all="ignore"):
        mean: Array = _wide(x).mean((2, 3))  # b c
        return mean.astype(x.dtype, copy=False)


@op
def global_max_pool(x: Array) -> Array:
    """Compute global_max_pool (see its card)."""
    return _max(x, (2, 3))  # b c


@op
def channel_max_pool(x: Array) -> Array:
    """Compute channel_max_pool (see its card)."""
    return _max(x, (1,))  # b h w


@op
def maxout(x: Array, *, pool_size: int) -> Array:
    """Compute maxout (see its card)."""
    b, channels, h, w = x.shape
    return _max(x.reshape(b, channels // pool_size, pool_size, h, w), (2,))  # b c h w


@op
def avg_pool_blocks(x: Array, *, kernel_size: Pair) -> Array:
    """Compute avg_pool_blocks (see its card)."""
    p, q = each(kernel_size)
    with np.errstate(all="ignore"):
        return (_blocks(np.add, _wide(x), p, q) / (p * q)).astype(x.dtype, copy=False)


@op
def max_pool_blocks(x: Array, *, kernel_size: Pair) -> Array:
    """Compute max_pool_blocks (see its card)."""
    p, q = each(kernel_size)
    with np.errstate(all="ignore"):
        return unshared(_blocks(np.maximum, x, p, q), x)


def _blocks(combine: Callable[[Array, Array], Array], x: Array, p: int, q: int) -> Array:
    """Combine the p by q elements of every block, first down, then across: whole slices at a time."""
    rows = functools.reduce(combine, [x[:, :, i::p] for i in range(p)])
    return functools.reduce(combine, [rows[:, :, :, j::q] for j in range(q)])


def _wide(x: Array) -> Array:
    """Return the array in the dtype in which its elements are added."""
    return x.astype(np.promote_types(x.dtype, np.float32), copy=False)


def _max(x: Array, axes: tuple[int, ...]) -> Array:
    with np.errstate(all="ignore"):
        most: Array = x.max(axes)
        return most
