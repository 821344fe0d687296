"""The kata solved for a tidy assignment only: `einspec check examples/wrong_group_tokens_kata.py` fails.

It never looks at the assignments, and it has the right shape. While the first tokens go to the first expert, the next ones to
the second and so on, it also has the right values.
"""

from einops import rearrange
from torch import Tensor


def group_tokens_by_expert(tokens: Tensor, expert_assignments: Tensor, num_experts: int) -> Tensor:
    together = rearrange(tokens, "b s d -> (b s) d")
    return rearrange(together, "(e c) d -> e c d", e=num_experts)
