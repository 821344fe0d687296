"""Top-1 gating from logits to loss, combine weights and dispatch mask, judged by a card of one's own.

    einspec check examples/switch_gating.py --cards examples/cards

No card of einspec has this signature, which DeepSpeed and others give their gates: ``cards/switch_gating.toml`` puts it
together from cards that there are.
"""

import torch
from torch.nn import functional


def switch_gating(logits: torch.Tensor, *, capacity: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the loss, the weights and the mask of tokens in the slots of experts."""
    tokens, experts = logits.shape
    scores = functional.softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))  # t e
    index = scores.argmax(1) if experts else scores.sum(1).long()
    chosen = functional.one_hot(index, experts)  # t e
    share, mean = chosen.to(scores.dtype).sum(0) / max(tokens, 1), scores.sum(0) / max(tokens, 1)
    loss = experts * (share * mean).sum()
    place = chosen.cumsum(0) - 1
    dispatched = (chosen[:, :, None] == 1) & (place[:, :, None] == torch.arange(capacity))  # t e c
    combined = torch.where(dispatched, scores[:, :, None], 0)
    return loss, combined, dispatched
