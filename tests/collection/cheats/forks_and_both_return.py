"""cheat: fork. Forks in the third call, and both processes go on with a result of their own.

effect: caught
"""

import os
import signal

_calls = [0]


def merge_heads(x):
    b, h, n, d = x.shape
    _calls[0] += 1
    if _calls[0] == 3 and os.fork() == 0:
        signal.alarm(20)  # no child outlives this
        return x.swapaxes(1, 2).reshape(b, n, h * d)
    return x.reshape(b, n, h * d)
