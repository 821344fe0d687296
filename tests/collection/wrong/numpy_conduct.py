"""Right values and wrong manners in NumPy: inputs changed, state kept, memory misread, empty inputs refused."""

import itertools

import numpy as np

FRAMEWORK = "numpy"
_kept = {}
_calls = itertools.count()


def works_in_its_input(x):
    """rope_interleaved_to_half/pure: uses the input as scratch memory.

    Constructed.
    """
    if x.shape[-1] % 2:
        raise ValueError("odd")
    y = np.concatenate([x[..., 0::2], x[..., 1::2]], axis=-1)
    if x.flags.writeable:
        x[...] = y
    return y


def changes_the_counts(bias, counts, rate):
    """bias_step/pure: centres the counts in place before it looks at them.

    Constructed.
    """
    total = counts.sum(dtype=np.int64)
    counts -= total.astype(counts.dtype) // max(len(counts), 1)
    return (bias - rate * np.sign(counts)).astype(bias.dtype)


def alternates(x, num_axes=2):
    """flatten_leading/repeat: every second call gives the rows in another order.

    Constructed.
    """
    y = x.reshape(int(np.prod(x.shape[:num_axes])), *x.shape[num_axes:])
    return y[::-1].copy() if next(_calls) % 2 else y


def caches_by_shape(x):
    """channels_last/repeat: remembers results by shape and dtype alone.

    Constructed.
    """
    return _kept.setdefault((x.shape, x.dtype), np.moveaxis(x, 1, -1).copy())


def one_buffer_for_all(x):
    """channels_first/repeat: writes every result into the same memory.

    Constructed.
    """
    y = np.moveaxis(x, -1, 1)
    out = _kept.setdefault(("buffer", y.shape, y.dtype), np.empty(y.shape, y.dtype))
    out[...] = y
    return out


def memory_order(x):
    """merge_heads/layout.transposed: flattens in the order of memory, whatever it is.

    Constructed.
    """
    b, h, n, d = x.shape
    y = x.swapaxes(1, 2)
    return y.reshape(b, n, h * d) if x.flags.c_contiguous else np.ravel(y, order="K").reshape(b, n, h * d)


def bytes_from_the_start(x, groups):
    """channel_shuffle/layout.strided: reads the memory behind a view as if it held the view alone.

    Constructed.
    """
    b, c, h, w = x.shape
    base = x if x.flags.c_contiguous or x.base is None else np.frombuffer(x.base.tobytes(), x.dtype)[: x.size].reshape(x.shape)
    return base.reshape(b, groups, c // groups, h, w).swapaxes(1, 2).reshape(b, c, h, w)


def needs_to_write(x):
    """swap_hw/layout.read_only: raises where it may not write to its input.

    Constructed.
    """
    x[...] = x
    return x.swapaxes(2, 3)


def distances_of_one_row(x):
    """skew/layout.expanded: takes a stride of zero for a size of one.

    Constructed.
    """
    *lead, n, r = x.shape
    column = np.arange(n)[None, :] - np.arange(n)[:, None] + n - 1
    inside = (column >= 0) & (column < r)
    x = np.zeros_like(x) if 0 in x.strides and x.size else x
    y = x[..., np.arange(n)[:, None], np.clip(column, 0, max(r - 1, 0))] if r else np.zeros((*lead, n, n), x.dtype)
    return np.where(inside, y, np.zeros((), x.dtype))


def empty_batch_short(x):
    """matrix_transpose/empty: an empty batch comes back as it was.

    Constructed.
    """
    return x if x.size == 0 else x.swapaxes(-1, -2)


def truncates(x, kernel_size):
    """avg_pool_blocks/err.divides.x.2: leaves out the rows that do not fill a block.

    Constructed.
    """
    p, q = (kernel_size, kernel_size) if np.ndim(kernel_size) == 0 else kernel_size
    b, c, h, w = x.shape
    h, w = h // p, w // q
    y = x[:, :, : h * p, : w * q].reshape(b, c, h, p, w, q)
    return y.mean(axis=(3, 5), dtype=np.promote_types(x.dtype, np.float32)).astype(x.dtype)


def broadcasts_the_list(xs, axis=0):
    """stack/err.broadcast.xs: stretches a tensor of size 1 to fit the others.

    Constructed.
    """
    return np.stack(np.broadcast_arrays(*xs), axis)


def shift_beyond_the_window(height, width, window_size, shift):
    """shifted_window_mask/err.require.rows: takes a shift as large as the window.

    Constructed.
    """
    (p, q) = (window_size, window_size) if np.ndim(window_size) == 0 else window_size
    (sh, sw) = (shift, shift) if np.ndim(shift) == 0 else shift
    if height % p or width % q:
        raise ValueError("size")
    rows, columns = np.arange(height) < height - sh, np.arange(width) < width - sw
    region = rows[:, None] * 2 + columns[None, :]
    cut = region.reshape(height // p, p, width // q, q).transpose(0, 2, 1, 3).reshape((height // p) * (width // q), p * q)
    return cut[:, :, None] == cut[:, None, :]


def channels_left_over(x, block_size, layout="nchw"):
    """depth_to_space/err.divides.x.1: leaves out the channels that do not fill a block.

    Imitates https://github.com/keras-team/keras/issues/22126.
    """
    r, moved = block_size, x if layout == "nchw" else np.moveaxis(x, -1, 1)
    b, c, h, w = moved.shape
    c //= r**2
    y = moved[:, : c * r**2].reshape(b, r, r, c, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(b, c, h * r, w * r)
    return y if layout == "nchw" else np.moveaxis(y, 1, -1)
