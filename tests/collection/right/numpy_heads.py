"""Right exchanges of uneven heads in NumPy: a head at a time."""

import numpy as np

FRAMEWORK = "numpy"


def _owners(heads, ranks):
    """Return the rank of each head and its place there."""
    return [(q, m) for q in range(ranks) for m in range((heads - q + ranks - 1) // ranks)]


def each_head_to_its_rank(x):
    """head_exchange_uneven: takes the heads one after the other."""
    p, b, n, h, d = x.shape
    if not p:
        raise ValueError("ranks")
    y = np.zeros((p, b, p * n, -(-h // p), d), x.dtype)
    for head, (q, m) in enumerate(_owners(h, p)):
        y[q, :, :, m] = np.concatenate(list(x[:, :, :, head]), 1)
    return y


def each_head_from_its_rank(y, *, heads):
    """sequence_exchange_uneven: takes the heads one after the other."""
    q, b, length, m, d = y.shape
    if not q or length % q or m != -(-heads // q):
        raise ValueError("ranks, parts and heads")
    x = np.empty((q, b, length // q, heads, d), y.dtype)
    for head, (rank, place) in enumerate(_owners(heads, q)):
        x[:, :, :, head] = y[rank, :, :, place].reshape(b, q, length // q, d).swapaxes(0, 1)
    return x
