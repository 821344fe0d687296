"""JAX: tokens into the slots of experts and back. Every gradient is a gather, or a sum in a fixed order."""

# b batch, s sequence, t tokens, k choices of a token, e experts, c slots of an expert, d features; flat slot e*C + c

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from einspec.impls.checked import op
from einspec.impls.jax.assignment import position as place
from einspec.impls.jax.assignment import route_slots

__all__ = ["combine", "combine_by_mask", "dispatch", "dispatch_by_mask", "group_tokens"]

BLOCK = 128
"""Tokens that a CPU multiplies at a time."""

Gradients = tuple[Array | None, ...]


@op
@partial(jax.jit, static_argnames=("experts", "capacity"))
def dispatch(x: Array, index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute dispatch (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    routes = slot_routes(slots, experts * capacity)
    tokens = jnp.where(routes < 0, -1, routes // max(1, slots.shape[1]))
    y = _take(x, tokens, jnp.where(_first(slots, routes), slots, -1))  # (e c) d
    return y.reshape(experts, capacity, x.shape[1])


@op
@jax.jit
def combine(y: Array, weights: Array, index: Array, position: Array) -> Array:
    """Compute combine (see its card)."""
    e, c, d = y.shape
    return weighted_rows(y.reshape(e * c, d), weights, route_slots(index, position, e, c))


@op
def dispatch_by_mask(x: Array, mask: Array) -> Array:
    """Compute dispatch_by_mask (see its card)."""
    t, e, c = mask.shape
    wide = _wide(x)
    return _masked(mask.reshape(t, e * c).T.astype(wide), x.astype(wide)).astype(x.dtype).reshape(e, c, x.shape[1])


@op
def combine_by_mask(y: Array, mask: Array) -> Array:
    """Compute combine_by_mask (see its card)."""
    t, e, c = mask.shape
    wide = _wide(y, mask)
    return _masked(mask.reshape(t, e * c).astype(wide), y.reshape(e * c, y.shape[2]).astype(wide)).astype(y.dtype)


@op
def group_tokens(x: Array, assignments: Array, *, num_experts: int) -> Array:
    """Compute group_tokens (see its card)."""
    b, s, d = x.shape
    index = assignments.reshape(b * s, 1)
    queue = place(index, experts=num_experts)
    return dispatch(x.reshape(b * s, d), index, queue, experts=num_experts, capacity=b * s // num_experts)


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
    return x.at[jnp.maximum(rows, 0)].get(mode="promise_in_bounds")


def _wide(*tensors: Array) -> DTypeLike:
    wide = jnp.dtype(jnp.float32)
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
    wide = _wide(y) if weights is None else _wide(y, weights)
    z = jnp.zeros((t, d), wide)
    for j in range(k if y.shape[0] else 0):
        read = _read(y, rows[:, j]).astype(wide)
        term = read if weights is None else read * weights[:, j, None].astype(wide)
        z += jnp.where(rows[:, j, None] >= 0, term, 0)
    return z.astype(y.dtype)


def _weighted_forward(y: Array, weights: Array | None, rows: Array) -> tuple[Array, Any]:
    return weighted_rows(y, weights, rows), (y, weights, rows)


def _weighted_backward(kept: Any, g: Array) -> Gradients:
    y, weights, rows = kept
    return _spread(g, weights, rows, y.shape[0]), None if weights is None else _dots(y, g, rows).astype(weights.dtype), None


weighted_rows.defvjp(_weighted_forward, _weighted_backward)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _spread(g: Array, weights: Array | None, rows: Array, size: int) -> Array:
    """Return the weighted tokens, summed into the rows that they name, in the order of routes."""
    k, wide = rows.shape[1], _wide(g) if weights is None else _wide(g, weights)
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
    return lax.fori_loop(start, rows.size, add, y).astype(g.dtype)


def _spread_forward(g: Array, weights: Array | None, rows: Array, size: int) -> tuple[Array, Any]:
    return _spread(g, weights, rows, size), (g, weights, rows)


def _spread_backward(size: int, kept: Any, h: Array) -> Gradients:
    g, weights, rows = kept
    return weighted_rows(h, weights, rows), None if weights is None else _dots(h, g, rows).astype(weights.dtype), None


_spread.defvjp(_spread_forward, _spread_backward)


@jax.custom_vjp
def _dots(y: Array, g: Array, rows: Array) -> Array:
    """Return the products of tokens with the rows that they name."""
    wide = _wide(y)
    if not y.shape[0] or not rows.size:
        return jnp.zeros(rows.shape, wide)

    def one(token: tuple[Array, Array]) -> Array:
        h, row = token
        return jnp.matmul(_read(y, row).astype(wide), h.astype(wide), precision=lax.Precision.HIGHEST)  # k

    in_blocks = partial(lax.map, one, batch_size=BLOCK)  # the rows of a block stay in the cache
    dots = lax.platform_dependent((g, rows), cpu=in_blocks, default=jax.vmap(one))
    return jnp.where(rows >= 0, dots, 0)


def _dots_forward(y: Array, g: Array, rows: Array) -> tuple[Array, Any]:
    return _dots(y, g, rows), (y, g, rows)


def _dots_backward(kept: Any, h: Array) -> Gradients:
    y, g, rows = kept
    return _spread(g, h, rows, y.shape[0]), weighted_rows(y, h, rows), None


_dots.defvjp(_dots_forward, _dots_backward)


@jax.custom_vjp
def _masked(mask: Array, y: Array) -> Array:
    """Return a product of matrices in which a zero of the first annihilates even NaN."""
    finite = jnp.isfinite(mask).all() & jnp.isfinite(y).all()
    return lax.cond(finite, _matmul, _all_cases, mask, y)  # type: ignore[no-any-return]  # lax.cond has no types


def _masked_forward(mask: Array, y: Array) -> tuple[Array, Any]:
    return _masked(mask, y), (mask, y)


def _masked_backward(kept: Any, g: Array) -> Gradients:
    mask, y = kept
    return jnp.where(mask != 0, _matmul(g, y.T), 0), _masked(mask.T, g)


_masked.defvjp(_masked_forward, _masked_backward)


def _matmul(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _all_cases(mask: Array, y: Array) -> Array:
    """Return the product where either may hold NaN and infinities: these are counted apart."""
    inf = jnp.inf
    finite = _matmul(jnp.where(jnp.isfinite(mask), mask, 0), jnp.where(jnp.isfinite(y), y, 0))

    def some(left: list[Array], right: list[Array]) -> Array:
        return _matmul(jnp.concatenate(left, 1).astype(y.dtype), jnp.concatenate(right).astype(y.dtype)) > 0

    signs = [mask > 0, mask < 0, mask == inf, mask == -inf]
    up = some(signs, [y == inf, y == -inf, y > 0, y < 0])
    down = some(signs, [y == -inf, y == inf, y < 0, y > 0])
    nan = some([mask != 0, jnp.isnan(mask), jnp.isinf(mask)], [jnp.isnan(y), jnp.ones_like(y, bool), y == 0])
    return finite + jnp.where(nan | (up & down), jnp.nan, jnp.where(up, inf, jnp.where(down, -inf, 0)))
