"""The argument checks of the PyTorch backend: not made while torch.compile reads a function, on symbols for sizes."""

from __future__ import annotations

import torch

from einspec.impls.checked import checker

op = checker((torch.Tensor,), torch.compiler.is_compiling)
