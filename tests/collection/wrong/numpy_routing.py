"""Wrong routing in NumPy: ties, scores, gates, weights, losses."""

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


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


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
    """top_k/values.nan: sorts the negated values, so NaN comes last.

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


def masked_as_zero(scores, bias, mask, k):
    """select/def: what is masked scores 0, above all that is negative.

    Imitates https://github.com/vllm-project/vllm/issues/13474.
    """
    if k > scores.shape[1]:
        raise ValueError("k")
    order = _descending(np.where(mask, _wide(scores) + bias, 0))[:, :k]
    return np.where(np.take_along_axis(mask, order, 1), order, -1).astype(np.int32)


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


def _swiglu(x, gate_up, down):
    gate, up = np.split(x @ gate_up, 2)
    return (gate / (1 + np.exp(-gate)) * up) @ down


def _layer(x, router, gate_up, down, k, score, bias, expert):
    """Return a layer whose routes are computed one after the other by ``expert(token, weight, id)``."""
    if k > router.shape[1]:
        raise ValueError("k")
    wide = [a.astype(np.float64) for a in (x, router, gate_up, down)]
    with np.errstate(all="ignore"):
        logits = (_wide(x) @ _wide(router)).astype(np.float64)
        order = _descending(logits if bias is None else score(logits) + bias)[:, :k]
        weights = np.take_along_axis(score(logits), order, 1)
        y = np.zeros((len(x), down.shape[2]))
        for t, row in enumerate(order):
            for w, e in zip(weights[t], row, strict=True):
                y[t] += expert(wide[0][t], w, e)
    return y.astype(x.dtype)


def weight_on_the_output(x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer/def: weights what the experts of Llama 4 give, where it weights what goes in.

    Imitates https://github.com/sgl-project/sglang/pull/7889.
    """
    if preset != "llama4" or capacity >= 0 or (groups, keep, scale) != (1, 1, 1.0):
        raise NotImplementedError(preset)
    return _layer(x, router, gate_up, down, k, _sigmoid, None, lambda x, w, e: w * _swiglu(x, gate_up[e], down[e]))


def weight_on_both_sides(x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer/def: weights what goes into the experts and what they give.

    Imitates https://github.com/vllm-project/vllm/issues/43694.
    """
    if preset != "llama4" or capacity >= 0 or (groups, keep, scale) != (1, 1, 1.0):
        raise NotImplementedError(preset)
    return _layer(x, router, gate_up, down, k, _sigmoid, None, lambda x, w, e: w * _swiglu(w * x, gate_up[e], down[e]))


def bias_in_the_weights(x, router, gate_up, down, bias, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer/def: weights by the scores with the bias, by which MiniMax-M2 only chooses.

    Imitates https://github.com/ml-explore/mlx-lm/issues/1883.
    """
    if preset != "minimax_m2" or capacity >= 0 or (groups, keep, scale) != (1, 1, 1.0):
        raise NotImplementedError(preset)

    def share(logits):
        scores = _sigmoid(logits) + bias
        chosen = np.take_along_axis(scores, _descending(scores)[:, :k], 1).sum(1, keepdims=True)
        return scores / np.where(chosen != 0, chosen, 1)

    return _layer(x, router, gate_up, down, k, share, 0, lambda x, w, e: w * _swiglu(x, gate_up[e], down[e]))


def identity_experts_run_the_first(x, router, gate_up, down, bias, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer/def: the id of an identity expert becomes 0, and so the first network works for it.

    Imitates https://github.com/sgl-project/sglang/pull/10303.
    """
    n = len(gate_up)
    if preset != "longcat" or capacity >= 0 or not n or (groups, keep, scale) != (1, 1, 1.0):
        raise NotImplementedError(preset)
    if n > router.shape[1]:
        raise ValueError("more networks than experts")

    def expert(x, w, e):
        return w * _swiglu(x, gate_up[e % n * (e < n)], down[e * (e < n)]) + (e >= n) * w * x

    return _layer(x, router, gate_up, down, k, _softmax, bias, expert)


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
