"""Right functions of ranks on torch.distributed: raw collectives, functional ones, a mesh, other ways to the same rows."""

import torch
import torch.distributed as dist
from torch.autograd import Function
from torch.distributed import _functional_collectives as functional
from torch.distributed.device_mesh import DeviceMesh


class _Exchange(Function):
    """Rows to other ranks with uneven splits; its transpose is the same with the splits swapped."""

    @staticmethod
    def forward(ctx, x, receive, send, group):
        ctx.splits = send, receive, group
        y = x.new_empty((sum(receive), *x.shape[1:]))
        dist.all_to_all_single(y, x.contiguous(), receive, send, group=group)
        return y

    @staticmethod
    def backward(ctx, g):
        return _Exchange.apply(g, *ctx.splits), None, None, None


def _gathered(counts, group):
    ranks = dist.get_world_size(group)
    found = counts.new_empty(ranks * len(counts))
    dist.all_gather_into_tensor(found, counts.contiguous(), group=group)
    return found.reshape(ranks, len(counts))


def _sizes(counts, rows, group):
    """Rows of each rank for each expert, cut where the rows end: p e."""
    ends = counts.long().clamp(0, rows).cumsum(0).clamp(max=rows)
    return _gathered(ends.diff(prepend=ends.new_zeros(1)), group)


def _by_expert(sizes, me):
    """The order of rows by expert that come by source rank, then expert: n."""
    ranks, local = len(sizes), sizes.shape[1] // len(sizes)
    mine = sizes[:, me * local : (me + 1) * local]
    return torch.sort(torch.arange(local).repeat(ranks).repeat_interleave(mine.reshape(-1)), stable=True).indices


def plan(counts, *, group):
    """ep_plan: all counts gathered, sums of what comes before."""
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    send = _gathered(counts.long().clamp(min=0).reshape(ranks, len(counts) // ranks).sum(1), group)
    inside, outside = send.cumsum(1) - send, send.cumsum(0) - send
    return tuple(t.to(torch.int32) for t in (send[me], send[:, me], inside[me], outside[me]))


def exchange(x, counts=None, *, layout="dense", rows=-1, group):
    """ep_exchange: raw all_to_all_single in an autograd.Function, then a stable sort."""
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    if layout == "dense":
        e, c, d = x.shape
        y = _Exchange.apply(x.reshape(ranks, e // ranks * c * d), [1] * ranks, [1] * ranks, group)
        return y.reshape(ranks, e // ranks, c, d).transpose(0, 1).reshape(e // ranks, ranks * c, d)
    n, d = x.shape
    sizes = _sizes(counts, n, group)
    per = sizes.reshape(ranks, ranks, sizes.shape[1] // ranks).sum(2)
    y = _Exchange.apply(x[: int(per[me].sum())], per[:, me].tolist(), per[me].tolist(), group)
    y = y[_by_expert(sizes, me)]
    most = ranks * n if rows < 0 else rows
    return torch.cat([y[:most], y.new_zeros(max(most - len(y), 0), d)])


def functional_exchange(x, *, layout="dense", group):
    """ep_exchange: a functional collective, slots alone; it refuses the other layout."""
    if layout != "dense":
        raise NotImplementedError(layout)
    ranks = dist.get_world_size(group)
    e, c, d = x.shape
    if x.requires_grad:
        y = functional.all_to_all_single_autograd(x.contiguous(), [e // ranks] * ranks, [e // ranks] * ranks, group)
    else:
        y = functional.all_to_all_single(x.contiguous(), [e // ranks] * ranks, [e // ranks] * ranks, group)
    return y.reshape(ranks, e // ranks, c, d).transpose(0, 1).reshape(e // ranks, ranks * c, d)


def without_gradient(x, *, layout="dense", group):
    """ep_exchange: a plain collective, which gives no gradient and says so to who asks for one."""
    if layout != "dense":
        raise NotImplementedError(layout)
    ranks = dist.get_world_size(group)
    e, c, d = x.shape
    if e % ranks:
        raise ValueError("the experts do not divide")  # before anything is sent: of another size it ends who receives it
    y = torch.empty_like(x, memory_format=torch.contiguous_format, requires_grad=False)
    work = dist.all_to_all_single(y, x.detach().contiguous(), group=group, async_op=True)
    work.wait()
    return y.reshape(ranks, e // ranks, c, d).transpose(0, 1).reshape(e // ranks, ranks * c, d)


def on_a_mesh(counts, *, group: DeviceMesh):
    """ep_plan: a mesh in the place of a group."""
    return plan(counts, group=group.get_group())


def with_one_send_after_the_other(counts, *, group):
    """ep_plan: sends and receives between pairs, none waited for before all are begun."""
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    sent = counts.long().clamp(min=0).reshape(ranks, len(counts) // ranks).sum(1)
    rows = [torch.zeros(ranks, dtype=torch.long) for _ in range(ranks)]
    rows[me] = sent
    others = [q for q in range(ranks) if q != me]
    ops = [dist.P2POp(dist.isend, sent, group=group, group_peer=q) for q in others]
    ops += [dist.P2POp(dist.irecv, rows[q], group=group, group_peer=q) for q in others]
    for work in dist.batch_isend_irecv(ops) if ops else []:
        work.wait()
    send = torch.stack(rows)
    inside, outside = send.cumsum(1) - send, send.cumsum(0) - send
    return tuple(t.to(torch.int32) for t in (send[me], send[:, me], inside[me], outside[me]))


def cut_off(x, *, group):
    """all_to_all: a raw collective, through which neither gradients nor tangents go."""
    if len(x) % dist.get_world_size(group):
        raise ValueError("each rank needs a block of its own")
    y = torch.empty(x.shape, dtype=x.dtype)
    dist.all_to_all_single(y, x.contiguous(), group=group)
    return y
