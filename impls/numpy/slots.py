"""NumPy: tokens into the slots of experts and back."""

# b batch, s sequence, t tokens, k choices of a token, e experts, c slots of an expert, d features

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.assignment import position as place
from einspec.impls.numpy.assignment import route_slots
from einspec.impls.numpy.rows import slot_routes, take_rows
from einspec.impls.numpy.rows import weighted_rows as weighted_rows  # others take it from here

__all__ = ["combine", "combine_by_mask", "dispatch", "dispatch_by_mask", "group_tokens"]

Array = np.ndarray[Any, Any]


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


def _matmul(mask: Array, y: Array, dtype: np.dtype[Any]) -> Array:
    """Return the product of matrices in which a zero of the mask annihilates even NaN."""
    wide = np.promote_types(np.promote_types(y.dtype, np.float32), np.float32 if mask.dtype == np.bool_ else mask.dtype)
    left, right = mask.astype(wide), y.astype(wide)
    with np.errstate(all="ignore"):
        if np.isfinite(left).all() and np.isfinite(right).all():
            z: Array = left @ right
        else:
            z = np.array([row[row != 0] @ right[row != 0] for row in left], wide).reshape(len(left), y.shape[1])
        return z.astype(dtype, copy=False)
