"""NumPy: heads, fused projections, grouped queries and rotary pairs."""

# b batch, n sequence, h heads, g groups of key and value, r queries of a group, d features of a head, t q k v

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.views import unshared

__all__ = [
    "merge_heads",
    "merge_qkv",
    "merge_qkv_contiguous",
    "mrope_select",
    "repeat_kv",
    "rope_half_to_interleaved",
    "rope_interleaved_to_half",
    "split_heads",
    "split_qkv",
    "split_qkv_contiguous",
    "split_qkv_grouped",
]

Array = np.ndarray[Any, Any]
Layout = Literal["3hd", "h3d", "hd3", "d3h"]
Sections = int | tuple[int, int, int]


@op
def split_heads(x: Array, *, num_heads: int) -> Array:
    """Compute split_heads (see its card)."""
    b, n, features = x.shape
    return x.reshape(b, n, num_heads, features // num_heads).transpose(0, 2, 1, 3)  # b h n d


@op
def merge_heads(x: Array) -> Array:
    """Compute merge_heads (see its card)."""
    b, h, n, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(b, n, h * d)


@op
def split_qkv(x: Array, *, num_heads: int, layout: Layout = "3hd") -> tuple[Array, ...]:
    """Compute split_qkv (see its card)."""
    b, n, features = x.shape
    sizes = {"3": 3, "h": num_heads, "d": features // (3 * num_heads)}
    t, h, d = (2 + layout.index(axis) for axis in "3hd")
    q, k, v = x.reshape(b, n, *(sizes[axis] for axis in layout)).transpose(t, 0, h, 1, d)  # t b h n d
    return q, k, v


@op
def merge_qkv(qkv: Sequence[Array], *, layout: Layout = "3hd") -> Array:
    """Compute merge_qkv (see its card)."""
    order = (0, 2, 3, 1) if layout == "d3h" else (0, 2, 1, 3)  # b n d h, b n h d
    parts, t = [x.transpose(order) for x in qkv], 2 + layout.index("3")
    shape = parts[0].shape
    y = np.stack(parts, axis=t, out=np.empty((*shape[:t], len(parts), *shape[t:]), parts[0].dtype))
    return y.reshape(*shape[:2], math.prod(y.shape[2:]))


@op
def split_qkv_grouped(x: Array, *, num_kv_heads: int, num_queries_per_kv: int) -> tuple[Array, Array, Array]:
    """Compute split_qkv_grouped (see its card)."""
    b, n, features = x.shape
    g, r = num_kv_heads, num_queries_per_kv
    d = features // (g * (r + 2))
    y = x.reshape(b, n, g, r + 2, d).transpose(0, 2, 3, 1, 4)  # b g s n d
    return unshared(y[:, :, :r].reshape(b, g * r, n, d), x), y[:, :, r].copy(), y[:, :, r + 1].copy()


@op
def split_qkv_contiguous(x: Array, *, num_heads: int, num_kv_heads: int) -> tuple[Array, Array, Array]:
    """Compute split_qkv_contiguous (see its card)."""
    b, n, features = x.shape
    heads = num_heads + 2 * num_kv_heads
    y = x.reshape(b, n, heads, features // heads).swapaxes(1, 2)
    q, k, v = np.split(y, [num_heads, num_heads + num_kv_heads], axis=1)
    return unshared(q, x), unshared(k, x), unshared(v, x)


@op
def merge_qkv_contiguous(q: Array, k: Array, v: Array) -> Array:
    """Compute merge_qkv_contiguous (see its card)."""
    y = np.concatenate([t.swapaxes(1, 2) for t in (q, k, v)], 2)  # b n s d
    return y.reshape(*y.shape[:2], y.shape[2] * y.shape[3])


@op
def mrope_select(x: Array, *, sections: Sections, layout: Literal["chunked", "interleaved"] = "chunked") -> Array:
    """Compute mrope_select (see its card)."""
    times, heights, widths = sections if isinstance(sections, tuple | list) else (sections,) * 3
    if layout == "chunked":
        return np.concatenate([x[0, ..., :times], x[1, ..., times : times + heights], x[2, ..., times + heights :]], -1)
    y: Array = x[0].copy()
    y[..., 1 : 3 * heights : 3] = x[1, ..., 1 : 3 * heights : 3]
    y[..., 2 : 3 * widths : 3] = x[2, ..., 2 : 3 * widths : 3]
    return y


@op
def repeat_kv(x: Array, *, num_repeats: int) -> Array:
    """Compute repeat_kv (see its card)."""
    return np.repeat(x, num_repeats, axis=1)


@op
def rope_interleaved_to_half(x: Array) -> Array:
    """Compute rope_interleaved_to_half (see its card)."""
    pairs = x.reshape(*x.shape[:-1], x.shape[-1] // 2, 2)  # ... d r
    return pairs.swapaxes(-2, -1).reshape(x.shape)


@op
def rope_half_to_interleaved(x: Array) -> Array:
    """Compute rope_half_to_interleaved (see its card)."""
    half = x.shape[-1] // 2
    return np.stack((x[..., :half], x[..., half:]), -1).reshape(x.shape)  # ... d r
