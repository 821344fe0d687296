"""Right masks, offsets and pieces in NumPy: comparisons, loops and differences."""

import numpy as np

FRAMEWORK = "numpy"


def keys_up_to_a_place(*, q_len, kv_len, align="bottom_right"):
    """causal_mask: compares numbers of keys with places of queries."""
    place = np.arange(q_len) + (kv_len - q_len if align == "bottom_right" else 0)
    return np.greater_equal.outer(place, np.arange(kv_len))


def ones_in_front(lengths, max_length):
    """sequence_mask: fills the front of each row."""
    mask = np.zeros((len(lengths), max_length), bool)
    for row, n in zip(mask, lengths.tolist(), strict=True):
        row[: max(n, 0)] = True
    return mask


def one_document_at_a_time(segments, keys="all"):
    """document_mask: the product of what is of one document with itself, document by document."""
    mask = np.zeros((*segments.shape, segments.shape[-1]), bool)
    for document in np.unique(segments):
        if document >= 0:
            own = segments == document
            mask |= own[..., :, None] & own[..., None, :]
    return np.tril(mask) if keys == "causal" else mask


def a_running_sum(counts):
    """lengths_to_offsets: adds the lengths up one by one."""
    offsets = [0]
    for n in counts.tolist():
        offsets.append(offsets[-1] + max(n, 0))
    return np.array(offsets, np.int32)


def row_by_row(counts, rows):
    """row_labels: lists the pairs of label and place, and cuts or fills the list."""
    pairs = [(e, i) for e, n in enumerate(counts.tolist()) for i in range(min(n, rows))][:rows]
    pairs += [(-1, -1)] * (rows - len(pairs))
    label, place = np.array(pairs, np.int32).reshape(rows, 2).T
    return label, place


def taken_by_positions(x, *, start, length, axis, step=1):
    """narrow: takes positions, which have to be there."""
    if start + (length - 1) * step >= x.shape[axis]:
        raise IndexError("length")
    return np.take(x, start + step * np.arange(length), axis)
