"""Wrong queues, slots and groups in NumPy: orders, drops, ids that are none, narrow integers."""

import numpy as np

FRAMEWORK = "numpy"


def _queue(index, experts, dtype=np.int32):
    flat = index.reshape(-1)
    hit = (flat[:, None] == np.arange(experts)).astype(dtype)
    before = (np.cumsum(hit, axis=0, dtype=dtype) - hit) * hit
    return np.where(hit.any(1), before.sum(1, dtype=np.int64), -1).astype(np.int32).reshape(index.shape)


def all_are_first(index, experts, order="token"):
    """position/def: a running sum along an axis of size 1, so everybody is first in the queue.

    Imitates https://github.com/huggingface/transformers/issues/48293.
    """
    if order != "token":
        raise NotImplementedError(order)
    hit = index[..., None] == np.arange(experts)
    return (np.cumsum(hit[..., None, :], axis=2)[..., 0, :] * hit).sum(2).astype(np.int32) - 1


def behind_the_choice_before(index, experts, order="token"):
    """position/def: a choice queues behind those of the choice before it only.

    Imitates https://github.com/lucidrains/st-moe-pytorch/issues/13.
    """
    if order == "rank":
        raise NotImplementedError(order)
    if order == "token":
        return _queue(index, experts)
    found = np.full(index.shape, -1, np.int32)
    for k in range(index.shape[1]):
        alone = _queue(index[:, k : k + 1], experts)[:, 0]
        before = index[:, k - 1] if k else index[:, :0].reshape(-1)
        found[:, k] = [p + (before == e).sum() if p >= 0 else -1 for p, e in zip(alone, index[:, k], strict=True)]
    return found


def queue_by_choice(index, experts, order="token"):
    """position/def: all first choices go before all second ones, where tokens queue one by one.

    Imitates https://github.com/deepspeedai/DeepSpeed/issues/1658.
    """
    if order != "token":
        raise NotImplementedError(order)
    return np.ascontiguousarray(_queue(np.ascontiguousarray(index.T), experts).T)


def queue_in_int8(index, experts, order="token"):
    """position/def: the 129th in a queue is at place -128.

    Constructed.
    """
    if order != "token":
        raise NotImplementedError(order)
    return _queue(index, experts, np.int8)


def queue_in_uint8(index, experts, order="token"):
    """position/def: the 257th in a queue is first again.

    Constructed.
    """
    if order != "token":
        raise NotImplementedError(order)
    return _queue(index, experts, np.uint8)


def queue_in_int16(index, experts, order="token"):
    """position/def: places above 2**15 are negative.

    Constructed.
    """
    if order != "token":
        raise NotImplementedError(order)
    found, seen = np.full(index.size, -1, np.int32), {}
    for i, e in enumerate(index.reshape(-1).tolist()):
        if 0 <= e < experts:
            found[i] = np.int64(seen.setdefault(e, 0)).astype(np.int16)
            seen[e] += 1
    return found.reshape(index.shape)


def swapped_orders(index, order="token"):
    """priority/def: token and choice are each other.

    Constructed.
    """
    if order not in ("token", "choice"):
        raise NotImplementedError(order)
    t, k = index.shape
    place = np.arange(t * k, dtype=np.int32)
    return place.reshape(k, t).T.copy() if order == "token" else place.reshape(t, k)


def one_more_than_fits(index, position, capacity):
    """drop/def: keeps the route whose place is the capacity.

    Constructed.
    """
    kept = (index >= 0) & (position >= 0) & (position <= capacity)
    none = np.array(-1).astype(index.dtype), np.array(-1).astype(position.dtype)
    return np.where(kept, index, none[0]), np.where(kept, position, none[1])


def promoted_by_none(index, position, capacity):
    """drop/result.dtype: indices become wider because -1 does not fit.

    Constructed.
    """
    kept = (index >= 0) & (position >= 0) & (position < capacity)
    return np.where(kept, index, np.int32(-1)), np.where(kept, position, np.int32(-1))


