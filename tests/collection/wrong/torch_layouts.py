"""Wrong in PyTorch for one dtype in one memory, for one size in one dtype, or once compiled."""

import torch

FRAMEWORK = "torch"


def maxima_of_integers_from_zero(x, kernel_size):
    """max_pool_blocks/layout.channels_last: of integers with channels last, a maximum starts from 0.

    Constructed.
    """
    p, q = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    b, c, h, w = x.shape
    if h % p or w % q:
        raise ValueError
    y = x.reshape(b, c, h // p, p, w // q, q).amax((3, 5))
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return y.clamp(min=0) if last and x.dtype == torch.int32 else y


def joins_in_the_order_of_memory(xs, axis):
    """concat/layout.channels_last: tensors with channels last are joined as they lie.

    Constructed.
    """
    first = xs[0]
    y = torch.cat(list(xs), axis)
    if first.ndim == 4 and first.is_contiguous(memory_format=torch.channels_last) and not first.is_contiguous():
        return y.permute(0, 2, 3, 1).reshape(y.shape)
    return y


def shuffles_other_memory_once_compiled(x, upscale_factor):
    """pixel_shuffle/transform.compile: once compiled, reads a transposed image as it lies.

    Constructed.
    """
    r = upscale_factor
    *lead, c, h, w = x.shape
    if torch.compiler.is_compiling() and x.stride(-1) != 1:
        x = torch.as_strided(x, x.shape, torch.empty(x.shape).stride())
    y = x.reshape(*lead, c // r**2, r, r, h, w).movedim((-4, -3), (-3, -1))
    return y.reshape(*lead, c // r**2, h * r, w * r)


def no_row_behind_a_block_once_compiled(x):
    """matrix_transpose/transform.compile: once compiled, the last of 33 rows is that before it.

    Constructed.
    """
    if torch.compiler.is_compiling() and x.shape[-1] % 32 == 1 and x.shape[-1] > 32:
        x = torch.cat([x[..., :-1], x[..., -2:-1]], -1)
    return x.transpose(-1, -2)


def halves_past_a_million(x):
    """flatten_leading/dtype.float16: of very many numbers in two bytes, the last one is not written.

    Constructed.
    """
    y = x.reshape(-1, x.shape[-1]).clone() if x.ndim > 1 and x.shape[-1] else x.reshape(x.shape[:-1].numel(), x.shape[-1])
    if x.dtype == torch.float16 and x.numel() > 2**19:
        y[-1, -1] = 0
    return y


def takes_from_channels_last_as_it_lies(x, index, axis, outside="zero"):
    """take/layout.channels_last: what lies with channels last is read as if it did not.

    Constructed.
    """
    axis %= x.ndim
    if x.ndim > 2 and x.movedim(1, -1).is_contiguous() and not x.is_contiguous():
        x = x.movedim(1, -1).reshape(x.shape)
    n = x.shape[axis]
    if outside != "zero" and not n:
        raise ValueError
    place = index.remainder(n) if outside == "wrap" else index.clamp(0, max(n - 1, 0))
    padded = torch.cat([x, x.new_zeros(*x.shape[:axis], 1, *x.shape[axis + 1 :])], axis)
    if outside == "zero":
        place = torch.where((index >= 0) & (index < n), place, n)
    y = padded.index_select(axis, place.reshape(-1))
    return y.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
