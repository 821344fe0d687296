"""Wrong functions of ranks that plan an exchange: what they count, and how they fall out of step."""

import torch
import torch.distributed as dist


def _gathered(mine, group):
    ranks = dist.get_world_size(group)
    found = mine.new_empty(ranks * len(mine))
    dist.all_gather_into_tensor(found, mine.contiguous(), group=group)
    return found.reshape(ranks, len(mine))


def _mine(counts, group):
    ranks = dist.get_world_size(group)
    return counts.long().clamp(min=0).reshape(ranks, len(counts) // ranks).sum(1)


def _told(send, me):
    inside, outside = send.cumsum(1) - send, send.cumsum(0) - send
    return tuple(t.to(torch.int32) for t in (send[me], send[:, me], inside[me], outside[me]))


def _plan(counts, group):
    return _told(_gathered(_mine(counts, group), group), dist.get_rank(group))


def offsets_of_the_wrong_side(counts, *, group):
    """ep_plan/def: the output offsets are places in the sender. Imitates https://github.com/marin-community/marin/pull/4867."""
    send, receive, inside, _ = _plan(counts, group)
    return send, receive, inside, inside


def skips_where_it_is_empty(counts, *, group):
    """ep_plan/def: a rank without tokens returns at once, and the others wait for it.

    Imitates https://github.com/NVIDIA/Megatron-LM/pull/4851.
    """
    if counts.sum() == 0 and dist.get_world_size(group) > 1:
        nothing = torch.zeros(dist.get_world_size(group), dtype=torch.int32)
        return nothing, nothing, nothing, nothing
    return _plan(counts, group)


def fails_where_it_is_empty(counts, *, group):
    """ep_plan/def: a rank without tokens gives up, and the others wait for it.

    Imitates https://github.com/NVIDIA/Megatron-LM/issues/1877.
    """
    if counts.sum() == 0 and dist.get_world_size(group) > 1:
        raise ValueError("no tokens")
    return _plan(counts, group)


def other_collectives(counts, *, group):
    """ep_plan/def: two collectives come in another order on one rank. Constructed."""
    if dist.get_rank(group) == 1:
        dist.barrier(group)
    found = _plan(counts, group)
    if dist.get_rank(group) != 1 and dist.get_world_size(group) > 1:
        dist.barrier(group)
    return found


def both_receive_first(counts, *, group):
    """ep_plan/def: two ranks wait for each other before they send. Constructed."""
    found = torch.zeros(1)
    if dist.get_world_size(group) > 1 and dist.get_rank(group) < 2:
        other = dist.get_global_rank(group, 1 - dist.get_rank(group))
        dist.irecv(found, other, group=group).wait()
        dist.isend(found, other, group=group).wait()
    return _plan(counts, group)


def right_on_rank_0(counts, *, group):
    """ep_plan/def: what is received is taken from the first row on every rank.

    Imitates https://github.com/vllm-project/vllm-gaudi/pull/1796.
    """
    send, _, inside, outside = _plan(counts, group)
    everything = _gathered(_mine(counts, group), group)
    return send, everything[:, 0].to(torch.int32), inside, outside


def sums_over_ranks(counts, *, group):
    """ep_plan/def: the counts of all ranks are added up where each counts for itself. Constructed."""
    mine = _mine(counts, group)
    dist.all_reduce(mine, group=group)
    return _told(_gathered(mine, group), dist.get_rank(group))


def writes_to_the_counts(counts, *, group):
    """ep_plan/pure: negative counts are cleared in place. Constructed."""
    counts.clamp_(min=-1).sub_(1)
    return _plan(counts + 1, group)


_kept: dict[int, torch.Tensor] = {}


def one_buffer_for_all_calls(counts, *, group):
    """ep_plan/repeat: what is sent stands in a buffer that the next call writes to. Constructed."""
    send, receive, inside, outside = _plan(counts, group)
    buffer = _kept.setdefault(len(send), torch.zeros_like(send))
    buffer.copy_(send)
    return buffer, receive, inside, outside


def world_size_1_is_left_out(counts, *, group):
    """ep_plan/def: one rank alone sends nothing. Imitates https://github.com/deepspeedai/DeepSpeed/pull/8213."""
    if dist.get_world_size(group) == 1:
        nothing = torch.zeros(1, dtype=torch.int32)
        return nothing, nothing, nothing, nothing
    return _plan(counts, group)


def fails_on_one_rank(counts, *, group):
    """ep_plan/err.divides.counts.1: the first rank alone rejects counts that do not divide. Constructed."""
    ranks = dist.get_world_size(group)
    if len(counts) % ranks:
        if dist.get_rank(group) == 0:
            raise ValueError("the experts do not divide")
        counts = counts[: len(counts) // ranks * ranks]
    return _plan(counts, group)


def in_the_default_group(counts, *, group):
    """ep_plan/ranks.group: the group is that of all processes, and that has other counts.

    Imitates https://github.com/feifeibear/long-context-attention/pull/57.
    """
    return _told(_gathered(_mine(counts, group), None)[:, : dist.get_world_size(group)], dist.get_rank(group))


def its_rank_in_the_world(counts, *, group):
    """ep_plan/ranks.group: the rank is that in the world, and raises where the group has fewer.

    Imitates https://github.com/pytorch/torchtitan/pull/2842.
    """
    return _told(_gathered(_mine(counts, group), group), dist.get_rank())


def from_rank_0_of_the_world(counts, *, group):
    """ep_plan/ranks.group: the first rank of the world stands for that of the group, and raises.

    Imitates https://github.com/meta-pytorch/torchrec/pull/4601.
    """
    send = _gathered(_mine(counts, group), group)
    dist.broadcast(send, 0, group=group)
    return _told(send, dist.get_rank(group))


def not_waited_for(counts, *, group):
    """ep_plan/ranks.late: a collective is begun, and what it is to give is read at once. Constructed."""
    ranks, mine = dist.get_world_size(group), _mine(counts, group)
    found = mine.new_zeros(ranks * len(mine))
    dist.all_gather_into_tensor(found, mine, group=group, async_op=True)
    return _told(found.reshape(ranks, ranks), dist.get_rank(group))


def one_collective_more(counts, *, group):
    """ep_plan/ranks.step: the first rank begins a collective that nobody else does. Constructed."""
    found = _plan(counts, group)
    if dist.get_rank(group) == 0 and dist.get_world_size(group) > 1:
        dist.all_reduce(torch.ones(1), group=group, async_op=True)
    return found


def read_after_another_call(counts, *, group):
    """ep_plan/ranks.kept: results of one size share a buffer. Constructed."""
    return one_buffer_for_all_calls(counts, group=group)


def alone_it_sends_nothing(counts, *, group):
    """ep_plan/ranks.one: there is no exchange of one rank. Constructed."""
    return world_size_1_is_left_out(counts, group=group)


def cuts_off_what_does_not_divide(counts, *, group):
    """ep_plan/ranks.error: experts that are left over are left out, by who has any. Constructed."""
    ranks = dist.get_world_size(group)
    return _plan(counts[: len(counts) // ranks * ranks], group)


def asks_the_others_first(counts, *, group):
    """ep_plan/ranks.error: whether the counts divide is asked of all in a way that makes the others wait. Constructed."""
    ranks = dist.get_world_size(group)
    if len(counts) % ranks:
        dist.barrier(group)
        raise ValueError("the experts do not divide")
    return _plan(counts, group)
