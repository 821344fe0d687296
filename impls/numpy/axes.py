"""NumPy: ops that move, merge, split and repeat whole axes."""

# a b any axes, n the axis that is moved, cut or repeated, r copies, t tensors

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op

__all__ = [
    "channels_first",
    "channels_last",
    "concat",
    "cyclic_permute",
    "expand_dims",
    "flatten_leading",
    "interleave",
    "matrix_transpose",
    "moveaxis",
    "permute_dims",
    "repeat_interleave",
    "repeat_new_axis",
    "split",
    "squeeze",
    "stack",
    "swap_hw",
    "swapaxes",
    "tile",
    "unflatten",
    "unstack",
]

Array = np.ndarray[Any, Any]
Axes = int | tuple[int, ...]


@op
def matrix_transpose(x: Array) -> Array:
    """Compute matrix_transpose (see its card)."""
    return x.swapaxes(-2, -1)


@op
def swap_hw(x: Array, *, layout: Literal["nchw", "nhwc"] = "nchw") -> Array:
    """Compute swap_hw (see its card)."""
    return x.swapaxes(2, 3) if layout == "nchw" else x.swapaxes(1, 2)


@op
def cyclic_permute(x: Array) -> Array:
    """Compute cyclic_permute (see its card)."""
    return x.transpose(3, 0, 1, 2)


@op
def channels_last(x: Array) -> Array:
    """Compute channels_last (see its card)."""
    return np.moveaxis(x, 1, -1)


@op
def channels_first(x: Array) -> Array:
    """Compute channels_first (see its card)."""
    return np.moveaxis(x, -1, 1)


@op
def flatten_leading(x: Array, *, num_axes: int = 2) -> Array:
    """Compute flatten_leading (see its card)."""
    return x.reshape(math.prod(x.shape[:num_axes]), *x.shape[num_axes:])


@op
def unflatten(x: Array, *, sizes: tuple[int, ...]) -> Array:
    """Compute unflatten (see its card)."""
    known = math.prod(s for s in sizes if s >= 0)
    return x.reshape(*(s if s >= 0 else len(x) // known for s in sizes), *x.shape[1:])


@op
def tile(x: Array, *, repeats: int, axis: int = 0) -> Array:
    """Compute tile (see its card)."""
    a = axis % x.ndim
    copies = np.repeat(np.expand_dims(x, a), repeats, axis=a)  # *a r n *b
    return copies.reshape(*x.shape[:a], repeats * x.shape[a], *x.shape[a + 1 :])


@op
def repeat_interleave(x: Array, *, repeats: int, axis: int = 0) -> Array:
    """Compute repeat_interleave (see its card)."""
    return np.repeat(x, repeats, axis=axis)


@op
def repeat_new_axis(x: Array, *, num_repeats: int, axis: int = 0) -> Array:
    """Compute repeat_new_axis (see its card)."""
    return np.repeat(np.expand_dims(x, axis), num_repeats, axis=axis)


@op
def stack(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """Compute stack (see its card)."""
    return np.stack(xs, axis=axis)


@op
def unstack(x: Array, *, axis: int = 0) -> tuple[Array, ...]:
    """Compute unstack (see its card)."""
    parts = np.moveaxis(x, axis, 0)
    return tuple(parts[i, ...] for i in range(len(parts)))


@op
def split(x: Array, *, parts: int, axis: int = 0) -> tuple[Array, ...]:
    """Compute split (see its card)."""
    a = axis % x.ndim
    size = x.shape[a] // parts
    return tuple(x[(slice(None),) * a + (slice(i * size, (i + 1) * size), ...)] for i in range(parts))


@op
def expand_dims(x: Array, *, axis: int = 0) -> Array:
    """Compute expand_dims (see its card)."""
    return np.expand_dims(x, axis)


@op
def squeeze(x: Array, *, axis: int = 0) -> Array:
    """Compute squeeze (see its card)."""
    return np.squeeze(x, axis)


@op
def concat(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """Compute concat (see its card)."""
    return np.concatenate(xs, axis=axis)


@op
def interleave(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """Compute interleave (see its card)."""
    shape = xs[0].shape
    a = axis % len(shape)
    return np.stack(xs, axis=a + 1).reshape(*shape[:a], shape[a] * len(xs), *shape[a + 1 :])


@op
def permute_dims(x: Array, *, axes: Axes) -> Array:
    """Compute permute_dims (see its card)."""
    return x.transpose(axes if isinstance(axes, tuple) else (axes,))


@op
def moveaxis(x: Array, *, source: Axes, destination: Axes) -> Array:
    """Compute moveaxis (see its card)."""
    return np.moveaxis(x, source, destination)


@op
def swapaxes(x: Array, *, axis1: int, axis2: int) -> Array:
    """Compute swapaxes (see its card)."""
    return x.swapaxes(axis1, axis2)
