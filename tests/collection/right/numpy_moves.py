"""Right rearrangements in NumPy, each unusual in what it returns, how it is called or how it gets there."""

import functools

import numpy as np

FRAMEWORK = "numpy"


class _SizeError(Exception):
    """An error of a class of its own."""


def _fits(condition):
    if not condition:
        raise _SizeError


def strided_writes(x, r):
    """pixel_shuffle: writes r*r strided slices; its parameter has another name, its error another class."""
    *lead, c, h, w = x.shape
    _fits(c % (r * r) == 0)
    y = np.empty((*lead, c // (r * r), h * r, w * r), x.dtype)
    for k in range(r * r):
        y[..., k // r :: r, k % r :: r] = x[..., k :: r * r, :, :]
    return y


def by_einsum(x):
    """merge_heads: transposes by einsum."""
    b, h, n, d = x.shape
    return np.einsum("bhnd->bnhd", x).reshape(b, n, h * d)


def a_view_of_its_input(x, heads):
    """split_heads: returns a view that is not contiguous."""
    b, n, d = x.shape
    assert d % heads == 0, "heads"
    return x.reshape(b, n, heads, d // heads).swapaxes(1, 2)


def loops_over_channels(x, groups):
    """channel_shuffle: two Python loops."""
    c = x.shape[1]
    _fits(c % groups == 0)
    y = np.empty_like(x)
    for g in range(groups):
        for i in range(c // groups):
            y[:, i * groups + g] = x[:, g * (c // groups) + i]
    return y


def gathers_by_unsigned_indices(x, shift):
    """cyclic_shift: gathers, with indices in uint32."""
    sh, sw = (shift, shift) if np.ndim(shift) == 0 else shift
    _, h, w, _ = x.shape
    rows, columns = ((np.arange(n) + s) % max(n, 1) for n, s in ((h, sh), (w, sw)))
    return x[:, rows.astype(np.uint32)[:, None], columns.astype(np.uint32)]


def a_list_of_views(x, axis=0):
    """unstack: returns a list where others return a tuple."""
    return list(np.moveaxis(x, axis, 0))


def a_list_of_three(x, num_heads):
    """split_qkv: returns a list, and lacks the layouts that are not the default."""
    b, n, d = x.shape
    if d % (3 * num_heads):
        raise RuntimeError("heads")
    y = x.reshape(b, n, 3, num_heads, d // (3 * num_heads)).transpose(2, 0, 3, 1, 4)
    return [y[0], y[1], y[2]]


def joins_new_axes(tensors, dim=0):
    """stack: concatenates with axes of size 1."""
    return np.concatenate([np.expand_dims(t, dim) for t in tensors], dim)


def counts_modulo(x, repeats, axis=0):
    """tile: takes every element at its place modulo the size."""
    n = x.shape[axis]
    return np.take(x, np.arange(n * repeats) % max(n, 1), axis=axis)


def broadcast_and_reshaped(x, repeats, axis=0):
    """repeat_interleave: a stride of 0, then a copy."""
    moved = np.moveaxis(x, axis, 0)
    wide = np.broadcast_to(moved[:, None], (len(moved), repeats, *moved.shape[1:]))
    return np.moveaxis(wide.reshape(len(moved) * repeats, *moved.shape[1:]), 0, axis)


def stride_of_zero(x, num_repeats, axis=0):
    """repeat_new_axis: returns memory that may not be written, all copies the same."""
    wide = np.broadcast_to(x[None], (num_repeats, *x.shape))
    return np.moveaxis(wide, 0, axis)


def windows_of_padded(x, left, right):
    """sliding_window: returns a view of padded memory that may not be written."""
    wide = np.pad(x, ((0, 0), (left, right), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(wide, left + right + 1, axis=1).swapaxes(2, 3)


def read_only_mask(seq_len, left, right):
    """sliding_window_mask: built from triangles, and not to be written."""
    ones = np.ones((seq_len, seq_len), bool)
    mask = np.tril(ones, right) & np.triu(ones, -left)
    mask.flags.writeable = False
    return mask


def column_major(x, window_size):
    """window_partition: a result in the order of Fortran."""
    b, h, w, c = x.shape
    p = window_size
    _fits(h % p == 0 and w % p == 0)
    y = x.reshape(b, h // p, p, w // p, p, c).swapaxes(2, 3).reshape(b * (h // p) * (w // p), p, p, c)
    return np.asfortranarray(y)


def fills_then_copies(x, multiple, pad_value=0):
    """pad_to_multiple: fills all with the padding first."""
    b, n, d = x.shape
    y = np.full((b, -(-n // multiple) * multiple, d), pad_value, x.dtype)
    y[:, :n] = x
    return y


def every_nth(xs, axis=0):
    """interleave: writes each tensor to every n-th place."""
    xs = [np.moveaxis(x, axis, 0) for x in xs]
    y = np.empty((len(xs[0]) * len(xs), *xs[0].shape[1:]), xs[0].dtype)
    for i, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise RuntimeError("shapes")
        y[i :: len(xs)] = x
    return np.moveaxis(y, 0, axis)


def one_window_at_a_time(x, kernel_size, stride=1, padding=0, dilation=1, order="cpq"):
    """unfold: loops over the offsets of the kernel, the last first."""
    pairs = [(v, v) if np.ndim(v) == 0 else v for v in (kernel_size, stride, padding, dilation)]
    (p, q), (sh, sw), (ph, pw), (dh, dw) = pairs
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    b, c, h, w = x.shape
    _fits(h > dh * (p - 1) and w > dw * (q - 1))
    i, j = (h - dh * (p - 1) - 1) // sh + 1, (w - dw * (q - 1) - 1) // sw + 1
    y = np.zeros((b, c, p, q, i, j), x.dtype)
    for u in reversed(range(p)):
        for v in reversed(range(q)):
            y[:, :, u, v] = x[:, :, u * dh :: sh, v * dw :: sw][:, :, :i, :j]
    return (y if order == "cpq" else y.transpose(0, 2, 3, 1, 4, 5)).reshape(b, c * p * q, i * j)


def _checked(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        assert result is not None
        return result

    return call


@_checked
def decorated(x, num_axes=2):
    """flatten_leading: a decorated function that may return its very input."""
    if num_axes == 1:
        return x
    return x.reshape(int(np.prod(x.shape[:num_axes])), *x.shape[num_axes:])


bound_ahead = functools.partial(lambda x, one, other: np.swapaxes(x, one, other), one=-1, other=-2)
bound_ahead.__doc__ = "matrix_transpose: a function with arguments bound ahead."

without_a_name = lambda x: x.transpose(0, *range(2, x.ndim), 1)  # noqa: E731
without_a_name.__doc__ = "channels_last: a lambda."


class _Moved:
    def __call__(self, x):
        return np.moveaxis(x, -1, 1)


an_object = _Moved()
an_object.__doc__ = "channels_first: an object that can be called."


def size_inferred(x):
    """merge_heads: lets a reshape infer a size, which an empty batch does not tell, so it raises."""
    b, _, n, _ = x.shape
    return x.swapaxes(1, 2).reshape(b, n, -1)


def pieces_by_sections(x, parts, axis=0):
    """split: NumPy's own, which gives a list."""
    return np.split(x, parts, axis)


def backwards(x, axis):
    """flip: a slice of stride -1."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)]


def by_an_index(x, shift, axis):
    """roll: takes positions modulo the length."""
    n = x.shape[axis]
    return np.take(x, (np.arange(n) - shift) % max(n, 1), axis)


def turned_by_numpy(x, times=1, axis=0):
    """rot90: NumPy's own."""
    return np.rot90(x, times, (axis, axis + 1))


def padded_by_numpy(x, before, after, axis, mode="constant", pad_value=0):
    """pad: NumPy's own, which goes on to and fro where there is too little to reflect."""
    widths = np.zeros((x.ndim, 2), int)
    widths[axis] = before, after
    return np.pad(x, widths, mode, **({"constant_values": pad_value} if mode == "constant" else {}))


def raises_beyond(x, index, axis, outside="zero"):
    """take: NumPy's own, which raises for an index beyond the end."""
    return np.take(x, index, axis, mode={"zero": "raise"}.get(outside, outside))


def ones_put_along(index, classes):
    """one_hot: puts ones into zeros, and refuses an index that is no class."""
    y = np.zeros((*index.shape, classes), np.float32)
    np.put_along_axis(y, index[..., None].astype(np.int64), 1, -1)
    return y


def added_one_by_one(x, index, updates, axis):
    """scatter_add: a loop over updates."""
    y = x.astype(np.float64 if x.dtype.kind == "f" else x.dtype)
    for place in np.ndindex(index.shape):
        to = list(place)
        to[axis] = index[place]
        with np.errstate(all="ignore"):
            y[tuple(to)] += updates[place]
    return y.astype(x.dtype)


def axes_one_by_one(x, *, axes):
    """permute_dims: builds the output from the offsets of its elements in the input."""
    axes = [range(x.ndim)[a] for a in axes]
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError("axes")
    y = np.empty([x.shape[a] for a in axes], x.dtype)
    for place in np.ndindex(*y.shape):
        y[place] = x[tuple(place[axes.index(a)] for a in range(x.ndim))]
    return y


def taken_out_and_put_in(x, *, source, destination):
    """moveaxis: takes the numbers of the axes out of a list, and puts them in from the lowest place on."""
    source, destination = ((n,) if isinstance(n, int) else n for n in (source, destination))
    places = [[range(x.ndim)[n] for n in each] for each in (source, destination)]
    if len(source) != len(destination) or any(len(set(each)) < len(each) for each in places):
        raise ValueError("axes")
    order = [a for a in range(x.ndim) if a not in places[0]]
    for place, axis in sorted(zip(places[1], places[0], strict=True)):
        order.insert(place, axis)
    return x.transpose(order)


def two_entries_exchanged(x, *, axis1, axis2):
    """swapaxes: exchanges two numbers in the list of all axes."""
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return x.transpose(order)
