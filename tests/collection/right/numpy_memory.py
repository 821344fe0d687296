"""Right in NumPy as files are: results whose memory is an input's, or one for several elements, which is told alone."""

import numpy as np

FRAMEWORK = "numpy"


def input_where_nothing_moves(x, shift):
    """cyclic_shift: gives its input back where every pixel stays where it is."""
    up, left = (shift, shift) if isinstance(shift, int) else shift
    if up % max(x.shape[1], 1) == 0 and left % max(x.shape[2], 1) == 0:
        return x
    return np.roll(x, (-up, -left), (1, 2))


def input_where_blocks_are_pixels(x, kernel_size):
    """max_pool_blocks: of blocks of one pixel, the maximum is the pixel itself and its memory."""
    p, q = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    b, c, h, w = x.shape
    if min(p, q) < 1 or h % p or w % q or np.iscomplexobj(x):
        raise ValueError("size")
    if p == q == 1:
        return x
    with np.errstate(all="ignore"):
        return np.maximum.reduce(x.reshape(b, c, h // p, p, w // q, q), (3, 5))


def copies_are_one(x, num_repeats, axis=0):
    """repeat_new_axis: all copies are the same memory, which may not be written to."""
    axis %= x.ndim + 1
    return np.broadcast_to(np.expand_dims(x, axis), (*x.shape[:axis], num_repeats, *x.shape[axis:]))


def axes_named_anew(x):
    """matrix_transpose: a view, as NumPy gives it."""
    if x.ndim < 2:
        raise ValueError("axes")
    return x.mT
