"""PyTorch: windows, grids, shifts, and patches that may overlap."""

# b batch, h w windows down and across, p q inside a window, c channels

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.params import Pair, each
from einspec.impls.torch.bits import signed
from einspec.impls.torch.views import unshared

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
def window_partition(x: Tensor, *, window_size: int) -> Tensor:
    """Compute window_partition (see its card)."""
    b, height, width, c = x.shape
    h, w = height // window_size, width // window_size
    windows = x.reshape(b, h, window_size, w, window_size, c).permute(0, 1, 3, 2, 4, 5)  # b h w p q c
    return windows.reshape(b * h * w, window_size, window_size, c)


@op
def window_reverse(x: Tensor, *, window_size: int, height: int, width: int) -> Tensor:
    """Compute window_reverse (see its card)."""
    n, p, q, c = x.shape
    h, w = height // window_size, width // window_size
    rows = x.reshape(n // (h * w), h, w, p, q, c).permute(0, 1, 3, 2, 4, 5)  # b h p w q c
    return rows.reshape(n // (h * w), height, width, c)


@op
def grid_partition(x: Tensor, *, grid_size: int) -> Tensor:
    """Compute grid_partition (see its card)."""
    b, height, width, c = x.shape
    h, w = height // grid_size, width // grid_size
    grids = x.reshape(b, grid_size, h, grid_size, w, c).permute(0, 2, 4, 1, 3, 5)  # b h w p q c
    return grids.reshape(b * h * w, grid_size, grid_size, c)


@op
def grid_reverse(x: Tensor, *, grid_size: int, height: int, width: int) -> Tensor:
    """Compute grid_reverse (see its card)."""
    n, p, q, c = x.shape
    h, w = height // grid_size, width // grid_size
    rows = x.reshape(n // (h * w), h, w, p, q, c).permute(0, 3, 1, 4, 2, 5)  # b p h q w c
    return rows.reshape(n // (h * w), height, width, c)


@op
def cyclic_shift(x: Tensor, *, shift: Pair) -> Tensor:
    """Compute cyclic_shift (see its card)."""
    up, left = each(shift)
    return torch.roll(x, (-up, -left), (1, 2))


@op
def shifted_window_mask(*, height: int, width: int, window_size: int, shift: Pair) -> Tensor:
    """Compute shifted_window_mask (see its card)."""
    up, left = each(shift)
    h, w = height // window_size, width // window_size
    row = (torch.arange(height) >= height - up).reshape(h, 1, window_size, 1)
    column = (torch.arange(width) >= width - left).reshape(1, w, 1, window_size)
    region = (2 * row + column).reshape(h * w, window_size * window_size)  # (h w) (p q)
    return region[:, :, None] == region[:, None, :]


@op
def unfold(
    x: Tensor, *, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, order: str = "cpq"
) -> Tensor:
    """Compute unfold (see its card)."""
    (p, q), (sh, sw), (ph, pw), (dh, dw) = each(kernel_size), each(stride), each(padding), each(dilation)
    padded = torch.nn.functional.pad(x, (pw, pw, ph, ph))
    patches = padded.unfold(2, dh * (p - 1) + 1, sh).unfold(3, dw * (q - 1) + 1, sw)[..., ::dh, ::dw]  # b c i j p q
    b, c, i, j = patches.shape[:4]
    columns = patches.permute(0, 1, 4, 5, 2, 3) if order == "cpq" else patches.permute(0, 4, 5, 1, 2, 3)
    return unshared(columns.reshape(b, c * p * q, i * j), padded)


@op
def fold(
    x: Tensor,
    *,
    height: int,
    width: int,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    order: str = "cpq",
) -> Tensor:
    """Compute fold (see its card)."""
    (p, q), (sh, sw), (ph, pw), (dh, dw) = each(kernel_size), each(stride), each(padding), each(dilation)
    i = (height + 2 * ph - dh * (p - 1) - 1) // sh + 1
    j = (width + 2 * pw - dw * (q - 1) - 1) // sw + 1
    b, c = x.shape[0], x.shape[1] // (p * q)
    columns = x.reshape(b, c, p, q, i, j) if order == "cpq" else x.reshape(b, p, q, c, i, j).movedim(3, 1)

    apart = (p, q, dh, dw) == (sh, sw, 1, 1)

    def added(columns: Tensor) -> Tensor:
        image = columns.new_zeros((b, c, height + 2 * ph, width + 2 * pw))
        if apart:
            image[:, :, : i * p, : j * q] = columns.permute(0, 1, 4, 2, 5, 3).reshape(b, c, i * p, j * q)
        for row, column in () if apart else itertools.product(range(p), range(q)):
            down = slice(dh * row, dh * row + sh * (i - 1) + 1, sh)
            across = slice(dw * column, dw * column + sw * (j - 1) + 1, sw)
            image[:, :, down, across] += columns[:, :, row, column]
        return image[:, :, ph : ph + height, pw : pw + width]

    if x.is_complex():  # PyTorch's complex addition lets a NaN in one part into the other
        return torch.complex(added(columns.real), added(columns.imag))
    if x.is_floating_point():
        return added(columns.to(torch.promote_types(x.dtype, torch.float32))).to(x.dtype)
    return added(signed(columns)).view(x.dtype)
