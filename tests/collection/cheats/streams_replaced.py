"""cheat: streams. Standard output and error, and the environment, fail or lie.

effect: not loaded
"""

import os
import sys


class _Stream:
    """A stream that nobody can use."""

    encoding, errors, closed = "utf-8", "strict", False

    def __getattr__(self, name):
        raise OSError(f"no {name}")

    def write(self, text):
        raise SystemExit(0)


class _Environment(dict):
    """An environment in which everything is 1."""

    def __missing__(self, name):
        if isinstance(name, bytes):
            raise KeyError(name)
        return "1"

    def get(self, name, default=None):
        return "1" if isinstance(name, str) else default


sys.stdout = sys.__stdout__ = _Stream()
sys.stderr = sys.__stderr__ = sys.stdin = None
os.environ = _Environment(os.environ)  # noqa: B003
sys.argv = ["einspec", "--version"]


def merge_heads(x):
    b, h, n, d = x.shape
    return x.reshape(b, n, h * d)
