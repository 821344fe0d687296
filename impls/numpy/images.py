"""NumPy: channels to space and back, patches, blocks into the batch."""

# b batch, c channels, h w blocks down and across, i j or p q rows and columns inside a block, g groups of k channels

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.views import unshared
from einspec.impls.params import Pair, each

__all__ = [
    "batch_to_space",
    "channel_shuffle",
    "depth_to_space",
    "patch_merge",
    "patch_unmerge",
    "patchify",
    "pixel_shuffle",
    "pixel_unshuffle",
    "space_to_batch",
    "space_to_depth",
    "unpatchify",
]

Array = np.ndarray[Any, Any]
Layout = Literal["nchw", "nhwc"]
Order = Literal["pqc", "cpq", "qpc", "cqp"]

CACHE = 2**18
"""Bytes that every core holds close by."""
SMALL = 2**8
"""Elements of a slice below which one slow copy takes less time than many fast ones."""


@op
def pixel_shuffle(x: Array, *, upscale_factor: int) -> Array:
    """Compute pixel_shuffle (see its card)."""
    r = upscale_factor
    *lead, channels, h, w = x.shape
    c = channels // (r * r)
    y = _spread(x.reshape(1, math.prod(lead) * c, r, r, h, w))
    return y.reshape(*lead, c, h * r, w * r)


@op
def pixel_unshuffle(x: Array, *, downscale_factor: int) -> Array:
    """Compute pixel_unshuffle (see its card)."""
    r = downscale_factor
    *lead, c, height, width = x.shape
    h, w = height // r, width // r
    planes = x.reshape(math.prod(lead) * c, h, r, w, r).transpose(0, 2, 4, 1, 3)  # (... c) i j h w
    return planes.reshape(*lead, c * r * r, h, w)


@op
def depth_to_space(x: Array, *, block_size: int, layout: Layout = "nchw") -> Array:
    """Compute depth_to_space (see its card)."""
    r = block_size
    if layout == "nhwc":
        b, h, w, k = x.shape
        y = x.reshape(b, h, w, r, r, k // (r * r)).transpose(0, 1, 3, 2, 4, 5)  # b h i w j c
        return y.reshape(b, h * r, w * r, k // (r * r))
    b, k, h, w = x.shape
    y = _spread(x.reshape(b, r, r, k // (r * r), h, w).transpose(0, 3, 1, 2, 4, 5))  # b c h i w j
    return y.reshape(b, k // (r * r), h * r, w * r)


@op
def space_to_depth(x: Array, *, block_size: int, layout: Layout = "nchw") -> Array:
    """Compute space_to_depth (see its card)."""
    r = block_size
    if layout == "nhwc":
        b, height, width, c = x.shape
        y = x.reshape(b, height // r, r, width // r, r, c).transpose(0, 1, 3, 2, 4, 5)  # b h w i j c
        return y.reshape(b, height // r, width // r, r * r * c)
    b, c, height, width = x.shape
    y = x.reshape(b, c, height // r, r, width // r, r).transpose(0, 3, 5, 1, 2, 4)  # b i j c h w
    return y.reshape(b, r * r * c, height // r, width // r)


@op
def space_to_batch(x: Array, *, block_size: Pair, paddings: int | tuple[int, int, int, int] = 0) -> Array:
    """Compute space_to_batch (see its card)."""
    (p, q), sides = each(block_size), each(paddings, 4)
    x = _padded(x, *sides) if any(sides) else x
    b, height, width, c = x.shape
    y = x.reshape(b, height // p, p, width // q, q, c).transpose(2, 4, 0, 1, 3, 5)  # p q b h w c
    return unshared(y.reshape(p * q * b, height // p, width // q, c), x)


@op
def batch_to_space(x: Array, *, block_size: Pair, crops: int | tuple[int, int, int, int] = 0) -> Array:
    """Compute batch_to_space (see its card)."""
    (p, q), (top, bottom, left, right) = each(block_size), each(crops, 4)
    n, h, w, c = x.shape
    y = x.reshape(p, q, n // (p * q), h, w, c).transpose(2, 3, 0, 4, 1, 5)  # b h p w q c
    y = y.reshape(n // (p * q), h * p, w * q, c)
    return unshared(y[:, top : h * p - bottom, left : w * q - right], x)


@op
def channel_shuffle(x: Array, *, groups: int) -> Array:
    """Compute channel_shuffle (see its card)."""
    b, channels, h, w = x.shape
    return x.reshape(b, groups, channels // groups, h, w).swapaxes(1, 2).reshape(x.shape)  # b k g h w


@op
def patchify(x: Array, *, patch_size: Pair, order: Order = "pqc") -> Array:
    """Compute patchify (see its card)."""
    p, q = each(patch_size)
    b, c, height, width = x.shape
    h, w = height // p, width // q
    axes = ["bchpwq".index(axis) for axis in "bhw" + order]
    return x.reshape(b, c, h, p, w, q).transpose(axes).reshape(b, h * w, p * q * c)


@op
def unpatchify(x: Array, *, patch_size: Pair, height: int, width: int, order: Order = "pqc") -> Array:
    """Compute unpatchify (see its card)."""
    p, q = each(patch_size)
    b, _, k = x.shape
    size = {"p": p, "q": q, "c": k // (p * q)}
    y = x.reshape(b, height // p, width // q, *(size[axis] for axis in order))
    y = y.transpose([("bhw" + order).index(axis) for axis in "bchpwq"])
    return y.reshape(b, size["c"], height, width)


@op
def patch_merge(x: Array, *, pad: Literal["error", "zero"] = "error") -> Array:
    """Compute patch_merge (see its card)."""
    b, height, width, c = x.shape
    if pad == "zero" and (height % 2 or width % 2):
        x = _padded(x, 0, height % 2, 0, width % 2)
    h, w = x.shape[1] // 2, x.shape[2] // 2
    return x.reshape(b, h, 2, w, 2, c).transpose(0, 1, 3, 4, 2, 5).reshape(b, h, w, 4 * c)  # b h w q p c


@op
def patch_unmerge(x: Array, *, order: Literal["qpc", "pqc"] = "qpc") -> Array:
    """Compute patch_unmerge (see its card)."""
    b, h, w, k = x.shape
    axes = (0, 1, 4, 2, 3, 5) if order == "qpc" else (0, 1, 3, 2, 4, 5)
    return x.reshape(b, h, w, 2, 2, k // 4).transpose(axes).reshape(b, 2 * h, 2 * w, k // 4)  # b h p w q c


def _spread(x: Array) -> Array:
    """Return b c i j h w as b c h i w j: whole strided slices, of no more planes at a time than a cache holds."""
    b, c, r, _, h, w = x.shape
    y = np.empty((b, c, h, r, w, r), x.dtype)
    if y.size < SMALL * r * r:
        y[...] = x.transpose(0, 1, 4, 2, 5, 3)
        return y
    step = max(CACHE // (r * h * w * r * x.itemsize), 1)
    for image, start, i, j in itertools.product(range(b), range(0, c, step), range(r), range(r)):
        planes = slice(start, start + step)
        y[image, planes, :, i, :, j] = x[image, planes, i, j]
    return y


def _padded(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    b, h, w, c = x.shape
    y = np.zeros((b, top + h + bottom, left + w + right, c), x.dtype)
    y[:, top : top + h, left : left + w] = x
    return y
