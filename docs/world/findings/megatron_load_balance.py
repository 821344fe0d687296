"""The load-balancing loss of Megatron-core, with a NaN in a token that is padding."""

import torch
from megatron.core.transformer.moe.moe_utils import switch_load_balancing_loss_func

scores, counts = torch.tensor([[0.75, 0.25], [torch.nan, torch.nan]]), torch.tensor([1, 0])
got = switch_load_balancing_loss_func(scores, counts, 1, 1, 2, 1.0, padding_mask=torch.tensor([True, False])).item()
print(got)
assert got == switch_load_balancing_loss_func(scores[:1], counts, 1, 1, 2, 1.0).item()
