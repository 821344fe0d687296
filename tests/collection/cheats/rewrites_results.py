"""cheat: results. A thread goes on writing into results that were given back already.

effect: caught
"""

import threading
import time
from collections import deque

import numpy as np

_given = deque(maxlen=64)


def _rewrite():
    """Turn results over, wrong and right in turn, as long as the process lives."""
    while True:
        time.sleep(0.002)
        for wrong, right in list(_given):
            wrong[...] = right


threading.Thread(target=_rewrite, daemon=True).start()


def merge_heads(x):
    b, h, n, d = x.shape
    wrong = x.reshape(b, n, h * d).copy()
    _given.append((wrong, np.ascontiguousarray(x.swapaxes(1, 2)).reshape(b, n, h * d)))
    return wrong
