"""NumPy: queues of routes at experts; ``stable_group`` sorts routes by expert for the families built on it."""

# t tokens, k choices of a token, e experts, c slots of an expert; route (t, k) has the flat number t*K + k

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.counting import Rational, parts, slots_for
from einspec.impls.numpy.routing import order_key

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

Array = np.ndarray[Any, Any]

PART = 2**14
"""Routes that are put in their queues at a time."""


@op
def expert_counts(index: Array, *, experts: int) -> Array:
    """Compute expert_counts (see its card)."""
    return np.bincount(_keys(index.reshape(-1), experts), minlength=experts + 1)[:experts].astype(np.int32)


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
        return _inverse(_descending(by.reshape(-1))).astype(np.int32).reshape(t, k)
    if order == "token":
        return np.arange(t * k, dtype=np.int32).reshape(t, k)
    tokens = np.arange(t) if by is None else _inverse(_descending(by))
    rank: Array = np.arange(k) * t + tokens[:, None]
    return rank.astype(np.int32)


@op
def position(index: Array, rank: Array | None = None, *, experts: int, order: str = "token") -> Array:
    """Compute position (see its card)."""
    keys = _keys(index, experts)
    if order == "choice":
        return _queue(keys.T.reshape(-1), experts).reshape(index.shape[::-1]).T
    if rank is None:
        return _queue(keys.reshape(-1), experts).reshape(index.shape)
    by = _ascending(rank.reshape(-1))
    queue = np.empty(index.size, np.int32)
    queue[by] = _queue(keys.reshape(-1)[by], experts)
    return queue.reshape(index.shape)


@op
def drop(index: Array, position: Array, *, capacity: int) -> tuple[Array, Array]:
    """Compute drop (see its card)."""
    kept = (index >= 0) & (position >= 0) & (position < capacity)
    return _or_none(kept, index), _or_none(kept, position)


@op
def dispatch_mask(index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute dispatch_mask (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    mask = np.zeros((len(slots), experts * capacity), np.bool_)
    t, k = (slots >= 0).nonzero()
    mask[t, slots[t, k]] = True
    return mask.reshape(len(slots), experts, capacity)


@op
def combine_mask(weights: Array, index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute combine_mask (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    mask = np.zeros((len(slots), experts * capacity), np.promote_types(weights.dtype, np.float32))
    t, k = (slots >= 0).nonzero()
    with np.errstate(all="ignore"):
        np.add.at(mask, (t, slots[t, k]), weights[t, k].astype(mask.dtype))  # two routes may share a slot
        return mask.astype(weights.dtype, copy=False).reshape(len(slots), experts, capacity)


@op
def load_statistics(index: Array, position: Array, *, experts: int, capacity: int) -> tuple[Array, Array, Array]:
    """Compute load_statistics (see its card)."""
    kept = route_slots(index, position, experts, capacity) >= 0
    requested, held = expert_counts(index, experts=experts), index[kept].reshape(-1, 1)
    return requested, expert_counts(held, experts=experts), kept.sum(1, dtype=np.int32)


def stable_group(ids: Array, experts: int) -> tuple[Array, Array, Array]:
    """Return flat routes by expert, then in order; the place of each route in its group; the sizes of the groups.

    An id outside 0..experts-1 is no route: its place is -1, and the end of the order is filled with -1. All are int32.
    """
    order, counts = _sorted(_keys(ids, experts), experts)
    place = np.empty(ids.size, np.int32)
    _fill(place, order, counts, np.zeros(experts + 1, np.int32))
    order = order.astype(np.int32)
    order[ids.size - counts[experts] :] = -1
    return order, place, counts[:experts].astype(np.int32)


def route_slots(index: Array, position: Array, experts: int, capacity: int) -> Array:
    """Return the flat slot of every route; -1 where it has none."""
    kept = (index >= 0) & (index < experts) & (position >= 0) & (position < capacity)
    with np.errstate(over="ignore"):
        slots: Array = np.where(kept, index.astype(np.int64) * capacity + position, -1)  # t k
    return slots


def _keys(ids: Array, experts: int) -> Array:
    """Return the ids in the narrowest dtype, those outside as ``experts``; a negative id is a large unsigned one."""
    wide = ids if ids.dtype.itemsize >= 4 else ids.astype(np.int32)
    bits = wide.view(f"u{wide.dtype.itemsize}")
    keys: Array = np.minimum(bits, experts)
    return keys.astype(np.uint8 if experts < 2**8 else np.uint16 if experts < 2**16 else bits.dtype)


def _sorted(keys: Array, experts: int) -> tuple[Array, Array]:
    """Return flat routes by expert, those outside last, and the sizes of the groups, that of those outside last."""
    return np.argsort(keys, kind="stable"), np.bincount(keys, minlength=experts + 1)  # a radix sort on narrow keys


def _fill(queue: Array, order: Array, counts: Array, before: Array) -> None:
    """Set the place of each route in its group, from how many are before these routes; -1 for those outside."""
    places = np.arange(order.size, dtype=np.int32)
    places -= np.repeat((np.cumsum(counts) - counts).astype(np.int32) - before, counts)
    places[order.size - counts[-1] :] = -1
    queue[order] = places


def _queue(keys: Array, experts: int) -> Array:
    """Return the place of each route in its group, counted part by part: parts stay in the cache."""
    queue, before = np.empty(keys.size, np.int32), np.zeros(experts + 1, np.int32)
    size = max(PART, 8 * experts)
    for start in range(0, keys.size, size):
        part = slice(start, start + size)
        order, counts = _sorted(keys[part], experts)
        _fill(queue[part], order, counts, before)
        before += counts.astype(np.int32)
    return queue


def _ascending(rank: Array) -> Array:
    """Return a stable argsort; that of a permutation is its inverse."""
    if ((rank >= 0) & (rank < rank.size)).all():
        order = _inverse(rank)
        if (order[rank] == np.arange(rank.size)).all():
            return order
    return np.argsort(rank, kind="stable")


def _descending(x: Array) -> Array:
    return np.argsort(~order_key(x), kind="stable")


def _inverse(order: Array) -> Array:
    inverse = np.empty(order.size, np.intp)
    inverse[order] = np.arange(order.size)
    return inverse


def _or_none(kept: Array, x: Array) -> Array:
    return np.where(kept, x, np.array(-1).astype(x.dtype))


@op
def routing_map(weights: Array, index: Array, *, experts: int) -> tuple[Array, Array]:
    """Compute routing_map (see its card)."""
    keys, rows = _keys(index, experts), np.arange(len(index))[:, None]
    chosen = np.zeros((len(index), experts + 1), bool)  # one column more, for what is no route
    probs = np.zeros(chosen.shape, np.promote_types(weights.dtype, np.float32))
    chosen[rows, keys] = True
    with np.errstate(all="ignore"):
        np.add.at(probs, (np.broadcast_to(rows, keys.shape), keys), weights.astype(probs.dtype, copy=False))
        return chosen[:, :experts].copy(), probs[:, :experts].astype(weights.dtype)


@op
def routes_of_map(chosen: Array, probs: Array, *, k: int) -> tuple[Array, Array]:
    """Compute routes_of_map (see its card)."""
    index = np.full((len(chosen), k), -1, np.int32)
    weights = np.zeros(index.shape, probs.dtype)
    place = np.cumsum(chosen, 1, dtype=np.int64) - 1
    row, expert = np.nonzero(chosen & (place < k))
    index[row, place[row, expert]] = expert
    weights[row, place[row, expert]] = probs[row, expert]
    return weights, index
