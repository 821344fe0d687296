"""Expert choice, step by step: five experts choose 20 of the 100 tokens of each sequence.

Editors run what stands between two `# %%` as the cell of a notebook.
"""

# %% Five sequences of 100 tokens of 4 features; five experts, capacity factor 1
from functools import partial

import torch
from einops import rearrange
from torch.nn import functional

from einspec.impls import torch as ops

torch.manual_seed(0)
batch, tokens, dim, hidden, experts = 5, 100, 4, 16, 5
x = torch.randn(batch, tokens, dim)  # b t d
gate = torch.randn(dim, experts)
w1 = torch.randn(experts, dim, hidden)
w2 = torch.randn(experts, hidden, dim)
capacity = ops.capacity(tokens=tokens, k=1, experts=experts, factor=1)
print("tokens of an expert:", capacity)

# %% The gate scores every token for every expert: a softmax over the experts
logits = x @ gate  # b t e
probs = logits.softmax(dim=-1)
print("scores:", list(probs.shape))

# %% Every expert takes the 20 tokens that score highest with it
weights, chosen = rearrange(probs, "b t e -> b e t").topk(capacity, dim=-1)  # b e c
print("chosen:", list(chosen.shape))

op_weights, op_chosen = torch.func.vmap(partial(ops.expert_choice, capacity=capacity, softmax="experts"))(logits)
assert torch.equal(chosen, op_chosen.long())
torch.testing.assert_close(weights, op_weights)
print("expert_choice chooses the same")

# %% Extract the tokens with a one-hot mask, by einsum and by matmul
mask = functional.one_hot(chosen, tokens).to(x.dtype)  # b e c t
taken = torch.einsum("bect,btd->becd", mask, x)
assert torch.equal(taken, mask @ rearrange(x, "b t d -> b 1 t d"))
assert torch.equal(taken, torch.stack([x[b, chosen[b]] for b in range(batch)]))
print("extracted:", list(taken.shape), "by einsum, by matmul and by indexing alike")

# %% Two layers with GELU, all experts at once
inner = functional.gelu(torch.einsum("becd,edh->bech", taken, w1))
y = torch.einsum("bech,ehd->becd", inner, w2)

rows = ops.expert_mlp(rearrange(taken, "b e c d -> e (b c) d"), w1, w2, kind="gelu")
torch.testing.assert_close(y, rearrange(rows, "e (b c) d -> b e c d", b=batch))
print("expert_mlp computes the same")

# %% Weigh what the experts say and bring it back to the tokens, by einsum and by matmul
weighted = y * weights[..., None]
z = torch.einsum("becd,bect->btd", weighted, mask)
torch.testing.assert_close(z, rearrange(mask, "b e c t -> b t (e c)") @ rearrange(weighted, "b e c d -> b (e c) d"))

combine_mask = rearrange(mask * weights[..., None], "b e c t -> b t e c")
torch.testing.assert_close(z, torch.func.vmap(ops.combine_by_mask)(y, combine_mask))
print("combined:", list(z.shape), "by einsum, by matmul and by combine_by_mask alike")

# %% Every expert is full, but a token may be chosen by several experts or by none; what none chose comes back as zero
times = mask.sum((1, 2))  # b t
print("tokens chosen by 0, 1, ... experts:", torch.bincount(times.long().flatten()).tolist())
assert (z[times == 0] == 0).all()
