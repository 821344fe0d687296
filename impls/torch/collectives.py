"""PyTorch: what ranks send to each other, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, n rows of a block

from __future__ import annotations

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.bits import moved, signed

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


@op
def all_to_all(x: Tensor) -> Tensor:
    """Compute all_to_all (see its card)."""
    p, rows, *rest = x.shape
    return x.reshape(p, p, rows // p, *rest).transpose(0, 1).reshape(x.shape)


@op
def all_gather(x: Tensor) -> Tensor:
    """Compute all_gather (see its card)."""
    p, n, *rest = x.shape
    return moved(x.reshape(1, p * n, *rest), lambda bits: bits.repeat(p, *[1] * (x.ndim - 1)))


@op
def reduce_scatter(x: Tensor) -> Tensor:
    """Compute reduce_scatter (see its card)."""
    q, rows, *rest = x.shape
    return _sum(x).reshape(q, rows // q, *rest)


@op
def all_reduce(x: Tensor) -> Tensor:
    """Compute all_reduce (see its card)."""
    total = _sum(x)
    return moved(total.unsqueeze(0), lambda bits: bits.repeat(len(x), *[1] * total.ndim))


@op
def head_exchange(x: Tensor) -> Tensor:
    """Compute head_exchange (see its card)."""
    p, b, n, heads, d = x.shape
    sent = x.reshape(p, b, n, p, heads // p, d).transpose(0, 3)  # q b n p h d
    return sent.transpose(2, 3).reshape(p, b, p * n, heads // p, d)


@op
def sequence_exchange(y: Tensor) -> Tensor:
    """Compute sequence_exchange (see its card)."""
    q, b, length, h, d = y.shape
    sent = y.reshape(q, b, q, length // q, h, d).transpose(0, 2)  # p b q n h d
    return sent.transpose(2, 3).reshape(q, b, length // q, q * h, d)


@op
def ring_shift(x: Tensor, *, shift: int = 1) -> Tensor:
    """Compute ring_shift (see its card)."""
    return moved(x, lambda bits: bits.roll(shift % len(bits), 0))


@op
def ring_blocks(x: Tensor) -> Tensor:
    """Compute ring_blocks (see its card)."""
    rank = torch.arange(len(x), device=x.device)
    block = (rank[:, None] - rank) % len(x)  # q s
    return moved(x, lambda bits: bits.index_select(0, block.flatten())).reshape(*block.shape, *x.shape[1:])


@op
def all_to_all_levels(x: Tensor, *, node: int) -> Tensor:
    """Compute all_to_all_levels (see its card)."""
    (p, rows, *rest), nodes = x.shape, len(x) // node
    inside = x.reshape(nodes, node, nodes, node, rows // p, *rest).transpose(1, 3)  # n h m g w
    return inside.transpose(0, 2).reshape(x.shape)  # m h n g w


@op
def head_exchange_uneven(x: Tensor) -> Tensor:
    """Compute head_exchange_uneven (see its card)."""
    p, b, n, h, d = x.shape
    parts = torch.split(x.transpose(0, 1).reshape(b, p * n, h, d), _shares(h, p), 2)
    return torch.stack([torch.cat([q, q.new_zeros((b, p * n, -(-h // p) - q.shape[2], d))], 2) for q in parts])


@op
def sequence_exchange_uneven(y: Tensor, *, heads: int) -> Tensor:
    """Compute sequence_exchange_uneven (see its card)."""
    q, b, length, _, d = y.shape
    joined = torch.cat([own[:, :, :size] for own, size in zip(y, _shares(heads, q), strict=True)], 2)
    return joined.reshape(b, q, length // q, heads, d).transpose(0, 1)


def _shares(heads: int, ranks: int) -> list[int]:
    """Return how many heads each rank has."""
    return [heads // ranks + (p < heads % ranks) for p in range(ranks)]


def _sum(x: Tensor) -> Tensor:
    """Return the sum of what all ranks hold, in at least float32 on the way."""
    whole = signed(x)
    wide = torch.promote_types(x.dtype, torch.float32) if x.is_floating_point() else whole.dtype
    total = whole.sum(0, dtype=wide).to(whole.dtype)
    return total if total.dtype == x.dtype else total.view(x.dtype)
