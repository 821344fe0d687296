"""Right gates of models in NumPy, written from the code of their models: loops over tokens, in double precision."""

import math

import numpy as np

FRAMEWORK = "numpy"


def _tokens(route, logits, k):
    """Return the weights and the index of all tokens, of which ``route`` gives those of one."""
    if k > logits.shape[1]:
        raise ValueError("k")
    weights = np.zeros((len(logits), k), np.promote_types(logits.dtype, np.float32))
    index = np.zeros((len(logits), k), np.int32)
    for t, row in enumerate(logits.astype(np.float64)):
        with np.errstate(all="ignore"):
            weights[t], index[t] = route(row)
    return weights, index


def _best(choice, k):
    """Return the positions of the largest, NaN before all else, the lower first where they tie."""
    keys = [(0, 0.0, i) if math.isnan(v) else (1, -v, i) for i, v in enumerate(choice.tolist())]
    return [i for _, _, i in sorted(keys)[:k]]


def minimax_token_by_token(logits, bias, k, preset, groups=1, keep=1, scale=1.0):
    """gate: MiniMax-M2 alone, token by token; a sum of 0 gives weights of 0."""
    if preset != "minimax_m2":
        raise NotImplementedError(preset)
    if (groups, keep) != (1, 1):
        raise ValueError("groups")
    narrow = np.promote_types(logits.dtype, np.float32)

    def route(row):
        scores = (1 / (1 + np.exp(-row.astype(narrow)))).astype(narrow)
        chosen = _best(scores + bias.astype(narrow), k)
        total = scores[chosen].astype(np.float64).sum()
        return (scale * scores[chosen].astype(np.float64) / total if total != 0 else np.zeros(k)), chosen

    return _tokens(route, logits, k)


def sparsemixer(logits, k, preset, groups=1, keep=1, scale=1.0):
    """gate: Phi-3.5-MoE alone, a masked softmax for each route as its code has it."""
    if preset != "phimoe":
        raise NotImplementedError(preset)
    if (groups, keep) != (1, 1):
        raise ValueError("groups")

    def route(row):
        masked, weights, chosen = row.copy(), [], _best(row, k)
        for expert in chosen:
            most = row[expert]
            factor = np.maximum(np.abs(row), most)
            gates = np.where((most - row) / factor > 2 * 0.01, -np.inf, masked)
            gates = np.exp(gates - most)
            weights.append(scale * gates[expert] / gates.sum())
            masked[expert] = -np.inf
        return weights, chosen

    return _tokens(route, logits, k)
