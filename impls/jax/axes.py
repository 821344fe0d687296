"""JAX: ops that move, merge, split and repeat whole axes."""

# a b any axes, n the axis that is moved, cut or repeated, r copies, t tensors

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from jax import Array

from einspec.impls.checked_jax import op

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
    return jnp.moveaxis(x, 1, -1)


@op
def channels_first(x: Array) -> Array:
    """Compute channels_first (see its card)."""
    return jnp.moveaxis(x, -1, 1)


@op
def flatten_leading(x: Array, *, num_axes: int = 2) -> Array:
    """Compute flatten_leading (see its card)."""
    return x.reshape(math.prod(x.shape[:num_axes]), *x.shape[num_axes:])


@op
def unflatten(x: Array, *, sizes: tuple[int, ...]) -> Array:
    """Compute unflatten (see its card)."""
    known = math.prod(s for s in sizes if s >= 0)
    return x.reshape(*(s if s >= 0 else x.shape[0] // known for s in sizes), *x.shape[1:])


@op
def tile(x: Array, *, repeats: int, axis: int = 0) -> Array:
    """Compute tile (see its card)."""
    a = axis % x.ndim
    copies = jnp.broadcast_to(jnp.expand_dims(x, a), (*x.shape[:a], repeats, *x.shape[a:]))  # *a r n *b
    return copies.reshape(*x.shape[:a], repeats * x.shape[a], *x.shape[a + 1 :])


@op
def repeat_interleave(x: Array, *, repeats: int, axis: int = 0) -> Array:
    """Compute repeat_interleave (see its card)."""
    a = axis % x.ndim
    copies = jnp.broadcast_to(jnp.expand_dims(x, a + 1), (*x.shape[: a + 1], repeats, *x.shape[a + 1 :]))  # *a n r *b
    return copies.reshape(*x.shape[:a], x.shape[a] * repeats, *x.shape[a + 1 :])


@op
def repeat_new_axis(x: Array, *, num_repeats: int, axis: int = 0) -> Array:
    """Compute repeat_new_axis (see its card)."""
    a = axis % (x.ndim + 1)
    return jnp.broadcast_to(jnp.expand_dims(x, a), (*x.shape[:a], num_repeats, *x.shape[a:]))


@op
def stack(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """Compute stack (see its card)."""
    return jnp.moveaxis(jnp.stack(xs), 0, axis)


@op
def unstack(x: Array, *, axis: int = 0) -> tuple[Array, ...]:
    """Compute unstack (see its card)."""
    return jnp.unstack(x, axis=axis)


@op
def split(x: Array, *, parts: int, axis: int = 0) -> tuple[Array, ...]:
    """Compute split (see its card)."""
    return tuple(jnp.split(x, parts, axis=axis))


@op
def expand_dims(x: Array, *, axis: int = 0) -> Array:
    """Compute expand_dims (see its card)."""
    return jnp.expand_dims(x, axis)


@op
def squeeze(x: Array, *, axis: int = 0) -> Array:
    """Compute squeeze (see its card)."""
    return jnp.squeeze(x, axis)


@op
def concat(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """Compute concat (see its card)."""
    return jnp.concatenate(xs, axis=axis)


@op
def interleave(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """Compute interleave (see its card)."""
    shape = xs[0].shape
    a = axis % len(shape)
    joined = jnp.moveaxis(jnp.stack(xs), 0, a + 1)  # *a n t *b
    return joined.reshape(*shape[:a], shape[a] * len(xs), *shape[a + 1 :])


@op
def permute_dims(x: Array, *, axes: Axes) -> Array:
    """Compute permute_dims (see its card)."""
    return jnp.transpose(x, axes if isinstance(axes, tuple) else (axes,))


@op
def moveaxis(x: Array, *, source: Axes, destination: Axes) -> Array:
    """Compute moveaxis (see its card)."""
    return jnp.moveaxis(x, source, destination)


@op
def swapaxes(x: Array, *, axis1: int, axis2: int) -> Array:
    """Compute swapaxes (see its card)."""
    return jnp.swapaxes(x, axis1, axis2)
