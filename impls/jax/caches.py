"""JAX: caches of keys and values, linear, circular and in pages."""

# r requests, s places, n t tokens, p pages, m entries of a block table, d features

from __future__ import annotations

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from einspec.impls.checked_jax import op
from einspec.impls.jax.groups import numbers

__all__ = ["cache_read", "cache_update", "paged_gather", "paged_write"]

Mode = Literal["linear", "circular"]


@op
@partial(jax.jit, static_argnames="mode")
def cache_update(cache: Array, x: Array, start: Array, *, mode: Mode = "linear") -> Array:
    """Compute cache_update (see its card)."""
    s, n = cache.shape[-2], x.shape[-2]
    if not s or not n:
        return cache
    whole, token = _whole(start), jnp.arange(n, dtype=jnp.int32)
    if mode == "circular":
        places = jnp.where(token + s >= n, ((whole % s).astype(jnp.int32)[:, None] + token) % s, s)
    else:
        least = -n if jnp.issubdtype(whole.dtype, jnp.signedinteger) else 0
        places = jnp.clip(whole, least, s).astype(jnp.int32)[:, None] + token
        places = jnp.where(places < 0, s, places)
    lines, rows = jnp.moveaxis(cache, -2, 1), jnp.moveaxis(x, -2, 1)  # r s ... d, r n ... d
    sequence = jnp.arange(len(cache), dtype=jnp.int32)[:, None]
    return jnp.moveaxis(lines.at[sequence, places].set(rows, mode="drop"), 1, -2)


@op
@partial(jax.jit, static_argnames=("tokens", "mode"))
def cache_read(cache: Array, length: Array, *, tokens: int, mode: Mode = "linear") -> Array:
    """Compute cache_read (see its card)."""
    s = cache.shape[-2]
    if not s:
        return cache
    stop = _whole(length)
    first = jnp.maximum(stop, tokens) - tokens
    place = (first % s if mode == "circular" else jnp.minimum(first, s)).astype(jnp.int32)
    token = jnp.arange(tokens, dtype=jnp.int32)
    there = token < jnp.clip(stop, 0, tokens).astype(jnp.int32)[:, None]  # r n
    places = place[:, None] + token
    places = jnp.where(there, places % s if mode == "circular" else places, s)
    index = places.reshape(len(cache), *(1,) * (cache.ndim - 3), tokens, 1)
    return jnp.take_along_axis(cache, index, -2, mode="fill", fill_value=0)


@op
@partial(jax.jit, static_argnames="tokens")
def paged_gather(pages: Array, table: Array, lengths: Array, *, tokens: int) -> Array:
    """Compute paged_gather (see its card)."""
    (p, s, *rest), (b, m) = pages.shape, table.shape
    if not p or not m:
        return jnp.zeros((b, tokens, *rest), pages.dtype)
    token = jnp.arange(tokens, dtype=jnp.int32)
    page = jnp.take(numbers(table, p), token // s, axis=1, mode="fill", fill_value=-1)  # r n
    page = jnp.where(token < jnp.clip(_whole(lengths), 0, tokens).astype(jnp.int32)[:, None], page, -1)
    slots = jnp.where(page < 0, p * s, page * s + token % s)
    return jnp.take(pages.reshape(p * s, *rest), slots, axis=0, mode="fill", fill_value=0)


@op
@jax.jit
def paged_write(pages: Array, x: Array, slots: Array) -> Array:
    """Compute paged_write (see its card)."""
    p, s, *rest = pages.shape
    if not len(x):
        return pages
    places = numbers(slots, p * s)
    order = jnp.arange(len(x), dtype=jnp.int32)
    last = jnp.full(p * s, -1, jnp.int32).at[jnp.where(places < 0, p * s, places)].max(order, mode="drop")
    taken = jnp.take(x, jnp.maximum(last, 0), axis=0)  # the last token of each slot
    return jnp.where((last < 0).reshape(p, s, *(1,) * len(rest)), pages, taken.reshape(pages.shape))


def _whole(x: Array) -> Array:
    """Return integers wide enough to count with."""
    return x if x.dtype.itemsize >= 4 else x.astype(jnp.int32)
