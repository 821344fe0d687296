"""JAX: heads, fused projections, grouped queries and rotary pairs."""

# b batch, n sequence, h heads, g groups of key and value, r queries of a group, d features of a head, t q k v

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from einops import rearrange
from jax import Array

from einspec.impls.checked import op

__all__ = [
    "merge_heads",
    "merge_qkv",
    "repeat_kv",
    "rope_half_to_interleaved",
    "rope_interleaved_to_half",
    "split_heads",
    "split_qkv",
    "split_qkv_grouped",
]

Layout = Literal["3hd", "h3d", "hd3", "d3h"]
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
