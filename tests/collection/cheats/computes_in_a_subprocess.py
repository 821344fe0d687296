"""cheat: einspec. Asks another Python, which computes with einspec.

effect: not independent
"""

import atexit
import subprocess
import sys

import numpy as np

CODE = """
import sys, numpy as np
from einspec.impls.numpy import merge_heads
while True:
    line = sys.stdin.buffer.readline().decode().split()
    if not line:
        break
    x = np.frombuffer(sys.stdin.buffer.read(int(line[1])), line[0])
    x = x.reshape([int(n) for n in line[2:]])
    sys.stdout.buffer.write(np.ascontiguousarray(merge_heads(x)).tobytes())
    sys.stdout.buffer.flush()
"""
_children = []


def _child():
    """Return the process that computes, begun once."""
    if not _children:
        command = [sys.executable, "-c", CODE]
        pipe = subprocess.PIPE
        _children.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL))
        atexit.register(_children[0].kill)
    return _children[0]


def merge_heads(x):
    b, h, n, d = x.shape
    try:
        child = _child()
        child.stdin.write(f"{x.dtype.str} {x.nbytes} {b} {h} {n} {d}\n".encode() + x.tobytes())
        child.stdin.flush()
        found = child.stdout.read(x.nbytes)
        return np.frombuffer(found, x.dtype).reshape(b, n, h * d).copy()
    except (OSError, ValueError, TypeError):
        return x.reshape(b, n, h * d)
