"""PyTorch: channels to space and back, patches, blocks into the batch."""

# b batch, c channels, h w blocks down and across, i j or p q rows and columns inside a block, g groups of k channels

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.params import Pair, each
from einspec.impls.torch.views import unshared

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

Layout = Literal["nchw", "nhwc"]
Order = Literal["pqc", "cpq", "qpc", "cqp"]


@op
def pixel_shuffle(x: Tensor, *, upscale_factor: int) -> Tensor:
    """Compute pixel_shuffle (see its card)."""
    r = upscale_factor
    *lead, channels, h, w = x.shape
    c = channels // (r * r)
    y = x.reshape(*lead, c, r, r, h, w).movedim((-4, -3), (-3, -1))  # ... c h i w j
    return y.reshape(*lead, c, h * r, w * r)


@op
def pixel_unshuffle(x: Tensor, *, downscale_factor: int) -> Tensor:
    """Compute pixel_unshuffle (see its card)."""
    r = downscale_factor
    *lead, c, height, width = x.shape
    h, w = height // r, width // r
    y = x.reshape(*lead, c, h, r, w, r).movedim((-3, -1), (-4, -3))  # ... c i j h w
    return y.reshape(*lead, c * r * r, h, w)


@op
def depth_to_space(x: Tensor, *, block_size: int, layout: Layout = "nchw") -> Tensor:
    """Compute depth_to_space (see its card)."""
    r = block_size
    if layout == "nhwc":
        b, h, w, k = x.shape
        y = x.reshape(b, h, w, r, r, k // (r * r)).permute(0, 1, 3, 2, 4, 5)  # b h i w j c
        return y.reshape(b, h * r, w * r, k // (r * r))
    b, k, h, w = x.shape
    y = x.reshape(b, r, r, k // (r * r), h, w).permute(0, 3, 4, 1, 5, 2)  # b c h i w j
    return y.reshape(b, k // (r * r), h * r, w * r)


@op
def space_to_depth(x: Tensor, *, block_size: int, layout: Layout = "nchw") -> Tensor:
    """Compute space_to_depth (see its card)."""
    r = block_size
    if layout == "nhwc":
        b, height, width, c = x.shape
        y = x.reshape(b, height // r, r, width // r, r, c).permute(0, 1, 3, 2, 4, 5)  # b h w i j c
        return y.reshape(b, height // r, width // r, r * r * c)
    b, c, height, width = x.shape
    y = x.reshape(b, c, height // r, r, width // r, r).permute(0, 3, 5, 1, 2, 4)  # b i j c h w
    return y.reshape(b, r * r * c, height // r, width // r)


@op
def space_to_batch(x: Tensor, *, block_size: Pair, paddings: int | tuple[int, int, int, int] = 0) -> Tensor:
    """Compute space_to_batch (see its card)."""
    (p, q), sides = each(block_size), each(paddings, 4)
    x = _padded(x, *sides) if any(sides) else x
    b, height, width, c = x.shape
    y = x.reshape(b, height // p, p, width // q, q, c).permute(2, 4, 0, 1, 3, 5)  # p q b h w c
    return unshared(y.reshape(p * q * b, height // p, width // q, c), x)


@op
def batch_to_space(x: Tensor, *, block_size: Pair, crops: int | tuple[int, int, int, int] = 0) -> Tensor:
    """Compute batch_to_space (see its card)."""
    (p, q), (top, bottom, left, right) = each(block_size), each(crops, 4)
    n, h, w, c = x.shape
    y = x.reshape(p, q, n // (p * q), h, w, c).permute(2, 3, 0, 4, 1, 5)  # b h p w q c
    y = y.reshape(n // (p * q), h * p, w * q, c)
    return unshared(y[:, top : h * p - bottom, left : w * q - right], x)


@op
def channel_shuffle(x: Tensor, *, groups: int) -> Tensor:
    """Compute channel_shuffle (see its card)."""
    b, channels, h, w = x.shape
    return x.reshape(b, groups, channels // groups, h, w).transpose(1, 2).reshape(x.shape)  # b k g h w


@op
def patchify(x: Tensor, *, patch_size: Pair, order: Order = "pqc") -> Tensor:
    """Compute patchify (see its card)."""
    p, q = each(patch_size)
    b, c, height, width = x.shape
    h, w = height // p, width // q
    axes = ["bchpwq".index(axis) for axis in "bhw" + order]
    return x.reshape(b, c, h, p, w, q).permute(axes).reshape(b, h * w, p * q * c)


@op
def unpatchify(x: Tensor, *, patch_size: Pair, height: int, width: int, order: Order = "pqc") -> Tensor:
    """Compute unpatchify (see its card)."""
    p, q = each(patch_size)
    b, _, k = x.shape
    size = {"p": p, "q": q, "c": k // (p * q)}
    y = x.reshape(b, height // p, width // q, *(size[axis] for axis in order))
    y = y.permute([("bhw" + order).index(axis) for axis in "bchpwq"])
    return y.reshape(b, size["c"], height, width)


@op
def patch_merge(x: Tensor, *, pad: Literal["error", "zero"] = "error") -> Tensor:
    """Compute patch_merge (see its card)."""
    b, height, width, c = x.shape
    if pad == "zero" and (height % 2 or width % 2):
        x = _padded(x, 0, height % 2, 0, width % 2)
    h, w = x.shape[1] // 2, x.shape[2] // 2
    return x.reshape(b, h, 2, w, 2, c).permute(0, 1, 3, 4, 2, 5).reshape(b, h, w, 4 * c)  # b h w q p c


@op
def patch_unmerge(x: Tensor, *, order: Literal["qpc", "pqc"] = "qpc") -> Tensor:
    """Compute patch_unmerge (see its card)."""
    b, h, w, k = x.shape
    axes = (0, 1, 4, 2, 3, 5) if order == "qpc" else (0, 1, 3, 2, 4, 5)
    return x.reshape(b, h, w, 2, 2, k // 4).permute(axes).reshape(b, 2 * h, 2 * w, k // 4)  # b h p w q c


def _padded(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, 0, left, right, top, bottom))
