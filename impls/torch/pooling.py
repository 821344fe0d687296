"""PyTorch: means and maxima over images, channels and blocks."""

# b batch, c channels, h w pixels or blocks down and across, p q inside a block

from __future__ import annotations

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.params import Pair, each

__all__ = ["avg_pool_blocks", "channel_max_pool", "global_avg_pool", "global_max_pool", "max_pool_blocks", "maxout"]


UNSIGNED = (torch.uint16, torch.uint32)
"""What PyTorch has no maximum of and int64 can hold."""
LEAST = -(2**63)


@op
def global_avg_pool(x: Tensor) -> Tensor:
    """Compute global_avg_pool (see its card)."""
    return x.mean((2, 3), dtype=_wide(x)).to(x.dtype)  # b c


@op
def global_max_pool(x: Tensor) -> Tensor:
    """Compute global_max_pool (see its card)."""
    return _max(x, (2, 3))  # b c


@op
def channel_max_pool(x: Tensor) -> Tensor:
    """Compute channel_max_pool (see its card)."""
    return _max(x, (1,))  # b h w


@op
def maxout(x: Tensor, *, pool_size: int) -> Tensor:
    """Compute maxout (see its card)."""
    b, channels, h, w = x.shape
    return _max(x.reshape(b, channels // pool_size, pool_size, h, w), (2,))  # b c h w


@op
def avg_pool_blocks(x: Tensor, *, kernel_size: Pair) -> Tensor:
    """Compute avg_pool_blocks (see its card)."""
    p, q = each(kernel_size)
    b, c, height, width = x.shape
    rows = x.reshape(b, c, height // p, p, width).sum(3, dtype=_wide(x))  # b c h (w q)
    return (rows.reshape(b, c, height // p, width // q, q).sum(4) / (p * q)).to(x.dtype)  # b c h w


@op
def max_pool_blocks(x: Tensor, *, kernel_size: Pair) -> Tensor:
    """Compute max_pool_blocks (see its card)."""
    p, q = each(kernel_size)
    b, c, height, width = x.shape
    rows = _max(x.reshape(b, c, height // p, p, width), (3,))  # b c h (w q)
    return _max(rows.reshape(b, c, height // p, width // q, q), (4,))  # b c h w


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _max(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    if x.is_floating_point() and x.dtype.itemsize == 1:
        return x.to(torch.float32).amax(dims).to(x.dtype)
    if x.dtype in UNSIGNED:
        return x.to(torch.int64).amax(dims).to(x.dtype)
    if x.dtype == torch.uint64:
        return ((x.view(torch.int64) ^ LEAST).amax(dims) ^ LEAST).view(torch.uint64)
    return x.amax(dims)
