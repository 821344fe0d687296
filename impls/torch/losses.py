"""PyTorch: losses that keep experts in use, and the step of a bias that does so without a loss."""

# t tokens, e experts, k choices of a token

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.assignment import expert_counts

__all__ = ["bias_step", "cv_squared", "load_balance", "sequence_load_balance", "z_loss"]

Routes = Literal["first", "all", "mean"]


@op
def load_balance(scores: Tensor, index: Tensor, valid: Tensor, *, routes: Routes = "mean") -> Tensor:
    """Compute load_balance (see its card)."""
    experts, k = scores.shape[1], index.shape[1]
    tokens = _count(valid, scores)
    asked = torch.where(valid[:, None], index.to(torch.int64), -1)  # t k
    load = expert_counts(asked[:, :1] if routes == "first" else asked, experts=experts)
    mass = _valid(scores, valid).sum(0)
    return experts * (load * mass).sum() / (tokens * tokens * (max(k, 1) if routes == "mean" else 1))


@op
def z_loss(logits: Tensor, valid: Tensor) -> Tensor:
    """Compute z_loss (see its card)."""
    total = _valid(logits, valid).logsumexp(1)  # t
    return torch.where(valid, total * total, 0).sum() / _count(valid, logits)


@op
def cv_squared(x: Tensor, *, ddof: int = 0, eps: float = 0.0) -> Tensor:
    """Compute cv_squared (see its card)."""
    wide = x.to(_wide(x))
    if len(x) <= ddof:
        return wide.new_zeros(())
    mean = wide.mean()
    variance = (wide - mean).square().sum() / (len(x) - ddof)
    constant = variance == 0
    return torch.where(constant, 0, variance / torch.where(constant, 1, mean * mean + eps))


@op
def bias_step(bias: Tensor, counts: Tensor, *, rate: float) -> Tensor:
    """Compute bias_step (see its card)."""
    n = counts.to(torch.int64)
    sign = torch.sign(n.sum() - len(n) * n)  # of mean - count, on integers
    wide = bias.to(_wide(bias))
    return torch.where(sign == 0, wide, wide + rate * sign.to(wide.dtype)).to(bias.dtype)


@op
def sequence_load_balance(
    scores: Tensor, index: Tensor, valid: Tensor, *, scores_are: Literal["share", "raw"] = "share"
) -> Tensor:
    """Compute sequence_load_balance (see its card)."""
    (b, _, experts), k = scores.shape, index.shape[2]
    wide = torch.where(valid[:, :, None], scores.to(_wide(scores)), 0)
    if scores_are == "share":
        total = wide.sum(2, keepdim=True)
        wide = torch.where(total != 0, wide / torch.where(total != 0, total, 1), 0)
    tokens = valid.sum(1).clamp(min=1).to(wide.dtype)  # b
    hit = (index.long()[:, :, :, None] == torch.arange(experts, device=index.device)) & valid[:, :, None, None]
    load = hit.sum((1, 2)).to(wide.dtype)  # b e
    return experts * ((load * wide.sum(1)).sum(1) / (tokens * tokens)).sum() / (max(k, 1) * max(b, 1))


def _valid(x: Tensor, valid: Tensor) -> Tensor:
    """Return what the valid tokens have, and 0 for the rest, which is not read."""
    return torch.where(valid[:, None], x.to(_wide(x)), 0)


def _count(valid: Tensor, x: Tensor) -> Tensor:
    return valid.sum().clamp(min=1).to(_wide(x))


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
