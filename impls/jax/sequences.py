"""JAX: windows over sequences, relative positions, padding."""

# b batch, n sequence, d features, w blocks, i inside a block, r relative distances

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from einspec.impls.checked_jax import op

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


@op
def chunk_overlap(x: Array, *, window_size: int) -> Array:
    """Compute chunk_overlap (see its card)."""
    b, n, d = x.shape
    blocks = x.reshape(b, n // window_size, window_size, d)
    return jnp.concatenate([blocks[:, :-1], blocks[:, 1:]], 2)  # b chunk 2*window d


@op
def look_around(x: Array, *, backward: int = 1, forward: int = 0, pad_value: float = 0) -> Array:
    """Compute look_around (see its card)."""
    (b, w, i, d), around = x.shape, backward + 1 + forward
    block = np.arange(w)[:, None] + np.arange(around)  # w e
    padded = _pad(x, 1, backward, forward + 1, pad_value)  # one more: no gather from an empty axis
    return padded[:, block].reshape(b, w, around * i, d)


@op
def sliding_window(x: Array, *, left: int, right: int) -> Array:
    """Compute sliding_window (see its card)."""
    position = np.arange(x.shape[1])[:, None] + np.arange(left + 1 + right)  # n j
    return _pad(x, 1, left, right + 1)[:, position]  # b n j d; one more pad: no gather from an empty axis


@op
def skew(x: Array) -> Array:
    """Compute skew (see its card)."""
    *lead, n, r = x.shape
    width = max(2 * n, r, 1)
    flat = _pad(x, -1, 0, width - r).reshape(*lead, n * width)[..., n - 1 : n * width - 1]
    return flat.reshape(*lead, n, width - 1)[..., :n]  # rows one shorter: each starts one further left


@op
def unskew(x: Array, *, num_distances: int) -> Array:
    """Compute unskew (see its card)."""
    *lead, n, _ = x.shape
    width = max(2 * n, num_distances, 1)
    rows = _pad(x, -1, 0, width - 1 - n).reshape(*lead, n * (width - 1))  # rows one shorter: see skew
    return _pad(rows, -1, max(n - 1, 0), min(n, 1)).reshape(*lead, n, width)[..., :num_distances]


@op
def sliding_window_mask(*, seq_len: int, left: int, right: int) -> Array:
    """Compute sliding_window_mask (see its card)."""
    distance = jnp.arange(seq_len) - jnp.arange(seq_len)[:, None]
    return (-left <= distance) & (distance <= right)


@op
def sequence_mask(lengths: Array, *, max_length: int) -> Array:
    """Compute sequence_mask (see its card)."""
    whole = lengths if lengths.dtype.itemsize >= 4 else lengths.astype(jnp.int32)
    return jnp.arange(max_length, dtype=jnp.int32) < jnp.clip(whole, 0, max_length).astype(jnp.int32)[:, None]


@op
def reverse_sequence(x: Array, lengths: Array) -> Array:
    """Compute reverse_sequence (see its card)."""
    n = jnp.arange(x.shape[1], dtype=jnp.int32)
    whole = lengths if lengths.dtype.itemsize >= 4 else lengths.astype(jnp.int32)
    ends = jnp.clip(whole, 0, x.shape[1]).astype(jnp.int32)[:, None]
    source = jnp.where(n < ends, ends - 1 - n, n)  # b n
    return jnp.take_along_axis(x, source.reshape(*x.shape[:2], *(1,) * (x.ndim - 2)), 1) if x.size else x


@op
def document_mask(segments: Array, *, keys: Literal["all", "causal"] = "all") -> Array:
    """Compute document_mask (see its card)."""
    mask = (segments[..., :, None] == segments[..., None, :]) & (segments >= 0)[..., None]
    return jnp.tril(mask) if keys == "causal" else mask


@op
def causal_mask(*, q_len: int, kv_len: int, align: Literal["bottom_right", "top_left"] = "bottom_right") -> Array:
    """Compute causal_mask (see its card)."""
    ahead = kv_len - q_len if align == "bottom_right" else 0
    return jnp.tri(q_len, kv_len, ahead, dtype=bool)


@op
def pad_to_multiple(x: Array, *, multiple: int, pad_value: float = 0) -> Array:
    """Compute pad_to_multiple (see its card)."""
    return _pad(x, 1, 0, -x.shape[1] % multiple, pad_value)


def _pad(x: Array, axis: int, before: int, after: int, value: float = 0) -> Array:
    """Return the array with slices of a value before and after it along an axis."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, constant_values=value)
