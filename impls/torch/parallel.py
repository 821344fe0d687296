"""PyTorch: the exchange between ranks that hold different experts, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, e experts of all ranks, l experts of one, c slots, r m rows, d features

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.assignment import expert_counts, position
from einspec.impls.torch.bits import moved
from einspec.impls.torch.groups import rows_from

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
def ep_plan(counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute ep_plan (see its card)."""
    p, e = counts.shape
    send = counts.to(torch.int64).clamp(min=0).reshape(p, p, e // p).sum(2)  # p q
    plan = (send, send.T, send.cumsum(1) - send, send.cumsum(0) - send)
    send, receive, inside, outside = (n.to(torch.int32) for n in plan)
    return send, receive.contiguous(), inside, outside


@op
def ep_exchange(x: Tensor, counts: Tensor | None = None, *, layout: Layout = "dense", rows: int = -1) -> Tensor:
    """Compute ep_exchange (see its card)."""
    if counts is None:
        p, experts, c, d = x.shape
        y = x.reshape(p, p, experts // p, c, d).permute(1, 2, 0, 3, 4)  # q l p c d
        return y.reshape(p, experts // p, p * c, d)
    p, r, d = x.shape
    rows = p * r if rows < 0 else rows
    _, arrived, away = _segments(counts, r)
    segment, inside, row = _rows_of(arrived, rows, -away)
    source = torch.where(inside, segment % p * r + row, -1)
    return rows_from(x.reshape(p * r, d), source.reshape(-1)).reshape(p, rows, d)


@op
def ep_return(y: Tensor, counts: Tensor | None = None, *, layout: Layout = "dense", rows: int = -1) -> Tensor:
    """Compute ep_return (see its card)."""
    if counts is None:
        q, local, slots, d = y.shape
        x = y.reshape(q, local, q, slots // q, d).permute(2, 0, 1, 3, 4)  # p q l c d
        return x.reshape(q, q * local, slots // q, d)
    q, m, d = y.shape
    rows = m // q if rows < 0 else rows
    local = counts.shape[1] // q
    ends, _, away = _segments(counts, rows)
    home = away.reshape(q, local, q).permute(2, 0, 1).reshape(q, q * local)  # p e
    expert, inside, row = _rows_of(ends, rows, home)
    source = torch.where(inside & (row < m), expert // max(local, 1) * m + row, -1)
    return rows_from(y.reshape(q * m, d), source.reshape(-1)).reshape(q, rows, d)


@op
def context_parallel_split(x: Tensor, *, ranks: int, order: Order = "zigzag") -> Tensor:
    """Compute context_parallel_split (see its card)."""
    b, n, *rest = x.shape
    if order == "striped":
        return x.reshape(b, n // ranks, ranks, *rest).movedim(2, 0)
    if order == "contiguous":
        return x.reshape(b, ranks, n // ranks, *rest).transpose(0, 1)
    chunk = torch.arange(2 * ranks, device=x.device)
    chunk = torch.stack([chunk[:ranks], chunk[ranks:].flip(0)], 1).flatten()  # p i
    y = moved(x.reshape(b, 2 * ranks, n // (2 * ranks), *rest), lambda bits: bits.index_select(1, chunk))
    return y.reshape(b, ranks, n // ranks, *rest).transpose(0, 1)


@op
def context_parallel_merge(y: Tensor, *, order: Order = "zigzag") -> Tensor:
    """Compute context_parallel_merge (see its card)."""
    p, b, n, *rest = y.shape
    if order == "striped":
        return y.movedim(0, 2).reshape(b, n * p, *rest)
    if order == "contiguous":
        return y.transpose(0, 1).reshape(b, p * n, *rest)
    halves = y.reshape(p, b, 2, n // 2, *rest).transpose(0, 1)  # b p i m
    last = moved(halves[:, :, 1], lambda bits: bits.flip(1))
    return torch.stack([halves[:, :, 0], last], 1).reshape(b, p * n, *rest)


@op
def expert_map(*, experts: int, ranks: int, rank: int, placement: Placement = "linear") -> Tensor:
    """Compute expert_map (see its card)."""
    e = torch.arange(experts, dtype=torch.int32)
    if placement == "round_robin":
        return torch.where(e % ranks == rank, e // ranks, -1)
    each, extra = divmod(experts, ranks)
    local = e - (each * rank + min(rank, extra))
    return torch.where((local >= 0) & (local < each + (rank < extra)), local, -1)


@op
def replicate_index(
    index: Tensor, table: Tensor, counts: Tensor, *, by: Literal["token", "rank"] = "token", rank: int = 0
) -> Tensor:
    """Compute replicate_index (see its card)."""
    own, (e, r) = index.long(), table.shape
    if not e * r:
        return torch.full_like(own, -1, dtype=torch.int32)
    there = (own >= 0) & (own < e)
    expert = torch.where(there, own, 0)  # t k
    some = counts.long()[expert]
    chooser = torch.arange(own.shape[0], device=own.device)[:, None] if by == "token" else rank
    replica = chooser % some.clamp(min=1)
    place = table.long()[expert, replica.clamp(max=r - 1)]
    return torch.where(there & (some > 0) & (replica < r) & (place >= 0), place, -1).int()


@op
def dispatch_layout(index: Tensor, *, experts: int, ranks: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute dispatch_layout (see its card)."""
    hit = (index.long()[:, :, None] == torch.arange(experts, device=index.device)).any(1)  # t e
    in_rank = hit.reshape(len(hit), ranks, experts // ranks).any(2)
    return in_rank.sum(0).int(), expert_counts(index, experts=experts), in_rank


@op
def tp_gate_up(x: Tensor, *, ranks: int) -> Tensor:
    """Compute tp_gate_up (see its card)."""
    e, d, columns = x.shape
    y = x.reshape(e, d, 2, ranks, columns // (2 * ranks)).movedim(3, 0)  # p e d g f
    return y.reshape(ranks, e, d, columns // ranks)


@op
def ep_dispatch(x: Tensor, index: Tensor, weights: Tensor, *, experts: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute ep_dispatch (see its card)."""
    (p, t, d), k = x.shape, index.shape[2]
    own = index.long().reshape(p * t, k)
    here = (own[:, :, None] == torch.arange(experts, device=x.device)).any(1).reshape(p * t, p, experts // p).any(2).T  # q r
    place = torch.where(here, here.cumsum(1) - 1, p * t)  # what goes nowhere behind the end
    row = torch.arange(p * t, device=x.device).expand(p, p * t)
    source = torch.full((p, p * t + 1), -1, device=x.device).scatter(1, place, row)[:, : p * t]
    flat = source.reshape(-1)
    first = torch.arange(p, device=x.device)[:, None, None] * (experts // p)
    local = rows_from(own, flat).reshape(p, p * t, k) - first
    there = (local >= 0) & (local < experts // p) & (source >= 0)[:, :, None]
    share = rows_from(weights.reshape(p * t, k), flat).reshape(p, p * t, k)
    y = rows_from(x.reshape(p * t, d), flat).reshape(p, p * t, d)
    return y, torch.where(there, local, -1).int(), torch.where(there, share, torch.zeros_like(share)), source.int()


@op
def ep_combine(y: Tensor, source: Tensor, *, tokens: int) -> Tensor:
    """Compute ep_combine (see its card)."""
    q, m, d = y.shape
    size, row = q * tokens, source.long().reshape(-1)
    row = torch.where((row >= 0) & (row < size), row, size)
    wide = y.reshape(q * m, d).to(torch.promote_types(y.dtype, torch.float32))
    z = wide.new_zeros((size + 1, d)).index_add(0, row, wide)[:size]
    return z.to(y.dtype).reshape(q, tokens, d)


@op
def ep_position(index: Tensor, *, experts: int, queue: Queue) -> Tensor:
    """Compute ep_position (see its card)."""
    (p, t, k), own = index.shape, index.long()
    queues = 1
    if queue == "rank":  # the experts of each rank are experts of their own
        first = torch.arange(p, device=index.device)[:, None, None] * experts
        own, queues = torch.where((own >= 0) & (own < experts), own + first, -1), p
    return position(own.reshape(p * t, k), experts=queues * experts).reshape(p, t, k)


@op
def ep_cut(counts: Tensor, *, rows: int) -> Tensor:
    """Compute ep_cut (see its card)."""
    p, e = counts.shape
    asked = counts.long().clamp(min=0).reshape(p, p, e // p)  # p q l
    total = asked.sum(2)
    before = (total.cumsum(0) - total)[:, :, None] + asked.cumsum(2) - asked
    return torch.minimum(asked, (rows - before).clamp(min=0)).int().reshape(p, e)


def _segments(counts: Tensor, sent: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the rows of each expert end at the sender, where at the receiver, and how far the two are apart."""
    ends = counts.to(torch.int64).clamp(0, sent).cumsum(1).clamp(max=sent)  # p e
    arrived = _regrouped(ends.diff(dim=1, prepend=ends.new_zeros((len(ends), 1)))).cumsum(1)  # q (l p)
    return ends, arrived, arrived - _regrouped(ends)


def _regrouped(n: Tensor) -> Tensor:
    """Return numbers of ranks and experts in the order in which a receiver holds them: q (l p)."""
    p, e = n.shape
    return n.reshape(p, p, e // p).permute(1, 2, 0).reshape(p, e)


def _rows_of(ends: Tensor, rows: int, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each row the segment that it is in, whether there is one, and the row moved by that segment's shift."""
    row = torch.arange(rows, device=ends.device).repeat(len(ends), 1)
    segment = torch.searchsorted(ends, row, right=True)
    padded = torch.nn.functional.pad(shift, (0, 1))
    return segment, segment < ends.shape[1], row + padded.gather(1, segment)
