"""The tokens that Megatron-core keeps of four for one expert, which has room for two, by the policy "position"."""

import torch
from megatron.core.transformer.moe.moe_utils import apply_router_token_dropping

chosen = torch.ones(4, 1, dtype=torch.bool)
kept = apply_router_token_dropping(chosen * 1.0, chosen, 1, 0.5, drop_policy="position")[1]
print(kept[:, 0].tolist())
assert kept[:, 0].tolist() == [True, True, False, False]
