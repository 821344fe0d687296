"""Wrong masks, offsets and pieces in NumPy: corners, polarity, labels past the end, ends for lengths."""

import numpy as np

FRAMEWORK = "numpy"


def from_the_upper_left(*, q_len, kv_len, align="bottom_right"):
    """causal_mask/def: begins in the upper left corner, whichever is asked for.

    Imitates https://github.com/Dao-AILab/flash-attention/issues/517.
    """
    return np.tri(q_len, kv_len, dtype=bool)


def itself_left_out(*, q_len, kv_len, align="bottom_right"):
    """causal_mask/def: lets a query attend to the keys before its own alone.

    Constructed.
    """
    return np.tri(q_len, kv_len, (kv_len - q_len if align == "bottom_right" else 0) - 1, dtype=bool)


def true_for_padding(lengths, max_length):
    """sequence_mask/def: is true for padding, as a key padding mask is.

    Imitates https://github.com/pytorch/pytorch/issues/141694.
    """
    return np.arange(max_length) >= lengths.astype(np.int64)[:, None]


def longest_of_the_data(lengths, max_length):
    """sequence_mask/def: is as long as the longest sequence.

    Constructed.
    """
    return np.arange(max(int(lengths.max(initial=0)), 0)) < lengths.astype(np.int64)[:, None]


def padding_is_a_document(segments, keys="all"):
    """document_mask/def: lets padding attend to padding.

    Constructed.
    """
    mask = segments[..., :, None] == segments[..., None, :]
    return mask & np.tri(segments.shape[-1], dtype=bool) if keys == "causal" else mask


def documents_before_too(segments, keys="all"):
    """document_mask/def: is a causal mask of the whole row, which knows no documents.

    Imitates https://github.com/fla-org/flash-linear-attention/issues/842.
    """
    if keys != "causal":
        raise NotImplementedError(keys)
    return np.tri(segments.shape[-1], dtype=bool) & (segments >= 0)[..., :, None] & (segments >= 0)[..., None, :]


def ends_alone(counts):
    """lengths_to_offsets/def: gives the ends, without the 0 in front.

    Constructed.
    """
    return np.cumsum(np.maximum(counts.astype(np.int64), 0)).astype(np.int32)


def in_a_byte(counts):
    """lengths_to_offsets/index.uint8: adds up in the dtype of the lengths.

    Constructed.
    """
    return np.concatenate([[0], np.cumsum(np.maximum(counts, 0), dtype=counts.dtype)]).astype(np.int32)


def last_label_again(counts, rows):
    """row_labels/def: repeats the last label up to the end.

    Constructed.
    """
    sizes = np.maximum(counts.astype(np.int64), 0)
    label = np.repeat(np.arange(len(counts)), sizes)[:rows]
    place = np.concatenate([np.arange(0), *(np.arange(n) for n in sizes)])[:rows]
    if not len(label):
        return np.full(rows, -1, np.int32), np.full(rows, -1, np.int32)
    more = rows - len(label)
    return (
        np.pad(label, (0, more), mode="edge").astype(np.int32),
        np.pad(place, (0, more), constant_values=-1).astype(np.int32),
    )


def places_of_all_rows(counts, rows):
    """row_labels/def: counts places from the first row of all, not from that of the sequence.

    Constructed.
    """
    label = np.repeat(np.arange(len(counts)), np.maximum(counts.astype(np.int64), 0))[:rows]
    padded = np.pad(label, (0, rows - len(label)), constant_values=-1).astype(np.int32)
    return padded, np.where(padded < 0, -1, np.arange(rows)).astype(np.int32)


def end_for_length(x, *, start, length, axis, step=1):
    """narrow/def: takes the length for an end.

    Constructed.
    """
    if start + (length - 1) * step >= x.shape[axis]:
        raise ValueError("length")
    return np.moveaxis(np.moveaxis(x, axis, 0)[start : length * step : step], 0, axis)


def moved_into_the_array(x, *, start, length, axis, step=1):
    """narrow/err.require.inside: moves a piece that reaches beyond back into the array, without an error.

    Imitates https://github.com/jax-ml/jax/issues/34257.
    """
    first = max(min(start, x.shape[axis] - (length - 1) * step - 1), 0)
    return np.moveaxis(np.moveaxis(x, axis, 0)[first : first + length * step : step], 0, axis)
