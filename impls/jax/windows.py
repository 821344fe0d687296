"""JAX: windows, grids, shifts, and patches that may overlap."""

# b batch, h w windows down and across, p q inside a window, c channels

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import Array

from einspec.impls.checked_jax import op
from einspec.impls.params import Pair, each

__all__ = [
    "cyclic_shift",
    "fold",
    "grid_partition",
    "grid_reverse",
    "shifted_window_mask",
    "unfold",
    "window_partition",
    "window_reverse",
]


@op
def window_partition(x: Array, *, window_size: int) -> Array:
    """Compute window_partition (see its card)."""
    b, height, width, c = x.shape
    h, w = height // window_size, width // window_size
    windows = x.reshape(b, h, window_size, w, window_size, c).transpose(0, 1, 3, 2, 4, 5)  # b h w p q c
    return windows.reshape(b * h * w, window_size, window_size, c)


@op
def window_reverse(x: Array, *, window_size: int, height: int, width: int) -> Array:
    """Compute window_reverse (see its card)."""
    return rearrange(x, "(b h w) p q c -> b (h p) (w q) c", h=height // window_size, w=width // window_size)


@op
def grid_partition(x: Array, *, grid_size: int) -> Array:
    """Compute grid_partition (see its card)."""
    b, height, width, c = x.shape
    h, w = height // grid_size, width // grid_size
    grids = x.reshape(b, grid_size, h, grid_size, w, c).transpose(0, 2, 4, 1, 3, 5)  # b h w p q c
    return grids.reshape(b * h * w, grid_size, grid_size, c)


@op
def grid_reverse(x: Array, *, grid_size: int, height: int, width: int) -> Array:
    """Compute grid_reverse (see its card)."""
    return rearrange(x, "(b h w) p q c -> b (p h) (q w) c", h=height // grid_size, w=width // grid_size)


@op
def cyclic_shift(x: Array, *, shift: Pair) -> Array:
    """Compute cyclic_shift (see its card)."""
    up, left = each(shift)
    return jnp.roll(x, (-up, -left), axis=(1, 2))


@op
def shifted_window_mask(*, height: int, width: int, window_size: int, shift: Pair) -> Array:
    """Compute shifted_window_mask (see its card)."""
    up, left = each(shift)
    h, w = height // window_size, width // window_size
    row = (jnp.arange(height) >= height - up).reshape(h, 1, window_size, 1)
    column = (jnp.arange(width) >= width - left).reshape(1, w, 1, window_size)
    region = (2 * row + column).reshape(h * w, window_size * window_size)  # (h w) (p q)
    return region[:, :, None] == region[:, None, :]


@op
def unfold(
    x: Array, *, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, order: str = "cpq"
) -> Array:
    """Compute unfold (see its card)."""
    (p, q), (sh, sw), (ph, pw), (dh, dw) = each(kernel_size), each(stride), each(padding), each(dilation)
    b, c, h, w = x.shape
    i, j = (h + 2 * ph - dh * (p - 1) - 1) // sh + 1, (w + 2 * pw - dw * (q - 1) - 1) // sw + 1
    down = dh * np.arange(p)[:, None] + sh * np.arange(i)  # p i
    across = dw * np.arange(q)[:, None] + sw * np.arange(j)  # q j
    padded = jnp.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    patches = padded[:, :, down[:, None, :, None], across[None, :, None, :]]  # b c p q i j
    columns = patches if order == "cpq" else patches.transpose(0, 2, 3, 1, 4, 5)
    return columns.reshape(b, c * p * q, i * j)


@op
def fold(
    x: Array,
    *,
    height: int,
    width: int,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    order: str = "cpq",
) -> Array:
    """Compute fold (see its card)."""
    (p, q), (sh, sw), (ph, pw), (dh, dw) = each(kernel_size), each(stride), each(padding), each(dilation)
    i = (height + 2 * ph - dh * (p - 1) - 1) // sh + 1
    j = (width + 2 * pw - dw * (q - 1) - 1) // sw + 1
    b, c = x.shape[0], x.shape[1] // (p * q)
    columns = x.reshape(b, c, p, q, i, j) if order == "cpq" else x.reshape(b, p, q, c, i, j).transpose(0, 3, 1, 2, 4, 5)
    wide = jnp.promote_types(x.dtype, jnp.float32) if jnp.issubdtype(x.dtype, jnp.inexact) else x.dtype
    image = jnp.zeros((b, c, height + 2 * ph, width + 2 * pw), wide)
    apart = (p, q, dh, dw) == (sh, sw, 1, 1)
    if apart:
        image = image.at[:, :, : i * p, : j * q].set(rearrange(columns, "b c p q i j -> b c (i p) (j q)").astype(wide))
    for row, column in () if apart else itertools.product(range(p), range(q)):
        down = slice(dh * row, dh * row + sh * (i - 1) + 1, sh)
        across = slice(dw * column, dw * column + sw * (j - 1) + 1, sw)
        image = image.at[:, :, down, across].add(columns[:, :, row, column].astype(wide))
    return image[:, :, ph : ph + height, pw : pw + width].astype(x.dtype)
