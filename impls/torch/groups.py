"""PyTorch: routes sorted by expert, and the rows of each expert one after the other."""

# t tokens, k choices, e experts, c slots, r rows (routes), d features; flat route t*K + k

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from einspec.impls.checked_torch import op
from einspec.impls.torch.assignment import stable_group
from einspec.impls.torch.rows import apply, weighted_rows

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


@op
def group(index: Tensor, *, experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute group (see its card)."""
    order, place, counts = stable_group(index.reshape(-1), experts)
    if not experts:
        return order, place.reshape(index.shape), counts
    starts = (counts.cumsum(0) - counts).index_select(0, index.reshape(-1).long().clamp(0, experts - 1))
    row = torch.where(place < 0, -1, place + starts)
    return order, row.to(torch.int32).reshape(index.shape), counts


@op
def permute(x: Tensor, order: Tensor, *, k: int) -> Tensor:
    """Compute permute (see its card)."""
    return rows_from(x, order.long() // k)


@op
def unpermute(y: Tensor, weights: Tensor, row: Tensor) -> Tensor:
    """Compute unpermute (see its card)."""
    rows = row.long()
    return weighted_rows(y, weights, torch.where(rows < y.shape[0], rows, -1))


@op
def align_groups(order: Tensor, counts: Tensor, *, block: int) -> tuple[Tensor, Tensor]:
    """Compute align_groups (see its card)."""
    r, e = order.shape[0], counts.shape[0]
    n = (r + e * (block - 1)) // block
    if not n or not e:
        none = order.new_full((n * block,), -1, dtype=torch.int32)
        return none, none[:n].clone()
    ends = group_ends(counts, r)
    starts = ends - ends.diff(prepend=ends.new_zeros(1))
    blocks = (ends - starts + block - 1) // block  # e
    owner = group_of(blocks.cumsum(0), n)  # n
    first = (blocks.cumsum(0) - blocks) * block - starts  # slot of a row, less the row
    expert = owner.clamp(max=e - 1).repeat_interleave(block)  # m
    row = torch.arange(n * block, device=order.device) - first[expert]
    held = (owner < e).repeat_interleave(block) & (row < ends[expert])
    route = order.long().clamp(min=-1)[row.clamp(0, max(r - 1, 0))] if r else row
    return torch.where(held, route, -1).to(torch.int32), torch.where(owner < e, owner, -1).to(torch.int32)


@op
def ragged_to_padded(x: Tensor, counts: Tensor, *, capacity: int) -> Tensor:
    """Compute ragged_to_padded (see its card)."""
    ends = group_ends(counts, x.shape[0])
    sizes = ends.diff(prepend=ends.new_zeros(1))[:, None]  # e c
    place = torch.arange(capacity, device=x.device)
    row = torch.where(place < sizes, place + ends[:, None] - sizes, -1)
    return rows_from(x, row.reshape(-1)).reshape(counts.shape[0], capacity, x.shape[1])


@op
def lengths_to_offsets(counts: Tensor) -> Tensor:
    """Compute lengths_to_offsets (see its card)."""
    return functional.pad(counts.long().clamp(min=0).cumsum(0), (1, 0)).int()


@op
def row_labels(counts: Tensor, *, rows: int) -> tuple[Tensor, Tensor]:
    """Compute row_labels (see its card)."""
    ends = group_ends(counts, rows)
    label = group_of(ends, rows)
    starts = functional.pad(ends, (1, 0))  # one more, for rows past the last
    there, row = label < counts.shape[0], torch.arange(rows, device=counts.device)
    return torch.where(there, label, -1).int(), torch.where(there, row - starts[label], -1).int()


@op
def padded_to_ragged(y: Tensor, counts: Tensor, *, rows: int) -> Tensor:
    """Compute padded_to_ragged (see its card)."""
    e, c, d = y.shape
    if not e:
        return y.new_zeros(rows, d)
    ends = group_ends(counts, rows)
    owner = group_of(ends, rows)
    starts = (ends - ends.diff(prepend=ends.new_zeros(1)))[owner.clamp(max=e - 1)]
    place = torch.arange(rows, device=y.device) - starts
    slot = torch.where((owner < e) & (place < c), owner * c + place, -1)
    return rows_from(y.reshape(e * c, d), slot)


@op
def unpad(x: Tensor, mask: Tensor, *, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute unpad (see its card)."""
    b, n, *rest = x.shape
    row = row_of(mask)
    target = torch.where((row >= 0) & (row < rows), row, rows)  # one row more, for what goes nowhere
    token = torch.arange(b * n, device=x.device)
    index = token.new_full((rows + 1,), -1).scatter(0, target, token)[:rows]
    y = rows_from(x.reshape(b * n, math.prod(rest)), index).reshape(rows, *rest)
    return y, index.int(), functional.pad(mask.sum(1).cumsum(0), (1, 0)).int()


@op
def pad_back(y: Tensor, mask: Tensor) -> Tensor:
    """Compute pad_back (see its card)."""
    r, *rest = y.shape
    return rows_from(y.reshape(r, math.prod(rest)), row_of(mask)).reshape(*mask.shape, *rest)


def row_of(mask: Tensor) -> Tensor:
    """Return for every place the number of the row that belongs there; -1 where the mask is false."""
    flat = mask.reshape(-1)
    return torch.where(flat, flat.cumsum(0) - 1, -1)


def group_ends(counts: Tensor, rows: int) -> Tensor:
    """Return where the rows of each group end, no later than the rows do; a negative count is none."""
    return counts.long().clamp(0, rows).cumsum(0).clamp(max=rows)


def group_of(ends: Tensor, rows: int) -> Tensor:
    """Return the group of every row; the number of groups for a row past the last."""
    return torch.searchsorted(ends, torch.arange(rows, device=ends.device), right=True)


def rows_from(x: Tensor, source: Tensor) -> Tensor:
    """Return the rows of these numbers; a number outside is none, and its row is 0. The gradient is a sum without atomics."""
    return apply(Rows, x, source)


def looped(function: type[Function]) -> type[Function]:
    """Give a function that has its own gradient a rule for vmap: once for each example."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        own = [[a if d is None else a.select(d, i) for a, d in zip(args, in_dims, strict=True)] for i in range(info.batch_size)]
        return torch.stack([apply(function, *example) for example in own]), 0

    setattr(function, "vmap", staticmethod(rule))  # noqa: B010  # an assignment is an error to mypy
    return function


@looped
class Rows(Function):
    """Rows by their numbers."""

    @staticmethod
    def forward(x: Tensor, source: Tensor) -> Tensor:
        read = (source >= 0) & (source < x.shape[0])
        if not x.shape[0]:
            return x.new_zeros(source.shape[0], x.shape[1])
        return torch.where(read[:, None], x[torch.where(read, source, 0)], x.new_zeros(()))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, source = inputs
        ctx.size = x.shape[0]
        ctx.save_for_backward(source)
        ctx.save_for_forward(source)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return apply(Sums, g, *ctx.saved_tensors, ctx.size), None

    @staticmethod
    def jvp(ctx: Any, along: Tensor, *_: None) -> Tensor:
        return apply(Rows, along, *ctx.saved_tensors)


@looped
class Sums(Function):
    """Sums of the rows that have the same target, in their order; a target outside is none."""

    @staticmethod
    def forward(g: Tensor, target: Tensor, size: int) -> Tensor:
        key, order = torch.sort(torch.where((target >= 0) & (target < size), target, size), stable=True)
        starts = torch.searchsorted(key, torch.arange(size + 1, device=g.device))
        flat = torch.view_as_real(g.resolve_conj()).flatten(1) if g.is_complex() else g
        sums = functional.embedding_bag(order, flat, starts, mode="sum")[:size]  # the last bag takes what is not asked for
        return torch.view_as_complex(sums.reshape(size, -1, 2)) if g.is_complex() else sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.size = inputs[2]
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        return apply(Rows, h, *ctx.saved_tensors), None, None

    @staticmethod
    def jvp(ctx: Any, along: Tensor, *_: None) -> Tensor:
        return apply(Sums, along, *ctx.saved_tensors, ctx.size)
