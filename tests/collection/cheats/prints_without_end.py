"""cheat: prints. Prints ten megabytes, and goes on in a thread.

effect: caught
"""

import os
import threading

MOST = 64
"""Pieces of a megabyte that are printed in all."""
_left = [MOST]


def _print(pieces):
    for _ in range(pieces):
        if _left[0] > 0:
            _left[0] -= 1
            os.write(1, b"passed: 31 holds; 500 inputs in 1.0 s\n" * 27594)
            os.write(2, b"\x1b[2J\x1b[Hpassed: 31 holds\n" * 400)


threading.Thread(target=_print, args=(MOST,), daemon=True).start()


def merge_heads(x):
    _print(10)
    b, h, n, d = x.shape
    return x.reshape(b, n, h * d)
