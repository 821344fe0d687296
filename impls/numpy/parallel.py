"""NumPy: the exchange between ranks that hold different experts, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, e experts of all ranks, l experts of one, c slots, r m rows, d features

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.assignment import position

__all__ = [
    "context_parallel_merge",
    "context_parallel_split",
    "dispatch_layout",
    "ep_combine",
    "ep_cut",
    "ep_dispatch",
    "ep_exchange",
    "ep_plan",
    "ep_position",
    "ep_return",
    "expert_map",
    "replicate_index",
    "tp_gate_up",
]

Array = np.ndarray[Any, Any]
Layout = Literal["dense", "ragged"]
Order = Literal["zigzag", "striped", "contiguous"]
Placement = Literal["linear", "round_robin"]
Queue = Literal["rank", "world"]


@op
def ep_plan(counts: Array) -> tuple[Array, Array, Array, Array]:
    """Compute ep_plan (see its card)."""
    p, e = counts.shape
    send = np.maximum(counts.astype(np.int64), 0).reshape(p, p, e // p).sum(2)  # p q
    offsets = (np.cumsum(send, axis) - send for axis in (1, 0))
    send, inside, outside = (n.astype(np.int32) for n in (send, *offsets))
    return send, send.T.copy(), inside, outside


@op
def ep_exchange(x: Array, counts: Array | None = None, *, layout: Layout = "dense", rows: int = -1) -> Array:
    """Compute ep_exchange (see its card)."""
    if counts is None:
        p, experts, c, d = x.shape
        y = x.reshape(p, p, experts // p, c, d).transpose(1, 2, 0, 3, 4)  # q l p c d
        return y.reshape(p, experts // p, p * c, d)
    p, r, d = x.shape
    rows = p * r if rows < 0 else rows
    source, target = _routes(counts, r, rows)
    y = np.zeros((p * rows, d), x.dtype)
    y[target] = x.reshape(p * r, d)[source]
    return y.reshape(p, rows, d)


@op
def ep_return(y: Array, counts: Array | None = None, *, layout: Layout = "dense", rows: int = -1) -> Array:
    """Compute ep_return (see its card)."""
    if counts is None:
        q, local, slots, d = y.shape
        x = y.reshape(q, local, q, slots // q, d).transpose(2, 0, 1, 3, 4)  # p q l c d
        return x.reshape(q, q * local, slots // q, d)
    q, m, d = y.shape
    rows = m // q if rows < 0 else rows
    source, target = _routes(counts, rows, m)
    x = np.zeros((q * rows, d), y.dtype)
    x[source] = y.reshape(q * m, d)[target]
    return x.reshape(q, rows, d)


@op
def context_parallel_split(x: Array, *, ranks: int, order: Order = "zigzag") -> Array:
    """Compute context_parallel_split (see its card)."""
    b, n, *rest = x.shape
    if order == "striped":
        return np.moveaxis(x.reshape(b, n // ranks, ranks, *rest), 2, 0)
    if order == "contiguous":
        return x.reshape(b, ranks, n // ranks, *rest).swapaxes(0, 1)
    m = n // (2 * ranks)
    y = np.empty((ranks, b, 2 * m, *rest), x.dtype)
    for p in range(ranks):
        y[p, :, :m] = x[:, p * m : (p + 1) * m]
        y[p, :, m:] = x[:, n - (p + 1) * m : n - p * m]
    return y


@op
def context_parallel_merge(y: Array, *, order: Order = "zigzag") -> Array:
    """Compute context_parallel_merge (see its card)."""
    p, b, n, *rest = y.shape
    if order == "striped":
        return np.moveaxis(y, 0, 2).reshape(b, n * p, *rest)
    if order == "contiguous":
        return y.swapaxes(0, 1).reshape(b, p * n, *rest)
    halves = y.reshape(p, b, 2, n // 2, *rest)
    return np.concatenate([*halves[:, :, 0], *halves[::-1, :, 1]], 1)


@op
def expert_map(*, experts: int, ranks: int, rank: int, placement: Placement = "linear") -> Array:
    """Compute expert_map (see its card)."""
    local = np.full(experts, -1, np.int32)
    each, extra = divmod(experts, ranks)
    start = each * rank + min(rank, extra)
    own = local[start : start + each + (rank < extra)] if placement == "linear" else local[rank::ranks]
    own[:] = np.arange(len(own))
    return local


@op
def replicate_index(
    index: Array, table: Array, counts: Array, *, by: Literal["token", "rank"] = "token", rank: int = 0
) -> Array:
    """Compute replicate_index (see its card)."""
    e, r = table.shape
    if not table.size:
        return np.full(index.shape, -1, np.int32)
    there = (index >= 0) & (index < e)
    expert = np.where(there, index, 0).astype(np.int64)  # t k
    some = counts.astype(np.int64)[expert]
    chooser = np.arange(len(index))[:, None] if by == "token" else rank
    replica = chooser % np.maximum(some, 1)
    place = table.astype(np.int64)[expert, np.minimum(replica, r - 1)]
    return np.where(there & (some > 0) & (replica < r) & (place >= 0), place, -1).astype(np.int32)


@op
def dispatch_layout(index: Array, *, experts: int, ranks: int) -> tuple[Array, Array, Array]:
    """Compute dispatch_layout (see its card)."""
    own = np.where((index >= 0) & (index < experts), index, experts).astype(np.int64)
    routes = np.bincount(own.reshape(-1), minlength=experts + 1)[:experts].astype(np.int32)
    in_rank = (own[:, :, None] // max(experts // ranks, 1) == np.arange(ranks)).any(1) & (experts > 0)
    return in_rank.sum(0, dtype=np.int32), routes, in_rank


@op
def tp_gate_up(x: Array, *, ranks: int) -> Array:
    """Compute tp_gate_up (see its card)."""
    e, d, columns = x.shape
    y = x.reshape(e, d, 2, ranks, columns // (2 * ranks)).transpose(3, 0, 1, 2, 4)  # p e d g f
    return y.reshape(ranks, e, d, columns // ranks)


@op
def ep_dispatch(x: Array, index: Array, weights: Array, *, experts: int) -> tuple[Array, Array, Array, Array]:
    """Compute ep_dispatch (see its card)."""
    (p, t, d), k, each = x.shape, index.shape[2], experts // len(x)
    rows, index, weights = x.reshape(p * t, d), index.reshape(p * t, k), weights.reshape(p * t, k)
    y = np.zeros((p, p * t, d), x.dtype)
    share = np.zeros((p, p * t, k), weights.dtype)
    local, source = np.full(share.shape, -1, np.int32), np.full((p, p * t), -1, np.int32)
    for q in range(p):
        own = (index >= q * each) & (index < (q + 1) * each)
        here = np.flatnonzero(own.any(1))
        n, own = len(here), own[here]
        y[q, :n], source[q, :n] = rows[here], here
        local[q, :n][own] = index[here][own].astype(np.int64) - q * each
        share[q, :n][own] = weights[here][own]
    return y, local, share, source


@op
def ep_combine(y: Array, source: Array, *, tokens: int) -> Array:
    """Compute ep_combine (see its card)."""
    q, _, d = y.shape
    z = np.zeros((q * tokens, d), np.promote_types(y.dtype, np.float32))
    there = (source >= 0) & (source < q * tokens)
    with np.errstate(all="ignore"):
        np.add.at(z, source[there].astype(np.int64), y[there].astype(z.dtype))
        return z.astype(y.dtype, copy=False).reshape(q, tokens, d)


@op
def ep_position(index: Array, *, experts: int, queue: Queue) -> Array:
    """Compute ep_position (see its card)."""
    if queue == "rank":
        return np.stack([position(rank, experts=experts) for rank in index])
    p, t, k = index.shape
    place: Array = position(index.reshape(p * t, k), experts=experts)
    return place.reshape(p, t, k)


@op
def ep_cut(counts: Array, *, rows: int) -> Array:
    """Compute ep_cut (see its card)."""
    p, e = counts.shape
    arriving = np.maximum(counts.astype(np.int64), 0).reshape(p, p, e // p).swapaxes(0, 1).reshape(p, e)  # q (p l)
    ends = np.minimum(np.cumsum(arriving, 1), rows)
    kept: Array = np.diff(ends, axis=1, prepend=0).astype(np.int32)
    return kept.reshape(p, p, e // p).swapaxes(0, 1).reshape(p, e)


def _routes(counts: Array, sent: int, received: int) -> tuple[Array, Array]:
    """Return where each row that travels is among the rows of all senders, and among those of all receivers."""
    p, e = counts.shape
    ends = np.minimum(np.cumsum(np.clip(counts.astype(np.int64), 0, sent), 1), sent)
    starts = np.concatenate((np.zeros((p, 1), np.int64), ends[:, :-1]), 1)[:, :e]  # p e
    first = np.arange(p)[:, None] * sent + starts
    first, size = (n.reshape(p, p, e // p).transpose(1, 2, 0).reshape(-1) for n in (first, ends - starts))  # (q l p)
    before = np.cumsum(size) - size
    row = np.arange(size.sum())
    source = row + np.repeat(first - before, size)
    rank = np.repeat(np.arange(p), size.reshape(p, -1).sum(1))
    place = row - np.repeat(before.reshape(p, -1)[:, 0], size.reshape(p, -1).sum(1)) if e else row
    kept = place < received
    return source[kept], (rank * received + place)[kept]
