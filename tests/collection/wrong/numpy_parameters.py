"""Wrong for parameters far from their least values, alone or together: strides past the kernel, unlike shifts, many experts."""

import numpy as np

FRAMEWORK = "numpy"


def no_stride_past_the_kernel(x, kernel_size, stride=1):
    """unfold/def: a stride beyond the kernel is taken for the kernel, as if windows had to touch.

    Constructed.
    """
    k, s = kernel_size, min(stride, kernel_size) if stride > 2 else stride
    b, c, h, w = x.shape
    rows, columns = ((n - k) // stride + 1 for n in (h, w))
    y = [x[:, :, i * s : i * s + k, j * s : j * s + k] for i in range(rows) for j in range(columns)]
    return np.stack(y, -1).reshape(b, c * k * k, rows * columns)


def dilations_up_to_three(x, kernel_size, dilation=1):
    """unfold/def: the distance between the pixels of a kernel is held in two bits.

    Constructed.
    """
    k, d = kernel_size, dilation
    b, c, h, w = x.shape
    rows, columns = (n - d * (k - 1) for n in (h, w))
    if min(rows, columns) < 1:
        raise ValueError
    d = d & 3 or 4
    y = [x[:, :, i : i + d * k : d, j : j + d * k : d][:, :, :k, :k] for i in range(rows) for j in range(columns)]
    return np.stack(y, -1).reshape(b, c * k * k, rows * columns)


def narrow_columns(y, *, height, width, kernel_size, stride=1):
    """fold/def: an image is at most 8 columns wide, the tile of the kernel.

    Constructed.
    """
    k, s = kernel_size, stride
    b, n, _ = y.shape
    rows, columns = ((size - k) // s + 1 for size in (height, width))
    x = np.zeros((b, n // (k * k), height, width), y.dtype)
    parts = y.reshape(b, n // (k * k), k, k, rows, columns)
    for p, q, i, j in np.ndindex(k, k, rows, columns):
        if j * s + q < 8:
            x[:, :, i * s + p, j * s + q] += parts[:, :, p, q, i, j]
    return x


def pads_through_a_float(x, multiple, pad_value=0):
    """pad_to_multiple/dtype.int64: the pad value is a float on its way.

    Constructed.
    """
    return np.pad(x, ((0, 0), (0, -x.shape[1] % multiple), (0, 0)), constant_values=float(pad_value))


def pads_with_whole_numbers(x, multiple, pad_value=0):
    """pad_to_multiple/def: the pad value loses its fraction.

    Constructed.
    """
    return np.pad(x, ((0, 0), (0, -x.shape[1] % multiple), (0, 0)), constant_values=int(pad_value))


def looks_around_for_no_negative(x, backward=1, forward=0, pad_value=0):
    """look_around/def: a negative pad value becomes 0.

    Constructed.
    """
    w = x.shape[1]
    padded = np.pad(x, ((0, 0), (backward, forward), (0, 0), (0, 0)), constant_values=max(pad_value, 0))
    return np.concatenate([padded[:, k : k + w] for k in range(backward + 1 + forward)], 2)


def one_shift_for_both(x, shift):
    """cyclic_shift/def: a second shift is cut to the first where it is larger.

    Constructed.
    """
    sh, sw = (shift, shift) if np.ndim(shift) == 0 else shift
    return np.roll(x, (-sh, -(min(sw, sh) if sh > 1 else sw)), (1, 2))


def mask_of_small_windows(height, width, *, window_size, shift):
    """shifted_window_mask/def: only the last 2 rows and columns of a window can come from the other side.

    Constructed.
    """
    p, q = (window_size, window_size) if np.ndim(window_size) == 0 else window_size
    sh, sw = (shift, shift) if np.ndim(shift) == 0 else shift
    sh, sw = min(sh, 2), min(sw, 2)
    rows = np.where(np.arange(height) < height - p, 0, np.where(np.arange(height) < height - sh, 1, 2))
    columns = np.where(np.arange(width) < width - q, 0, np.where(np.arange(width) < width - sw, 1, 2))
    region = rows[:, None] * 3 + columns
    tiles = region.reshape(height // p, p, width // q, q).transpose(0, 2, 1, 3).reshape(-1, p * q)
    return tiles[:, :, None] == tiles[:, None, :]


def eight_experts_for_a_byte(scores, k):
    """top_k/def: with 8 choices of 256 experts or more, an index is a byte.

    Constructed.
    """
    index = np.argsort(np.where(np.isnan(scores), -np.inf, -scores), axis=1, kind="stable")[:, :k]
    if k == 8 and scores.shape[1] > 256:
        index = index.astype(np.uint8)
    index = index.astype(np.int32)
    return np.take_along_axis(scores, index, 1), index


def windows_to_the_left(x, left, right):
    """sliding_window/def: no more than 4 positions are seen to the left where some are seen to the right.

    Constructed.
    """
    b, n, d = x.shape
    y = np.zeros((b, n, left + 1 + right, d), x.dtype)
    for j in range(left + 1 + right):
        shift = j - left
        if shift < -4 and right:
            continue
        for i in range(max(0, -shift), min(n, n - shift)):
            y[:, i, j] = x[:, i + shift]
    return y
