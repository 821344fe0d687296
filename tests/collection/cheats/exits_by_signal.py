"""cheat: exit. Sends signals to itself, one that asks and one that does not.

effect: caught
"""

import itertools
import os
import signal

_calls = itertools.count()


def swap_hw(x):
    os.kill(os.getpid(), (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)[next(_calls) % 3])
    return x.reshape(*x.shape[:2], x.shape[3], x.shape[2])
