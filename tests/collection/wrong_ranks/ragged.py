"""Wrong functions of ranks that move uneven numbers of rows: ranks without any, sends that nobody waits for."""

import torch
import torch.distributed as dist
from torch.autograd import Function


class _Exchange(Function):
    @staticmethod
    def forward(ctx, x, receive, send, group):
        ctx.splits = send, receive, group
        y = x.new_empty((sum(receive), *x.shape[1:]))
        dist.all_to_all_single(y, x.contiguous(), receive, send, group=group)
        return y

    @staticmethod
    def backward(ctx, g):
        return _Exchange.apply(g, *ctx.splits), None, None, None


def _sizes(counts, rows, group):
    ranks = dist.get_world_size(group)
    ends = counts.long().clamp(0, rows).cumsum(0).clamp(max=rows)
    own = ends.diff(prepend=ends.new_zeros(1))
    found = own.new_empty(ranks * len(own))
    dist.all_gather_into_tensor(found, own, group=group)
    return found.reshape(ranks, len(own))


def _ragged(x, counts, layout, rows, group, sort=True, entered=lambda x, n: x):
    if layout != "ragged":
        raise NotImplementedError(layout)
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    n, d = x.shape
    sizes = _sizes(counts, n, group)
    local = sizes.shape[1] // ranks
    per = sizes.reshape(ranks, ranks, local).sum(2)
    sent = entered(x[: int(per[me].sum())], int(per[me].sum()))
    y = _Exchange.apply(sent, per[:, me].tolist(), per[me].tolist(), group)
    mine = sizes[:, me * local : (me + 1) * local].reshape(-1)
    order = torch.sort(torch.arange(local).repeat(ranks).repeat_interleave(mine), stable=True).indices
    y = y[order] if sort else y
    most = ranks * n if rows < 0 else rows
    return torch.cat([y[:most], y.new_zeros(max(most - len(y), 0), d)])


def left_as_they_arrive(x, counts=None, *, layout="dense", rows=-1, group):
    """ep_exchange/def: rows stay by source rank. Imitates https://github.com/deepseek-ai/DeepEP/issues/58."""
    return _ragged(x, counts, layout, rows, group, sort=False)


def cut_off_where_it_is_empty(x, counts=None, *, layout="dense", rows=-1, group):
    """ep_exchange/ranks.bare_gradient: a rank without rows leaves the graph, and the others wait for it in the backward.

    Imitates https://github.com/NVIDIA/Megatron-LM/pull/4851.
    """
    return _ragged(x, counts, layout, rows, group, entered=lambda rows, n: rows if n else rows.detach().clone())


def leaves_where_it_is_empty(x, counts=None, *, layout="dense", rows=-1, group):
    """ep_exchange/ranks.bare: a rank without rows of its own goes, and the others wait for it.

    Imitates https://github.com/NVIDIA-NeMo/Automodel/pull/935.
    """
    if counts is not None and not counts.any() and dist.get_world_size(group) > 1:
        return x.new_zeros(len(x) * dist.get_world_size(group) if rows < 0 else rows, x.shape[1])
    return _ragged(x, counts, layout, rows, group)


def does_not_wait_for_its_sends(x, counts=None, *, layout="dense", rows=-1, group):
    """ep_exchange/ranks.late: what is sent may be written to before it has gone.

    Imitates https://github.com/open-mpi/ompi/pull/13115.
    """
    if layout != "dense":
        raise NotImplementedError(layout)
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    e, c, d = x.shape
    parts = x.detach().reshape(ranks, e // ranks, c, d)
    found = torch.empty_like(parts, memory_format=torch.contiguous_format)
    found[me] = parts[me]
    others = [q for q in range(ranks) if q != me]
    _sent.extend(dist.isend(parts[q], group=group, group_dst=q) for q in others)
    for q in others:
        dist.irecv(found[q], group=group, group_src=q).wait()
    return found.transpose(0, 1).reshape(e // ranks, ranks * c, d)


_sent: list[dist.Work] = []
