"""NumPy: windows over sequences, relative positions, padding."""

# b batch, n sequence, d features, w blocks, i inside a block, r relative distances

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from einspec.impls.checked_numpy import op

__all__ = [
    "causal_mask",
    "chunk_overlap",
    "document_mask",
    "look_around",
    "pad_to_multiple",
    "reverse_sequence",
    "sequence_mask",
    "skew",
    "sliding_window",
    "sliding_window_mask",
    "unskew",
]

Array = np.ndarray[Any, Any]


@op
def chunk_overlap(x: Array, *, window_size: int) -> Array:
    """Compute chunk_overlap (see its card)."""
    b, n, d = x.shape
    blocks = x.reshape(b, n // window_size, window_size, d)
    return np.concatenate([blocks[:, :-1], blocks[:, 1:]], 2)  # b chunk 2*window d


@op
def look_around(x: Array, *, backward: int = 1, forward: int = 0, pad_value: float = 0) -> Array:
    """Compute look_around (see its card)."""
    count, padded = x.shape[1], _pad(x, backward, forward, pad_value)
    return np.concatenate([padded[:, k : k + count] for k in range(backward + 1 + forward)], 2)  # b w (e i) d


@op
def sliding_window(x: Array, *, left: int, right: int) -> Array:
    """Compute sliding_window (see its card)."""
    padded = _pad(x, left, right + 1, 0)  # one more, so that an empty sequence has a window to drop
    bits = padded.view(np.uint8) if x.itemsize == 1 else padded  # sliding_window_view does not know float8
    windows = sliding_window_view(bits, left + 1 + right, axis=1)[:, :-1]  # b n d j
    return windows.view(x.dtype).swapaxes(2, 3).copy()


@op
def skew(x: Array) -> Array:
    """Compute skew (see its card)."""
    *lead, n, r = x.shape
    width = max(2 * n, r, 1)
    wide = np.zeros((*lead, n, width), x.dtype)
    wide[..., :r] = x
    flat = wide.reshape(*lead, n * width)[..., n - 1 : n * width - 1]
    return flat.reshape(*lead, n, width - 1)[..., :n]  # rows one shorter: each starts one further left


@op
def unskew(x: Array, *, num_distances: int) -> Array:
    """Compute unskew (see its card)."""
    *lead, n, _ = x.shape
    width = max(2 * n, num_distances, 1)
    flat = np.zeros((*lead, n * width), x.dtype)
    flat[..., n - 1 : n * width - 1].reshape(*lead, n, width - 1)[..., :n] = x  # rows one shorter: see skew
    return flat.reshape(*lead, n, width)[..., :num_distances]


@op
def sliding_window_mask(*, seq_len: int, left: int, right: int) -> Array:
    """Compute sliding_window_mask (see its card)."""
    distance = np.arange(-seq_len, seq_len)
    band = (-left <= distance) & (distance <= right)
    return sliding_window_view(band, seq_len)[:0:-1].copy()  # each row starts one further left


@op
def sequence_mask(lengths: Array, *, max_length: int) -> Array:
    """Compute sequence_mask (see its card)."""
    mask: Array = np.arange(max_length) < lengths.astype(np.int64)[:, None]
    return mask


@op
def reverse_sequence(x: Array, lengths: Array) -> Array:
    """Compute reverse_sequence (see its card)."""
    n = np.arange(x.shape[1])
    ends = lengths.astype(np.int64).clip(0, len(n))[:, None]
    y: Array = x[np.arange(len(x))[:, None], np.where(n < ends, ends - 1 - n, n)]
    return y


@op
def document_mask(segments: Array, *, keys: Literal["all", "causal"] = "all") -> Array:
    """Compute document_mask (see its card)."""
    own = np.where(segments < 0, -1, segments.astype(np.int64))  # ... n
    mask: Array = (own[..., :, None] == own[..., None, :]) & (own >= 0)[..., None]
    return mask & np.tri(segments.shape[-1], dtype=bool) if keys == "causal" else mask


@op
def causal_mask(*, q_len: int, kv_len: int, align: Literal["bottom_right", "top_left"] = "bottom_right") -> Array:
    """Compute causal_mask (see its card)."""
    ahead = kv_len - q_len if align == "bottom_right" else 0
    return np.tri(q_len, kv_len, ahead, dtype=bool)


@op
def pad_to_multiple(x: Array, *, multiple: int, pad_value: float = 0) -> Array:
    """Compute pad_to_multiple (see its card)."""
    return _pad(x, 0, -x.shape[1] % multiple, pad_value)


def _pad(x: Array, before: int, after: int, value: float) -> Array:
    """Return the array with rows of a value before and after it along axis 1."""
    b, n, *rest = x.shape
    padded = np.empty((b, before + n + after, *rest), x.dtype)
    padded[:, :before] = padded[:, before + n :] = value
    padded[:, before : before + n] = x
    return padded
