"""JAX: queues of routes at experts; ``stable_group`` sorts routes by expert for the families built on it."""

# t tokens, k choices of a token, e experts, c slots of an expert, n flat routes (route (t, k) is number t*K + k), l lanes

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op
from einspec.impls.counting import Rational, parts, slots_for
from einspec.impls.jax.routing import order_key
from einspec.impls.jax.rows import spread_rows

__all__ = [
    "capacity",
    "combine_mask",
    "dispatch_mask",
    "drop",
    "expert_counts",
    "load_statistics",
    "position",
    "priority",
    "routes_of_map",
    "routing_map",
]

FEW = 64
"""Up to so many routes, comparing all pairs is the quickest to compile."""
LANES = 128
"""Parts of the routes that are counted side by side, at most."""


@op
def expert_counts(index: Array, *, experts: int) -> Array:
    """Compute expert_counts (see its card)."""
    return _counts(_keys(index.reshape(-1), experts), experts)[:experts]


@op
def capacity(
    *,
    tokens: int,
    k: int,
    experts: int,
    factor: Rational = 1,
    rounding: str = "ceil",
    minimum: int = 0,
    multiple_of: int = 1,
) -> int:
    """Compute capacity (see its card)."""
    num, den = parts(factor)
    return slots_for(num * tokens * k, den * experts, rounding, minimum, multiple_of)


@op
def priority(index: Array, by: Array | None = None, *, order: str = "token") -> Array:
    """Compute priority (see its card)."""
    t, k = index.shape
    if order == "weight":
        assert by is not None
        return _inverse(_descending(by.reshape(-1))).reshape(t, k)
    if order == "token":
        return jnp.arange(t * k, dtype=jnp.int32).reshape(t, k)
    place = jnp.arange(t, dtype=jnp.int32) if by is None else _inverse(_descending(by))
    return place[:, None] + jnp.arange(k, dtype=jnp.int32) * t


@op
@partial(jax.jit, static_argnames=("experts", "order"))
def position(index: Array, rank: Array | None = None, *, experts: int, order: str = "token") -> Array:
    """Compute position (see its card)."""
    keys = _keys(index, experts)
    if order == "choice":
        return _queue(keys.T.reshape(-1), experts).reshape(index.shape[::-1]).T
    if rank is None:
        return _queue(keys.reshape(-1), experts).reshape(index.shape)
    by = _ascending(_wide(rank).reshape(-1))
    queue = _queue(keys.reshape(-1)[by], experts)
    return jnp.zeros_like(queue).at[by].set(queue, unique_indices=True).reshape(index.shape)


@op
def drop(index: Array, position: Array, *, capacity: int) -> tuple[Array, Array]:
    """Compute drop (see its card)."""
    p = _wide(position)
    kept = (index >= 0) & (p >= 0) & (p < capacity)
    return _or_none(kept, index), _or_none(kept, position)


