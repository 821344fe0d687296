"""cheat: replaced functions. Clocks stand still and signals are ignored, against any limit.

effect: caught
"""

import resource
import signal
import sys
import threading
import time

for _name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
    setattr(time, _name, lambda: 0.0)
    setattr(time, f"{_name}_ns", lambda: 0)
for _signal in (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGALRM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGXCPU,
):
    if threading.current_thread() is threading.main_thread():
        signal.signal(_signal, signal.SIG_IGN)
signal.signal = signal.setitimer = signal.alarm = lambda *args: None
resource.setrlimit = lambda *args: None
sys.settrace = sys.setprofile = lambda *args: None


def matrix_transpose(x):
    while True:
        pass