def slot_of_the_next_expert(x, index, position, experts, capacity):
    """dispatch/def: counts slots before it looks at the capacity, so who is too late lands at the next expert.

    Constructed.
    """
    y = np.zeros((experts * capacity, x.shape[1]), x.dtype)
    for t, k in reversed(list(np.ndindex(index.shape))):
        slot = int(index[t, k]) * capacity + int(position[t, k])
        if index[t, k] >= 0 and position[t, k] >= 0 and 0 <= slot < experts * capacity:
            y[slot] = x[t]
    return y.reshape(experts, capacity, x.shape[1])


def none_is_the_last_expert(x, index, position, experts, capacity):
    """dispatch/def: -1 counts from the end.

    Imitates https://github.com/vllm-project/vllm/issues/42034.
    """
    y = np.zeros((experts, capacity, x.shape[1]), x.dtype)
    for t, k in reversed(list(np.ndindex(index.shape))):
        if -1 <= index[t, k] < experts and 0 <= position[t, k] < capacity and experts:
            y[index[t, k], position[t, k]] = x[t]
    return y


def slots_in_int16(x, index, position, experts, capacity):
    """dispatch/def: the number of a slot is kept in 16 bits.

    Constructed.
    """
    inside = (index >= 0) & (index < experts) & (position >= 0) & (position < capacity)
    slot = (np.where(inside, index, 0) * np.int64(capacity) + np.where(inside, position, 0)).astype(np.int16)
    y = np.zeros((experts * capacity, x.shape[1]), x.dtype)
    t, k = np.nonzero(inside)
    y[slot[t, k][::-1]] = x[t[::-1]]
    return y.reshape(experts, capacity, x.shape[1])


def masked_by_a_product(x, mask):
    """dispatch_by_mask/nan: multiplies by a mask of ones and zeros, and 0 times NaN is NaN.

    Imitates https://github.com/huggingface/transformers/issues/48205.
    """
    wide = np.float64 if x.dtype == np.float64 else np.float32
    return np.einsum("tec,td->ecd", mask.astype(wide), x.astype(wide)).astype(x.dtype)


def unused_slots_are_read(y, weights, index, position):
    """combine/nan: reads slot 0 with weight 0 for a route that is none.

    Imitates https://github.com/huggingface/transformers/issues/45621.
    """
    e, c, d = y.shape
    inside = (index >= 0) & (index < e) & (position >= 0) & (position < c)
    wide = np.promote_types(np.promote_types(y.dtype, weights.dtype), np.float32)
    z = np.zeros((len(index), d), wide)
    for t, k in np.ndindex(index.shape if y.size else (0, 0)):
        at = (index[t, k], position[t, k]) if inside[t, k] else (0, 0)
        z[t] += np.where(inside[t, k], weights[t, k], 0).astype(wide) * y[at].astype(wide)
    return z.astype(y.dtype)


def rounded_after_every_choice(y, weights, index, position):
    """combine/dtype.float16: adds in the dtype of the values.

    Imitates https://github.com/vllm-project/vllm/issues/15045.
    """
    e, c, d = y.shape
    z = np.zeros((len(index), d), y.dtype)
    for t, k in np.ndindex(index.shape):
        if 0 <= index[t, k] < e and 0 <= position[t, k] < c:
            z[t] = (z[t] + weights[t, k].astype(y.dtype) * y[index[t, k], position[t, k]]).astype(y.dtype)
    return z


def counts_in_a_byte(index, experts):
    """expert_counts/def: 256 tokens of one expert are none.

    Constructed.
    """
    return (index.reshape(-1)[:, None] == np.arange(experts)).sum(0, dtype=np.uint8).astype(np.int32)


def two_routes_are_none(index, position, experts, capacity):
    """dispatch_mask/def: adds routes modulo 2, so two to one slot cancel out.

    Constructed.
    """
    hit = (index[..., None] == np.arange(experts))[..., None] & (position[..., None] == np.arange(capacity))[:, :, None]
    return np.logical_xor.reduce(hit, axis=1)


