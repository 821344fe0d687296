"""PyTorch: Soft MoE, where every slot of an expert is a mean of all tokens."""

# t tokens, e experts, s slots of an expert, d features

from __future__ import annotations

import torch
from torch import Tensor

from einspec.impls.checked_torch import op

__all__ = ["soft_combine", "soft_dispatch", "soft_weights"]


@op
def soft_weights(logits: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Compute soft_weights (see its card)."""
    x, row = logits.to(torch.promote_types(logits.dtype, torch.float32)), valid[:, None, None]
    dispatch = torch.where(row, x, -torch.inf).softmax(0)
    combine = torch.where(row, x, 0).flatten(1).softmax(1).reshape(x.shape)
    return torch.where(row, dispatch, 0), torch.where(row, combine, 0)


@op
def soft_dispatch(x: Tensor, dispatch: Tensor) -> Tensor:
    """Compute soft_dispatch (see its card)."""
    wide = _accumulator(x, dispatch)
    read = torch.where(_used(dispatch)[:, None], x.to(wide), 0)
    return torch.einsum("tes,td->esd", dispatch.to(wide), read).to(x.dtype)


@op
def soft_combine(y: Tensor, combine: Tensor) -> Tensor:
    """Compute soft_combine (see its card)."""
    wide = _accumulator(y, combine)
    z = torch.einsum("tes,esd->td", combine.to(wide), y.to(wide))
    return torch.where(_used(combine)[:, None], z, 0).to(y.dtype)


def _used(weights: Tensor) -> Tensor:
    """Return which tokens have a weight other than 0: the rest are not read and not written."""
    return (weights != 0).flatten(1).any(1)  # t


def _accumulator(x: Tensor, weights: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(x.dtype, weights.dtype), torch.float32)
