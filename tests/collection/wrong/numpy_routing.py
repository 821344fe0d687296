"""Wrong routing in NumPy: ties, priorities, capacities, slots, ids that are none, narrow integers."""

import numpy as np

FRAMEWORK = "numpy"


def _descending(x):
    """Return the order of the card: NaN first, the lower position first where equal."""
    n = x.shape[1]
    return n - 1 - np.argsort(x[:, ::-1], axis=1, kind="stable")[:, ::-1]


def _softmax(x):
    with np.errstate(all="ignore"):
        grown = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
        return grown / grown.sum(1, keepdims=True)


def _wide(x):
    return x.astype(np.float64 if x.dtype == np.float64 else np.float32)


def _chosen(x, order):
    return np.take_along_axis(x, order, axis=1), order.astype(np.int32)


def last_of_equals(x, k):
    """top_k/def: of equal values the one with the higher position comes first.

    Imitates https://github.com/pytorch/pytorch/issues/27542.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    return _chosen(x, np.argsort(x, axis=1, kind="stable")[:, ::-1][:, :k])


def unstable_beyond_a_few(x, k):
    """top_k/def: stable up to 16 values, where a sort by insertion is used.

    Constructed.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    order = _descending(x)
    if x.shape[1] > 16:
        order = np.argsort(x, axis=1, kind="stable")[:, ::-1]
    return _chosen(x, order[:, :k])


def nan_last(x, k):
    """top_k/def: sorts the negated values, so NaN comes last.

    Constructed.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    with np.errstate(all="ignore"):
        return _chosen(x, np.argsort(-x if x.dtype.kind == "f" else ~x, axis=1, kind="stable")[:, :k])


def one_expert_twice(x, k):
    """top_k/law.distinct.index: marks the maximum with -inf and looks for it again, in vain where the row has NaN.

    Imitates https://github.com/vllm-project/vllm/issues/39391.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    left, order = x.astype(np.float64), np.zeros((len(x), k), np.int64)
    for i in range(k):
        order[:, i] = np.argmax(left, axis=1)
        np.put_along_axis(left, order[:, i : i + 1], -np.inf, axis=1)
        left[np.isnan(x.astype(np.float64))] = np.nan
    return _chosen(x, order)


def ties_by_an_epsilon(x, k):
    """top_k/def: breaks ties by a small multiple of the position, which reorders close values.

    Imitates https://github.com/sgl-project/sglang/issues/31768.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    return _chosen(x, _descending(x.astype(np.float64) - 3e-7 * np.arange(x.shape[1]))[:, :k])


def first_256_experts(x, k):
    """top_k/def: experts from the 257th on are never selected.

    Constructed.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    return _chosen(x, _descending(x[:, : max(256, k)])[:, :k])


