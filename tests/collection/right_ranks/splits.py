"""Right functions of ranks that send nothing: each takes its own out of what all have."""

import torch
import torch.distributed as dist


def views(x, *, ranks, order="zigzag", group):
    """context_parallel_split: views of the sequence, where its own tokens lie evenly."""
    me = dist.get_rank(group)
    if order == "contiguous":
        count = x.shape[1] // ranks
        return x[:, me * count : (me + 1) * count]
    if order == "striped":
        return x[:, me::ranks]
    count = x.shape[1] // (2 * ranks)
    front, back = me * count, (2 * ranks - 1 - me) * count
    return torch.cat([x[:, front : front + count], x[:, back : back + count]], 1)
