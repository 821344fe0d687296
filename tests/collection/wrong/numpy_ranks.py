"""Wrong exchanges between ranks in NumPy, as functions of all ranks at once."""

import numpy as np

FRAMEWORK = "numpy"


def two_ranks_alone(x):
    """all_to_all/def: delivers what the first two ranks sent, and leaves zeros in the places of the others.

    Imitates https://github.com/candle-org/MindAct/pull/2498.
    """
    p, rows, *rest = x.shape
    if rows % p:
        raise ValueError("rows")
    blocks = x.reshape(p, p, rows // p, *rest)
    y = np.zeros_like(blocks)
    y[:, :2] = blocks.swapaxes(0, 1)[:, :2]
    return y.reshape(x.shape)


def last_row_is_padding(x):
    """all_gather/def: gives zeros for the last row of a rank that has an odd number of them.

    Imitates https://github.com/pytorch/pytorch/pull/194457.
    """
    rows = np.array(x)
    if rows.shape[1] % 2:
        rows[:, -1] = 0
    return np.stack([rows.reshape(-1, *x.shape[2:])] * len(x))


def right_on_rank_0(x):
    """all_reduce/def: leaves every other rank than the first with what it had.

    Imitates https://github.com/NVIDIA/FasterTransformer/pull/672.
    """
    y = np.array(x)
    y[0] = x.sum(0, dtype=x.dtype)
    return y


def reduces_twice(x):
    """all_reduce/def: adds up what was added up already.

    Imitates https://github.com/Avarok-Cybersecurity/atlas/pull/240.
    """
    total = x.sum(0, dtype=x.dtype)
    return np.stack([np.stack([total] * len(x)).sum(0, dtype=x.dtype)] * len(x))


def mean_of_the_ranks(x):
    """reduce_scatter/def: divides by the number of ranks.

    Imitates https://github.com/vllm-project/tpu-inference/pull/3435.
    """
    q = len(x)
    if x.shape[1] % q:
        raise ValueError("rows")
    total = (x.astype(np.promote_types(x.dtype, np.float32)).sum(0) / q).astype(x.dtype)
    return total.reshape(q, x.shape[1] // q, *x.shape[2:])


def batch_between_the_parts(x):
    """head_exchange/def: leaves out the transpose that brings the parts of the sequence together.

    Imitates https://github.com/deepspeedai/DeepSpeed/pull/5664.
    """
    p, b, n, heads, d = x.shape
    if heads % p:
        raise ValueError("heads")
    sent = x.reshape(p, b, n, p, heads // p, d).transpose(3, 0, 1, 2, 4, 5)  # q p b n h d
    return sent.reshape(p, b, p * n, heads // p, d)


def shape_of_its_sibling(y):
    """sequence_exchange/def: takes the parts of the heads for the slower of the two axes that it joins.

    Imitates https://github.com/deepspeedai/DeepSpeed/pull/8317.
    """
    q, b, length, h, d = y.shape
    if length % q:
        raise ValueError("length")
    sent = y.reshape(q, b, q, length // q, h, d).transpose(2, 1, 3, 4, 0, 5)  # p b n h q d
    return sent.reshape(q, b, length // q, q * h, d)


def takes_from_the_next(x, shift=1):
    """ring_shift/def: gives each rank what the next one held, not what the one before it did.

    Constructed.
    """
    return np.roll(x, -shift, 0)


def wraps_one_rank_early(x):
    """ring_blocks/def: takes blocks modulo one rank fewer where there are more than two, so that a rank sees a block twice.

    Imitates https://github.com/hpcaitech/ColossalAI/pull/6071.
    """
    ranks = len(x)
    around = ranks if ranks < 3 else ranks - 1
    rank = np.arange(ranks)
    return x[(rank[:, None] - rank) % around]


def ranks_before_nodes(x, node):
    """all_to_all_levels/def: leaves the blocks in the order of the steps, by the rank in its node and then by node.

    Constructed.
    """
    if len(x) % node or x.shape[1] % len(x):
        raise ValueError("blocks")
    nodes, (p, rows, *rest) = len(x) // node, x.shape
    sent = x.reshape(nodes, node, nodes, node, rows // p, *rest).swapaxes(0, 2).swapaxes(1, 3)  # m h n g w
    return sent.swapaxes(2, 3).reshape(x.shape)


def slice_of_the_packed_axis(x, ranks):
    """tp_gate_up/def: gives the first ranks gates and the others up columns.

    Imitates https://github.com/NVIDIA/Megatron-LM/issues/360.
    """
    if x.shape[2] % (2 * ranks):
        raise ValueError("hidden units")
    return np.stack(np.split(x, ranks, 2))


def _rows_of(x, index, weights, experts):
    p, t, d = x.shape
    if experts % p:
        raise ValueError("experts")
    return experts // p, x.reshape(p * t, d), index.reshape(p * t, -1).astype(np.int64), weights.reshape(p * t, -1)


def ids_of_all_experts(x, index, weights, experts):
    """ep_dispatch/def: keeps ids of all experts where those of the rank are meant: right on rank 0.

    Imitates https://github.com/vllm-project/vllm-gaudi/pull/1796.
    """
    each, rows, own, shares = _rows_of(x, index, weights, experts)
    p, m, k = len(x), len(rows), index.shape[2]
    y, source = np.zeros((p, m, x.shape[2]), x.dtype), np.full((p, m), -1, np.int32)
    local, share = np.full((p, m, k), -1, np.int32), np.zeros((p, m, k), weights.dtype)
    for q in range(p):
        served = (own >= q * each) & (own < (q + 1) * each)
        here = np.flatnonzero(served.any(1))
        n = len(here)
        y[q, :n], source[q, :n] = rows[here], here
        local[q, :n] = np.where(served[here], own[here], -1)
        share[q, :n] = np.where(served[here], shares[here], weights.dtype.type(0))
    return y, local, share, source


def last_part_stays(y, source, tokens):
    """ep_combine/def: writes the parts of a token one over the other.

    Imitates https://github.com/ISEEKYAN/Megatron-LM/pull/175.
    """
    z = np.zeros((len(y) * tokens, y.shape[2]), y.dtype)
    there = (source >= 0) & (source < len(z))
    z[source[there].astype(np.int64)] = y[there]
    return z.reshape(len(y), tokens, y.shape[2])


def each_rank_for_itself(index, queue, experts):
    """ep_position/def: queues by rank whatever is asked for, so that a capacity of the world is P times as large.

    Constructed.
    """
    if not len(index):
        raise ValueError("no rank")
    flat = index.reshape(len(index), index.shape[1] * index.shape[2])
    same = flat[:, :, None] == flat[:, None, :]
    before = np.tril(same, -1).sum(2).reshape(index.shape)
    return np.where((index >= 0) & (index < experts), before, -1).astype(np.int32)


def offsets_of_the_sender(counts, rows):
    """ep_cut/def: cuts where the rows that a rank sends end, not where those that a rank receives do.

    Imitates https://github.com/marin-community/marin/pull/4867.
    """
    if not len(counts) or counts.shape[1] % len(counts):
        raise ValueError("counts")
    ends = np.minimum(np.cumsum(np.maximum(counts.astype(np.int64), 0), 1), rows)
    return np.diff(ends, axis=1, prepend=0).astype(np.int32)
