"""PyTorch: ops in which an index says where elements come from or go to."""

# a b any axes, n the axis that is read or written, i k the places of the index

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.bits import moved, signed
from einspec.impls.torch.groups import row_of, rows_from

__all__ = ["masked_scatter", "one_hot", "scatter", "scatter_add", "take", "take_along"]

Outside = Literal["zero", "clip", "wrap"]


@op
def take(x: Tensor, index: Tensor, *, axis: int, outside: Outside = "zero") -> Tensor:
    """Compute take (see its card)."""
    a, n = axis % x.ndim, x.shape[axis]
    shape = (*x.shape[:a], *index.shape, *x.shape[a + 1 :])
    if not n:
        return x.new_zeros(shape)
    places = _places(index, n, outside).reshape(-1)
    lost = (places < 0).reshape(-1, *(1,) * (x.ndim - 1 - a))
    return moved(x, lambda bits: bits.index_select(a, places.clamp(min=0)).masked_fill(lost, 0)).reshape(shape)


@op
def take_along(x: Tensor, index: Tensor, *, axis: int, outside: Outside = "zero") -> Tensor:
    """Compute take_along (see its card)."""
    if not x.shape[axis]:
        return x.new_zeros(index.shape)
    places = _places(index, x.shape[axis], outside)
    return moved(x, lambda bits: bits.gather(axis, places.clamp(min=0)).masked_fill(places < 0, 0))


def _places(index: Tensor, n: int, outside: Outside = "zero") -> Tensor:
    """Return the positions that an index means, -1 where it means none."""
    places = index.long()
    if outside == "zero":
        return torch.where((places >= 0) & (places < n), places, -1)
    return places.clamp(0, n - 1) if outside == "clip" else places.remainder(n)


@op
def scatter(x: Tensor, index: Tensor, updates: Tensor, *, axis: int) -> Tensor:
    """Compute scatter (see its card)."""
    a, k = axis % x.ndim, index.shape[axis]
    places = _slots(index, x.shape[a])
    if not k:
        return x.clone()
    order = torch.arange(k, device=x.device).reshape(-1, *(1,) * (x.ndim - 1 - a)).expand(index.shape)
    last = places.new_full((*x.shape[:a], x.shape[a] + 1, *x.shape[a + 1 :]), -1)  # which update a place gets
    last = last.scatter_reduce(a, places, order, "amax").narrow(a, 0, x.shape[a])
    taken = moved(updates, lambda bits: bits.gather(a, last.clamp(min=0)))
    return torch.where(last < 0, x, taken)


@op
def scatter_add(x: Tensor, index: Tensor, updates: Tensor, *, axis: int) -> Tensor:
    """Compute scatter_add (see its card)."""
    a, whole = axis % x.ndim, signed(x)
    dtype = torch.promote_types(x.dtype, torch.float32) if x.is_floating_point() else whole.dtype
    more = torch.zeros((*x.shape[:a], 1, *x.shape[a + 1 :]), dtype=dtype, device=x.device)  # for what goes nowhere
    sums = torch.cat([whole.to(dtype), more], a).scatter_add(a, _slots(index, x.shape[a]), signed(updates).to(dtype))
    y = sums.narrow(a, 0, x.shape[a]).to(whole.dtype)
    return y if y.dtype == x.dtype else y.view(x.dtype)


@op
def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Compute masked_scatter (see its card)."""
    row = row_of(mask)
    there = ((row >= 0) & (row < source.shape[0])).reshape(*mask.shape, 1)
    return torch.where(there, rows_from(source, row).reshape(x.shape), x)


@op
def one_hot(index: Tensor, *, classes: int) -> Tensor:
    """Compute one_hot (see its card)."""
    return (index.long().unsqueeze(-1) == torch.arange(classes, device=index.device)).float()


def _slots(index: Tensor, n: int) -> Tensor:
    """Return the positions that an index means, n where it means none."""
    places = index.long()
    return torch.where((places >= 0) & (places < n), places, n)
