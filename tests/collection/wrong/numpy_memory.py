"""Functions of a NumPy backend that give values which are right in memory that is not the result's own."""

import numpy as np

from einspec.impls.adapters import numpy as _adapter

asarray, to_numpy, devices, layouts = _adapter.asarray, _adapter.to_numpy, _adapter.devices, _adapter.layouts
expanded = _adapter.expanded
dtypes, device_of, is_array, framework = _adapter.dtypes, _adapter.device_of, _adapter.is_array, _adapter.framework


def input_where_nothing_moves(x, *, shift):
    """cyclic_shift/memory.own: gives its input back where every pixel stays where it is.

    Constructed.
    """
    up, left = (shift, shift) if isinstance(shift, int) else shift
    if up % max(x.shape[1], 1) == 0 and left % max(x.shape[2], 1) == 0:
        return x
    return np.roll(x, (-up, -left), (1, 2))


def input_where_nothing_is_added(x, *, before, after, axis, mode="constant", pad_value=0):
    """pad/memory.own: gives its input back where there is nothing to add.

    Constructed.
    """
    if before == after == 0:
        return x
    widths = [(before, after) if i == axis % x.ndim else (0, 0) for i in range(x.ndim)]
    return np.pad(x, widths, mode, **({"constant_values": pad_value} if mode == "constant" else {}))


def input_where_blocks_are_pixels(x, *, kernel_size):
    """max_pool_blocks/memory.own: of blocks of one pixel, the maximum is the pixel itself and its memory.

    Constructed.
    """
    p, q = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    if p == q == 1:
        return x
    b, c, h, w = x.shape
    return x.reshape(b, c, h // p, p, w // q, q).max((3, 5))


def copies_are_one(x, *, num_repeats, axis=0):
    """repeat_new_axis/memory.apart: all copies are the same memory, which may be written to.

    Constructed.
    """
    axis %= x.ndim + 1
    shape, strides = list(x.shape), list(x.strides)
    shape.insert(axis, num_repeats)
    strides.insert(axis, 0)
    return np.lib.stride_tricks.as_strided(x.copy(), shape, strides)


def copies_that_may_not_be_written(x, *, num_repeats, axis=0):
    """repeat_new_axis/memory.apart: the result is read-only.

    Constructed.
    """
    axis %= x.ndim + 1
    shape = (*x.shape[:axis], num_repeats, *x.shape[axis:])
    return np.broadcast_to(np.expand_dims(x.copy(), axis), shape)
