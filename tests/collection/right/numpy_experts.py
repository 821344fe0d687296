"""Right routes to experts in NumPy: loops, dictionaries and lists for shared, replicated and remote ones."""

import collections
import math

import numpy as np

FRAMEWORK = "numpy"


def one_column_at_a_time(weights, index, *, kind="plain", experts, shared, weight=1.0):
    """append_shared_experts: appends column by column, and offers no gate."""
    if kind != "plain":
        raise NotImplementedError(kind)
    routes = np.where((index >= 0) & (index < experts), index.astype(np.int64), -1)
    for j in range(shared):
        weights = np.column_stack([weights, np.full(len(weights), weight, weights.dtype)])
        routes = np.column_stack([routes, np.full(len(routes), experts + j)])
    return weights, routes.astype(np.int32)


def tokens_that_stay(x, weights, index, *, kind="identity", experts, more):
    """zero_experts: one route after the other, in double precision."""
    if kind != "identity":
        raise NotImplementedError(kind)
    y, routed = np.zeros(x.shape, np.float64), np.full(index.shape, -1, np.int32)
    for t, k in np.ndindex(index.shape):
        if 0 <= index[t, k] < experts:
            routed[t, k] = index[t, k]
        elif experts <= index[t, k] < experts + more:
            with np.errstate(all="ignore"):
                y[t] += weights[t, k].astype(np.float64) * x[t]
    with np.errstate(all="ignore"):
        return y.astype(x.dtype), routed


def rows_of_dictionaries(weights, index, experts):
    """routing_map: a dictionary of weights for each token."""
    chosen = np.zeros((len(index), experts), bool)
    probs = np.zeros((len(index), experts), np.float64)
    for t, row in enumerate(index.tolist()):
        for k, e in enumerate(row):
            if 0 <= e < experts:
                chosen[t, e] = True
                with np.errstate(all="ignore"):
                    probs[t, e] += weights[t, k]
    with np.errstate(all="ignore"):
        return chosen, probs.astype(weights.dtype)


def marks_one_by_one(chosen, probs, k):
    """routes_of_map: lists the marks of each row."""
    index, weights = np.full((len(chosen), k), -1, np.int32), np.zeros((len(chosen), k), probs.dtype)
    for t, row in enumerate(chosen):
        (marks,) = np.nonzero(row)
        taken = marks[:k]
        index[t, : len(taken)] = taken
        weights[t, : len(taken)] = probs[t, taken]
    return weights, index


def split_by_numpy(*, experts, ranks, rank, placement="linear"):
    """expert_map: array_split, whose first parts are the longer ones, for the default placement alone."""
    if placement != "linear":
        raise NotImplementedError(placement)
    if rank >= ranks:
        raise IndexError("rank")
    local = np.full(experts, -1, np.int32)
    own = np.array_split(np.arange(experts), ranks)[rank]
    local[own] = np.arange(len(own))
    return local


def places_in_lists(index, table, counts, by="token", rank=0):
    """replicate_index: a list of places for each expert, of which tokens take the next."""
    places = [row[: max(n, 0)].tolist() for row, n in zip(table, counts.tolist(), strict=True)]
    found = np.full(index.shape, -1, np.int32)
    for t, k in np.ndindex(index.shape):
        e = int(index[t, k])
        if 0 <= e < len(places) and counts[e] > 0:
            place = (t if by == "token" else rank) % int(counts[e])
            found[t, k] = max(places[e][place], -1) if place < len(places[e]) else -1
    return found


def sets_of_ranks(index, experts, ranks):
    """dispatch_layout: the set of ranks of each token."""
    if experts % ranks:
        raise ValueError("experts")
    in_rank, routes = np.zeros((len(index), ranks), bool), collections.Counter()
    for t, row in enumerate(index.tolist()):
        own = [e for e in row if 0 <= e < experts]
        routes.update(own)
        in_rank[t, list({e // (experts // ranks) for e in own})] = True
    return in_rank.sum(0).astype(np.int32), np.array([routes[e] for e in range(experts)], np.int32), in_rank


def sequences_in_double(scores, index, valid, scores_are="share"):
    """sequence_load_balance: one sequence after the other, in double precision."""
    losses = []
    with np.errstate(all="ignore"):
        for s, i, v in zip(scores.astype(np.float64), index, valid, strict=True):
            rows = s[v]
            if scores_are == "share":
                total = rows.sum(1, keepdims=True)
                rows = np.where(total != 0, rows / total, 0)
            load = (i[v][:, :, None] == np.arange(s.shape[1])).sum((0, 1))
            tokens = max(len(rows), 1)
            losses.append(s.shape[1] * (load * rows.sum(0)).sum() / tokens**2 / max(i.shape[1], 1))
        return np.asarray(sum(losses) / max(len(losses), 1)).astype(np.promote_types(scores.dtype, np.float32))


def by_its_tail(h, act):
    """act_and_mul: the GELU alone, by the complement of the error function."""
    if act != "gelu":
        raise NotImplementedError(act)
    gate, up = np.split(h.astype(np.float64), 2, -1)
    with np.errstate(all="ignore"):
        below = np.vectorize(math.erfc, otypes=[float])(-gate / math.sqrt(2)) / 2
        return (gate * below * up).astype(h.dtype)


def experts_in_double(x, gate_up, gate_up_bias, down, down_bias, *, alpha=1.702, limit=7.0, shift=1.0):
    """biased_expert_mlp: one expert after the other, in double precision."""
    y = np.zeros((*x.shape[:2], down.shape[2]), np.float64)
    for e in range(len(x)):
        with np.errstate(all="ignore"):
            h = x[e].astype(np.float64) @ gate_up[e].astype(np.float64) + gate_up_bias[e]
            gate, up = np.minimum(h[:, ::2], limit), np.clip(h[:, 1::2], -limit, limit)
            y[e] = gate / (1 + np.exp(-alpha * gate)) * (up + shift) @ down[e].astype(np.float64) + down_bias[e]
    with np.errstate(all="ignore"):
        return y.astype(x.dtype)
