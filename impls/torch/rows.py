"""PyTorch: rows by number, and weighted sums of them. A number of -1 is no row.

Every gradient is a gather, or a sum in a fixed order; each is differentiable again.
"""

# t tokens, k rows of a token, r rows, d features; route (t, k) has the flat number t*K + k

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import embedding, embedding_bag, pad

from einspec.impls.numpy import rows as on_numpy
from einspec.impls.torch.modes import eager, in_numpy

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers by width: what is moved in place of a dtype that not every kernel knows."""
BLOCK = 2**18
"""Elements that a CPU adds up at a time: they stay in the cache."""


def first_to_rows(x: Tensor, rows: Tensor, size: int) -> Tensor:
    """Return rows that hold the first token that names them, bit by bit, or zero."""
    routes = slot_routes(rows, size)
    tokens = torch.where(routes < 0, -1, routes // max(1, rows.shape[1]))
    if not eager(x, tokens):
        return _taken(x, tokens)
    if not (x.requires_grad and torch.is_grad_enabled()):
        return _moved(x, tokens)
    flat = torch.arange(rows.numel(), device=rows.device).view_as(rows)
    first = routes[rows.clamp(min=0)] == flat if routes.numel() else rows >= 0
    return apply(_Take, x, tokens, torch.where(first, rows, -1))


def weighted_rows(y: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return for every token the weighted sum of the rows that it names; a row of -1 is none and is not read."""
    if eager(y, weights, rows):
        return apply(_Combine, y, weights, rows)
    wide = wide_type(y, weights)
    if not y.shape[0]:
        return y.new_zeros(rows.shape[0], y.shape[1])
    kept = (rows >= 0)[:, :, None]
    read = torch.where(kept, embedding(rows.clamp(min=0), y.to(wide)), 0)  # t k d
    return (read * torch.where(kept, weights.to(wide)[:, :, None], 0)).sum(1).to(y.dtype)


def slot_routes(slots: Tensor, count: int) -> Tensor:
    """Return the first flat route of every slot; -1 where it has none."""
    if in_numpy(slots):
        return torch.from_numpy(on_numpy.slot_routes(slots.numpy(), count))
    none = slots.numel()
    routes = torch.arange(none, device=slots.device)
    target = torch.where(slots < 0, count, slots).reshape(-1)
    first = torch.full((count + 1,), none, device=slots.device).scatter_reduce(0, target, routes, "amin")[:count]
    return torch.where(first == none, -1, first)


def wide_type(*tensors: Tensor) -> torch.dtype:
    """Return the dtype in which these are added up."""
    wide = torch.float32
    for x in tensors:
        wide = torch.promote_types(wide, x.dtype)
    return wide


def apply(function: type[Function], *args: Any) -> Tensor:
    """Apply a function that has its own gradient."""
    found: Tensor = function.apply(*args)  # type: ignore[no-untyped-call]  # PyTorch has no types here
    return found


class _Take(Function):
    """Rows of tokens; the gradient of a token is the sum over the rows that it went to."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(tokens, rows)
        return _moved(x, tokens)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return apply(_Combine, g, None, ctx.saved_tensors[1]), None, None


class _Combine(Function):
    """Weighted sums of the rows that tokens name."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, weights: Tensor | None, rows: Tensor) -> Tensor:
        ctx.save_for_backward(y, weights, rows)
        return _combined(y, weights, rows)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        y, weights, rows = ctx.saved_tensors
        gy = apply(_Spread, g, weights, rows, y.shape[0]) if ctx.needs_input_grad[0] else None
        return gy, apply(_Dots, y, g, rows, weights.dtype) if ctx.needs_input_grad[1] else None, None


class _Spread(Function):
    """Weighted tokens, summed into the rows that they name, in the order of routes."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weights: Tensor | None, rows: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(g, weights, rows)
        wide = wide_type(g) if weights is None else wide_type(g, weights)
        routes, starts = _by_row(rows, size)
        factors = None if weights is None else weights.to(wide).reshape(-1)[routes]
        return _bags(g.to(wide), factors, routes // max(1, rows.shape[1]), starts)[:size].to(g.dtype)

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        g, weights, rows = ctx.saved_tensors
        gg = apply(_Combine, h, weights, rows) if ctx.needs_input_grad[0] else None
        return gg, apply(_Dots, h, g, rows, weights.dtype) if ctx.needs_input_grad[1] else None, None, None


class _Dots(Function):
    """Products of tokens with the rows that they name."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, g: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(y, g, rows)
        return _dotted(y, g, rows).to(dtype)

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        y, g, rows = ctx.saved_tensors
        gy = apply(_Spread, g, h, rows, y.shape[0]) if ctx.needs_input_grad[0] else None
        return gy, apply(_Combine, y, h, rows) if ctx.needs_input_grad[1] else None, None, None


