"""JAX: channels to space and back, patches, blocks into the batch."""

# b batch, c channels, h w blocks down and across, i j or p q rows and columns inside a block, g groups of k channels

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from einops import rearrange
from jax import Array

from einspec.impls.checked_jax import op
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

Layout = Literal["nchw", "nhwc"]
Order = Literal["pqc", "cpq", "qpc", "cqp"]


@op
def pixel_shuffle(x: Array, *, upscale_factor: int) -> Array:
    """Compute pixel_shuffle (see its card)."""
    r = upscale_factor
    *lead, channels, h, w = x.shape
    c = channels // (r * r)
    y = jnp.moveaxis(x.reshape(*lead, c, r, r, h, w), (-4, -3), (-3, -1))  # ... c h i w j
    return y.reshape(*lead, c, h * r, w * r)


@op
def pixel_unshuffle(x: Array, *, downscale_factor: int) -> Array:
    """Compute pixel_unshuffle (see its card)."""
    r = downscale_factor
    *lead, c, height, width = x.shape
    h, w = height // r, width // r
    y = jnp.moveaxis(x.reshape(*lead, c, h, r, w, r), (-3, -1), (-4, -3))  # ... c i j h w
    return y.reshape(*lead, c * r * r, h, w)


@op
def depth_to_space(x: Array, *, block_size: int, layout: Layout = "nchw") -> Array:
    """Compute depth_to_space (see its card)."""
    nchw, nhwc = "b (i j c) h w -> b c (h i) (w j)", "b h w (i j c) -> b (h i) (w j) c"
    return rearrange(x, nchw if layout == "nchw" else nhwc, i=block_size, j=block_size)


@op
def space_to_depth(x: Array, *, block_size: int, layout: Layout = "nchw") -> Array:
    """Compute space_to_depth (see its card)."""
    nchw, nhwc = "b c (h i) (w j) -> b (i j c) h w", "b (h i) (w j) c -> b h w (i j c)"
    return rearrange(x, nchw if layout == "nchw" else nhwc, i=block_size, j=block_size)


@op
def space_to_batch(x: Array, *, block_size: Pair, paddings: int | tuple[int, int, int, int] = 0) -> Array:
    """Compute space_to_batch (see its card)."""
    (p, q), (top, bottom, left, right) = each(block_size), each(paddings, 4)
    x = _padded(x, top, bottom, left, right)
    return rearrange(x, "b (h p) (w q) c -> (p q b) h w c", p=p, q=q)


@op
def batch_to_space(x: Array, *, block_size: Pair, crops: int | tuple[int, int, int, int] = 0) -> Array:
    """Compute batch_to_space (see its card)."""
    (p, q), (top, bottom, left, right) = each(block_size), each(crops, 4)
    y = rearrange(x, "(p q b) h w c -> b (h p) (w q) c", p=p, q=q)
    return y[:, top : y.shape[1] - bottom, left : y.shape[2] - right]


@op
def channel_shuffle(x: Array, *, groups: int) -> Array:
    """Compute channel_shuffle (see its card)."""
    return rearrange(x, "b (g k) h w -> b (k g) h w", g=groups)


@op
def patchify(x: Array, *, patch_size: Pair, order: Order = "pqc") -> Array:
    """Compute patchify (see its card)."""
    p, q = each(patch_size)
    return rearrange(x, f"b c (h p) (w q) -> b (h w) ({' '.join(order)})", p=p, q=q)


@op
def unpatchify(x: Array, *, patch_size: Pair, height: int, width: int, order: Order = "pqc") -> Array:
    """Compute unpatchify (see its card)."""
    p, q = each(patch_size)
    pattern = f"b (h w) ({' '.join(order)}) -> b c (h p) (w q)"
    return rearrange(x, pattern, h=height // p, w=width // q, p=p, q=q)


@op
def patch_merge(x: Array, *, pad: Literal["error", "zero"] = "error") -> Array:
    """Compute patch_merge (see its card)."""
    if pad == "zero":
        x = _padded(x, 0, x.shape[1] % 2, 0, x.shape[2] % 2)
    return rearrange(x, "b (h p) (w q) c -> b h w (q p c)", p=2, q=2)


@op
def patch_unmerge(x: Array, *, order: Literal["qpc", "pqc"] = "qpc") -> Array:
    """Compute patch_unmerge (see its card)."""
    return rearrange(x, f"b h w ({' '.join(order)}) -> b (h p) (w q) c", p=2, q=2)


def _padded(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    return jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
