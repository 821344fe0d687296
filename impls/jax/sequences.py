"""Sequences in JAX."""  # b batch, n sequence, d features, w blocks, i inside a block, r relative distances

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from einspec.impls.checked import op
from einspec.impls.jax.bits import moved


@op
def chunk_overlap(x: jax.Array, *, window_size: int) -> jax.Array:
    """Compute chunk_overlap (see its card)."""
    b, n, d = x.shape

    def move(z: jax.Array) -> jax.Array:
        blocks = z.reshape(b, n // window_size, window_size, d)
        return jnp.concatenate([blocks[:, :-1], blocks[:, 1:]], 2)  # b chunk 2*window d

    return moved(move, x)


@op
def look_around(x: jax.Array, *, backward: int = 1, forward: int = 0, pad_value: float = 0) -> jax.Array:
    """Compute look_around (see its card)."""

    def move(z: jax.Array, fill: jax.Array) -> jax.Array:
        padded = _pad(z, 1, backward, forward, fill)
        return jnp.concatenate([padded[:, k : k + x.shape[1]] for k in range(backward + 1 + forward)], 2)  # b w (e i) d

    return moved(move, x, jnp.asarray(pad_value, x.dtype))


@op
def sliding_window(x: jax.Array, *, left: int, right: int) -> jax.Array:
    """Compute sliding_window (see its card)."""
    position = np.arange(x.shape[1])[:, None] + np.arange(left + 1 + right)  # n j
    return moved(lambda z: _pad(z, 1, left, right + 1)[:, position], x)  # one more: no gather from an empty axis


@op
def skew(x: jax.Array) -> jax.Array:
    """Compute skew (see its card)."""
    *lead, n, r = x.shape
    width = max(2 * n, r, 1)

    def move(z: jax.Array) -> jax.Array:
        flat = _pad(z, -1, 0, width - r).reshape(*lead, n * width)[..., n - 1 : n * width - 1]
        return flat.reshape(*lead, n, width - 1)[..., :n]  # rows one shorter: each starts one further left

    return moved(move, x)


@op
def unskew(x: jax.Array, *, num_distances: int) -> jax.Array:
    """Compute unskew (see its card)."""
    *lead, n, _ = x.shape
    width = max(2 * n, num_distances, 1)

    def move(z: jax.Array) -> jax.Array:
        rows = _pad(z, -1, 0, width - 1 - n).reshape(*lead, n * (width - 1))  # rows one shorter: see skew
        return _pad(rows, -1, max(n - 1, 0), min(n, 1)).reshape(*lead, n, width)[..., :num_distances]

    return moved(move, x)


@op
def sliding_window_mask(*, seq_len: int, left: int, right: int) -> jax.Array:
    """Compute sliding_window_mask (see its card)."""
    distance = jnp.arange(seq_len) - jnp.arange(seq_len)[:, None]
    return (-left <= distance) & (distance <= right)


@op
def pad_to_multiple(x: jax.Array, *, multiple: int, pad_value: float = 0) -> jax.Array:
    """Compute pad_to_multiple (see its card)."""
    fill = jnp.asarray(pad_value, x.dtype)
    return moved(lambda z, fill: _pad(z, 1, 0, -x.shape[1] % multiple, fill), x, fill)


def _pad(x: jax.Array, axis: int, before: int, after: int, fill: jax.Array | int = 0) -> jax.Array:
    """Return the array with slices of a value before and after it along an axis."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, constant_values=fill)
