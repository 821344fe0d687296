"""NumPy: routes sorted by expert, and the rows of each expert one after the other."""

# t tokens, k choices, e experts, c slots, r rows (routes), d features; flat route t*K + k

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.assignment import stable_group
from einspec.impls.numpy.rows import take_rows, weighted_rows

__all__ = [
    "align_groups",
    "group",
    "lengths_to_offsets",
    "pad_back",
    "padded_to_ragged",
    "permute",
    "ragged_to_padded",
    "row_labels",
    "unpad",
    "unpermute",
]

Array = np.ndarray[Any, Any]


@op
def group(index: Array, *, experts: int) -> tuple[Array, Array, Array]:
    """Compute group (see its card)."""
    order, _, counts = stable_group(index.reshape(-1), experts)
    routes = order[: counts.sum()]
    row = np.full(index.size, -1, np.int32)
    row[routes] = np.arange(routes.size, dtype=np.int32)
    return order, row.reshape(index.shape), counts


@op
def permute(x: Array, order: Array, *, k: int) -> Array:
    """Compute permute (see its card)."""
    token = order.astype(np.int64) // k
    return take_rows(x, np.where(token < len(x), token, -1))


@op
def unpermute(y: Array, weights: Array, row: Array) -> Array:
    """Compute unpermute (see its card)."""
    rows = row.astype(np.int64)
    return weighted_rows(y, weights, np.where(rows < len(y), rows, -1))


@op
def align_groups(order: Array, counts: Array, *, block: int) -> tuple[Array, Array]:
    """Compute align_groups (see its card)."""
    r, e = len(order), len(counts)
    ends = group_ends(counts, r)
    sizes = np.diff(ends, prepend=0)
    blocks = -(-sizes // block)  # e
    n = (r + e * (block - 1)) // block
    first = block * (np.cumsum(blocks) - blocks) - (ends - sizes)  # slot of a row, less the row
    held = int(sizes.sum())
    slot_route = np.full(n * block, -1, np.int32)
    slot_route[np.arange(held) + np.repeat(first, sizes)] = np.maximum(order[:held].astype(np.int64), -1)
    block_expert = np.full(n, -1, np.int32)
    block_expert[: blocks.sum()] = np.repeat(np.arange(e), blocks)
    return slot_route, block_expert


@op
def ragged_to_padded(x: Array, counts: Array, *, capacity: int) -> Array:
    """Compute ragged_to_padded (see its card)."""
    y = np.zeros((len(counts), capacity, x.shape[1]), x.dtype)  # e c d
    start = 0
    for slots, end in zip(y, group_ends(counts, len(x)).tolist(), strict=True):
        size = min(end - start, capacity)
        slots[:size] = x[start : start + size]
        start = end
    return y


@op
def lengths_to_offsets(counts: Array) -> Array:
    """Compute lengths_to_offsets (see its card)."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(np.maximum(counts.astype(np.int64), 0), out=offsets[1:])
    return offsets.astype(np.int32)


@op
def row_labels(counts: Array, *, rows: int) -> tuple[Array, Array]:
    """Compute row_labels (see its card)."""
    label, place = np.full(rows, -1, np.int32), np.full(rows, -1, np.int32)
    sizes = np.diff(group_ends(counts, rows), prepend=0)
    held = np.repeat(np.arange(len(counts)), sizes)  # r
    label[: len(held)] = held
    place[: len(held)] = np.arange(len(held)) - (np.cumsum(sizes) - sizes)[held]
    return label, place


@op
def padded_to_ragged(y: Array, counts: Array, *, rows: int) -> Array:
    """Compute padded_to_ragged (see its card)."""
    x = np.zeros((rows, y.shape[2]), y.dtype)  # r d
    start = 0
    for slots, end in zip(y, group_ends(counts, rows).tolist(), strict=True):
        size = min(end - start, len(slots))
        x[start : start + size] = slots[:size]
        start = end
    return x


@op
def unpad(x: Array, mask: Array, *, rows: int) -> tuple[Array, Array, Array]:
    """Compute unpad (see its card)."""
    b, n, *rest = x.shape
    places = np.flatnonzero(mask)[:rows]
    index, y = np.full(rows, -1, np.int32), np.zeros((rows, *rest), x.dtype)
    index[: len(places)] = places
    y[: len(places)] = x.reshape(b * n, *rest)[places]
    offsets = np.zeros(b + 1, np.int32)
    np.cumsum(mask.sum(1), out=offsets[1:])
    return y, index, offsets


@op
def pad_back(y: Array, mask: Array) -> Array:
    """Compute pad_back (see its card)."""
    (b, n), rest = mask.shape, y.shape[1:]
    places = np.flatnonzero(mask)[: len(y)]
    x = np.zeros((b * n, *rest), y.dtype)
    x[places] = y[: len(places)]
    return x.reshape(b, n, *rest)


def group_ends(counts: Array, rows: int) -> Array:
    """Return where the rows of each group end, no later than the rows do; a negative count is none."""
    ends: Array = np.minimum(np.cumsum(np.clip(counts.astype(np.int64), 0, rows)), rows)
    return ends
