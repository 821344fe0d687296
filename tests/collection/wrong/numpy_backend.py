"""Functions of a NumPy backend, which promises the whole card and yet accepts calls that the card forbids."""

import numpy as np

from einspec.impls.adapters import numpy as _adapter

asarray, to_numpy, devices = _adapter.asarray, _adapter.to_numpy, _adapter.devices
dtypes, device_of, is_array, framework = _adapter.dtypes, _adapter.device_of, _adapter.is_array, _adapter.framework


def any_rank(x, *, layout="nchw"):
    """swap_hw/err.rank.x: takes tensors of any number of axes.

    Constructed.
    """
    return np.swapaxes(x, -1, -2) if layout == "nchw" else np.swapaxes(x, -2, -3)


def mask_of_one_axis(scores, bias, mask, *, k):
    """select/err.rank.mask: stretches a mask over tokens to the table of tokens and experts.

    Imitates https://github.com/NVIDIA/Megatron-LM/issues/6111.
    """
    choice = np.where(np.broadcast_to(mask, scores.shape), scores + bias, -np.inf)
    return np.argsort(-choice, axis=1, kind="stable")[:, :k].astype(np.int32)


def weights_of_other_tokens(y, weights, row):
    """unpermute/err.match.row.0: starts again with the first weights when they run out.

    Constructed.
    """
    wide = y.astype(np.float64)
    z = np.zeros((row.shape[0], y.shape[1]))
    for t, k in np.ndindex(row.shape):
        if 0 <= row[t, k] < len(y):
            z[t] += float(weights[t % len(weights), k]) * wide[row[t, k]]
    return z.astype(y.dtype)


def size_as_float(x, *, multiple, pad_value=0):
    """pad_to_multiple/err.type.multiple: takes 2.0 for 2.

    Constructed.
    """
    return np.pad(x, ((0, 0), (0, int(-x.shape[1] % multiple)), (0, 0)), constant_values=pad_value)


def counts_of_half_tokens(index, *, experts):
    """expert_counts/err.dtype.index: takes floats for indices and rounds them.

    Constructed.
    """
    flat = index.reshape(-1).astype(np.int64)
    return np.bincount(flat[(flat >= 0) & (flat < experts)], minlength=experts).astype(np.int32)


def more_choices_than_experts(x, *, k):
    """top_k/err.require.enough: gives fewer choices than were asked for, and does not say so.

    Constructed.
    """
    order = np.argsort(-x.astype(np.float64), axis=1, kind="stable")[:, :k].astype(np.int32)
    return np.take_along_axis(x, order, axis=1), order


def negative_block(x, *, multiple, pad_value=0):
    """pad_to_multiple/err.param.multiple: takes a multiple of 0 for none.

    Constructed.
    """
    return np.pad(x, ((0, 0), (0, -x.shape[1] % multiple if multiple else 0), (0, 0)), constant_values=pad_value)


def last_route_wins(x, index, position, *, experts, capacity):
    """dispatch/total.slots: a later route overwrites the slot of an earlier one.

    Constructed.
    """
    y = np.zeros((experts, capacity, x.shape[1]), x.dtype)
    for t, k in np.ndindex(index.shape):
        if 0 <= index[t, k] < experts and 0 <= position[t, k] < capacity:
            y[index[t, k], position[t, k]] = x[t]
    return y


def from_the_end(x, index, *, axis, outside="zero"):
    """take/total.inside: counts a negative index from the end, and one too far gives the last.

    Imitates https://github.com/jax-ml/jax/issues/3774.
    """
    n = x.shape[axis]
    if outside != "zero" or not n:
        mode = {"zero": "clip", "clip": "clip", "wrap": "wrap"}[outside]
        if not n and outside == "zero":
            return np.zeros((*x.shape[: axis % x.ndim], *index.shape, *x.shape[axis % x.ndim + 1 :]), x.dtype)
        return np.take(x, index, axis=axis, mode=mode)
    return np.take(x, np.where(index < 0, index % n, np.minimum(index, n - 1)), axis=axis)


def first_of_several(x, index, updates, *, axis):
    """scatter/total.places: the first update of a place stays.

    Imitates https://github.com/pytorch/pytorch/issues/33798.
    """
    y = np.moveaxis(np.concatenate([x, np.take(x, [0] * (x.shape[axis] > 0), axis)], axis), axis, 0)
    places = np.moveaxis(np.where((index >= 0) & (index < x.shape[axis]), index, x.shape[axis]), axis, 0)
    if x.shape[axis]:
        np.put_along_axis(y, places[::-1], np.moveaxis(updates, axis, 0)[::-1], 0)
    return np.moveaxis(y[: x.shape[axis]], 0, axis)


def minus_one_is_the_last(index, *, classes):
    """one_hot/total.inside: takes -1 for the last class, as np.eye does.

    Constructed.
    """
    inside = (index >= -1) & (index < classes)
    return np.eye(classes + 1, dtype=np.float32)[np.where(inside, index % max(classes, 1), classes)][..., :classes]


def any_axis_of_nothing(xs, *, axis):
    """concat/err.param.axis: does not look at the axis where there is nothing to join.

    Constructed.
    """
    if len({x.shape for x in xs}) > 1:
        raise ValueError
    if xs[0].size == 0 and not -xs[0].ndim <= axis < xs[0].ndim:
        return xs[0]
    return np.concatenate(xs, axis)