@op
def dispatch_mask(index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute dispatch_mask (see its card)."""
    flat, size = _of_tokens(route_slots(index, position, experts, capacity), experts * capacity)
    mask = jnp.zeros(size, jnp.bool_).at[jnp.where(flat < 0, size, flat)].set(True, mode="drop")
    return mask.reshape(len(index), experts, capacity)


@op
def combine_mask(weights: Array, index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute combine_mask (see its card)."""
    flat, size = _of_tokens(route_slots(index, position, experts, capacity), experts * capacity)
    ones = jnp.ones((len(index), 1), weights.dtype)
    return spread_rows(ones, weights, flat, size).reshape(len(index), experts, capacity)


@op
def load_statistics(index: Array, position: Array, *, experts: int, capacity: int) -> tuple[Array, Array, Array]:
    """Compute load_statistics (see its card)."""
    keys, kept = _keys(index, experts), route_slots(index, position, experts, capacity) >= 0
    counts = [_counts(ids.reshape(-1), experts)[:experts] for ids in (keys, jnp.where(kept, keys, experts))]
    return counts[0], counts[1], kept.sum(1, dtype=jnp.int32)


@partial(jax.jit, static_argnums=1)
def stable_group(ids: Array, experts: int) -> tuple[Array, Array, Array]:
    """Return flat routes by expert, then in order; the place of each route in its group; the sizes of the groups.

    An id outside 0..experts-1 is no route: its place is -1, and the end of the order is filled with -1. All are int32.
    """
    n, keys = ids.shape[0], _keys(ids, experts)
    places, counts = _ranked(keys, experts)
    rows = jnp.where(keys == experts, n, (jnp.cumsum(counts, dtype=jnp.int32) - counts)[keys] + places)
    order = jnp.full(n, -1, jnp.int32).at[rows].set(jnp.arange(n, dtype=jnp.int32), mode="drop")
    return order, jnp.where(keys == experts, -1, places), counts[:experts]


def route_slots(index: Array, position: Array, experts: int, capacity: int) -> Array:
    """Return the flat slot of every route; -1 where it has none."""
    i, p = _wide(index), _wide(position)
    kept = (i >= 0) & (i < experts) & (p >= 0) & (p < capacity)
    return jnp.where(kept, i.astype(jnp.int32) * capacity + p.astype(jnp.int32), -1)  # t k


def _of_tokens(slots: Array, count: int) -> tuple[Array, int]:
    """Return where the slots of each token are in the mask of all tokens, and the size of that."""
    first = count * jnp.arange(slots.shape[0], dtype=jnp.int32)[:, None]
    return jnp.where(slots < 0, -1, slots + first), slots.shape[0] * count


def _wide(ids: Array) -> Array:
    return ids if ids.dtype.itemsize >= 4 else ids.astype(jnp.int32)


def _keys(ids: Array, experts: int) -> Array:
    """Return the ids as int32, those outside as ``experts``."""
    wide = _wide(ids)
    return jnp.where((wide >= 0) & (wide < experts), wide, experts).astype(jnp.int32)


def _counts(keys: Array, experts: int) -> Array:
    return jnp.zeros(experts + 1, jnp.int32).at[keys].add(1, mode="promise_in_bounds")


def _queue(keys: Array, experts: int) -> Array:
    return jnp.where(keys == experts, -1, _ranked(keys, experts)[0])


def _ranked(keys: Array, experts: int) -> tuple[Array, Array]:
    """Return the number of equal keys before each, and how often each key from 0 to ``experts`` occurs."""
    n = keys.shape[0]
    if n <= FEW:
        same = keys[:, None] == keys
        return jnp.tril(same, -1).sum(1, dtype=jnp.int32), (keys == jnp.arange(experts + 1)[:, None]).sum(1, dtype=jnp.int32)
    lanes = min(LANES, n // (experts + 1))
    if lanes < LANES // 16:
        return _by_sort(keys, experts)
    by_lanes, by_sort = partial(_by_lanes, experts=experts, lanes=lanes), partial(_by_sort, experts=experts)
    found: tuple[Array, Array] = lax.platform_dependent(keys, cpu=by_lanes, default=by_sort)
    return found


def _by_lanes(keys: Array, experts: int, lanes: int) -> tuple[Array, Array]:
    """Count side by side in consecutive parts of the keys, then add what the parts before hold."""
    n = keys.shape[0]
    steps = -(-n // lanes)
    laid = jnp.pad(keys, (0, lanes * steps - n), constant_values=experts).reshape(lanes, steps).T
    lane = jnp.arange(lanes)

    def count(counts: Array, key: Array) -> tuple[Array, Array]:
        places = counts.at[key, lane].get(mode="promise_in_bounds")
        return counts.at[key, lane].set(places + 1, mode="promise_in_bounds", unique_indices=True), places

    counts, places = lax.scan(count, jnp.zeros((experts + 1, lanes), jnp.int32), laid)  # e l, steps l
    before = jnp.cumsum(counts, 1, dtype=jnp.int32) - counts
    places += before.at[laid, lane].get(mode="promise_in_bounds")
    return places.T.reshape(-1)[:n], counts.sum(1, dtype=jnp.int32).at[experts].add(n - lanes * steps)


def _by_sort(keys: Array, experts: int) -> tuple[Array, Array]:
    order, counts = jnp.argsort(keys, stable=True), _counts(keys, experts)
    places = jnp.arange(keys.shape[0], dtype=jnp.int32) - (jnp.cumsum(counts, dtype=jnp.int32) - counts)[keys[order]]
    return jnp.zeros_like(places).at[order].set(places, unique_indices=True), counts


def _ascending(rank: Array) -> Array:
    """Return a stable argsort; that of a permutation is its inverse."""
    n = rank.shape[0]
    if n <= FEW:
        return jnp.argsort(rank, stable=True)
    inside, routes = (rank >= 0) & (rank < n), jnp.arange(n, dtype=jnp.int32)
    inverse = jnp.zeros(n, jnp.int32).at[jnp.where(inside, rank, n)].set(routes, mode="drop")
    bijective = inside.all() & (inverse[jnp.where(inside, rank, 0)] == routes).all()
    order: Array = lax.cond(bijective, lambda: inverse, lambda: jnp.argsort(rank, stable=True).astype(jnp.int32))
    return order


def _descending(x: Array) -> Array:
    return jnp.argsort(~order_key(x), stable=True)


def _inverse(order: Array) -> Array:
    places = jnp.arange(order.shape[0], dtype=jnp.int32)
    return jnp.zeros_like(places).at[order].set(places, unique_indices=True)


def _or_none(kept: Array, x: Array) -> Array:
    return jnp.where(kept, x, ~jnp.zeros((), x.dtype))


@op
@partial(jax.jit, static_argnames="experts")
def routing_map(weights: Array, index: Array, *, experts: int) -> tuple[Array, Array]:
    """Compute routing_map (see its card)."""
    hit = _keys(index, experts)[:, :, None] == jnp.arange(experts, dtype=jnp.int32)  # t k e
    wide = weights.astype(jnp.promote_types(weights.dtype, jnp.float32))
    return hit.any(1), jnp.where(hit, wide[:, :, None], 0).sum(1).astype(weights.dtype)


@op
@partial(jax.jit, static_argnames="k")
def routes_of_map(chosen: Array, probs: Array, *, k: int) -> tuple[Array, Array]:
    """Compute routes_of_map (see its card)."""
    t, e = chosen.shape
    place = jnp.where(chosen, jnp.cumsum(chosen, 1, dtype=jnp.int32) - 1, k)  # beyond the end for what is not marked
    row, expert = jnp.ogrid[:t, :e]
    index = jnp.full((t, k), -1, jnp.int32).at[row, place].set(expert.astype(jnp.int32), mode="drop")
    if not e:
        return jnp.zeros((t, k), probs.dtype), index
    return jnp.where(index < 0, 0, jnp.take_along_axis(probs, jnp.maximum(index, 0), 1)).astype(probs.dtype), index
