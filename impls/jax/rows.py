"""JAX: rows by number, and weighted sums of them. A number of -1 is no row.

Every gradient is a gather, or a sum in a fixed order; each is differentiable again.
"""

# t tokens, k rows of a token, r rows, d features; route (t, k) has the flat number t*K + k

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

Gradients = tuple[Array | None, ...]

FEW = 32
"""Up to so many rows of a token, adding them up is one loop over the tokens."""
BLOCK = 128
"""Tokens that a CPU multiplies at a time."""


def first_to_rows(x: Array, rows: Array, size: int) -> Array:
    """Return rows that hold the first token that names them, bit by bit, or zero."""
    routes = slot_routes(rows, size)
    tokens = jnp.where(routes < 0, -1, routes // max(1, rows.shape[1]))
    return _take(x, tokens, jnp.where(_first(rows, routes), rows, -1))


def slot_routes(slots: Array, count: int) -> Array:
    """Return the first flat route of every slot; -1 where it has none."""
    n = slots.size
    first = jnp.full(count, n, jnp.int32)
    first = first.at[jnp.where(slots < 0, count, slots).reshape(-1)].min(jnp.arange(n, dtype=jnp.int32), mode="drop")
    return jnp.where(first == n, -1, first)


def _first(slots: Array, routes: Array) -> Array:
    """Whether each route is the first to its slot."""
    flat = jnp.arange(slots.size).reshape(slots.shape)
    return _read(routes, slots) == flat if routes.size else slots >= 0


def _read(x: Array, rows: Array) -> Array:
    """Return rows; for a row of -1, any."""
    return jnp.asarray(x).at[jnp.maximum(rows, 0)].get(mode="promise_in_bounds")


def wide_type(*tensors: Array) -> DTypeLike:
    """Return the dtype in which these are added up."""
    wide: DTypeLike = jnp.dtype(jnp.float32)
    for x in tensors:
        wide = jnp.promote_types(wide, x.dtype)
    return wide


@jax.custom_vjp
def _take(x: Array, tokens: Array, rows: Array) -> Array:
    """Return rows of tokens, zero for a token of -1; ``rows`` are the rows that each token went to."""
    if not x.shape[0]:
        return jnp.zeros((tokens.shape[0], x.shape[1]), x.dtype)
    return jnp.where((tokens >= 0)[:, None], _read(x, tokens), jnp.zeros((), x.dtype))


def _take_forward(x: Array, tokens: Array, rows: Array) -> tuple[Array, Array]:
    return _take(x, tokens, rows), rows


def _take_backward(rows: Array, g: Array) -> Gradients:
    return weighted_rows(g, None, rows), None, None


_take.defvjp(_take_forward, _take_backward)


@jax.custom_vjp
def weighted_rows(y: Array, weights: Array | None, rows: Array) -> Array:
    """Return for every token the weighted sum of the rows that it names; a row of -1 is none and is not read."""
    (t, k), d = rows.shape, y.shape[1]
    wide = wide_type(y) if weights is None else wide_type(y, weights)

    def add(j: int, z: Array) -> Array:
        read = _read(y, rows[:, j]).astype(wide)
        term = read if weights is None else read * weights[:, j, None].astype(wide)
        return z + jnp.where(rows[:, j, None] >= 0, term, 0)

    z = jnp.zeros((t, d), wide)
    if y.shape[0] and k <= FEW:
        z = functools.reduce(lambda z, j: add(j, z), range(k), z)
    elif y.shape[0]:
        z = lax.fori_loop(0, k, add, z)
    return z.astype(y.dtype)


def _weighted_forward(y: Array, weights: Array | None, rows: Array) -> tuple[Array, Any]:
    return weighted_rows(y, weights, rows), (y, weights, rows)


def _weighted_backward(kept: Any, g: Array) -> Gradients:
    y, weights, rows = kept
    return spread_rows(g, weights, rows, y.shape[0]), None if weights is None else _dots(y, g, rows).astype(weights.dtype), None


weighted_rows.defvjp(_weighted_forward, _weighted_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def spread_rows(g: Array, weights: Array | None, rows: Array, size: int) -> Array:
    """Return the weighted tokens, summed into the rows that they name, in the order of routes."""
    k, wide = rows.shape[1], wide_type(g) if weights is None else wide_type(g, weights)
    if not rows.size or not size:
        return jnp.zeros((size, g.shape[1]), g.dtype)

    def term(route: Array) -> Array:
        part = _read(g, route // k).astype(wide)
        return part if weights is None else part * _read(weights.reshape(-1), route).astype(wide)[..., None]

    def add(route: Array, y: Array) -> Array:
        row = rows.reshape(-1)[route]
        return y.at[row].add(jnp.where(later[route], term(route), 0))

    routes = slot_routes(rows, size)
    y = jnp.where((routes >= 0)[:, None], term(routes), 0)
    later = ((rows >= 0) & ~_first(rows, routes)).reshape(-1)  # routes to a row that has one already: seldom any
    start = jnp.where(later.any(), jnp.argmax(later), rows.size)
    total: Array = lax.fori_loop(start, rows.size, add, y)
    return total.astype(g.dtype)


def _spread_forward(g: Array, weights: Array | None, rows: Array, size: int) -> tuple[Array, Any]:
    return spread_rows(g, weights, rows, size), (g, weights, rows)


def _spread_backward(size: int, kept: Any, h: Array) -> Gradients:
    g, weights, rows = kept
    return weighted_rows(h, weights, rows), None if weights is None else _dots(h, g, rows).astype(weights.dtype), None


spread_rows.defvjp(_spread_forward, _spread_backward)


@jax.custom_vjp
def _dots(y: Array, g: Array, rows: Array) -> Array:
    """Return the products of tokens with the rows that they name."""
    wide = wide_type(y)
    if not y.shape[0] or not rows.size:
        return jnp.zeros(rows.shape, wide)

    def one(token: tuple[Array, Array]) -> Array:
        h, row = token
        return jnp.matmul(_read(y, row).astype(wide), h.astype(wide), precision=lax.Precision.HIGHEST)  # k

    in_blocks = functools.partial(lax.map, one, batch_size=BLOCK)  # the rows of a block stay in the cache
    dots = lax.platform_dependent((g, rows), cpu=in_blocks, default=jax.vmap(one))
    return jnp.where(rows >= 0, dots, 0)


def _dots_forward(y: Array, g: Array, rows: Array) -> tuple[Array, Any]:
    return _dots(y, g, rows), (y, g, rows)


def _dots_backward(kept: Any, h: Array) -> Gradients:
    y, g, rows = kept
    return spread_rows(g, h, rows, y.shape[0]), weighted_rows(y, h, rows), None


_dots.defvjp(_dots_forward, _dots_backward)
