"""Wrong rearrangements in NumPy: elements in other places, other sizes, other defaults."""

from typing import Any

import numpy as np

FRAMEWORK = "numpy"


def _two(value: Any) -> tuple[int, int]:
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def block_before_channel(x, upscale_factor):
    """pixel_shuffle/def: channels in the order depth, column, row, which is that of depth_to_space.

    Imitates https://github.com/onnx/onnx/issues/1957.
    """
    r = upscale_factor
    *lead, c, h, w = x.shape
    n = len(lead)
    y = x.reshape(*lead, r, r, c // r**2, h, w).transpose(*range(n), n + 2, n + 3, n, n + 4, n + 1)
    return y.reshape(*lead, c // r**2, h * r, w * r)


def block_before_channel_back(x, downscale_factor):
    """pixel_unshuffle/def: exported as space_to_depth, so that the block comes before the channel.

    Imitates https://github.com/microsoft/onnxscript/issues/2891.
    """
    r = downscale_factor
    *lead, c, h, w = x.shape
    n = len(lead)
    y = x.reshape(*lead, c, h // r, r, w // r, r).transpose(*range(n), n + 2, n + 4, n, n + 1, n + 3)
    return y.reshape(*lead, c * r * r, h // r, w // r)


def columns_before_rows(x, block_size, layout="nchw"):
    """depth_to_space/def: the block is walked down its columns.

    Imitates https://github.com/pjreddie/darknet/issues/344.
    """
    r, moved = block_size, x if layout == "nchw" else np.moveaxis(x, -1, 1)
    b, c, h, w = moved.shape
    y = moved.reshape(b, r, r, c // r**2, h, w).transpose(0, 3, 4, 2, 5, 1).reshape(b, c // r**2, h * r, w * r)
    return y if layout == "nchw" else np.moveaxis(y, 1, -1)


def right_where_nothing_can_show(x, block_size, layout="nchw"):
    """depth_to_space/def: mixed up wherever there is more than one channel.

    Imitates https://github.com/tensorflow/tensorflow/issues/53291.
    """
    r, moved = block_size, x if layout == "nchw" else np.moveaxis(x, -1, 1)
    b, c, h, w = moved.shape
    y = moved.reshape(b, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(b, c // r**2, h * r, w * r)
    return y if layout == "nchw" else np.moveaxis(y, 1, -1)


def merged_row_by_row(x):
    """patch_merge/def: merged as unfold orders it, which does not fit weights that were trained.

    Imitates https://github.com/open-mmlab/mmdetection/issues/6747.
    """
    b, h, w, c = x.shape
    if h % 2 or w % 2:
        raise ValueError("odd")
    y = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4)
    return y.reshape(b, h // 2, w // 2, 4 * c)


def one_offset_twice(x):
    """patch_merge/def: one of the four offsets is taken twice and another never.

    Imitates https://github.com/Project-MONAI/MONAI/issues/8284.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError("odd")
    return np.concatenate([x[:, i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (0, 1))], axis=3)


def pads_the_other_axis(x, pad="error"):
    """patch_merge/def: an odd height is padded along the width, which then raises.

    Imitates https://github.com/huggingface/pytorch-image-models/issues/2284.
    """
    if pad == "zero":
        x = np.pad(x, ((0, 0), (0, x.shape[2] % 2), (0, x.shape[1] % 2), (0, 0)))
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError("odd")
    return np.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], axis=3)


def patches_across(x, patch_size):
    """patchify/def: inside a patch the column comes before the row, a checkerboard once decoded.

    Imitates https://github.com/NVIDIA/flashdreams/issues/338.
    """
    p, q = _two(patch_size)
    b, c, h, w = x.shape
    if h % p or w % q:
        raise ValueError("size")
    y = x.reshape(b, c, h // p, p, w // q, q).transpose(0, 2, 4, 5, 3, 1)
    return y.reshape(b, (h // p) * (w // q), p * q * c)


def square_images(x, patch_size, height, width):
    """unpatchify/def: takes the grid to be square whenever the number of patches is.

    Imitates https://github.com/facebookresearch/dinov2/issues/582.
    """
    p, q = _two(patch_size)
    b, n, d = x.shape
    if height % p or width % q or d % (p * q) or (height // p) * (width // q) != n:
        raise ValueError("size")
    h, w = height // p, width // q
    if h != w and int(n**0.5) ** 2 == n:
        h, w = w, h
    y = x.reshape(b, h, w, p, q, d // (p * q)).transpose(0, 5, 1, 3, 2, 4)
    return y.reshape(b, d // (p * q), height, width)


def heads_tiled(x, num_repeats):
    """repeat_kv/def: the heads one after the other and all again, instead of each several times.

    Imitates https://github.com/huggingface/transformers/issues/37533.
    """
    return np.tile(x, (1, num_repeats, 1, 1))


def not_transposed(x, num_heads):
    """split_heads/def: cut into heads without moving them in front of the tokens.

    Imitates https://github.com/reczoo/FuxiCTR/issues/30.
    """
    b, n, d = x.shape
    return x.reshape(b, num_heads, n, d // num_heads)


def one_head_left_alone(x, num_heads):
    """split_heads/def: a single head gets its axis in the wrong place.

    Constructed.
    """
    b, n, d = x.shape
    if d % num_heads:
        raise ValueError("heads")
    if num_heads == 1:
        return x.reshape(b, n, 1, d)
    return x.reshape(b, n, num_heads, d // num_heads).swapaxes(1, 2)


def heads_slowest(x, num_heads):
    """split_qkv/def: reads a layout grouped by head where the card has query, key and value one after the other.

    Imitates https://github.com/Lightning-AI/litgpt/issues/1013.
    """
    b, n, d = x.shape
    return tuple(x.reshape(b, n, num_heads, 3, d // (3 * num_heads)).transpose(3, 0, 2, 1, 4))


def three_tokens(x, num_heads):
    """split_qkv/def: finds the axis of query, key and value as the one of size 3.

    Imitates https://github.com/NVIDIA/TransformerEngine/issues/1182.
    """
    b, n, d = x.shape
    if d % (3 * num_heads):
        raise ValueError("heads")
    y = x.reshape(b, n, 3, num_heads, d // (3 * num_heads))
    return tuple(y.transpose(2, 0, 3, 1, 4) if num_heads != 3 else y.transpose(3, 0, 2, 1, 4))


def halves_for_pairs(x):
    """rope_interleaved_to_half/def: the inverse permutation, right up to width 2.

    Imitates https://github.com/huggingface/transformers/issues/39687.
    """
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return np.stack(np.split(x, 2, axis=-1), axis=-1).reshape(x.shape)


def excludes_the_left_end(seq_len, left, right):
    """sliding_window_mask/def: the window ends one before its left end.

    Imitates https://github.com/huggingface/transformers/issues/39408.
    """
    distance = np.arange(seq_len)[None, :] - np.arange(seq_len)[:, None]
    return (distance > -left) & (distance <= right)


def distance_in_int8(seq_len, left, right):
    """sliding_window_mask/def: far tokens come near again once the distance wraps in int8.

    Constructed.
    """
    place = np.arange(seq_len, dtype=np.int16)
    distance = (place[None, :] - place[:, None]).astype(np.int8)
    return (distance >= -left) & (distance <= right)


def shifted_the_other_way(x, shift):
    """cyclic_shift/def: rolls forwards where the card rolls back.

    Constructed.
    """
    return np.roll(x, _two(shift), axis=(1, 2))


def rows_and_columns_of_a_pair(x, shift):
    """cyclic_shift/def: takes a pair as (columns, rows).

    Constructed.
    """
    return np.roll(x, np.negative(_two(shift)[::-1]), axis=(1, 2))


def regions_by_corner(height, width, window_size, shift):
    """shifted_window_mask/def: only what wraps both ways is kept apart.

    Constructed.
    """
    (p, q), (sh, sw) = _two(window_size), _two(shift)
    if height % p or width % q or sh >= p or sw >= q:
        raise ValueError("size")
    region = np.zeros((height, width), int)
    region[height - sh :, width - sw :] = 1
    cut = region.reshape(height // p, p, width // q, q).transpose(0, 2, 1, 3).reshape((height // p) * (width // q), p * q)
    return cut[:, :, None] == cut[:, None, :]


def looks_forward_by_default(x, backward=1, forward=1, pad_value=0):
    """look_around/def: another default for a parameter.

    Constructed.
    """
    wide = np.pad(x, ((0, 0), (backward, forward), (0, 0), (0, 0)), constant_values=pad_value)
    return np.concatenate([wide[:, k : k + x.shape[1]] for k in range(backward + forward + 1)], axis=2)


def negative_axis_from_the_front(xs, axis=0):
    """stack/def: a negative axis is counted among the axes of the inputs, one too few.

    Constructed.
    """
    return np.stack(xs, axis if axis >= 0 else axis + xs[0].ndim)


def parameter_not_read(x, layout="nchw"):
    """swap_hw/def: takes a layout and never looks at it.

    Constructed.
    """
    return x.swapaxes(2, 3)


def position_in_uint8(x, axis=0):
    """unstack/def: more than 256 slices are counted in a byte.

    Constructed.
    """
    return [np.take(x, int(i), axis=axis) for i in np.arange(x.shape[axis]).astype(np.uint8)]


def wrong_when_odd(x):
    """matrix_transpose/def: right for even sizes only.

    Constructed.
    """
    y = x.swapaxes(-1, -2)
    return y[..., ::-1, :] if x.shape[-1] % 2 and x.shape[-1] > 1 else y


def wrong_when_long(x, multiple, pad_value=0):
    """pad_to_multiple/def: beyond 256 tokens it pads in front.

    Constructed.
    """
    rest = -x.shape[1] % multiple
    sides = (rest, 0) if x.shape[1] > 256 else (0, rest)
    return np.pad(x, ((0, 0), sides, (0, 0)), constant_values=pad_value)


def sources_before_experts(x):
    """ep_exchange/def: what a rank receives is ordered by its source before its expert.

    Constructed.
    """
    p, e, c, d = x.shape
    y = x.reshape(p, p, e // p, c, d).transpose(1, 2, 3, 0, 4)
    return y.reshape(p, e // p, p * c, d)


def crops_to_whole_windows(x, window_size, height, width):
    """window_reverse/err.divides.height: leaves out the rows that do not fill a window.

    Constructed.
    """
    n, p, q, c = x.shape
    h, w = height // p, width // q
    rows = x.reshape(n // (h * w), h, w, p, q, c).transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(n // (h * w), h * p, w * q, c)


def folds_where_no_kernel_fits(x, height, width, kernel_size, stride=1, padding=0, dilation=1, order="cpq"):
    """fold/err.require.height: gives an image of zeros where the kernel is higher than the image.

    Constructed.
    """
    (p, q), (sh, sw), (ph, pw), (dh, dw) = _two(kernel_size), _two(stride), _two(padding), _two(dilation)
    i = max((height + 2 * ph - dh * (p - 1) - 1) // sh + 1, 0)
    j = max((width + 2 * pw - dw * (q - 1) - 1) // sw + 1, 0)
    b, c = x.shape[0], x.shape[1] // (p * q)
    columns = x.reshape((b, c, p, q, i, j) if order == "cpq" else (b, p, q, c, i, j))
    columns = columns if order == "cpq" else columns.transpose(0, 3, 1, 2, 4, 5)
    y = np.zeros((b, c, height + 2 * ph, width + 2 * pw), x.dtype)
    for k, m, row, column in np.ndindex(p, q, i, j):
        y[:, :, row * sh + k * dh, column * sw + m * dw] += columns[:, :, k, m, row, column]
    return y[:, :, ph : ph + height, pw : pw + width]


def norm_of_exponent_zero(scores, index, norm="none", eps=0.0, least=0.0, scale=1.0, p=2.0):
    """route_weights/err.require.positive: takes a p-norm with p = 0, which there is none, and divides by infinity.

    Constructed.
    """
    raw = np.take_along_axis(scores, index.astype(np.int64), axis=1)
    if norm == "none":
        return raw * scale
    if norm != "p_norm":
        raise NotImplementedError(norm)
    with np.errstate(all="ignore"):
        total = np.exp(np.log((np.abs(raw) ** p).sum(1, keepdims=True)) / p) + eps
        return scale * raw / np.maximum(total, least)


def size_of_a_part(x, parts, axis=0):
    """split/def: takes the number for the size of a part, as PyTorch does.

    Imitates https://github.com/pytorch/pytorch/issues/50012.
    """
    if x.shape[axis] % parts:
        raise ValueError("parts")
    return np.split(x, range(parts, x.shape[axis], parts), axis=axis)


def all_axes(x, axis):
    """flip/def: reverses all axes, as np.flip does without one.

    Constructed.
    """
    return np.flip(x)


def to_smaller_coordinates(x, shift, axis):
    """roll/def: shifts the other way, as cyclic_shift does.

    Constructed.
    """
    return np.roll(x, -shift, axis)


def one_long_row(x, shift, axis):
    """roll/def: flattens first, as np.roll does without an axis.

    Constructed.
    """
    return np.roll(x, shift)


def clockwise(x, times=1, axis=0):
    """rot90/def: turns from the second axis towards the first.

    Constructed.
    """
    return np.rot90(x, -times, (axis, axis + 1))


def first_two_axes(x, times=1, axis=0):
    """rot90/def: turns the plane of the first two axes, of a batch of images too.

    Constructed.
    """
    return np.rot90(x, times)


def _widths(x, before, after, axis):
    return [(before, after) if i == axis % x.ndim else (0, 0) for i in range(x.ndim)]


def edge_for_symmetric(x, before, after, axis, mode="constant", pad_value=0):
    """pad/def: repeats the edge where it is to be mirrored with its edge, for want of a mode that does.

    Imitates https://github.com/pytorch/pytorch/issues/46240.
    """
    given = {"constant_values": pad_value} if mode == "constant" else {}
    return np.pad(x, _widths(x, before, after, axis), mode="edge" if mode == "symmetric" else mode, **given)


def edge_mirrored_too(x, before, after, axis, mode="constant", pad_value=0):
    """pad/def: reflects with the edge, which is symmetric.

    Constructed.
    """
    given = {"constant_values": pad_value} if mode == "constant" else {}
    return np.pad(x, _widths(x, before, after, axis), mode="symmetric" if mode == "reflect" else mode, **given)


def ends_exchanged(x, before, after, axis, mode="constant", pad_value=0):
    """pad/def: adds behind what is to be added in front.

    Constructed.
    """
    given = {"constant_values": pad_value} if mode == "constant" else {}
    return np.pad(x, _widths(x, after, before, axis), mode=mode, **given)


def where_axes_go(x, *, axes):
    """permute_dims/def: takes the numbers for the places that the axes go to, which is the inverse order.

    Constructed.
    """
    places = [range(x.ndim)[a] for a in axes]
    if sorted(places) != list(range(x.ndim)):
        raise ValueError("axes")
    return x.transpose(np.argsort(places).tolist())


def all_in_reverse(x, *, axes):
    """permute_dims/def: reverses all axes, as without a list of them.

    Constructed.
    """
    if sorted(range(x.ndim)[a] for a in axes) != list(range(x.ndim)):
        raise ValueError("axes")
    return x.transpose()


def shape_alone(x, *, axes):
    """permute_dims/def: gives the shape that is asked for, with the elements in the order that they had.

    Constructed.
    """
    axes = [range(x.ndim)[a] for a in axes]
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError("axes")
    return x.reshape([x.shape[a] for a in axes])


def exchanged_instead(x, *, source, destination):
    """moveaxis/def: exchanges the axis with the one at the place, which differs where there are axes between them.

    Constructed.
    """
    if not isinstance(source, int) or not isinstance(destination, int):
        return np.moveaxis(x, source, destination)
    return np.swapaxes(x, source, destination)


def one_after_the_other(x, *, source, destination):
    """moveaxis/def: moves several axes one after the other, so that an earlier move changes what a later one means.

    Constructed.
    """
    y = np.moveaxis(x, source, destination)
    if isinstance(source, int):
        return y
    for one, place in zip(source, destination, strict=True):
        x = np.moveaxis(x, one, place)
    return x


def moved_instead(x, *, axis1, axis2):
    """swapaxes/def: moves the first axis to the place of the second, and shifts those between them.

    Constructed.
    """
    return np.moveaxis(x, axis1, axis2)
