"""The z-loss of Megatron-core, with a NaN in a token that is padding."""

import torch
from megatron.core.transformer.moe.moe_utils import z_loss_func

logits = torch.tensor([[1.0, 2.0], [torch.nan, 0.0]])
got = z_loss_func(logits, 1.0, padding_mask=torch.tensor([False, True])).item()
print(got)
assert got == z_loss_func(logits[:1], 1.0).item()
