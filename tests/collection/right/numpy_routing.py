"""Right routing in NumPy: loops, dictionaries, sorts, sets."""

import collections

import numpy as np

FRAMEWORK = "numpy"


def sorted_by_python(x, k):
    """top_k: Python's own sort, which is stable, NaN above all."""
    if k > x.shape[1]:
        raise RuntimeError("k")

    def key(row):
        return lambda i: (row[i] == row[i], -row[i] if row[i] == row[i] else 0)

    rows = [sorted(range(len(row)), key=key(row))[:k] for row in x.tolist()]
    order = np.array(rows, np.int32).reshape(len(x), k)
    return np.take_along_axis(x, order.astype(np.int64), axis=1), order


def one_comparison_at_a_time(scores, bias, mask, k):
    """select: counts who comes before, as the definition does."""
    if k > scores.shape[1]:
        raise IndexError("k")
    wide = np.promote_types(np.promote_types(scores.dtype, bias.dtype), np.float32)
    with np.errstate(all="ignore"):
        choice = (scores.astype(wide) + bias.astype(wide)).astype(np.float64)
    found = np.full((len(scores), k), -1, np.int32)
    for t, row in enumerate(choice):
        free = np.flatnonzero(mask[t]).tolist()
        free.sort(key=lambda e, row=row: (not np.isnan(row[e]), -row[e] if not np.isnan(row[e]) else 0, e))
        found[t, : len(free[:k])] = free[:k]
    return found


def queues_in_a_dictionary(index, experts, order="token"):
    """position: a dictionary of queues, and no order but that of tokens."""
    if order != "token":
        raise NotImplementedError(order)
    seen = collections.Counter()
    found = np.full(index.shape, -1, np.int32)
    for place in np.ndindex(index.shape):
        e = int(index[place])
        if 0 <= e < experts:
            found[place] = seen[e]
            seen[e] += 1
    return found


def inverse_of_a_sort(index, score=None, order="token"):
    """priority: the rank of each route as the inverse of a permutation."""
    t, k = index.shape
    if order == "token":
        return np.arange(t * k, dtype=np.int32).reshape(t, k)
    place = np.arange(t)
    if order == "score":
        place = np.empty(t, np.int64)
        s = score.astype(np.float64)
        place[np.lexsort((np.arange(t), np.where(np.isnan(s), 0, -s), ~np.isnan(s)))] = np.arange(t)
    elif order != "choice":
        raise NotImplementedError(order)
    return (np.arange(k)[None, :] * t + place[:, None]).astype(np.int32)


def routes_into_sets(index, position, experts, capacity):
    """dispatch_mask: looks every slot up in a set."""
    taken = {(t, int(index[t, k]), int(position[t, k])) for t, k in np.ndindex(index.shape)}
    shape = (len(index), experts, capacity)
    return np.array([place in taken for place in np.ndindex(shape)], bool).reshape(shape)


def kept_in_place(index, position, capacity):
    """drop: copies, and writes -1 where a route is lost, whatever number that is in the dtype."""
    lost = (index < 0) | (position < 0) | (position >= np.int64(capacity))
    kept = index.copy(), position.copy()
    for array in kept:
        array[lost] = np.array(-1).astype(array.dtype)
    return kept


def first_route_by_minimum(x, index, position, experts, capacity):
    """dispatch: every slot takes the least number of the routes to it."""
    t, k = index.shape
    inside = ((index >= 0) & (index < experts) & (position >= 0) & (position < capacity)).reshape(-1)
    slot = index.reshape(-1).astype(np.int64) * capacity + position.reshape(-1).astype(np.int64)
    first = np.full(experts * capacity, t * k)
    np.minimum.at(first, slot[inside], np.flatnonzero(inside))
    rows = np.concatenate([np.repeat(x, k, axis=0), np.zeros((1, x.shape[1]), x.dtype)])
    return rows[first].reshape(experts, capacity, x.shape[1])


def last_choice_first(y, weights, index, position):
    """combine: adds in float64, from the last choice to the first, onto -0."""
    e, c, d = y.shape
    z = np.full((len(index), d), -0.0)
    with np.errstate(all="ignore"):
        for t, k in reversed(list(np.ndindex(index.shape))):
            if 0 <= index[t, k] < e and 0 <= position[t, k] < c:
                z[t] += float(weights[t, k]) * y[index[t, k], position[t, k]].astype(np.float64)
        return z.astype(y.dtype)


def added_at(index, experts):
    """expert_counts: adds ones at unordered places, in int64 on the way."""
    counts = np.zeros(experts + 1, np.int64)
    inside = (index >= 0) & (index < experts)
    np.add.at(counts, np.where(inside, index, experts).astype(np.int64), 1)
    return counts[:experts].astype(np.int32)


def product_with_a_guard(index, experts):
    """expert_counts: a one-hot product in float64, exact up to 2**53."""
    hot = (index.reshape(-1)[:, None] == np.arange(experts)).astype(np.float64)
    return (np.ones(len(hot)) @ hot).astype(np.int32)


def buckets(index, experts):
    """group: one list an expert."""
    t, k = index.shape
    lists = [[] for _ in range(experts)]
    for route, e in enumerate(index.reshape(-1).tolist()):
        if 0 <= e < experts:
            lists[e].append(route)
    order, row = np.full(t * k, -1, np.int32), np.full(t * k, -1, np.int32)
    for place, route in enumerate(r for bucket in lists for r in bucket):
        order[place], row[route] = route, place
    return order, row.reshape(t, k), np.array([len(bucket) for bucket in lists], np.int32)


def one_row_at_a_time(x, w, counts):
    """grouped_matmul: each row by itself, in float64, features from the last."""
    owner = np.repeat(np.arange(len(w)), np.maximum(counts, 0).astype(np.int64))[: len(x)]
    y = np.zeros((len(x), w.shape[2]))
    with np.errstate(all="ignore"):
        for r, e in enumerate(owner):
            for i in reversed(range(x.shape[1])):
                y[r] += float(x[r, i]) * w[e, i].astype(np.float64)
        return y.astype(x.dtype)


def rows_by_a_table(ids, table):
    """hash_route: an extra row of -1 for ids that are none."""
    padded = np.concatenate([np.maximum(table.astype(np.int64), -1), np.full((1, table.shape[1]), -1)])
    inside = (ids >= 0) & (ids < len(table))
    return padded[np.where(inside, ids, len(table)).astype(np.int64)].astype(np.int32)


def rows_not_read_are_zeros(y, weights, row):
    """unpermute: weights times rows, those that nobody reads put to zero before."""
    wide = np.promote_types(np.promote_types(y.dtype, weights.dtype), np.float32)
    if row.shape != weights.shape:
        raise TypeError("weights")
    inside = (row >= 0) & (row < len(y))
    rows = np.concatenate([y.astype(wide), np.zeros((1, y.shape[1]), wide)])[np.where(inside, row, len(y)).astype(np.int64)]
    with np.errstate(all="ignore"):
        return np.einsum("tk,tkd->td", np.where(inside, weights, 0).astype(wide), rows).astype(y.dtype)


def last_route_wins(x, index, position, experts, capacity):
    """dispatch: a later route overwrites the slot of an earlier one, of which callers promise that there are none."""
    y = np.zeros((experts, capacity, x.shape[1]), x.dtype)
    for t, k in np.ndindex(index.shape):
        if 0 <= index[t, k] < experts and 0 <= position[t, k] < capacity:
            y[index[t, k], position[t, k]] = x[t]
    return y
