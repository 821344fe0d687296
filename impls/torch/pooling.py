"""Pooling in PyTorch."""  # b batch, c channels, h w pixels or blocks down and across, p q inside a block

from __future__ import annotations

import torch

from einspec.impls.torch.checked import op

Pair = int | tuple[int, int]

UNSIGNED = (torch.uint16, torch.uint32)
"""What PyTorch has no maximum of and int64 can hold."""
LEAST = -(2**63)


@op
def global_avg_pool(x: torch.Tensor) -> torch.Tensor:
    """Compute global_avg_pool (see its card)."""
    return _mean(x, (2, 3))  # b c


@op
def global_max_pool(x: torch.Tensor) -> torch.Tensor:
    """Compute global_max_pool (see its card)."""
    return _max(x, (2, 3))  # b c


@op
def channel_max_pool(x: torch.Tensor) -> torch.Tensor:
    """Compute channel_max_pool (see its card)."""
    return _max(x, (1,))  # b h w


@op
def maxout(x: torch.Tensor, *, pool_size: int) -> torch.Tensor:
    """Compute maxout (see its card)."""
    b, channels, h, w = x.shape
    return _max(x.reshape(b, channels // pool_size, pool_size, h, w), (2,))  # b c h w


@op
def avg_pool_blocks(x: torch.Tensor, *, kernel_size: Pair) -> torch.Tensor:
    """Compute avg_pool_blocks (see its card)."""
    return _mean(_blocks(x, kernel_size), (3, 5))  # b c h w


@op
def max_pool_blocks(x: torch.Tensor, *, kernel_size: Pair) -> torch.Tensor:
    """Compute max_pool_blocks (see its card)."""
    return _max(_blocks(x, kernel_size), (3, 5))  # b c h w


def _blocks(x: torch.Tensor, kernel_size: Pair) -> torch.Tensor:
    p, q = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    b, c, height, width = x.shape
    return x.reshape(b, c, height // p, p, width // q, q)  # b c h p w q


def _mean(x: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    return x.mean(dims, dtype=torch.promote_types(x.dtype, torch.float32)).to(x.dtype)


def _max(x: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    if x.is_floating_point() and x.dtype.itemsize == 1:
        return x.to(torch.float32).amax(dims).to(x.dtype)
    if x.dtype in UNSIGNED:
        return x.to(torch.int64).amax(dims).to(x.dtype)
    if x.dtype == torch.uint64:
        return ((x.view(torch.int64) ^ LEAST).amax(dims) ^ LEAST).view(torch.uint64)
    return x.amax(dims)
