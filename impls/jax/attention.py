"""JAX: heads, fused projections, grouped queries and rotary pairs."""

# b batch, n sequence, h heads, g groups of key and value, r queries of a group, d features of a head, t q k v

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import Array

from einspec.impls.checked_jax import op

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

Layout = Literal["3hd", "h3d", "hd3", "d3h"]
Sections = int | tuple[int, int, int]
QKV: dict[Layout, str] = {"3hd": "(t h d)", "h3d": "(h t d)", "hd3": "(h d t)", "d3h": "(d t h)"}


@op
def split_heads(x: Array, *, num_heads: int) -> Array:
    """Compute split_heads (see its card)."""
    return rearrange(x, "b n (h d) -> b h n d", h=num_heads)


@op
def merge_heads(x: Array) -> Array:
    """Compute merge_heads (see its card)."""
    return rearrange(x, "b h n d -> b n (h d)")


@op
def split_qkv(x: Array, *, num_heads: int, layout: Layout = "3hd") -> tuple[Array, ...]:
    """Compute split_qkv (see its card)."""
    q, k, v = rearrange(x, f"b n {QKV[layout]} -> t b h n d", t=3, h=num_heads)
    return q, k, v


@op
def merge_qkv(qkv: Sequence[Array], *, layout: Layout = "3hd") -> Array:
    """Compute merge_qkv (see its card)."""
    return rearrange(list(qkv), f"t b h n d -> b n {QKV[layout]}")


@op
def split_qkv_grouped(x: Array, *, num_kv_heads: int, num_queries_per_kv: int) -> tuple[Array, Array, Array]:
    """Compute split_qkv_grouped (see its card)."""
    r = num_queries_per_kv
    y = rearrange(x, "b n (g s d) -> b g s n d", g=num_kv_heads, s=r + 2)
    return rearrange(y[:, :, :r], "b g r n d -> b (g r) n d"), y[:, :, r], y[:, :, r + 1]


@op
def split_qkv_contiguous(x: Array, *, num_heads: int, num_kv_heads: int) -> tuple[Array, Array, Array]:
    """Compute split_qkv_contiguous (see its card)."""
    y = rearrange(x, "b n (s d) -> b s n d", s=num_heads + 2 * num_kv_heads)
    return y[:, :num_heads], y[:, num_heads : num_heads + num_kv_heads], y[:, num_heads + num_kv_heads :]


@op
def merge_qkv_contiguous(q: Array, k: Array, v: Array) -> Array:
    """Compute merge_qkv_contiguous (see its card)."""
    return jnp.concatenate([rearrange(t, "b h n d -> b n (h d)") for t in (q, k, v)], -1)


@op
def mrope_select(x: Array, *, sections: Sections, layout: Literal["chunked", "interleaved"] = "chunked") -> Array:
    """Compute mrope_select (see its card)."""
    times, heights, widths = sections if isinstance(sections, tuple | list) else (sections,) * 3
    f = np.arange(x.shape[-1])
    if layout == "chunked":
        high, wide = (f >= times) & (f < times + heights), f >= times + heights
    else:
        high, wide = (f % 3 == 1) & (f < 3 * heights), (f % 3 == 2) & (f < 3 * widths)
    return jnp.where(wide, x[2], jnp.where(high, x[1], x[0]))


@op
def repeat_kv(x: Array, *, num_repeats: int) -> Array:
    """Compute repeat_kv (see its card)."""
    return jnp.repeat(x, num_repeats, axis=1)


@op
def rope_interleaved_to_half(x: Array) -> Array:
    """Compute rope_interleaved_to_half (see its card)."""
    return rearrange(x, "... (d r) -> ... (r d)", r=2)


@op
def rope_half_to_interleaved(x: Array) -> Array:
    """Compute rope_half_to_interleaved (see its card)."""
    half = x.shape[-1] // 2
    return jnp.stack((x[..., :half], x[..., half:]), -1).reshape(x.shape)  # ... d r
