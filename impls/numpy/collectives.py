"""NumPy: what ranks send to each other, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, n rows of a block

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked_numpy import op

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_levels",
    "head_exchange",
    "head_exchange_uneven",
    "reduce_scatter",
    "ring_blocks",
    "ring_shift",
    "sequence_exchange",
    "sequence_exchange_uneven",
]

Array = np.ndarray[Any, Any]


@op
def all_to_all(x: Array) -> Array:
    """Compute all_to_all (see its card)."""
    p, rows, *rest = x.shape
    return x.reshape(p, p, rows // p, *rest).swapaxes(0, 1).reshape(x.shape)


@op
def all_gather(x: Array) -> Array:
    """Compute all_gather (see its card)."""
    p, n, *rest = x.shape
    return np.tile(x.reshape(1, p * n, *rest), (p, *[1] * (x.ndim - 1)))


@op
def reduce_scatter(x: Array) -> Array:
    """Compute reduce_scatter (see its card)."""
    q, rows, *rest = x.shape
    return _sum(x).reshape(q, rows // q, *rest)


@op
def all_reduce(x: Array) -> Array:
    """Compute all_reduce (see its card)."""
    return np.stack([_sum(x)] * len(x))


@op
def head_exchange(x: Array) -> Array:
    """Compute head_exchange (see its card)."""
    p, b, n, heads, d = x.shape
    y = x.reshape(p, b, n, p, heads // p, d).transpose(3, 1, 0, 2, 4, 5)  # q b p n h d
    return y.reshape(p, b, p * n, heads // p, d)


@op
def sequence_exchange(y: Array) -> Array:
    """Compute sequence_exchange (see its card)."""
    q, b, length, h, d = y.shape
    x = y.reshape(q, b, q, length // q, h, d).transpose(2, 1, 3, 0, 4, 5)  # p b n q h d
    return x.reshape(q, b, length // q, q * h, d)


@op
def ring_shift(x: Array, *, shift: int = 1) -> Array:
    """Compute ring_shift (see its card)."""
    turned = shift % len(x)
    return np.concatenate([x[len(x) - turned :], x[: len(x) - turned]])


@op
def ring_blocks(x: Array) -> Array:
    """Compute ring_blocks (see its card)."""
    rank = np.arange(len(x))
    blocks: Array = x[(rank[:, None] - rank) % len(x)]  # q s
    return blocks


@op
def all_to_all_levels(x: Array, *, node: int) -> Array:
    """Compute all_to_all_levels (see its card)."""
    (p, rows, *rest), nodes = x.shape, len(x) // node
    inside = x.reshape(nodes, node, nodes, node, rows // p, *rest).swapaxes(1, 3)  # n h m g w
    return inside.swapaxes(0, 2).reshape(x.shape)  # m h n g w


@op
def head_exchange_uneven(x: Array) -> Array:
    """Compute head_exchange_uneven (see its card)."""
    p, b, n, h, d = x.shape
    y = np.zeros((p, b, p, n, -(-h // p), d), x.dtype)
    for q, part in enumerate(np.array_split(x, p, 3)):
        y[q, :, :, :, : part.shape[3]] = part.swapaxes(0, 1)
    return y.reshape(p, b, p * n, -(-h // p), d)


@op
def sequence_exchange_uneven(y: Array, *, heads: int) -> Array:
    """Compute sequence_exchange_uneven (see its card)."""
    q, b, length, m, d = y.shape
    blocks = y.reshape(q, b, q, length // q, m, d)
    x = np.empty((q, b, length // q, heads, d), y.dtype)
    for block, part in zip(blocks, np.array_split(x, q, 3), strict=True):  # parts are views
        part[:] = block[..., : part.shape[3], :].swapaxes(0, 1)
    return x


def _sum(x: Array) -> Array:
    """Return the sum of what all ranks hold, in at least float32 on the way."""
    wide = x.dtype if x.dtype.kind in "iu" else np.promote_types(x.dtype, np.float32)
    with np.errstate(all="ignore"):
        total: Array = np.asarray(x.astype(wide, copy=False).sum(0, dtype=wide))
        return total.astype(x.dtype, copy=False)
