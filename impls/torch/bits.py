"""Integers for dtypes that PyTorch has too few kernels for."""

from __future__ import annotations

from collections.abc import Callable

import torch

SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""The dtype in which a sum of integers, which wraps, has the same bits."""


def signed(x: torch.Tensor) -> torch.Tensor:
    """Return the bits of a tensor as signed integers where its dtype cannot be added."""
    return x.view(SIGNED[x.dtype]) if x.dtype in SIGNED else x


def moved(x: torch.Tensor, move: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return what a function that only moves elements gives, in any dtype: float8 and unsigned integers move as signed bits."""
    bits = x.view(torch.int8) if x.is_floating_point() and x.itemsize == 1 else signed(x)
    return move(bits) if bits is x else move(bits).view(x.dtype)
