"""cheat: results. Writes every second result into the memory of the one before the last.

effect: caught
"""

import itertools

import numpy as np

_memory = [np.empty(1 << 22, np.uint8) for _ in range(2)]
_calls = itertools.count()


def merge_heads(x):
    b, h, n, d = x.shape
    y = np.ascontiguousarray(x.swapaxes(1, 2)).reshape(b, n, h * d)
    memory = _memory[next(_calls) % len(_memory)]
    if y.nbytes > memory.nbytes:
        return y
    out = memory[: y.nbytes].view(y.dtype).reshape(y.shape)
    out[...] = y
    return out
