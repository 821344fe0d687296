"""Dispatch by einsum: three tokens into two slots of each of two experts, and a picture of it.

`python examples/dispatch_einsum.py routing.png` writes the picture.
"""

import sys

import torch

from einspec import plot
from einspec.impls import torch as ops

x = torch.tensor([[1.0], [2.0], [3.0]]).expand(3, 4)  # s m: token s holds s + 1 in all its features
expert = torch.tensor([[0], [1], [0]])  # s 1: one expert for each token

slot = ops.position(expert, experts=2)  # how many tokens before it go to the same expert
mask = ops.dispatch_mask(expert, slot, experts=2, capacity=2)  # s e c: token s goes to slot c of expert e
print("mask", mask.int().tolist())

dispatched = torch.einsum("sec,sm->ecm", mask.to(x.dtype), x)
print("dispatched", dispatched[..., 0].tolist(), "in each of", dispatched.shape[2], "features")

# The same without the sum: a mask is for teaching and for small sizes, as it has tokens * experts * capacity elements.
assert torch.equal(dispatched, ops.dispatch_by_mask(x, mask))
assert torch.equal(dispatched, ops.dispatch(x, expert, slot, experts=2, capacity=2))
print("dispatch_by_mask and dispatch agree with einsum")

# What einsum multiplies by zero it still reads: 0 * NaN is NaN. The ops never read what is not routed.
bad = x.clone()
bad[1] = torch.nan  # token 1 is expert 1's alone
print(
    "with NaN in token 1, expert 0 gets NaN from einsum:",
    torch.einsum("sec,sm->ecm", mask.to(x.dtype), bad)[0].isnan().any().item(),
)
print("with NaN in token 1, expert 0 gets NaN from the op:", ops.dispatch_by_mask(bad, mask)[0].isnan().any().item())

if len(sys.argv) > 1:
    plot.routing(mask).figure.savefig(sys.argv[1])
    print("picture in", sys.argv[1])