def _taken(x: Tensor, tokens: Tensor) -> Tensor:
    """Return rows by gathers that compilers and transforms know; the gradient is a sum without atomics."""
    if not x.shape[0]:
        return x.new_zeros(tokens.shape[0], x.shape[1])
    read, none = tokens.clamp(min=0), (tokens < 0)[:, None]
    if not x.is_floating_point() or x.itemsize == 1:
        return torch.where(none, x.new_zeros(()), x[read])
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return torch.where(none, 0, embedding(read, wide)).to(x.dtype)


def _moved(x: Tensor, tokens: Tensor) -> Tensor:
    """Return the bits of rows, zero for a token of -1."""
    if not x.shape[0]:
        return x.new_zeros(tokens.shape[0], x.shape[1])
    bits = x.detach().resolve_conj()
    bits = bits if x.is_complex() or x.dtype == torch.bool else bits.view(BITS[x.itemsize])
    if in_numpy(bits):
        y = torch.from_numpy(on_numpy.take_rows(bits.numpy(), tokens.numpy()))
    else:
        y = _clear(bits.index_select(0, tokens.clamp(min=0)), tokens < 0)
    return y.view(x.dtype)


def _combined(y: Tensor, weights: Tensor | None, rows: Tensor) -> Tensor:
    (t, k), d = rows.shape, y.shape[1]
    wide = wide_type(y) if weights is None else wide_type(y, weights)
    kept, cpu = rows >= 0, y.device.type == "cpu"
    factors = kept.to(wide) if weights is None else torch.where(kept, weights.to(wide), 0)
    if cpu and y.dtype == wide:
        counts = kept.sum(1)
        return _bags(y, None if weights is None else factors[kept], rows[kept], counts.cumsum(0) - counts)
    if not y.numel() or not k:
        return y.new_zeros(t, d)
    z, step = y.new_empty(t, d), max(1, BLOCK // d if cpu else t)
    buffer, total = y.new_empty(min(t, step), d), y.new_empty(min(t, step), d, dtype=wide)
    whole = cpu and bool(kept.all())
    for start in range(0, t, step):
        part = slice(start, min(t, start + step))
        read, sums = buffer[: part.stop - start], total[: part.stop - start]
        for j in range(k):
            torch.index_select(y, 0, rows[part, j].clamp(min=0), out=read)
            if not whole:
                _clear(read, ~kept[part, j])
            factor = factors[part, j, None]
            torch.mul(read, factor, out=sums) if j == 0 else sums.addcmul_(read, factor)
        z[part] = sums
    return z


def _clear(x: Tensor, rows: Tensor) -> Tensor:
    """Set some rows to 0; on a CPU only these are met."""
    return x.index_fill_(0, rows.nonzero()[:, 0], 0) if x.device.type == "cpu" else x.masked_fill_(rows[:, None], 0)


def _dotted(y: Tensor, g: Tensor, rows: Tensor) -> Tensor:
    if not y.numel():
        return y.new_zeros(rows.shape, dtype=wide_type(y))
    t, k = rows.shape
    route = torch.arange(t * k, device=y.device)
    tensors = g.to(wide_type(y)), y.to(wide_type(y)), rows.clamp(min=0).reshape(-1), route[:: max(1, k)], route // max(1, k)
    dots = torch.ops.aten._embedding_bag_per_sample_weights_backward(*tensors, 0)
    return torch.where(rows >= 0, dots.reshape(t, k), 0)


def _by_row(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return flat routes by the rows that they name, and where those of each row start; the last start is that of none."""
    if in_numpy(rows):
        routes = slot_routes(rows, size)
        held = routes >= 0
        if held.sum() == (rows >= 0).sum():  # no row has several routes
            return routes[held], pad(held.cumsum(0), (1, 0))
    keys, order = torch.where(rows < 0, size, rows).reshape(-1).sort(stable=True)
    return order, torch.searchsorted(keys, torch.arange(size + 1, device=rows.device))


def _bags(x: Tensor, factors: Tensor | None, rows: Tensor, starts: Tensor) -> Tensor:
    """Return weighted sums of consecutive rows, in order."""
    if not x.numel() or not rows.numel():
        return x.new_zeros(starts.shape[0], x.shape[1])
    return embedding_bag(rows, x, starts, mode="sum", per_sample_weights=factors)
