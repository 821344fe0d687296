"""Wrong functions of ranks whose result all ranks have alike."""

import torch
import torch.distributed as dist


def not_the_same_everywhere(y, *, order="zigzag", group):
    """context_parallel_merge/ranks.alike: the first rank has numbers of its own, which no other one gets.

    Imitates https://github.com/NVIDIA/FasterTransformer/pull/672.
    """
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    if order != "contiguous":
        raise NotImplementedError(order)
    parts = [torch.empty_like(y, memory_format=torch.contiguous_format) for _ in range(ranks)]
    dist.all_gather(parts, y.detach().contiguous(), group=group)
    found = torch.cat(parts, 1)
    return found + 1 if me == 0 and ranks > 1 else found
