"""Wrong routes to experts in NumPy: shared, replicated, remote ones and those without a network."""

import math

import numpy as np

FRAMEWORK = "numpy"


def _appended(weights, index, experts, shared, weight):
    t = len(weights)
    ids = np.broadcast_to(np.arange(experts, experts + shared), (t, shared))
    own = np.where((index >= 0) & (index < experts), index, np.int64(-1))
    more = np.full((t, shared), weight, weights.dtype)
    return np.concatenate([weights, more], 1), np.concatenate([own, ids], 1).astype(np.int32)


def always_one(weights, index, *, kind="plain", experts, shared, weight=1.0):
    """append_shared_experts/def: gives a shared expert the weight 1, whatever the scale is multiplied by later.

    Imitates https://github.com/sgl-project/sglang/issues/8333.
    """
    if kind != "plain":
        raise NotImplementedError(kind)
    return _appended(weights, index, experts, shared, 1.0)


def once_for_each(weights, index, *, kind="plain", experts, shared, weight=1.0):
    """append_shared_experts/def: multiplies the weight by the number of shared experts.

    Imitates https://github.com/MooreThreads/torchada/issues/84.
    """
    if kind != "plain":
        raise NotImplementedError(kind)
    return _appended(weights, index, experts, shared, weight * shared)


def none_is_shared(weights, index, *, kind="plain", experts, shared, weight=1.0):
    """append_shared_experts/def: leaves ids as they are, so that E, which marks a missing route, is a shared expert.

    Constructed.
    """
    if kind != "plain":
        raise NotImplementedError(kind)
    extended, routes = _appended(weights, index, experts, shared, weight)
    routes[:, : index.shape[1]] = index
    return extended, routes


def _served(x, weights, index, experts, more):
    return (index >= experts) & (index < experts + more), np.where((index >= 0) & (index < experts), index, np.int64(-1))


def expert_0_serves_again(x, weights, index, *, kind="identity", experts, more):
    """zero_experts/def: sends served routes on as expert 0.

    Imitates https://github.com/sgl-project/sglang/issues/10303.
    """
    if kind != "identity":
        raise NotImplementedError(kind)
    served, routed = _served(x, weights, index, experts, more)
    y = np.where(served, weights, 0).sum(1, keepdims=True) * x
    return y.astype(x.dtype), np.where(served, 0, routed).astype(np.int32)


def all_routes_count(x, weights, index, *, kind="identity", experts, more):
    """zero_experts/def: multiplies the token by the weights of all its routes, those to networks too.

    Imitates https://github.com/ml-explore/mlx-lm/issues/508.
    """
    if kind != "identity":
        raise NotImplementedError(kind)
    served, routed = _served(x, weights, index, experts, more)
    y = np.where(served.any(1, keepdims=True), weights.sum(1, keepdims=True), 0) * x
    return y.astype(x.dtype), routed.astype(np.int32)


def beyond_is_identity(x, weights, index, *, kind="identity", experts, more):
    """zero_experts/def: takes any id that has no network for an identity expert.

    Constructed.
    """
    if kind != "identity":
        raise NotImplementedError(kind)
    _, routed = _served(x, weights, index, experts, more)
    y = np.where(index >= experts, weights, 0).sum(1, keepdims=True) * x
    return y.astype(x.dtype), routed.astype(np.int32)


def last_weight_stays(weights, index, experts):
    """routing_map/def: writes the weights one over the other where an expert stands twice in a row.

    Imitates https://github.com/ISEEKYAN/Megatron-LM/issues/175.
    """
    own, rows = np.where((index >= 0) & (index < experts), index, experts), np.arange(len(index))[:, None]
    chosen = np.zeros((len(index), experts + 1), bool)
    probs = np.zeros((len(index), experts + 1), weights.dtype)
    chosen[rows, own] = True
    probs[rows, own] = weights
    return chosen[:, :-1], probs[:, :-1]


def marked_by_weight(weights, index, experts):
    """routing_map/def: marks the experts whose weight is not 0.

    Constructed.
    """
    hit = index[:, :, None] == np.arange(experts)
    probs = np.where(hit, weights[:, :, None], 0).sum(1, dtype=np.promote_types(weights.dtype, np.float32))
    return probs != 0, probs.astype(weights.dtype)


def none_marks_the_last(weights, index, experts):
    """routing_map/def: counts a negative id from the end.

    Constructed.
    """
    hit = np.where(index < 0, index + experts, index)[:, :, None] == np.arange(experts)
    probs = np.where(hit, weights[:, :, None], 0).sum(1, dtype=np.promote_types(weights.dtype, np.float32))
    return hit.any(1), probs.astype(weights.dtype)


def largest_weights(chosen, probs, k):
    """routes_of_map/def: takes the experts of the largest weights, as a selection among all would.

    Imitates https://github.com/NVIDIA/Megatron-LM/issues/6615.
    """
    held = np.where(chosen, probs, 0)
    index = np.argsort(-held.astype(np.float64), axis=1, kind="stable")[:, :k]
    if index.shape[1] < k:
        raise NotImplementedError(k)
    weights = np.take_along_axis(held, index, 1)
    return weights, np.where(np.arange(k) < chosen.sum(1, keepdims=True), index, -1).astype(np.int32)


