"""The experts of NLLB-MoE in transformers that run, beside those that its router chooses."""

import torch
from transformers import NllbMoeConfig
from transformers.models.nllb_moe.modeling_nllb_moe import NllbMoeSparseMLP

torch.manual_seed(0)
layer = NllbMoeSparseMLP(NllbMoeConfig(num_experts=4, d_model=4, expert_capacity=8), 8).eval()
ran = set()
for name, expert in layer.experts.items():
    if name.startswith("expert_"):
        expert.register_forward_hook(lambda *_, number=int(name[7:]): ran.add(number))
x = torch.randn(1, 16, 4)
chosen = layer.router(x[0])[1].nonzero()[:, 1].unique().tolist()
layer(x)
print(f"chosen {chosen}, ran {sorted(ran)}")
assert chosen == sorted(ran)
