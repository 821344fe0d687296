"""JAX: ops in which an index says where elements come from or go to."""

# a b any axes, n the axis that is read or written, i k the places of the index

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array

from einspec.impls.checked_jax import op
from einspec.impls.jax.groups import row_of

__all__ = ["masked_scatter", "one_hot", "scatter", "scatter_add", "take", "take_along"]

Outside = Literal["zero", "clip", "wrap"]


@op
def take(x: Array, index: Array, *, axis: int, outside: Outside = "zero") -> Array:
    """Compute take (see its card)."""
    a, n = axis % x.ndim, x.shape[axis]
    if not n:
        return jnp.zeros((*x.shape[:a], *index.shape, *x.shape[a + 1 :]), x.dtype)
    return jnp.take(x, _places(index, n, outside), axis=a, mode="fill", fill_value=0)


@op
def take_along(x: Array, index: Array, *, axis: int, outside: Outside = "zero") -> Array:
    """Compute take_along (see its card)."""
    if not x.shape[axis]:
        return jnp.zeros(index.shape, x.dtype)
    return jnp.take_along_axis(x, _places(index, x.shape[axis], outside), axis, mode="fill", fill_value=0)


def _places(index: Array, n: int, outside: Outside = "zero") -> Array:
    """Return the positions that an index means, n where it means none: JAX counts negative ones from the end."""
    whole = index if index.dtype.itemsize >= 4 else index.astype(jnp.int32)
    if outside == "zero":
        return jnp.where((whole >= 0) & (whole < n), whole, n).astype(jnp.int32)
    places = jnp.clip(whole, 0, n - 1) if outside == "clip" else whole % n
    return places.astype(jnp.int32)


@op
def scatter(x: Array, index: Array, updates: Array, *, axis: int) -> Array:
    """Compute scatter (see its card)."""
    k = index.shape[axis]
    if not k:
        return x
    order = jnp.expand_dims(jnp.arange(k, dtype=jnp.int32), [i for i in range(x.ndim) if i != axis % x.ndim])
    last = jnp.full(x.shape, -1, jnp.int32).at[_along(index, x.shape[axis], axis)].max(order, mode="drop")
    taken = jnp.take_along_axis(updates, jnp.maximum(last, 0), axis)  # the last update of each place
    return jnp.where(last < 0, x, taken)


@op
def scatter_add(x: Array, index: Array, updates: Array, *, axis: int) -> Array:
    """Compute scatter_add (see its card)."""
    dtype = jnp.promote_types(x.dtype, jnp.float32) if jnp.issubdtype(x.dtype, jnp.inexact) else x.dtype
    return jnp.asarray(x, dtype).at[_along(index, x.shape[axis], axis)].add(updates.astype(dtype), mode="drop").astype(x.dtype)


@op
def masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    """Compute masked_scatter (see its card)."""
    if not len(source):
        return x
    row = row_of(mask, len(source))
    return jnp.where((row < len(source))[..., None], jnp.take(source, row, axis=0, mode="clip"), x)


@op
def one_hot(index: Array, *, classes: int) -> Array:
    """Compute one_hot (see its card)."""
    return (_places(index, classes)[..., None] == jnp.arange(classes)).astype(jnp.float32)


def _along(index: Array, n: int, axis: int) -> tuple[Array, ...]:
    """Return what indexes an array along an axis by positions, and by each its own along all others."""
    own = list(jnp.ogrid[tuple(map(slice, index.shape))])
    own[axis] = _places(index, n)
    return tuple(own)
