"""PyTorch: results that are no view of an input."""

from __future__ import annotations

import torch
from torch import Tensor

from einspec.impls.torch.modes import eager


def unshared(y: Tensor, *inputs: Tensor) -> Tensor:
    """Return the result, copied where it is memory of an input; compilers and transforms make results of their own."""
    if not eager(y, *inputs):
        return y
    memory = y.untyped_storage().data_ptr()
    shared = any(x.untyped_storage().data_ptr() == memory for x in inputs)
    return y.clone(memory_format=torch.contiguous_format) if shared else y
