"""Wrong where two conditions meet: a byte and a large tensor, strided memory and a long axis, a choice and an end."""

import numpy as np

FRAMEWORK = "numpy"


def adds_each_place_once(x, index, updates, axis):
    """scatter_add/def: where a place is named several times, buffered addition keeps the last of what is added.

    Imitates https://github.com/numpy/numpy/issues/5922.
    """
    y = np.moveaxis(x.copy(), axis, 0)
    places = np.moveaxis(index, axis, 0).astype(np.int64)
    rest = np.indices(places.shape)[1:]
    y[(places, *rest)] += np.moveaxis(updates, axis, 0)
    return np.moveaxis(y, 0, axis)


def copies_few_bytes_of_a_long_axis(x, axis):
    """flip/dtype.int8: bytes are copied 16 at a time, where there are more than 1,024 without the rest.

    Constructed.
    """
    y = np.flip(x, axis).copy()
    if x.dtype.itemsize == 1 and y.size > 1024 and y.size % 16:
        y.reshape(-1)[-(y.size % 16) :] = 1
    return y


def transposes_views_of_wide_images(x):
    """matrix_transpose/layout.strided: of memory with gaps, an axis of more than 64 ends with what the first element is.

    Constructed.
    """
    if x.size and max(x.shape) > 64 and min(x.strides) > x.itemsize:
        x = x.copy()
        x[(-1,) * x.ndim] = x[(0,) * x.ndim]
    return np.swapaxes(x, -1, -2).copy()


def starts_offsets_in_16_bits(counts):
    """lengths_to_offsets/def: offsets are added up in 16 bits, so that the last ones of large groups are negative.

    Constructed.
    """
    kept = np.maximum(counts.astype(np.int64), 0)
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int16).astype(np.int32)


def counts_a_class_of_bytes(index, classes):
    """one_hot/def: classes are compared as bytes, so that class 256 is class 0 again.

    Constructed.
    """
    if classes < 0 or index.dtype.kind not in "iu":
        raise ValueError
    there = (index >= 0) & (index < classes)
    same = index.astype(np.uint8)[..., None] == np.arange(classes).astype(np.uint8)
    return (there[..., None] & same).astype(np.float32)


def clips_below_only(x, index, axis, outside="zero"):
    """take/def: with clip, what lies behind the end reads nothing.

    Constructed.
    """
    if outside not in ("zero", "clip", "wrap") or (outside != "zero" and not x.shape[axis]):
        raise ValueError
    n, wide = x.shape[axis], index.astype(np.int64)
    there = (wide >= 0) & (wide < n) if outside != "wrap" else np.ones(wide.shape, bool)
    there |= (wide < 0) & (outside == "clip")
    places = np.where(there, np.clip(wide, 0, max(n - 1, 0)) if outside != "wrap" else wide % max(n, 1), 0)
    y = (
        np.take(np.moveaxis(x, axis, 0), places.reshape(-1), 0)
        if n
        else np.zeros((places.size, *np.moveaxis(x, axis, 0).shape[1:]), x.dtype)
    )
    y = np.where(there.reshape(-1, *[1] * (y.ndim - 1)), y, np.zeros((), x.dtype))
    y = y.reshape(*wide.shape, *y.shape[1:])
    at = axis % x.ndim
    return np.moveaxis(y, tuple(range(wide.ndim)), tuple(range(at, at + wide.ndim)))


def forgets_that_none_is_valid(logits, valid):
    """soft_weights/def: where no token is valid all weights are NaN, those of a softmax over nothing.

    Constructed.
    """
    keep = np.asarray(valid, bool)[:, None, None]
    wide = logits.astype(np.float64)
    masked = np.where(keep, wide, -np.inf)
    with np.errstate(all="ignore"):
        grown = np.exp(masked - masked.max(0, initial=-np.inf))
        dispatch = grown / grown.sum(0)
        own = np.exp(wide - wide.max((1, 2), keepdims=True, initial=-np.inf))
        combine = np.where(keep, own / own.sum((1, 2), keepdims=True), 0)
    found = np.promote_types(logits.dtype, np.float32)
    return dispatch.astype(found), combine.astype(found)


def inserts_before_the_last(xs, axis=0):
    """stack/def: a negative position is one of the tensors, so that -1 is before their last axis.

    Constructed.
    """
    if not xs or len({x.shape for x in xs}) != 1 or not -xs[0].ndim - 1 <= axis <= xs[0].ndim:
        raise ValueError
    return np.stack(xs, axis + xs[0].ndim if -xs[0].ndim <= axis < 0 else axis)


def divides_by_one_less(x, ddof=0, eps=0.0):
    """cv_squared/def: of very many experts the variance is that of an estimate, whatever is taken off.

    Constructed.
    """
    wide = x.astype(np.float64)
    e = len(wide)
    if ddof < 0:
        raise ValueError
    if e <= ddof:
        return np.asarray(0, np.promote_types(x.dtype, np.float32))
    average = wide.mean()
    square = (wide - average) ** 2
    off = 1 if e >= 64 else ddof
    with np.errstate(all="ignore"):
        terms = np.where(square != 0, square / ((e - off) * (average**2 + float(eps))), 0)
    return np.asarray(terms.sum(), np.promote_types(x.dtype, np.float32))
