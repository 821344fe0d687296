"""Windows in PyTorch."""  # b batch, h w windows down and across, p q inside a window, c channels

from __future__ import annotations

import torch

from einspec.impls.torch.bits import as_bits, from_bits
from einspec.impls.torch.checked import op

Pair = int | tuple[int, int]


@op
def window_partition(x: torch.Tensor, *, window_size: int) -> torch.Tensor:
    """Compute window_partition (see its card)."""
    b, height, width, c = x.shape
    h, w = height // window_size, width // window_size
    windows = x.reshape(b, h, window_size, w, window_size, c).permute(0, 1, 3, 2, 4, 5)  # b h w p q c
    return windows.reshape(b * h * w, window_size, window_size, c)


@op
def window_reverse(x: torch.Tensor, *, window_size: int, height: int, width: int) -> torch.Tensor:
    """Compute window_reverse (see its card)."""
    n, p, q, c = x.shape
    h, w = height // window_size, width // window_size
    rows = x.reshape(n // (h * w), h, w, p, q, c).permute(0, 1, 3, 2, 4, 5)  # b h p w q c
    return rows.reshape(n // (h * w), height, width, c)


@op
def grid_partition(x: torch.Tensor, *, grid_size: int) -> torch.Tensor:
    """Compute grid_partition (see its card)."""
    b, height, width, c = x.shape
    h, w = height // grid_size, width // grid_size
    grids = x.reshape(b, grid_size, h, grid_size, w, c).permute(0, 2, 4, 1, 3, 5)  # b h w p q c
    return grids.reshape(b * h * w, grid_size, grid_size, c)


@op
def grid_reverse(x: torch.Tensor, *, grid_size: int, height: int, width: int) -> torch.Tensor:
    """Compute grid_reverse (see its card)."""
    n, p, q, c = x.shape
    h, w = height // grid_size, width // grid_size
    rows = x.reshape(n // (h * w), h, w, p, q, c).permute(0, 3, 1, 4, 2, 5)  # b p h q w c
    return rows.reshape(n // (h * w), height, width, c)


@op
def cyclic_shift(x: torch.Tensor, *, shift: Pair) -> torch.Tensor:
    """Compute cyclic_shift (see its card)."""
    up, left = _pair(shift)
    return from_bits(torch.roll(as_bits(x), (-up, -left), (1, 2)), x.dtype)


@op
def shifted_window_mask(*, height: int, width: int, window_size: int, shift: Pair) -> torch.Tensor:
    """Compute shifted_window_mask (see its card)."""
    up, left = _pair(shift)
    h, w = height // window_size, width // window_size
    row = (torch.arange(height) >= height - up).reshape(h, 1, window_size, 1)
    column = (torch.arange(width) >= width - left).reshape(1, w, 1, window_size)
    region = (2 * row + column).reshape(h * w, window_size * window_size)  # (h w) (p q)
    return region[:, :, None] == region[:, None, :]


@op
def unfold(
    x: torch.Tensor, *, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, order: str = "cpq"
) -> torch.Tensor:
    """Compute unfold (see its card)."""
    (p, q), (sh, sw), (ph, pw), (dh, dw) = _pair(kernel_size), _pair(stride), _pair(padding), _pair(dilation)
    bits = torch.nn.functional.pad(as_bits(x), (pw, pw, ph, ph))
    patches = bits.unfold(2, dh * (p - 1) + 1, sh).unfold(3, dw * (q - 1) + 1, sw)[..., ::dh, ::dw]  # b c i j p q
    b, c, i, j = patches.shape[:4]
    columns = patches.permute(0, 1, 4, 5, 2, 3) if order == "cpq" else patches.permute(0, 4, 5, 1, 2, 3)
    return from_bits(columns.reshape(b, c * p * q, i * j), x.dtype)


@op
def fold(
    x: torch.Tensor,
    *,
    height: int,
    width: int,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    order: str = "cpq",
) -> torch.Tensor:
    """Compute fold (see its card)."""
    p, q = _pair(kernel_size)
    (sh, sw), (ph, pw), (dh, dw) = _pair(stride), _pair(padding), _pair(dilation)
    i = (height + 2 * ph - dh * (p - 1) - 1) // sh + 1
    j = (width + 2 * pw - dw * (q - 1) - 1) // sw + 1
    b, c = x.shape[0], x.shape[1] // (p * q)
    columns = x.reshape(b, c, p, q, i, j) if order == "cpq" else x.reshape(b, p, q, c, i, j).movedim(3, 1)

    def added(columns: torch.Tensor) -> torch.Tensor:
        image = columns.new_zeros((b, c, height + 2 * ph, width + 2 * pw))
        for row in range(p):
            for column in range(q):
                down = slice(dh * row, dh * row + sh * (i - 1) + 1, sh)
                across = slice(dw * column, dw * column + sw * (j - 1) + 1, sw)
                image[:, :, down, across] += columns[:, :, row, column]
        return image[:, :, ph : ph + height, pw : pw + width]

    if x.is_complex():  # PyTorch's complex addition lets a NaN in one part into the other
        return torch.complex(added(columns.real), added(columns.imag))
    if x.is_floating_point():
        return added(columns.to(torch.promote_types(x.dtype, torch.float32))).to(x.dtype)
    return from_bits(added(as_bits(columns)), x.dtype)


def _pair(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