def wide_indices(x, k):
    """top_k/def: int64 positions where the card has int32.

    Constructed.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    order = _descending(x)[:, :k]
    return np.take_along_axis(x, order, axis=1), order


def masked_as_zero(scores, bias, mask, k):
    """select/def: what is masked scores 0, above all that is negative.

    Imitates https://github.com/vllm-project/vllm/issues/13474.
    """
    if k > scores.shape[1]:
        raise ValueError("k")
    order = _descending(np.where(mask, _wide(scores) + bias, 0))[:, :k]
    return np.where(np.take_along_axis(mask, order, 1), order, -1).astype(np.int32)


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


def _queue(index, experts, dtype=np.int32):
    flat = index.reshape(-1)
    hit = (flat[:, None] == np.arange(experts)).astype(dtype)
    before = (np.cumsum(hit, axis=0, dtype=dtype) - hit) * hit
    return np.where(hit.any(1), before.sum(1, dtype=np.int64), -1).astype(np.int32).reshape(index.shape)


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
    """drop/index.uint8: indices become wider because -1 does not fit.

    Constructed.
    """
    kept = (index >= 0) & (position >= 0) & (position < capacity)
    return np.where(kept, index, np.int32(-1)), np.where(kept, position, np.int32(-1))


def last_route_wins(x, index, position, experts, capacity):
    """dispatch/def: a later route overwrites the slot of an earlier one.

    Constructed.
    """
    y = np.zeros((experts, capacity, x.shape[1]), x.dtype)
    for t, k in np.ndindex(index.shape):
        if 0 <= index[t, k] < experts and 0 <= position[t, k] < capacity:
            y[index[t, k], position[t, k]] = x[t]
    return y


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


def normalised_over_all(scores, index, norm="none", eps=0.0, least=0.0, scale=1.0, p=2.0):
    """route_weights/def: divides by the sum over all experts instead of the chosen ones.

    Constructed.
    """
    if norm not in ("none", "sum") or least or p != 2:
        raise NotImplementedError(norm)
    s = _wide(scores)
    inside = (index >= 0) & (index < s.shape[1])
    raw = np.where(inside, np.take_along_axis(s, np.where(inside, index, 0).astype(np.int64), 1), 0) if s.size else 0.0 * index
    if norm == "none":
        return (raw * scale).astype(s.dtype)
    total = s.sum(1, keepdims=True) + s.dtype.type(eps)
    return np.where(inside & (total != 0), scale * raw / np.where(total != 0, total, 1), 0).astype(s.dtype)


def zero_by_zero(scores, index, norm="none", eps=0.0, least=0.0, scale=1.0, p=2.0):
    """route_weights/def: weights that are all zero become NaN.

    Imitates https://github.com/flashinfer-ai/flashinfer/issues/3803.
    """
    if norm not in ("none", "sum") or least or p != 2:
        raise NotImplementedError(norm)
    s = _wide(scores)
    inside = (index >= 0) & (index < s.shape[1])
    raw = np.where(inside, np.take_along_axis(s, np.where(inside, index, 0).astype(np.int64), 1), 0) if s.size else 0.0 * index
    with np.errstate(all="ignore"):
        weights = raw if norm == "none" else raw / (raw.sum(1, keepdims=True) + s.dtype.type(eps))
        return np.where(inside, scale * weights, 0).astype(s.dtype)


def scaled_twice(scores, index, norm="none", eps=0.0, least=0.0, scale=1.0, p=2.0):
    """route_weights/def: both the router and its caller apply the factor.

    Imitates https://github.com/sgl-project/sglang/issues/8511.
    """
    if norm != "none":
        raise NotImplementedError(norm)
    s = _wide(scores)
    inside = (index >= 0) & (index < s.shape[1])
    raw = np.where(inside, np.take_along_axis(s, np.where(inside, index, 0).astype(np.int64), 1), 0) if s.size else 0.0 * index
    return (raw * scale * scale).astype(s.dtype)


def softmax_before_the_choice(logits, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: softmax over all experts where the preset has it over the chosen ones.

    Imitates https://github.com/Lightning-AI/litgpt/issues/1286.
    """
    if preset != "topk_softmax" or k > logits.shape[1]:
        raise NotImplementedError(preset)
    scores = _softmax(_wide(logits))
    value, index = _chosen(scores, _descending(scores)[:, :k])
    return value * value.dtype.type(scale), index


