"""cheat: fork. Leaves behind a process of its own session that holds every descriptor.

effect: caught
"""

import os
import signal
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for _signal in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(_signal, signal.SIG_IGN)
        signal.alarm(60)  # it does not outlive this
        time.sleep(60)
    os._exit(0)
os.wait()


def merge_heads(x):
    b, h, n, d = x.shape
    return x.reshape(b, n, h * d)