def as_many_as_there_are(chosen, probs, k):
    """routes_of_map/def: makes room for as many routes as some token has, whatever k is.

    Constructed.
    """
    most = int(chosen.sum(1).max(initial=0))
    index = np.argsort(~chosen, axis=1, kind="stable")[:, :most]
    there = np.take_along_axis(chosen, index, 1)
    return np.where(there, np.take_along_axis(probs, index, 1), 0), np.where(there, index, -1).astype(np.int32)


def rest_for_the_last(*, experts, ranks, rank, placement="linear"):
    """expert_map/def: gives what does not divide to the last rank.

    Constructed.
    """
    local, each = np.full(experts, -1, np.int32), experts // ranks
    if rank >= ranks:
        raise ValueError("rank")
    end = experts if rank == ranks - 1 else (rank + 1) * each
    own = local[rank * each : end] if placement == "linear" else local[rank::ranks]
    own[:] = np.arange(len(own))
    return local


def numbers_of_all(*, experts, ranks, rank, placement="linear"):
    """expert_map/def: keeps the numbers that experts have among all.

    Constructed.
    """
    if rank >= ranks:
        raise ValueError("rank")
    e = np.arange(experts, dtype=np.int32)
    owner = e % ranks
    if placement == "linear":
        owner = np.repeat(np.arange(ranks), [experts // ranks + (r < experts % ranks) for r in range(ranks)])
    return np.where(owner == rank, e, -1).astype(np.int32)


def _replica(index, table, counts, by, rank):
    if not table.size or not (counts > 0).all():
        raise NotImplementedError("no replicas")
    chooser = np.arange(len(index))[:, None] if by == "token" else rank
    return np.minimum(chooser % counts[index], table.shape[1] - 1)


def none_reads_the_last_row(index, table, counts, by="token", rank=0):
    """replicate_index/def: reads the table at -1, where there is no route.

    Imitates https://github.com/vllm-project/vllm/issues/42034.
    """
    own = np.minimum(index, len(table) - 1)
    return table[own, _replica(own, table, counts, by, rank)].astype(np.int32)


def mapped_twice(index, table, counts, by="token", rank=0):
    """replicate_index/def: maps what is mapped already.

    Imitates https://github.com/sgl-project/sglang/issues/25285.
    """
    own = index
    for _ in range(2):
        there = (own >= 0) & (own < len(table))
        safe = np.where(there, own, 0)
        own = np.where(there, table[safe, _replica(safe, table, counts, by, rank)], -1)
    return own.astype(np.int32)


def first_replica(index, table, counts, by="token", rank=0):
    """replicate_index/def: takes the first replica, whoever asks.

    Constructed.
    """
    there = (index >= 0) & (index < len(table))
    if not table.size:
        raise NotImplementedError("no replicas")
    safe = np.where(there, index, 0)
    return np.where(there & (counts[safe] > 0), np.maximum(table[safe, 0], -1), -1).astype(np.int32)


def a_token_for_every_route(index, experts, ranks):
    """dispatch_layout/def: counts a token once for each of its routes, where it is sent to a rank once.

    Imitates https://github.com/deepseek-ai/DeepEP/issues/48.
    """
    if experts % ranks:
        raise ValueError("experts")
    own = np.where((index >= 0) & (index < experts), index, experts).astype(np.int64)
    routes = np.bincount(own.reshape(-1), minlength=experts + 1)[:experts].astype(np.int32)
    in_rank = (own[:, :, None] // max(experts // ranks, 1) == np.arange(ranks)).any(1) & (experts > 0)
    return routes.reshape(ranks, -1).sum(1, dtype=np.int32), routes, in_rank


def dealt_to_ranks(index, experts, ranks):
    """dispatch_layout/def: takes the experts to be dealt out to the ranks one by one.

    Constructed.
    """
    if experts % ranks:
        raise ValueError("experts")
    hit = (index[:, :, None] == np.arange(experts)).any(1)
    in_rank = hit.reshape(len(index), -1, ranks).any(1)
    routes = (index[:, :, None] == np.arange(experts)).sum((0, 1), dtype=np.int32)
    return in_rank.sum(0, dtype=np.int32), routes, in_rank


def _balance(scores, index, valid, experts):
    tokens = max(valid.sum(), 1)
    load = ((index[..., None] == np.arange(experts)) & valid[:, None, None]).sum((0, 1)) / tokens / max(index.shape[1], 1)
    return experts * (load * np.where(valid[:, None], scores, 0).sum(0) / tokens).sum()


def not_divided(scores, index, valid, scores_are="share"):
    """sequence_load_balance/def: takes sigmoid scores as they are, which do not add up to 1.

    Imitates https://github.com/NVIDIA/Megatron-LM/issues/1438.
    """
    wide = scores.astype(np.promote_types(scores.dtype, np.float32))
    each = [_balance(s, i, v, scores.shape[2]) for s, i, v in zip(wide, index, valid, strict=True)]
    return np.asarray(sum(each) / max(len(each), 1), wide.dtype)


def pooled_over_sequences(scores, index, valid, scores_are="share"):
    """sequence_load_balance/def: pools the tokens of all sequences, so that one makes up for another.

    Constructed.
    """
    (b, n, e), k = scores.shape, index.shape[2]
    wide = scores.astype(np.promote_types(scores.dtype, np.float32))
    if scores_are == "share":
        total = wide.sum(2, keepdims=True)
        with np.errstate(all="ignore"):
            wide = np.where(total != 0, wide / total, 0)
    loss = _balance(wide.reshape(b * n, e), index.reshape(b * n, k), valid.reshape(b * n), e)
    return np.asarray(loss, wide.dtype)


def _halves(h):
    return np.split(h.astype(np.promote_types(h.dtype, np.float32)), 2, -1)


def error_function_for_tanh(h, act):
    """act_and_mul/def: takes the GELU of the error function for the approximation.

    Imitates https://github.com/vllm-project/vllm/issues/41574.
    """
    if act != "gelu_tanh":
        raise NotImplementedError(act)
    gate, up = _halves(h)
    below = np.vectorize(math.erf, otypes=[float])(gate / math.sqrt(2))
    with np.errstate(all="ignore"):
        return (gate * (1 + below) / 2 * up).astype(h.dtype)


def silu_for_all(h, act):
    """act_and_mul/def: runs SiLU, whatever is asked for.

    Imitates https://github.com/sgl-project/sglang/issues/3170.
    """
    gate, up = _halves(h)
    with np.errstate(all="ignore"):
        return (gate / (1 + np.exp(-gate)) * up).astype(h.dtype)


def gate_behind(h, act):
    """act_and_mul/def: takes the second half for the gate, as a GLU of that name does.

    Constructed.
    """
    if act != "sigmoid":
        raise NotImplementedError(act)
    up, gate = _halves(h)
    with np.errstate(all="ignore"):
        return (up / (1 + np.exp(-gate))).astype(h.dtype)


def _clamped(x, gate_up, down, first, last, alpha, limit, shift, halves=False):
    with np.errstate(all="ignore"):
        h = x.astype(np.float64) @ gate_up.astype(np.float64) + first[:, None]
        gate, up = np.split(h, 2, -1) if halves else (h[..., ::2], h[..., 1::2])
        gate, up = np.minimum(gate, limit), np.clip(up, -limit, limit)
        y = gate / (1 + np.exp(-alpha * gate)) * (up + shift) @ down.astype(np.float64) + last[:, None]
        return y.astype(x.dtype)


def halves_of_alternating_features(x, gate_up, gate_up_bias, down, down_bias, *, alpha=1.702, limit=7.0, shift=1.0):
    """biased_expert_mlp/def: takes halves where gate and up alternate.

    Imitates https://github.com/thinking-machines-lab/tinker-cookbook/pull/459.
    """
    return _clamped(x, gate_up, down, gate_up_bias, down_bias, alpha, limit, shift, halves=True)


def clamped_before_the_bias(x, gate_up, gate_up_bias, down, down_bias, *, alpha=1.702, limit=7.0, shift=1.0):
    """biased_expert_mlp/def: bounds the product, and adds the bias afterwards.

    Constructed.
    """
    with np.errstate(all="ignore"):
        h = x.astype(np.float64) @ gate_up.astype(np.float64)
        gate = np.minimum(h[..., ::2], limit) + gate_up_bias[:, None, ::2]
        up = np.clip(h[..., 1::2], -limit, limit) + gate_up_bias[:, None, 1::2]
        y = gate / (1 + np.exp(-alpha * gate)) * (up + shift) @ down.astype(np.float64) + down_bias[:, None]
        return y.astype(x.dtype)


def without_the_last_bias(x, gate_up, gate_up_bias, down, down_bias, *, alpha=1.702, limit=7.0, shift=1.0):
    """biased_expert_mlp/def: leaves out the bias of what the experts give.

    Constructed.
    """
    return _clamped(x, gate_up, down, gate_up_bias, down_bias * 0, alpha, limit, shift)


def weighted_on_both_sides(x, weights, index, gate_up, down, *, weight_on="output"):
    """moe_dense/def: applies the weight to what goes in and to what comes out.

    Imitates https://github.com/vllm-project/vllm/issues/43694.
    """
    if weight_on != "input":
        raise NotImplementedError(weight_on)
    return _routed(x, weights, index, gate_up, down, weights)


def _routed(x, inside, index, gate_up, down, outside):
    y = np.zeros((len(x), down.shape[2]), np.float64)
    for t, k in np.ndindex(index.shape):
        e = index[t, k]
        if 0 <= e < len(gate_up):
            with np.errstate(all="ignore"):
                gate, up = np.split((inside[t, k] * x[t].astype(np.float64)) @ gate_up[e].astype(np.float64), 2)
                y[t] += outside[t, k] * (gate / (1 + np.exp(-gate)) * up @ down[e].astype(np.float64))
    with np.errstate(all="ignore"):
        return y.astype(x.dtype)