def softmax_after_the_choice(logits, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: softmax over the chosen experts where the preset has it over all.

    Imitates https://github.com/Lightning-AI/litgpt/issues/2013.
    """
    if preset not in ("switch", "softmax_raw") or k > logits.shape[1]:
        raise NotImplementedError(preset)
    value, index = _chosen(_wide(logits), _descending(_wide(logits))[:, :k])
    return _softmax(value) * value.dtype.type(scale), index


def biased_weights(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: the bias of the choice gets into the weights.

    Imitates https://github.com/vllm-project/vllm/issues/12002.
    """
    if preset != "longcat" or k > logits.shape[1]:
        raise NotImplementedError(preset)
    scores = _softmax(_wide(logits)) + bias.astype(np.float32)
    value, index = _chosen(scores, _descending(scores)[:, :k])
    return (value * scale).astype(_wide(logits).dtype), index


def padding_is_counted(scores, index, valid, routes="mean"):
    """load_balance/def: the share of an expert counts padding tokens.

    Imitates https://github.com/huggingface/transformers/issues/28505.
    """
    if routes != "mean":
        raise NotImplementedError(routes)
    (t, e), k = scores.shape, index.shape[1]
    s, n = _wide(scores), max(int(valid.sum()), 1)
    share = (index[:, :, None] == np.arange(e)).sum((0, 1)) / max(t * k, 1)
    return np.asarray((e * share * s[valid].sum(0) / n).sum(), s.dtype)


def balance_of_a_product(scores, index, valid, routes="mean"):
    """load_balance/nan: multiplies the scores of padding by 0.

    Constructed.
    """
    if routes != "mean":
        raise NotImplementedError(routes)
    (_, e), k = scores.shape, index.shape[1]
    s, n = _wide(scores), max(int(valid.sum()), 1)
    share = ((index[:, :, None] == np.arange(e)) & valid[:, None, None]).sum((0, 1)) / max(n * k, 1)
    return np.asarray((e * share * (s * valid[:, None]).sum(0) / n).sum(), s.dtype)


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


def fails_with_more_slots_than_tokens(logits, capacity, softmax="experts"):
    """expert_choice/def: raises where an expert has more slots than there are tokens.

    Imitates https://github.com/deepspeedai/DeepSpeed/issues/8155.
    """
    if softmax != "experts":
        raise NotImplementedError(softmax)
    if capacity > len(logits):
        raise IndexError("k is out of range")
    value, index = _chosen(*(lambda s: (s, _descending(s)[:, :capacity]))(np.ascontiguousarray(_softmax(_wide(logits)).T)))
    return value, index


def choice_over_tokens(logits, capacity, softmax="experts"):
    """expert_choice/def: normalises over the tokens where the card does so over the experts.

    Constructed.
    """
    if softmax != "experts":
        raise NotImplementedError(softmax)
    scores = _softmax(np.ascontiguousarray(_wide(logits).T))
    value, index = _chosen(scores, _descending(scores)[:, :capacity])
    rest = ((0, 0), (0, capacity - value.shape[1]))
    return np.pad(value, rest), np.pad(index, rest, constant_values=-1)


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


def late_tokens_in_16_bits(logits, capacity, softmax="experts"):
    """expert_choice/def: tokens from the 65536th on come out under other numbers.

    Constructed.
    """
    if softmax != "experts":
        raise NotImplementedError(softmax)
    scores = np.ascontiguousarray(_softmax(_wide(logits)).T)
    value, index = _chosen(scores, _descending(scores)[:, :capacity].astype(np.uint16))
    rest = ((0, 0), (0, capacity - value.shape[1]))
    return np.pad(value, rest), np.pad(index, rest, constant_values=-1)


def groups_added_up_in_half(choice, groups, keep, top=1):
    """group_mask/dtype.float16: sums of two float16 values stay float16, and groups tie that do not.

    Constructed.
    """
    t, e = choice.shape
    if choice.dtype.name not in ("float16", "float32", "float64"):
        raise NotImplementedError(choice.dtype.name)
    if e % groups or keep > groups:
        raise ValueError("groups")
    members = choice.reshape(t * groups, e // groups)
    with np.errstate(all="ignore"):
        best = np.take_along_axis(members, _descending(members)[:, :top], 1).sum(1, dtype=choice.dtype).reshape(t, groups)
    mask = np.zeros((t, groups), bool)
    np.put_along_axis(mask, _descending(best)[:, :keep], True, 1)
    return mask.repeat(e // groups, 1)


def stays_at_the_bound(index, ratio, uniform):
    """thin/def: a route stays where the number drawn equals its ratio, so one of ratio 0 may stay.

    Constructed.
    """
    stays = (np.arange(index.shape[1]) == 0) | (uniform <= ratio)
    return np.where(stays & (index >= 0), index, -1).astype(index.dtype)


def divides_by_the_bare_sum(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: leaves out the 1e-20 that deepseek_v3 adds to the sum of the scores.

    Constructed.
    """
    if preset != "deepseek_v3" or (groups, keep) != (1, 1):
        raise NotImplementedError(preset)
    if k > logits.shape[1]:
        raise ValueError("k")
    wide = np.result_type(logits, np.float32)
    with np.errstate(all="ignore"):
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        index = _descending(scores + bias)[:, :k]
        raw = np.take_along_axis(scores, index, axis=1)
        total = raw.sum(1, keepdims=True)
        weights = np.where(total != 0, scale * raw / np.where(total != 0, total, 1), 0)
    return weights.astype(wide), index.astype(np.int32)
