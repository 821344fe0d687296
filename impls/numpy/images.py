"""Images: channels to space and back, patches, blocks into the batch."""

# b batch, c channels, h w blocks down and across, i j or p q rows and columns inside a block, g groups of k channels

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked import op

Array = np.ndarray[Any, Any]
Layout = Literal["nchw", "nhwc"]
Order = Literal["pqc", "cpq", "qpc", "cqp"]


@op
def pixel_shuffle(x: Array, *, upscale_factor: int) -> Array:
    """Compute pixel_shuffle (see its card)."""
    r = upscale_factor
    *lead, channels, height, width = x.shape
    y = np.empty((*lead, channels // (r * r), height * r, width * r), x.dtype)
    for i in range(r):
        for j in range(r):
            y[..., i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return y


@op
def pixel_unshuffle(x: Array, *, downscale_factor: int) -> Array:
    """Compute pixel_unshuffle (see its card)."""
    r = downscale_factor
    *lead, channels, height, width = x.shape
    y = np.empty((*lead, channels * r * r, height // r, width // r), x.dtype)
    for i in range(r):
        for j in range(r):
            y[..., i * r + j :: r * r, :, :] = x[..., i::r, j::r]
    return y


@op
def depth_to_space(x: Array, *, block_size: int, layout: Layout = "nchw") -> Array:
    """Compute depth_to_space (see its card)."""
    r = block_size
    if layout == "nhwc":
        b, h, w, k = x.shape
        y = x.reshape(b, h, w, r, r, k // (r * r)).transpose(0, 1, 3, 2, 4, 5)  # b h i w j c
        return y.reshape(b, h * r, w * r, k // (r * r))
    b, k, h, w = x.shape
    blocks = x.reshape(b, r, r, k // (r * r), h, w)
    y = np.empty((b, k // (r * r), h * r, w * r), x.dtype)
    for i in range(r):
        for j in range(r):
            y[:, :, i::r, j::r] = blocks[:, i, j]
    return y


@op
def space_to_depth(x: Array, *, block_size: int, layout: Layout = "nchw") -> Array:
    """Compute space_to_depth (see its card)."""
    r = block_size
    if layout == "nhwc":
        b, height, width, c = x.shape
        y = x.reshape(b, height // r, r, width // r, r, c).transpose(0, 1, 3, 2, 4, 5)  # b h w i j c
        return y.reshape(b, height // r, width // r, r * r * c)
    b, c, height, width = x.shape
    blocks = np.empty((b, r, r, c, height // r, width // r), x.dtype)
    for i in range(r):
        for j in range(r):
            blocks[:, i, j] = x[:, :, i::r, j::r]
    return blocks.reshape(b, r * r * c, height // r, width // r)


@op
def space_to_batch(
    x: Array, *, block_size: int | tuple[int, int], paddings: int | tuple[int, int, int, int] = 0
) -> Array:
    """Compute space_to_batch (see its card)."""
    (p, q), sides = _each(block_size, 2), _each(paddings, 4)
    x = _padded(x, *sides) if any(sides) else x
    b, height, width, c = x.shape
    y = x.reshape(b, height // p, p, width // q, q, c).transpose(2, 4, 0, 1, 3, 5)  # p q b h w c
    return y.reshape(p * q * b, height // p, width // q, c)


@op
def batch_to_space(x: Array, *, block_size: int | tuple[int, int], crops: int | tuple[int, int, int, int] = 0) -> Array:
    """Compute batch_to_space (see its card)."""
    (p, q), (top, bottom, left, right) = _each(block_size, 2), _each(crops, 4)
    n, h, w, c = x.shape
    y = x.reshape(p, q, n // (p * q), h, w, c).transpose(2, 3, 0, 4, 1, 5)  # b h p w q c
    y = y.reshape(n // (p * q), h * p, w * q, c)
    return y[:, top : h * p - bottom, left : w * q - right]


@op
def channel_shuffle(x: Array, *, groups: int) -> Array:
    """Compute channel_shuffle (see its card)."""
    b, channels, h, w = x.shape
    return x.reshape(b, groups, channels // groups, h, w).swapaxes(1, 2).reshape(x.shape)  # b k g h w


@op
def patchify(x: Array, *, patch_size: int | tuple[int, int], order: Order = "pqc") -> Array:
    """Compute patchify (see its card)."""
    p, q = _each(patch_size, 2)
    b, c, height, width = x.shape
    h, w = height // p, width // q
    axes = ["bchpwq".index(axis) for axis in "bhw" + order]
    return x.reshape(b, c, h, p, w, q).transpose(axes).reshape(b, h * w, p * q * c)


@op
def unpatchify(x: Array, *, patch_size: int | tuple[int, int], height: int, width: int, order: Order = "pqc") -> Array:
    """Compute unpatchify (see its card)."""
    p, q = _each(patch_size, 2)
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


def _each(value: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def _padded(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    b, h, w, c = x.shape
    y = np.zeros((b, top + h + bottom, left + w + right, c), x.dtype)
    y[:, top : top + h, left : left + w] = x
    return y
