"""NumPy: windows, grids, shifts, and patches that may overlap."""

# b batch, h w windows down and across, p q inside a window, c channels

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.views import unshared
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

Array = np.ndarray[Any, Any]


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
    n, p, q, c = x.shape
    h, w = height // window_size, width // window_size
    rows = x.reshape(n // (h * w), h, w, p, q, c).transpose(0, 1, 3, 2, 4, 5)  # b h p w q c
    return rows.reshape(n // (h * w), height, width, c)


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
    n, p, q, c = x.shape
    h, w = height // grid_size, width // grid_size
    rows = x.reshape(n // (h * w), h, w, p, q, c).transpose(0, 3, 1, 4, 2, 5)  # b p h q w c
    return rows.reshape(n // (h * w), height, width, c)


@op
def cyclic_shift(x: Array, *, shift: Pair) -> Array:
    """Compute cyclic_shift (see its card)."""
    up, left = each(shift)
    return np.roll(x, (-up, -left), axis=(1, 2))


@op
def shifted_window_mask(*, height: int, width: int, window_size: int, shift: Pair) -> Array:
    """Compute shifted_window_mask (see its card)."""
    up, left = each(shift)
    h, w = height // window_size, width // window_size
    row = (np.arange(height) >= height - up).reshape(h, 1, window_size, 1)
    column = (np.arange(width) >= width - left).reshape(1, w, 1, window_size)
    region = (2 * row + column).reshape(h * w, window_size * window_size)  # (h w) (p q)
    mask: Array = region[:, :, None] == region[:, None, :]
    return mask


@op
def unfold(
    x: Array, *, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, order: str = "cpq"
) -> Array:
    """Compute unfold (see its card)."""
    (p, q), (sh, sw), (ph, pw), (dh, dw) = each(kernel_size), each(stride), each(padding), each(dilation)
    b, c, h, w = x.shape
    if ph or pw:
        padded = np.zeros((b, c, h + 2 * ph, w + 2 * pw), x.dtype)
        padded[:, :, ph : ph + h, pw : pw + w] = x
        x = padded
    bits = x.view(np.uint8) if x.itemsize == 1 else x  # sliding_window_view does not know float8
    patches = sliding_window_view(bits, (dh * (p - 1) + 1, dw * (q - 1) + 1), axis=(2, 3))
    patches = patches.view(x.dtype)[:, :, ::sh, ::sw, ::dh, ::dw]  # b c i j p q
    i, j = patches.shape[2:4]
    axes = (0, 1, 4, 5, 2, 3) if order == "cpq" else (0, 4, 5, 1, 2, 3)
    return unshared(patches.transpose(axes).reshape(b, c * p * q, i * j), bits)


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
    shape = (b, c, p, q, i, j) if order == "cpq" else (b, p, q, c, i, j)
    columns = x.reshape(shape).transpose((2, 3, 0, 1, 4, 5) if order == "cpq" else (1, 2, 0, 3, 4, 5))  # p q b c i j
    wide = x.dtype if x.dtype.kind in "iuc" else np.promote_types(x.dtype, np.float32)
    image = np.zeros((b, c, height + 2 * ph, width + 2 * pw), wide)
    apart = (p, q, dh, dw) == (sh, sw, 1, 1)
    if apart:
        image[:, :, : i * p, : j * q] = columns.transpose(2, 3, 4, 0, 5, 1).reshape(b, c, i * p, j * q)
    with np.errstate(all="ignore"):
        for row, column in () if apart else itertools.product(range(p), range(q)):
            down = slice(dh * row, dh * row + sh * (i - 1) + 1, sh)
            across = slice(dw * column, dw * column + sw * (j - 1) + 1, sw)
            image[:, :, down, across] += columns[row, column]
        return image[:, :, ph : ph + height, pw : pw + width].astype(x.dtype, copy=False)
