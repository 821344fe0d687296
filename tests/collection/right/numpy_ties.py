"""Functions that promise some valid choice among equal values, another one than the first."""

import numpy as np

FRAMEWORK = "numpy"
TIES = "any"


def last_of_equals(x, k):
    """top_k: of equal values the last comes first."""
    if k > x.shape[1]:
        raise ValueError("k")
    order = np.argsort(x, axis=1, kind="stable")[:, ::-1][:, :k]
    return np.take_along_axis(x, order, axis=1), order.astype(np.int32)


def masked_below_all(scores, bias, mask, k):
    """select: any order among equals, by several keys at once."""
    if k > scores.shape[1]:
        raise ValueError("k")
    with np.errstate(all="ignore"):
        choice = scores.astype(np.float64) + bias.astype(np.float64)
    if np.promote_types(np.promote_types(scores.dtype, bias.dtype), np.float32) == np.float32:
        with np.errstate(all="ignore"):
            choice = choice.astype(np.float32)
    none = np.isnan(choice)
    order = np.lexsort((-np.arange(choice.shape[1]) + 0 * mask, np.where(none, 0, choice), none, mask))[:, ::-1][:, :k]
    return np.where(np.take_along_axis(mask, order, 1), order, -1).astype(np.int32)
