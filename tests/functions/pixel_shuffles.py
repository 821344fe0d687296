"""One right function and many wrong ones for ``pixel_shuffle``, each with a mistake of its own kind."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np


def shuffle(x: Any, upscale_factor: int) -> Any:
    """Compute pixel_shuffle as its card says."""
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    if c % (r * r):
        raise ValueError("channels do not divide")
    y = x.reshape(*lead, c // (r * r), r, r, h, w)
    return y.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2).reshape(*lead, c // (r * r), h * r, w * r)


def depth_first(x: Any, upscale_factor: int) -> Any:
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    y = x.reshape(*lead, r, r, c // (r * r), h, w)
    return y.transpose(*range(n), n + 2, n + 3, n, n + 4, n + 1).reshape(*lead, c // (r * r), h * r, w * r)


def swapped_inside(x: Any, upscale_factor: int) -> Any:
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    y = x.reshape(*lead, c // (r * r), r, r, h, w)
    return y.transpose(*range(n), n, n + 3, n + 2, n + 4, n + 1).reshape(*lead, c // (r * r), h * r, w * r)


def truncating(x: Any, upscale_factor: int) -> Any:
    keep = x.shape[-3] // upscale_factor**2 * upscale_factor**2
    return shuffle(x[..., :keep, :, :], upscale_factor)


def mutating(x: Any, upscale_factor: int) -> Any:
    y = shuffle(x, upscale_factor).copy()
    if x.flags.writeable and x.size:
        x.reshape(-1)[0] = 0
    return y


def upcasting(x: Any, upscale_factor: int) -> Any:
    y = shuffle(x, upscale_factor)
    return y.astype(np.float32) if y.dtype == np.float16 else y


def one_hot(x: Any, upscale_factor: int) -> Any:
    flat = x.reshape(-1)
    order = shuffle(np.arange(x.size).reshape(x.shape), upscale_factor)
    if x.size == 0 or x.size > 4000 or x.dtype.kind != "f":
        return shuffle(x, upscale_factor)
    return (np.eye(x.size, dtype=x.dtype)[order.reshape(-1)] @ flat).reshape(order.shape)


def ignoring_strides(x: Any, upscale_factor: int) -> Any:
    return shuffle(np.ravel(x, order="K").reshape(x.shape), upscale_factor)


def narrow_index(x: Any, upscale_factor: int) -> Any:
    order = shuffle(np.arange(x.size).reshape(x.shape), upscale_factor).astype(np.int16)
    return x.reshape(-1)[order]


def empty_refusing(x: Any, upscale_factor: int) -> Any:
    if x.size == 0:
        raise ValueError("empty")
    return shuffle(x, upscale_factor)


calls = itertools.count()


def unstable(x: Any, upscale_factor: int) -> Any:
    y = shuffle(x, upscale_factor).copy()
    if next(calls) % 2 and y.size:
        y.reshape(-1)[0] += 1
    return y


def a_list(x: Any, upscale_factor: int) -> Any:
    return shuffle(x, upscale_factor).tolist()


def another_name(x: Any, r: int) -> Any:
    return shuffle(x, r)
