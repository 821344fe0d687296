"""The argument checks of the PyTorch backend: left out while torch.compile reads a function, whose sizes are symbols then."""

import torch

from einspec.impls.checked import checker

op = checker(torch.compiler.is_compiling)
