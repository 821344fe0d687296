"""NumPy: tokens into the slots of experts and back."""

# b batch, s sequence, t tokens, k choices of a token, e experts, c slots of an expert, d features

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked import op
from einspec.impls.numpy.assignment import position as place
from einspec.impls.numpy.assignment import route_slots

__all__ = ["combine", "combine_by_mask", "dispatch", "dispatch_by_mask", "group_tokens"]

Array = np.ndarray[Any, Any]

BLOCK = 2**17
"""Elements that are combined at a time: they stay in the cache."""


@op
def dispatch(x: Array, index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute dispatch (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    tokens = slot_routes(slots, experts * capacity) // max(1, slots.shape[1])
    return take_rows(x, tokens).reshape(experts, capacity, x.shape[1])


@op
def combine(y: Array, weights: Array, index: Array, position: Array) -> Array:
    """Compute combine (see its card)."""
    e, c, d = y.shape
    return weighted_rows(y.reshape(e * c, d), weights, route_slots(index, position, e, c))


@op
def dispatch_by_mask(x: Array, mask: Array) -> Array:
    """Compute dispatch_by_mask (see its card)."""
    t, e, c = mask.shape
    return _matmul(mask.reshape(t, e * c).T, x, x.dtype).reshape(e, c, x.shape[1])


@op
def combine_by_mask(y: Array, mask: Array) -> Array:
    """Compute combine_by_mask (see its card)."""
    t, e, c = mask.shape
    return _matmul(mask.reshape(t, e * c), y.reshape(e * c, y.shape[2]), y.dtype)


@op
def group_tokens(x: Array, assignments: Array, *, num_experts: int) -> Array:
    """Compute group_tokens (see its card)."""
    b, s, d = x.shape
    index = assignments.reshape(b * s, 1)
    queue = place(index, experts=num_experts)
    return dispatch(x.reshape(b * s, d), index, queue, experts=num_experts, capacity=b * s // num_experts)


def slot_routes(slots: Array, count: int) -> Array:
    """Return the first flat route of every slot; -1 where it has none."""
    routes = (slots.reshape(-1) >= 0).nonzero()[0]
    taken = slots.reshape(-1)[routes]
    first = np.full(count, -1)
    first[taken] = routes
    if (first[taken] != routes).any():  # slots that several routes share
        first[taken] = slots.size
        np.minimum.at(first, taken, routes)
    return first


def take_rows(x: Array, rows: Array) -> Array:
    """Return the rows, zero for a row of -1."""
    if not len(x):
        return np.zeros((len(rows), x.shape[1]), x.dtype)
    y = x.take(rows, axis=0, mode="clip")
    y[rows < 0] = 0
    return y


def weighted_rows(y: Array, weights: Array, rows: Array) -> Array:
    """Return for every token the weighted sum of the rows that it names; a row of -1 is none and is not read."""
    (t, k), (r, d) = rows.shape, y.shape
    wide = np.promote_types(np.promote_types(y.dtype, np.float32), weights.dtype)
    if not r * k * d:
        return np.zeros((t, d), y.dtype)
    z = np.empty((t, d), wide)
    factors = np.where(rows < 0, 0, weights.astype(wide))
    block = max(1, BLOCK // (k * d))
    buffer = np.empty((block * k, d), y.dtype)
    with np.errstate(all="ignore"):
        for start in range(0, t, block):
            some = rows[start : start + block].reshape(-1)
            read = y.take(some, axis=0, mode="clip", out=buffer[: some.size])  # (t k) d
            if some.min() < 0:
                read[some < 0] = 0
            read = read.astype(wide, copy=False).reshape(-1, k, d)
            np.einsum("tk,tkd->td", factors[start : start + block], read, out=z[start : start + block])
        return z.astype(y.dtype, copy=False)


def _matmul(mask: Array, y: Array, dtype: np.dtype[Any]) -> Array:
    """Return the product of matrices in which a zero of the mask annihilates even NaN."""
    wide = np.promote_types(np.promote_types(y.dtype, np.float32), np.float32 if mask.dtype == np.bool_ else mask.dtype)
    left, right = mask.astype(wide), y.astype(wide)
    with np.errstate(all="ignore"):
        if np.isfinite(left).all() and np.isfinite(right).all():
            return (left @ right).astype(dtype, copy=False)
        rows = [row[row != 0] @ right[row != 0] for row in left]
        return np.array(rows, wide).reshape(len(left), y.shape[1]).astype(dtype, copy=False)
