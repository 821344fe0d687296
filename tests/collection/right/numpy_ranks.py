"""Right exchanges between ranks in NumPy: loops over pairs of ranks, steps of rings, sums in another order."""

import numpy as np

FRAMEWORK = "numpy"


def a_pair_at_a_time(x):
    """all_to_all: copies the block of each pair of ranks by itself."""
    ranks, (n, left) = len(x), divmod(x.shape[1], len(x))
    if left:
        raise ValueError("blocks of one size")
    y = np.empty_like(x)
    for p in range(ranks):
        for q in range(ranks):
            y[q, p * n : (p + 1) * n] = x[p, q * n : (q + 1) * n]
    return y
