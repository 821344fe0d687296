"""A kata: group tokens by the expert that they are assigned to. `einspec check examples/group_tokens_kata.py` passes.

Every expert gets an equal share of places and takes its tokens in their order, wherever in the batch they stand. Tokens
beyond the share are dropped, places that nobody takes stay zero.
"""

import torch
from einops import rearrange


def group_tokens_by_expert(tokens, expert_assignments, num_experts):
    x = rearrange(tokens, "b s d -> (b s) d")
    expert = rearrange(expert_assignments, "b s -> (b s)").long()
    if num_experts < 1 or len(expert) % num_experts:
        raise ValueError(f"{len(expert)} tokens cannot be shared equally by {num_experts} experts")
    share = len(expert) // num_experts

    mine = expert[:, None] == torch.arange(num_experts, device=x.device)  # t e: token t is assigned to expert e
    place = ((mine.cumsum(0) - 1) * mine).sum(1)  # t: how many tokens before it go to the same expert
    kept = mine.any(1) & (place < share)

    grouped = x.new_zeros(num_experts, share, x.shape[1])
    grouped[expert[kept], place[kept]] = x[kept]
    return grouped


if __name__ == "__main__":
    tokens = torch.arange(1.0, 9.0).reshape(2, 4, 1)  # eight tokens, 1 to 8
    for name, rows in {
        "tidy": [[0, 0, 0, 0], [1, 1, 1, 1]],
        "scattered": [[1, 0, 0, 1], [0, 1, 0, 1]],
        "crowded": [[0, 0, 0, 0], [0, 1, 0, 1]],
    }.items():
        grouped = group_tokens_by_expert(tokens, torch.tensor(rows), 2)
        print(f"{name:9}  assignments {rows}  grouped {grouped[..., 0].int().tolist()}")
