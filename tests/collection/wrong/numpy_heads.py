"""Wrong exchanges of uneven heads in NumPy: heads that are shared out in another way."""

import numpy as np

FRAMEWORK = "numpy"


def the_last_rank_lacks_heads(x):
    """head_exchange_uneven/def: fills every rank before the next, so that the last ones have what is left.

    Constructed.
    """
    p, b, n, h, d = x.shape
    padded = np.zeros((p, b, n, p * -(-h // p), d), x.dtype)
    padded[:, :, :, :h] = x
    return padded.reshape(p, b, n, p, -(-h // p), d).transpose(3, 1, 0, 2, 4, 5).reshape(p, b, p * n, -(-h // p), d)


def heads_in_turn(y, *, heads):
    """sequence_exchange_uneven/def: takes a head of each rank in turn.

    Constructed.
    """
    q, b, length, m, d = y.shape
    if not q or length % q or m != -(-heads // q):
        raise ValueError("ranks, parts and heads")
    parts = y.reshape(q, b, q, length // q, m, d).transpose(2, 1, 3, 4, 0, 5)
    return parts.reshape(q, b, length // q, m * q, d)[:, :, :, :heads]