def rows_of_no_group(x, w, counts):
    """grouped_matmul/def: rows behind the last group belong to the last expert.

    Imitates https://github.com/pytorch/pytorch/issues/154557.
    """
    wide, at = np.promote_types(x.dtype, np.float32), 0
    y = np.zeros((len(x), w.shape[2]), wide)
    for e in range(len(w)):
        end = min(at + max(int(counts[e]), 0), len(x)) if e < len(w) - 1 else len(x)
        y[at:end] = x[at:end].astype(wide) @ w[e].astype(wide)
        at = end
    return y.astype(x.dtype)


def experts_of_nobody(x, w, counts):
    """grouped_matmul/nan: all experts are multiplied and masked, those without rows too.

    Imitates https://github.com/jax-ml/jax/pull/20940.
    """
    wide = np.promote_types(x.dtype, np.float32)
    end = np.cumsum(np.maximum(counts.astype(np.int64), 0))
    row = np.arange(len(x))[:, None]
    mine = ((row >= end - np.maximum(counts, 0)) & (row < end)).astype(wide)
    return np.einsum("re,rd,edf->rf", mine, x.astype(wide), w.astype(wide)).astype(x.dtype)


def order_of_threads(index, experts):
    """group/def: within a group the rows come in any order, here the last first.

    Imitates https://github.com/sgl-project/sglang/issues/33511.
    """
    t, k = index.shape
    flat = index.reshape(-1).astype(np.int64)
    key = np.where((flat >= 0) & (flat < experts), flat, experts)
    order = (t * k - 1 - np.argsort(key[::-1], kind="stable")).astype(np.int32)
    row = np.empty(t * k, np.int32)
    row[order] = np.arange(t * k, dtype=np.int32)
    none = key == experts
    counts = np.bincount(key, minlength=experts + 1)[:experts].astype(np.int32)
    return np.where(none[order], -1, order).astype(np.int32), np.where(none, -1, row).astype(np.int32).reshape(t, k), counts


def empty_blocks_of_expert_0(order, counts, block):
    """align_groups/def: blocks that belong to nobody are said to be of expert 0.

    Imitates https://github.com/vllm-project/vllm/pull/35161.
    """
    n = (len(order) + len(counts) * (block - 1)) // block
    slots, owner = np.full(n * block, -1, np.int32), np.zeros(n, np.int32)
    at = b = 0
    for e, count in enumerate(counts.tolist()):
        size = min(max(count, 0), len(order) - at)
        for j in range(0, size, block):
            rows = order[at + j : at + min(j + block, size)]
            slots[b * block : b * block + len(rows)] = np.where(rows >= 0, rows, -1)
            owner[b], b = e, b + 1
        at += size
    return slots, owner


def ids_of_32_bits(index, experts):
    """expert_counts/index.int64: narrows ids to 32 bits, so that 2**32, which is none, is the first expert.

    Constructed.
    """
    flat = index.reshape(-1).astype(np.int32)
    return np.bincount(flat[(flat >= 0) & (flat < experts)], minlength=experts).astype(np.int32)


def one_of_several(x, index, updates, axis):
    """scatter_add/def: adds by an indexed assignment, which keeps one of several updates of a place.

    Constructed.
    """
    y = np.moveaxis(x.copy(), axis, 0)
    grid = np.ogrid[tuple(map(slice, np.moveaxis(index, axis, 0).shape))]
    y[(np.moveaxis(index, axis, 0), *grid[1:])] += np.moveaxis(updates, axis, 0)
    return np.moveaxis(y, 0, axis)


def classes_in_the_data(index, classes):
    """one_hot/def: counts the classes in the data, so that the last ones are missing.

    Constructed.
    """
    return np.eye(int(index.max(initial=-1)) + 1, dtype=np.float32)[index]


def takes_slices(x, index, axis, outside="zero"):
    """take_along/def: reads along the first line of the index only.

    Constructed.
    """
    if outside != "zero":
        raise NotImplementedError(outside)
    line = np.moveaxis(index, axis, -1).reshape(-1, index.shape[axis])[:1].reshape(-1)
    return np.take(x, line, axis=axis) if index.size else np.take_along_axis(x, index, axis)
