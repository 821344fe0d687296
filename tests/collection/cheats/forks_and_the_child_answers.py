"""cheat: fork. The child answers, and the process that was started ends.

effect: caught
"""

import os
import signal

_forked = []


def swap_hw(x):
    if not _forked:
        _forked.append(True)
        if os.fork():
            os._exit(0)
        os.setsid()
        signal.alarm(20)  # the child does not outlive this
    return x.reshape(*x.shape[:2], x.shape[3], x.shape[2]).copy()
