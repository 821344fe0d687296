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
