"""Wrong functions of ranks that move rows: order, memory, gradients."""

import torch
import torch.distributed as dist
from torch.autograd import Function


class _Exchange(Function):
    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        y = torch.empty_like(x)
        dist.all_to_all_single(y, x.contiguous(), group=group)
        return y

    @staticmethod
    def backward(ctx, g):
        return _Exchange.apply(g, ctx.group), None


class _OneWay(_Exchange):
    @staticmethod
    def backward(ctx, g):
        return g, None


class _Times(_Exchange):
    @staticmethod
    def backward(ctx, g):
        return _Exchange.apply(g, ctx.group) * dist.get_world_size(ctx.group), None


def _dense(x, layout, group, exchange=_Exchange, transposed=True):
    if layout != "dense":
        raise NotImplementedError(layout)
    ranks = dist.get_world_size(group)
    e, c, d = x.shape
    y = exchange.apply(x, group).reshape(ranks, e // ranks, c, d)
    return (y.transpose(0, 1) if transposed else y).reshape(e // ranks, ranks * c, d)


def without_transpose(x, *, layout="dense", group):
    """ep_exchange/def: what arrives by rank is read as if it came by expert.

    Imitates https://github.com/deepspeedai/DeepSpeed/pull/5664.
    """
    return _dense(x, layout, group, transposed=False)


def backward_without_exchange(x, *, layout="dense", group):
    """ep_exchange/grad.x: cotangents stay where they are. Imitates https://github.com/Dao-AILab/flash-attention/issues/1244."""
    return _dense(x, layout, group, _OneWay)


def backward_times_ranks(x, *, layout="dense", group):
    """ep_exchange/grad.x: the gradient is as many times as there are ranks.

    Imitates https://github.com/pytorch/pytorch/issues/160285.
    """
    return _dense(x, layout, group, _Times)


def reads_memory_as_it_lies(x, *, layout="dense", group):
    """ep_exchange/layout.transposed: what is sent is read in the order of memory.

    Imitates https://github.com/pytorch/pytorch/pull/141816.
    """
    if not x.is_contiguous():
        x = torch.as_strided(x, x.shape, torch.empty(x.shape).stride(), x.storage_offset())
    return _dense(x, layout, group)


def changes_its_input(x, *, layout="dense", group):
    """ep_exchange/pure: what arrives is put where what was sent stood. Constructed."""
    if layout != "dense":
        raise NotImplementedError(layout)
    ranks = dist.get_world_size(group)
    e, c, d = x.shape
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    dist.all_to_all_single(y, x.detach().contiguous(), group=group)
    x.detach().copy_(y)
    return y.reshape(ranks, e // ranks, c, d).transpose(0, 1).reshape(e // ranks, ranks * c, d)
