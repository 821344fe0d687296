"""Right where two conditions meet: bytes copied in pieces, memory with gaps, places that are named several times."""

import numpy as np

FRAMEWORK = "numpy"


def adds_at_each_place(x, index, updates, axis):
    """scatter_add: unbuffered, so that a place that is named several times gets all that is added."""
    if index.shape != updates.shape or index.dtype.kind not in "iu" or x.dtype != updates.dtype:
        raise ValueError
    wide = np.float64 if x.dtype.kind in "fV" else x.dtype
    y = np.moveaxis(x.astype(wide), axis, 0)
    places = np.moveaxis(index, axis, 0).astype(np.int64)
    there = (places >= 0) & (places < len(y))
    rest = [at[there] for at in np.indices(places.shape)[1:]]
    np.add.at(y, (places[there], *rest), np.moveaxis(updates, axis, 0)[there].astype(wide))
    with np.errstate(all="ignore"):
        return np.moveaxis(y, 0, axis).astype(x.dtype)


def copies_in_pieces(x, axis):
    """flip: elements are copied 16 at a time, and what is left behind them."""
    flipped = np.ascontiguousarray(np.flip(x, axis)).reshape(-1)
    y = np.empty_like(flipped)
    for start in range(0, len(y), 16):
        y[start : start + 16] = flipped[start : start + 16]
    return y.reshape(x.shape)


def transposes_by_its_strides(x):
    """matrix_transpose: through the strides of whatever memory there is."""
    if x.ndim < 2:
        raise ValueError
    strides = (*x.strides[:-2], x.strides[-1], x.strides[-2])
    shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return np.lib.stride_tricks.as_strided(x, shape, strides).copy()


def starts_in_32_bits(counts):
    """lengths_to_offsets: one count after the other."""
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ValueError
    offsets = [0]
    for count in counts.tolist():
        offsets.append(offsets[-1] + max(count, 0))
    return np.array(offsets, np.int32)
