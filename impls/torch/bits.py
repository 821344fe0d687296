"""Bits as integers: for ops that only move or wrap elements, on dtypes that PyTorch has too few kernels for."""

from __future__ import annotations

import torch

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The signed integer dtype of a width in bytes."""

RARE = {torch.uint16, torch.uint32, torch.uint64}
RARE |= {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}


def as_bits(x: torch.Tensor) -> torch.Tensor:
    """Return the tensor, or its bits as signed integers of the same width where its dtype is a rare one."""
    return x.view(INTEGERS[x.dtype.itemsize]) if x.dtype in RARE else x


def from_bits(bits: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return what :func:`as_bits` of a tensor of this dtype stands for."""
    return bits if bits.dtype == dtype else bits.view(dtype)
