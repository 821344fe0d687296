"""Three katas of a mixture of experts: `einspec check examples/moe_katas.py` passes.

A gate chooses k experts for each token, the experts work side by side in one product, and their outputs come back to the
tokens. Routes that are not there (expert or place -1) count for nothing, even where an unused place holds NaN.
"""

import torch
from einops import einsum, rearrange


def top_k(x, k):
    if not 0 <= k <= x.shape[1]:
        raise ValueError(f"cannot choose {k} of {x.shape[1]}")
    value, index = x.sort(dim=1, descending=True, stable=True)  # topk leaves open which of two equal ones it takes
    return value[:, :k], index[:, :k].int()


def gate(logits, k, preset, scale=1.0):
    if preset != "topk_softmax":
        raise NotImplementedError(f"this gate is topk_softmax, not {preset}")
    best, index = top_k(logits.to(torch.promote_types(logits.dtype, torch.float32)), k)
    return best.softmax(dim=1) * scale, index  # softmax of the chosen only: they share a weight of 1


def expert_matmul(x, w):
    return einsum(x, w, "e c d, e d f -> e c f")


def combine(y, weights, index, position):
    experts, capacity, _ = y.shape
    index, position = index.long(), position.long()
    kept = (index >= 0) & (index < experts) & (position >= 0) & (position < capacity)  # t k
    slot = torch.where(kept, index * capacity + position, experts * capacity)  # the slot behind the last is nobody's

    wide = torch.promote_types(torch.promote_types(y.dtype, weights.dtype), torch.float32)
    slots = rearrange(y, "e c d -> (e c) d").to(wide)
    slots = torch.cat([slots, slots.new_zeros(1, y.shape[2])])
    parts = slots[slot] * torch.where(kept, weights, 0).to(wide)[..., None]  # t k d
    return parts.sum(1).to(y.dtype)


if __name__ == "__main__":
    torch.manual_seed(0)
    tokens, experts, dim = 4, 3, 2
    x = torch.randn(tokens, dim)
    weights, index = gate(torch.randn(tokens, experts), k=2, preset="topk_softmax")
    print("experts of each token", index.tolist())
    print("their weights", [[round(w, 2) for w in row] for row in weights.tolist()])

    place = torch.arange(tokens)[:, None].expand(-1, 2)  # room for all: token t has place t with every expert
    matrices = torch.stack([torch.eye(dim) * (e + 1) for e in range(experts)])  # expert e multiplies by e + 1
    y = expert_matmul(x.expand(experts, -1, -1), matrices)
    z = combine(y, weights, index, place)
    factor = (weights * (index + 1)).sum(1, keepdim=True)
    print("each token comes back times the mean of its experts' factors:", torch.allclose(z, factor * x))
