"""NumPy: Soft MoE, where every slot of an expert is a mean of all tokens."""

# t tokens, e experts, s slots of an expert, d features

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked_numpy import op

__all__ = ["soft_combine", "soft_dispatch", "soft_weights"]

Array = np.ndarray[Any, Any]


@op
def soft_weights(logits: Array, valid: Array) -> tuple[Array, Array]:
    """Compute soft_weights (see its card)."""
    x = logits.astype(np.promote_types(logits.dtype, np.float32), copy=False)
    zero, row = x.dtype.type(0), valid[:, None, None]
    dispatch = _softmax(np.where(row, x, -x.dtype.type(np.inf)), (0,))
    combine = _softmax(np.where(row, x, zero), (1, 2))
    return np.where(row, dispatch, zero), np.where(row, combine, zero)


@op
def soft_dispatch(x: Array, dispatch: Array) -> Array:
    """Compute soft_dispatch (see its card)."""
    t, e, s = dispatch.shape
    d, wide = x.shape[1], _accumulator(x, dispatch)
    read = np.where(_used(dispatch)[:, None], x.astype(wide, copy=False), wide.type(0))
    with np.errstate(all="ignore"):
        y = dispatch.astype(wide, copy=False).reshape(t, e * s).T @ read
        return y.astype(x.dtype, copy=False).reshape(e, s, d)


@op
def soft_combine(y: Array, combine: Array) -> Array:
    """Compute soft_combine (see its card)."""
    e, s, d = y.shape
    wide = _accumulator(y, combine)
    weights = combine.astype(wide, copy=False).reshape(len(combine), e * s)
    with np.errstate(all="ignore"):
        z = weights @ y.astype(wide, copy=False).reshape(e * s, d)
        return np.asarray(np.where(_used(combine)[:, None], z, 0), y.dtype)


def _softmax(x: Array, axes: tuple[int, ...]) -> Array:
    with np.errstate(all="ignore"):
        grown = np.exp(x - x.max(axes, initial=-np.inf, keepdims=True))
        shares: Array = grown / grown.sum(axes, keepdims=True)
        return shares


def _used(weights: Array) -> Array:
    """Return which tokens have a weight other than 0: the rest are not read and not written."""
    used: Array = (weights != 0).any((1, 2))  # t
    return used


def _accumulator(x: Array, weights: Array) -> np.dtype[Any]:
    return np.promote_types(np.promote_types(x.dtype, weights.dtype), np.float32)
