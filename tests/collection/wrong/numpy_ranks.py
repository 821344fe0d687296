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
