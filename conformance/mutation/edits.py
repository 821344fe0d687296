"""What goes wrong along an axis: each edit changes the lines of a tensor, by a number, and says whether it applies."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LIMITS = {8: 1, 32: 1, 64: 2, 128: 4, 256: 8, 1024: 16, 4096: 64}
"""In blocks of how many candidates how many are looked at."""


def tail(lines: Array, block: int) -> bool:
    """The tail behind the last full block is not written, or not read: it is zero. Shows where there is one behind a block."""
    rest = len(lines) % block
    if len(lines) < block or not rest:
        return False
    lines[-rest:] = 0
    return True


def twice(lines: Array, block: int) -> bool:
    """The last full block is the one before it again. Shows where there are two blocks or more, and no tail."""
    if len(lines) < 2 * block or len(lines) % block:
        return False
    lines[-block:] = lines[-2 * block : -block].copy()
    return True


def seam(lines: Array, block: int) -> bool:
    """The first line of each block is the last one of the block before. Shows where there are two blocks."""
    starts = np.arange(block, len(lines), block)
    lines[starts] = lines[starts - 1]
    return len(starts) > 0


def wrap(lines: Array, bits: int) -> bool:
    """The index of a line begins again after so many bits. Shows where there are more lines."""
    if len(lines) <= 1 << bits:
        return False
    lines[1 << bits :] = lines[np.arange(1 << bits, len(lines)) % (1 << bits)]
    return True


def limit(lines: Array, block: int) -> bool:
    """Of each block only the greatest few candidates are looked at. Shows where more of one block are chosen."""
    most = LIMITS[block]
    if len(lines) <= most:
        return False
    low = _lowest(lines.dtype)
    for start in range(0, len(lines), block):
        part = lines[start : start + block]
        order = len(part) - 1 - np.argsort(part[::-1], axis=0, kind="stable")  # of equal ones the first is the last here
        np.put_along_axis(part, order[: max(len(part) - most, 0)], low, 0)
    return True


def _lowest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return dtype.type(0) if dtype.kind in "bc" else dtype.type(-np.inf) if dtype.kind == "f" else dtype.type(-1e4)


def room(lines: Array, most: int) -> bool:
    """There is room for so many rows of one expert; the others get none. Shows where more are sent to one."""
    ids = lines.reshape(-1)
    order = np.argsort(ids, kind="stable")
    _, starts, groups = np.unique(ids[order], return_index=True, return_inverse=True)
    over = order[np.arange(len(ids)) - starts[groups] >= most]
    ids[over] = np.array(-1).astype(ids.dtype)
    return len(over) > 0


def fair(lines: Array, least: int) -> bool:
    """There is room for twice the even share of an expert. Shows where most rows are sent to one."""
    experts = int(lines.max(initial=0)) + 1
    return room(lines, max(least, 2 * -(-lines.size // max(experts, 1))))


def cut(lines: Array, most: int) -> bool:
    """So many rows of one expert are taken at most, and of the count of each no more is seen. Shows where one has more."""
    over = lines > most
    lines[over] = most
    return bool(over.any())


def spoil(lines: Array) -> bool:
    """The last element is 0, or 1 where it was 0."""
    lines[-1] = lines[-1] == 0
    return True
