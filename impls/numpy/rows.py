"""NumPy: rows by number, and weighted sums of them. A number of -1 is no row."""

# t tokens, k rows of a token, r rows, d features; route (t, k) has the flat number t*K + k

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BLOCK = 2**17
"""Elements that are added up at a time: they stay in the cache."""


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
