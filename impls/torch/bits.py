"""Integers for dtypes that PyTorch has too few kernels for."""

from __future__ import annotations

import torch

SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""The dtype in which a sum of integers, which wraps, has the same bits."""


def signed(x: torch.Tensor) -> torch.Tensor:
    """Return the bits of a tensor as signed integers where its dtype cannot be added."""
    return x.view(SIGNED[x.dtype]) if x.dtype in SIGNED else x
