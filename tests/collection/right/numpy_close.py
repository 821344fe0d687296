"""Right however close candidates are."""

import numpy as np

FRAMEWORK = "numpy"


def takes_the_greatest_again_and_again(scores, k):
    """top_k: k times the first greatest of those that are left."""
    if k > scores.shape[1]:
        raise ValueError(k)
    left, rows = np.ones(scores.shape, bool), np.arange(len(scores))
    rank = np.empty(scores.shape, np.int64)
    for row, own in zip(rank, scores, strict=True):
        different = np.unique(own)
        row[:] = np.where(np.isnan(own), len(different), np.searchsorted(different, own))
    found = []
    for _ in range(k):
        best = np.where(left, rank, -1).argmax(1)
        left[rows, best] = False
        found.append(best)
    index = np.array(found, np.int32).reshape(k, len(scores)).T
    return np.take_along_axis(scores, index, 1), index
