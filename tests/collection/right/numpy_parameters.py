"""Right for every parameter, each in a way that is not the plain one."""

import numpy as np

FRAMEWORK = "numpy"


def unfolds_by_offsets(x, kernel_size, stride=1, padding=0, dilation=1):
    """unfold: gathers by flat offsets, whatever the stride is beside the kernel."""
    k, s, p, d = kernel_size, stride, padding, dilation
    b, c, h, w = x.shape
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    rows, columns = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n in (h, w))
    if min(rows, columns) < 1:
        raise ValueError
    i = np.arange(k)[:, None] * d + np.arange(rows) * s
    j = np.arange(k)[:, None] * d + np.arange(columns) * s
    return x[:, :, i[:, None, :, None], j[None, :, None, :]].reshape(b, c * k * k, rows * columns)


def pads_by_fill(x, multiple, pad_value=0):
    """pad_to_multiple: fills an array of the dtype, so that whole numbers stay what they are."""
    b, n, d = x.shape
    y = np.full((b, -(-n // multiple) * multiple, d), pad_value, x.dtype)
    y[:, :n] = x
    return y


def shifts_one_axis_after_the_other(x, shift):
    """cyclic_shift: joins two parts of the rows, then of the columns, by remainders of the shifts."""
    for axis, s in enumerate((shift, shift) if np.ndim(shift) == 0 else shift, 1):
        s %= max(x.shape[axis], 1)
        first, rest = np.split(x, [s], axis)
        x = np.concatenate([rest, first], axis)
    return x


def sorts_backwards(scores, k):
    """top_k: sorts the reversed rows upwards and reads the order backwards; experts may be more than a byte holds."""
    if k > scores.shape[1]:
        raise ValueError(k)
    rising = np.argsort(scores[:, ::-1], axis=1, kind="stable")[:, ::-1]
    index = (scores.shape[1] - 1 - rising)[:, :k].astype(np.int32)
    return np.take_along_axis(scores, index, 1), index
