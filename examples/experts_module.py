"""Experts of three layers as a PyTorch module: dim -> 2 dim -> 4 dim -> dim, LeakyReLU between, one product for all experts.

The op is expert_mlp with kind="leaky_relu"; `einspec check examples/experts_module.py` judges the function behind the module.
A published module of this name declares its second weight as (experts, 4 dim, 4 dim), while its first layer gives 2 dim: no
input fits, its own examples of usage included. A signature that is checked says so.
"""

import torch
from torch import nn
from torch.nn import functional

from einspec import ShapeError
from einspec.impls import torch as ops


def layer(x, w):
    return torch.einsum("end,edf->enf", x, w.to(x.dtype))


def expert_mlp(x, w1, w2, w3=None, *, kind="gelu", slope=0.01):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # rounded to narrower types only once, in the end
    if kind == "gelu":
        hidden = layer(wide, w1)
        y = layer(hidden * torch.special.ndtr(hidden), w2)  # functional.gelu makes NaN of infinity on some CPUs
    elif kind == "leaky_relu":
        hidden = functional.leaky_relu(layer(wide, w1), slope)
        y = layer(functional.leaky_relu(layer(hidden, w2), slope), w3)
    else:
        raise NotImplementedError(f"experts of the kind {kind}")
    return y.to(x.dtype)


class Experts(nn.Module):
    """Map x of e n d to e n d: expert e has its own three matrices for its n rows."""

    def __init__(self, dim, experts=16):
        super().__init__()
        self.w1, self.w2, self.w3 = (
            nn.Parameter(torch.randn(experts, before, after) * before**-0.5)
            for before, after in [(dim, 2 * dim), (2 * dim, 4 * dim), (4 * dim, dim)]
        )

    def forward(self, x):
        return expert_mlp(x, self.w1, self.w2, self.w3, kind="leaky_relu")


if __name__ == "__main__":
    torch.manual_seed(0)
    dim, experts, rows = 8, 4, 3
    x = torch.randn(experts, rows, dim)
    model = Experts(dim, experts)
    y = model(x)
    print("Experts:", list(x.shape), "->", list(y.shape))
    same = torch.allclose(y, ops.expert_mlp(x, model.w1, model.w2, model.w3, kind="leaky_relu"), atol=1e-6)
    print("agrees with expert_mlp:", same)
    assert same

    published = Experts(dim, experts)
    published.w2 = nn.Parameter(torch.randn(experts, 4 * dim, 4 * dim))
    try:
        published(x)
    except RuntimeError as error:
        print("the published shapes in PyTorch:", error, sep="\n")
    try:
        ops.expert_mlp(x, published.w1, published.w2, published.w3, kind="leaky_relu")
    except ShapeError as error:
        print("the published shapes in einspec:", error, sep="\n")
