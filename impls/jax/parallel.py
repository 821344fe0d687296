"""JAX: the exchange between ranks that hold different experts, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, e experts of all ranks, l experts of one, c slots, r m rows, d features

from __future__ import annotations

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from einops import rearrange
from jax import Array

from einspec.impls.checked_jax import op
from einspec.impls.jax.assignment import expert_counts, position
from einspec.impls.jax.groups import group_ends, group_of, numbers, rows_from

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

Layout = Literal["dense", "ragged"]
Order = Literal["zigzag", "striped", "contiguous"]
Placement = Literal["linear", "round_robin"]
Queue = Literal["rank", "world"]


@op
@jax.jit
def ep_plan(counts: Array) -> tuple[Array, Array, Array, Array]:
    """Compute ep_plan (see its card)."""
    p, e = counts.shape
    send = jnp.maximum(counts.astype(jnp.int32), 0).reshape(p, p, e // p).sum(2, dtype=jnp.int32)  # p q
    inside, outside = (jnp.cumsum(send, axis, dtype=jnp.int32) - send for axis in (1, 0))
    return send, send.T, inside, outside


@op
@partial(jax.jit, static_argnames=("layout", "rows"))
def ep_exchange(x: Array, counts: Array | None = None, *, layout: Layout = "dense", rows: int = -1) -> Array:
    """Compute ep_exchange (see its card)."""
    if counts is None:
        return rearrange(x, "p (q l) c d -> q l (p c) d", q=len(x))
    p, r, d = x.shape
    rows = p * r if rows < 0 else rows
    _, arrived, away = _segments(counts, r)
    segment, inside, row = _rows_of(arrived, rows, -away)
    source = jnp.where(inside, segment % p * r + row, -1)
    return rows_from(x.reshape(p * r, d), source.reshape(-1), 1).reshape(p, rows, d)


@op
@partial(jax.jit, static_argnames=("layout", "rows"))
def ep_return(y: Array, counts: Array | None = None, *, layout: Layout = "dense", rows: int = -1) -> Array:
    """Compute ep_return (see its card)."""
    if counts is None:
        return rearrange(y, "q l (p c) d -> p (q l) c d", p=len(y))
    q, m, d = y.shape
    rows = m // q if rows < 0 else rows
    ends, _, away = _segments(counts, rows)
    expert, inside, row = _rows_of(ends, rows, rearrange(away, "q (l p) -> p (q l)", p=q))
    source = jnp.where(inside & (row < m), expert // max(counts.shape[1] // q, 1) * m + row, -1)
    return rows_from(y.reshape(q * m, d), source.reshape(-1), 1).reshape(q, rows, d)


@op
def context_parallel_split(x: Array, *, ranks: int, order: Order = "zigzag") -> Array:
    """Compute context_parallel_split (see its card)."""
    if order == "striped":
        return rearrange(x, "b (m p) ... -> p b m ...", p=ranks)
    if order == "contiguous":
        return rearrange(x, "b (p m) ... -> p b m ...", p=ranks)
    chunks = rearrange(x, "b (i p m) ... -> i p b m ...", i=2, p=ranks)
    return jnp.concatenate([chunks[0], chunks[1, ::-1]], 2)


@op
def context_parallel_merge(y: Array, *, order: Order = "zigzag") -> Array:
    """Compute context_parallel_merge (see its card)."""
    if order == "striped":
        return rearrange(y, "p b m ... -> b (m p) ...")
    if order == "contiguous":
        return rearrange(y, "p b m ... -> b (p m) ...")
    first, last = jnp.split(y, 2, axis=2)
    return rearrange(jnp.concatenate([first, last[::-1]]), "c b m ... -> b (c m) ...")


@op
def expert_map(*, experts: int, ranks: int, rank: int, placement: Placement = "linear") -> Array:
    """Compute expert_map (see its card)."""
    e = jnp.arange(experts, dtype=jnp.int32)
    if placement == "round_robin":
        return jnp.where(e % ranks == rank, e // ranks, -1)
    each, extra = divmod(experts, ranks)
    local = e - (each * rank + min(rank, extra))
    return jnp.where((local >= 0) & (local < each + (rank < extra)), local, -1)


@op
@partial(jax.jit, static_argnames=("by", "rank"))
def replicate_index(
    index: Array, table: Array, counts: Array, *, by: Literal["token", "rank"] = "token", rank: int = 0
) -> Array:
    """Compute replicate_index (see its card)."""
    e, r = table.shape
    if not table.size:
        return jnp.full(index.shape, -1, jnp.int32)
    expert = numbers(index, e)  # t k
    some = jnp.maximum(counts, 0)[jnp.maximum(expert, 0)]
    chooser = jnp.arange(len(index), dtype=some.dtype)[:, None] if by == "token" else jnp.asarray(rank, some.dtype)
    replica = chooser % jnp.maximum(some, 1)
    places = jnp.where(table >= 0, table.astype(jnp.int32), -1)
    place = places[jnp.maximum(expert, 0), jnp.minimum(replica, r - 1)]
    return jnp.where((expert >= 0) & (some > 0) & (replica < r), place, -1)


@op
@partial(jax.jit, static_argnames=("experts", "ranks"))
def dispatch_layout(index: Array, *, experts: int, ranks: int) -> tuple[Array, Array, Array]:
    """Compute dispatch_layout (see its card)."""
    ids = jnp.arange(experts, dtype=jnp.int32)
    in_rank = rearrange(numbers(index, experts)[:, :, None] == ids, "t k (p l) -> t p (k l)", p=ranks).any(2)
    return in_rank.sum(0, dtype=jnp.int32), expert_counts(index, experts=experts), in_rank


@op
def tp_gate_up(x: Array, *, ranks: int) -> Array:
    """Compute tp_gate_up (see its card)."""
    return rearrange(x, "e d (g p f) -> p e d (g f)", g=2, p=ranks)


@op
@partial(jax.jit, static_argnames="experts")
def ep_dispatch(x: Array, index: Array, weights: Array, *, experts: int) -> tuple[Array, Array, Array, Array]:
    """Compute ep_dispatch (see its card)."""
    p, t, d = x.shape
    own = rearrange(numbers(index, experts), "p t k -> (p t) k")
    ids = jnp.arange(experts, dtype=jnp.int32)
    here = rearrange(own[:, :, None] == ids, "r k (q l) -> q r (k l)", q=p).any(2)
    row = jnp.broadcast_to(jnp.arange(p * t, dtype=jnp.int32), here.shape)
    order = jnp.argsort(~here, axis=1, stable=True)  # what comes here first
    source = jnp.where(jnp.sort(~here, axis=1), -1, jnp.take_along_axis(row, order, 1))
    flat = source.reshape(-1)
    first = jnp.arange(p, dtype=jnp.int32)[:, None, None] * (experts // p)
    local = jnp.where(source[:, :, None] < 0, -1, rows_from(own, flat, 1).reshape(p, p * t, own.shape[1]) - first)
    there = (local >= 0) & (local < experts // p)
    share = rows_from(weights.reshape(p * t, weights.shape[2]), flat, 1).reshape(local.shape)
    y = rows_from(x.reshape(p * t, d), flat, 1).reshape(p, p * t, d)
    return y, jnp.where(there, local, -1), jnp.where(there, share, jnp.zeros((), share.dtype)), source


@op
@partial(jax.jit, static_argnames="tokens")
def ep_combine(y: Array, source: Array, *, tokens: int) -> Array:
    """Compute ep_combine (see its card)."""
    q, m, d = y.shape
    row = numbers(source, q * tokens).reshape(-1)
    wide = y.reshape(q * m, d).astype(jnp.promote_types(y.dtype, jnp.float32))
    z = jnp.zeros((q * tokens, d), wide.dtype).at[jnp.where(row < 0, q * tokens, row)].add(wide, mode="drop")
    return z.astype(y.dtype).reshape(q, tokens, d)


@op
@partial(jax.jit, static_argnames=("experts", "queue"))
def ep_position(index: Array, *, experts: int, queue: Queue) -> Array:
    """Compute ep_position (see its card)."""
    own = numbers(index, experts)
    first = jnp.arange(len(index), dtype=jnp.int32)[:, None, None] * (experts if queue == "rank" else 0)
    flat = rearrange(jnp.where(own < 0, -1, own + first), "p t k -> (p t) k")
    place: Array = position(flat, experts=len(index) * experts)
    return place.reshape(index.shape)


@op
@partial(jax.jit, static_argnames="rows")
def ep_cut(counts: Array, *, rows: int) -> Array:
    """Compute ep_cut (see its card)."""
    whole = counts if counts.dtype.itemsize >= 4 else counts.astype(jnp.int32)
    asked = jnp.clip(whole, 0, rows).astype(jnp.int32)  # more would be cut anyway
    arriving = rearrange(asked, "p (q l) -> q (p l)", q=len(counts))
    ends = jnp.minimum(jnp.cumsum(arriving, 1, dtype=jnp.int32), rows)
    return rearrange(jnp.diff(ends, axis=1, prepend=0), "q (p l) -> p (q l)", p=len(counts))


def _segments(counts: Array, sent: int) -> tuple[Array, Array, Array]:
    """Return where the rows of each expert end at the sender, where at the receiver, and how far the two are apart."""
    ends = jax.vmap(lambda counts: group_ends(counts, sent))(counts)  # p e
    arrived = jnp.cumsum(_regrouped(jnp.diff(ends, axis=1, prepend=0)), 1, dtype=jnp.int32)  # q (l p)
    return ends, arrived, arrived - _regrouped(ends)


def _regrouped(n: Array) -> Array:
    """Return numbers of ranks and experts in the order in which a receiver holds them."""
    return rearrange(n, "p (q l) -> q (l p)", q=len(n))


def _rows_of(ends: Array, rows: int, shift: Array) -> tuple[Array, Array, Array]:
    """Return for each row the segment that it is in, whether there is one, and the row moved by that segment's shift."""
    segment = jax.vmap(lambda ends: group_of(ends, rows))(ends)
    moved = jnp.take_along_axis(jnp.pad(shift, ((0, 0), (0, 1))), segment, 1)
    return segment, segment < ends.shape[1], jnp.arange(rows, dtype=jnp.int32) + moved
