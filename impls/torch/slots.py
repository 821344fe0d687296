"""PyTorch: tokens into the slots of experts and back."""

# b batch, s sequence, t tokens, k choices of a token, e experts, c slots of an expert, d features; flat slot e*C + c

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from einspec.impls.checked_torch import op
from einspec.impls.torch.assignment import position as place
from einspec.impls.torch.assignment import route_slots
from einspec.impls.torch.modes import eager
from einspec.impls.torch.rows import apply, first_to_rows, wide_type
from einspec.impls.torch.rows import weighted_rows as weighted_rows  # others take it from here

__all__ = ["combine", "combine_by_mask", "dispatch", "dispatch_by_mask", "group_tokens"]


@op
def dispatch(x: Tensor, index: Tensor, position: Tensor, *, experts: int, capacity: int) -> Tensor:
    """Compute dispatch (see its card)."""
    d = x.shape[1]
    slots = route_slots(index, position, experts, capacity)
    return first_to_rows(x, slots, experts * capacity).reshape(experts, capacity, d)


@op
def combine(y: Tensor, weights: Tensor, index: Tensor, position: Tensor) -> Tensor:
    """Compute combine (see its card)."""
    e, c, d = y.shape
    return weighted_rows(y.reshape(e * c, d), weights, route_slots(index, position, e, c))


@op
def dispatch_by_mask(x: Tensor, mask: Tensor) -> Tensor:
    """Compute dispatch_by_mask (see its card)."""
    t, e, c = mask.shape
    wide = torch.promote_types(x.dtype, torch.float32)
    return _masked(mask.reshape(t, e * c).t().to(wide), x.to(wide)).to(x.dtype).reshape(e, c, x.shape[1])


@op
def combine_by_mask(y: Tensor, mask: Tensor) -> Tensor:
    """Compute combine_by_mask (see its card)."""
    t, e, c = mask.shape
    wide = wide_type(y, mask)
    return _masked(mask.reshape(t, e * c).to(wide), y.reshape(e * c, y.shape[2]).to(wide)).to(y.dtype)


@op
def group_tokens(x: Tensor, assignments: Tensor, *, num_experts: int) -> Tensor:
    """Compute group_tokens (see its card)."""
    b, s, d = x.shape
    index = assignments.reshape(b * s, 1)
    queue = place(index, experts=num_experts)
    return dispatch(x.reshape(b * s, d), index, queue, experts=num_experts, capacity=b * s // num_experts)


class _Masked(Function):
    """A product of matrices in which a zero of the first annihilates even NaN."""

    @staticmethod
    def forward(ctx: Any, mask: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(mask, y)
        if mask.isfinite().all() and y.isfinite().all():
            return mask @ y
        return _all_cases(mask, y)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        mask, y = ctx.saved_tensors
        gy = apply(_Masked, mask.t(), g) if ctx.needs_input_grad[1] else None
        return torch.where(mask != 0, g @ y.t(), 0) if ctx.needs_input_grad[0] else None, gy


def _masked(mask: Tensor, y: Tensor) -> Tensor:
    return apply(_Masked, mask, y) if eager(mask, y) else _all_cases(mask, y)


def _all_cases(mask: Tensor, y: Tensor) -> Tensor:
    """Return the product where either may hold NaN and infinities: these are counted apart."""
    finite = torch.where(mask.isfinite() & (mask != 0), mask, 0) @ torch.where(y.isfinite(), y, 0)
    inf = float("inf")
    signs = torch.cat([mask > 0, mask < 0, mask == inf, mask == -inf], 1).to(y.dtype)
    up = signs @ torch.cat([y == inf, y == -inf, y > 0, y < 0]).to(y.dtype) > 0
    down = signs @ torch.cat([y == -inf, y == inf, y < 0, y > 0]).to(y.dtype) > 0
    any_nan = torch.cat([mask != 0, mask.isnan(), mask.isinf()], 1).to(y.dtype)
    lost = any_nan @ torch.cat([y.isnan(), torch.ones_like(y, dtype=torch.bool), y == 0]).to(y.dtype) > 0
    extra = torch.where(up, inf, torch.where(down, -inf, 0.0))
    return finite + torch.where(lost | (up & down), float("nan"), extra).to(y.dtype)
