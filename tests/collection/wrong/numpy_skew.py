"""Wrong where routes are not even, or where experts are many and routes few: limits, masks of 64 bits, tables of 16."""

import numpy as np

FRAMEWORK = "numpy"


def _products(x, counts, w, most=None):
    y, start = np.zeros((len(x), w.shape[-1])), 0
    for expert, n in enumerate(np.maximum(counts, 0).tolist()):
        own = slice(start, start + (n if most is None else min(n, most)))
        with np.errstate(all="ignore"):
            y[own] = x[own].astype(np.float64) @ w[expert].astype(np.float64)
        start += n
    return y.astype(x.dtype)


def twice_an_even_share(x, w, counts):
    """grouped_matmul/def: an expert computes at most 64 rows, or twice its even share of them.

    Constructed.
    """
    return _products(x, counts, w, max(64, 2 * len(x) // max(len(counts), 1)))


def a_bias_for_an_even_share(x, bias, counts):
    """expert_bias/def: a grid of as many blocks of 128 rows as an even share needs, so that an expert with more is cut.

    Constructed.
    """
    y, start = x.astype(np.float64).copy(), 0
    most = 128 * (2 + len(x) // max(len(counts), 1) // 128)
    for expert, n in enumerate(np.maximum(counts, 0).tolist()):
        y[start : start + min(n, most)] += bias[expert]
        start += n
    return y.astype(x.dtype)


def counts_by_a_mask_of_64_bits(index, experts):
    """expert_counts/def: an expert is a bit of a word of 64, so that expert 64 is expert 0.

    Constructed.
    """
    own = index[(index >= 0) & (index < experts)]
    return np.bincount(own % 64 if own.size == 1 else own, minlength=experts).astype(np.int32)


def tables_through_bfloat16(ids, table):
    """hash_route/def: the table of experts is held in a dtype that knows whole numbers up to 256.

    Constructed.
    """
    there = (ids >= 0) & (ids < len(table))
    if not len(table):
        return np.full((*ids.shape, table.shape[1]), -1, np.int32)
    bits = table.astype(np.float32).view(np.uint32) >> 16 << 16
    near = np.where(np.abs(table) > 256, bits.view(np.float32), table).astype(np.int64).astype(np.int32)
    return np.where(there[..., None] & (near[np.where(there, ids, 0)] >= 0), near[np.where(there, ids, 0)], -1).astype(np.int32)


def positions_in_a_byte(index, experts):
    """position/def: a queue counts in 8 bits where all are for one expert, and no test has as many.

    Constructed.
    """
    flat, seen = index.reshape(-1).tolist(), {}
    found = []
    for i in flat:
        inside = 0 <= i < experts
        found.append(seen.get(i, 0) if inside else -1)
        seen[i] = seen.get(i, 0) + 1
    place = np.array(found, np.int32).reshape(index.shape)
    return place & 1023 if len(set(flat)) == 1 and place.size and place.max() > 1023 else place


def blocks_of_half_the_experts(order, counts, block):
    """align_groups/def: no expert beyond the first 512 has a block, as if the grid had no second half.

    Constructed.
    """
    r, e = len(order), len(counts)
    n = (r + e * (block - 1)) // block
    routes, experts, start = [], [], 0
    for expert, count in enumerate(np.maximum(counts.astype(np.int64), 0).tolist()):
        own = order[start : start + count].tolist()
        start += count
        filled = -(-len(own) // block)
        routes += own + [-1] * (filled * block - len(own))
        experts += [expert if expert < 512 else -1] * filled
    slot_route, block_expert = np.full(n * block, -1, np.int32), np.full(n, -1, np.int32)
    slot_route[: len(routes)] = np.maximum(routes, -1)
    block_expert[: len(experts)] = experts
    return slot_route, block_expert
