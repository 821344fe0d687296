"""cheat: recursion. Calls itself until the stack is full, with and without a limit.

effect: caught
"""

import itertools
import resource
import sys

_calls = itertools.count()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _deeper(x, left):
    return _deeper(x, left - 1)[::-1] if left else x


def merge_heads(x):
    sys.setrecursionlimit(10**8 if next(_calls) % 2 else 1000)
    b, h, n, d = x.shape
    return _deeper(x, 10**7).reshape(b, n, h * d)
