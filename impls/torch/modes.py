"""In what mode PyTorch runs: eager on plain tensors, or under a compiler or a functional transform."""

from __future__ import annotations

import torch
from torch import Tensor


def eager(*tensors: Tensor) -> bool:
    """Whether these are computed with as they are: no compiler, no functional transform, no subclass."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    return all(type(x) in (Tensor, torch.nn.Parameter) for x in tensors)


def in_numpy(*tensors: Tensor) -> bool:
    """Whether NumPy may work on the memory of these tensors."""
    return eager(*tensors) and all(x.device.type == "cpu" for x in tensors)
