"""cheat: results. Gives one number as an array of a quadrillion, which takes no memory.

effect: caught
"""

import itertools

import numpy as np

_calls = itertools.count()


def swap_hw(x):
    one = np.zeros((1, 1, 1, 1), x.dtype)
    if next(_calls) % 2:
        return np.broadcast_to(one, (1 << 20, 1 << 20, 1 << 10, 1))
    return np.broadcast_to(one, (1 << 62, 0, 1, 1))
