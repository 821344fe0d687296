"""NumPy: caches of keys and values, linear, circular and in pages."""

# r requests, s places, n t tokens, p pages, m entries of a block table, d features

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op

__all__ = ["cache_read", "cache_update", "paged_gather", "paged_write"]

Array = np.ndarray[Any, Any]
Mode = Literal["linear", "circular"]


@op
def cache_update(cache: Array, x: Array, start: Array, *, mode: Mode = "linear") -> Array:
    """Compute cache_update (see its card)."""
    s, n = cache.shape[-2], x.shape[-2]
    y = cache.copy()
    for places, tokens, first in zip(y, x, start.tolist(), strict=True):
        if mode == "circular":
            left_out = max(n - s, 0)
            places[..., _around(first + left_out, n - left_out, s), :] = tokens[..., left_out:, :]
        else:
            low, high = max(first, 0), min(first + n, s)
            if low < high:
                places[..., low:high, :] = tokens[..., low - first : high - first, :]
    return y


@op
def cache_read(cache: Array, length: Array, *, tokens: int, mode: Mode = "linear") -> Array:
    """Compute cache_read (see its card)."""
    s = cache.shape[-2]
    y = np.zeros((*cache.shape[:-2], tokens, cache.shape[-1]), cache.dtype)
    for rows, places, stop in zip(y, cache, length.tolist(), strict=True):
        first = max(stop - tokens, 0)
        there = range(first, stop if mode == "circular" else min(stop, s))
        rows[..., : len(there), :] = places[..., _around(there.start, len(there), s), :]
    return y


@op
def paged_gather(pages: Array, table: Array, lengths: Array, *, tokens: int) -> Array:
    """Compute paged_gather (see its card)."""
    p, s = pages.shape[:2]
    y = np.zeros((len(table), tokens, *pages.shape[2:]), pages.dtype)
    for rows, entries, length in zip(y, table.tolist(), lengths.tolist(), strict=True):
        for first, page in zip(range(0, min(length, tokens), s), entries, strict=False):
            size = min(s, length - first, tokens - first)
            if 0 <= page < p:
                rows[first : first + size] = pages[page, :size]
    return y


@op
def paged_write(pages: Array, x: Array, slots: Array) -> Array:
    """Compute paged_write (see its card)."""
    p, s, *rest = pages.shape
    y = pages.copy().reshape(p * s, *rest)
    there = (slots >= 0) & (slots.astype(np.int64) < p * s)
    y[slots[there]] = x[there]  # of several for one slot the last
    return y.reshape(pages.shape)


def _around(first: int, count: int, size: int) -> Array:
    """Return so many places of a circle from one on, which may be beyond what 64 bits hold."""
    size = max(size, 1)
    return (first % size + np.arange(count)) % size
