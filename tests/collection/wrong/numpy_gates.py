"""Wrong gates of models in NumPy: scores, biases, groups and factors taken as another model has them."""

import numpy as np

FRAMEWORK = "numpy"


def _wide(x):
    return x.astype(np.promote_types(x.dtype, np.float32))


def _sigmoid(x):
    with np.errstate(all="ignore"):
        return 1 / (1 + np.exp(-x))


def _softmax(x):
    with np.errstate(all="ignore"):
        part = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
        return part / part.sum(1, keepdims=True)


def _chosen(choice, k):
    if k > choice.shape[1]:
        raise ValueError("k")
    nan = np.isnan(choice)
    return np.lexsort((-np.where(nan, 0, choice), ~nan), axis=1)[:, :k].astype(np.int32)


def _summed(scores, index, scale, eps=0.0, least=0.0):
    raw = np.take_along_axis(scores, index.astype(np.int64), 1)
    total = np.maximum(raw.sum(1, keepdims=True) + scores.dtype.type(eps), scores.dtype.type(least))
    with np.errstate(all="ignore"):
        return np.where(total != 0, raw * scores.dtype.type(scale) / total, 0).astype(scores.dtype)


def _asked(preset, name, groups, keep):
    if preset != name:
        raise NotImplementedError(preset)
    if (groups, keep) != (1, 1):
        raise ValueError("groups")


def softmax_for_sigmoid(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: takes a softmax where MiniMax-M2 has a sigmoid.

    Imitates https://github.com/ml-explore/mlx-lm/issues/1883.
    """
    _asked(preset, "minimax_m2", groups, keep)
    scores = _softmax(_wide(logits))
    index = _chosen(scores + _wide(bias), k)
    return _summed(scores, index, scale), index


def padding_is_chosen(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: pads the experts to a multiple of 8 with scores of 0, which win where all others with their bias are below.

    Imitates https://github.com/flashinfer-ai/flashinfer/issues/2822.
    """
    _asked(preset, "minimax_m2", groups, keep)
    scores = _sigmoid(_wide(logits))
    more = ((0, 0), (0, -scores.shape[1] % 8))
    index = _chosen(np.pad(scores + _wide(bias), more), k) if k <= scores.shape[1] else _chosen(scores, k)
    return _summed(np.pad(scores, more), index, scale), index


def a_small_number_for_all(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: adds 1e-20 to the sum of LFM2, which has 1e-6.

    Constructed.
    """
    _asked(preset, "lfm2", groups, keep)
    scores = _sigmoid(_wide(logits))
    index = _chosen(scores + _wide(bias), k)
    return _summed(scores, index, scale, 1e-20), index


def root_left_out(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: scores by softplus, without the root that DeepSeek-V4 takes of it.

    Constructed.
    """
    _asked(preset, "deepseek_v4", groups, keep)
    scores = np.logaddexp(_wide(logits), 0)
    index = _chosen(scores + _wide(bias), k)
    return _summed(scores, index, scale, 1e-20), index


def bias_in_the_weights(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: weights by the scores with the bias that only chooses in ERNIE 4.5.

    Imitates https://github.com/vllm-project/vllm/issues/12002.
    """
    _asked(preset, "ernie4_5", groups, keep)
    biased = (_softmax(_wide(logits)) + _wide(bias)).astype(_wide(logits).dtype)
    index = _chosen(biased, k)
    return _summed(biased, index, scale, 0.0, 1e-12), index


def _groups(choice, groups, keep, top):
    t, e = choice.shape
    if e % groups or keep > groups:
        raise ValueError("groups")
    if not e:
        return np.zeros((t, e), bool)
    members = -np.sort(-choice.reshape(t, groups, -1), axis=2)[:, :, :top]
    mask = np.zeros((t, groups), bool)
    np.put_along_axis(mask, np.argsort(-members.sum(2), axis=1, kind="stable")[:, :keep], True, 1)
    return mask.repeat(e // groups, 1)


def group_by_its_best(logits, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: scores the groups of Mistral 4 by the best of each, where the two best are added up.

    Constructed.
    """
    if preset != "mistral4":
        raise NotImplementedError(preset)
    scores = _softmax(_wide(logits))
    index = _chosen(np.where(_groups(scores, groups, keep, 1), scores, 0), k)
    return _summed(scores, index, scale, 1e-20), index


def left_out_for_good(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: masks the groups that A.X K2 leaves out by minus infinity, as DeepSeek-V3 does, where it masks by 0.

    Constructed.
    """
    if preset != "axk2":
        raise NotImplementedError(preset)
    scores = _sigmoid(_wide(logits))
    biased = (scores + _wide(bias)).astype(scores.dtype)
    index = _chosen(np.where(_groups(biased, groups, keep, 2), biased, -np.inf), k)
    return _summed(scores, index, scale, 1e-20), index


def normalised_behind_the_factor(logits, factor, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: normalises the weights of Gemma 4 behind the factors of its experts, so that they add up to the scale.

    Constructed.
    """
    _asked(preset, "gemma4", groups, keep)
    scores = _softmax(_wide(logits))
    index = _chosen(scores, k)
    return _summed((scores * _wide(factor)).astype(scores.dtype), index, scale), index


def one_softmax_for_both(logits, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: gives the routes of Phi-3.5-MoE one softmax, over the experts that are chosen.

    Imitates https://github.com/vllm-project/vllm/issues/35499.
    """
    _asked(preset, "phimoe", groups, keep)
    x = _wide(logits)
    index = _chosen(x, k)
    value = np.take_along_axis(x, index.astype(np.int64), 1)
    return (_softmax(value) * x.dtype.type(scale)).astype(x.dtype), index


def the_first_stays(logits, k, preset, groups=1, keep=1, scale=1.0):
    """gate/def: leaves the expert of the first route in the softmax of the second.

    Constructed.
    """
    _asked(preset, "phimoe", groups, keep)
    x = _wide(logits)
    index = _chosen(x, k)
    value = np.take_along_axis(x, index.astype(np.int64), 1)
    with np.errstate(all="ignore"):
        gap = value[:, :, None] - x[:, None]
        near = gap <= 0.02 * np.maximum(np.abs(x)[:, None], value[:, :, None])
        return (scale / np.where(near, np.exp(-gap), 0).sum(2)).astype(x.dtype), index
