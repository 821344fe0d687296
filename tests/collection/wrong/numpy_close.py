"""Wrong where many candidates are close together: too few of a block are kept, or some bits decide."""

import numpy as np

FRAMEWORK = "numpy"


def _sorted(key, k):
    return np.argsort(np.where(np.isnan(key), -np.inf, -key), axis=1, kind="stable")[:, :k].astype(np.int32)


def four_candidates_of_a_block(scores, k):
    """top_k/def: keeps 32 candidates of each block of 64, and more only where k is larger.

    Constructed.
    """
    if k > scores.shape[1]:
        raise ValueError(k)
    key = np.where(np.isnan(scores), np.inf, scores)
    index, most = _sorted(scores, k), max(32, k // 3)
    if key.dtype.kind == "f" and scores.shape[1] > 64 and k > 32:
        key = key.astype(np.float64)
        for start in range(0, key.shape[1], 64):
            part = key[:, start : start + 64]
            rank = np.argsort(np.argsort(-part, axis=1, kind="stable"), axis=1, kind="stable")
            key[:, start : start + 64] = np.where(rank < most, part, -np.inf)
        index = np.argsort(-key, axis=1, kind="stable")[:, :k].astype(np.int32)
    return np.take_along_axis(scores, index, 1), index


def sorts_sixteen_bits_first(scores, k):
    """top_k/def: among more than 4,096 candidates only the upper 16 bits of each decide.

    Constructed.
    """
    if k > scores.shape[1]:
        raise ValueError(k)
    key = scores
    if scores.dtype == np.float32 and 4096 < scores.shape[1] < 5000:
        key = (scores.view(np.uint32) >> 16 << 16).astype(np.uint32).view(np.float32)
    index = _sorted(key, k)
    return np.take_along_axis(scores, index, 1), index


def loses_the_seam(scores, bias, mask, k):
    """select/def: of 300 experts, those about 256 are looked at once too few.

    Constructed.
    """
    if k > scores.shape[1]:
        raise ValueError(k)
    choice = np.where(mask, scores + bias, -np.inf)
    if choice.shape[1] > 260:
        choice[:, 256] = np.where(choice[:, 256] == choice.max(1), -np.inf, choice[:, 256])
    return np.argsort(np.where(np.isnan(choice), -np.inf, -choice), axis=1, kind="stable")[:, :k].astype(np.int32)
