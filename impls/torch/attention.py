"""PyTorch: heads, fused projections, grouped queries and rotary pairs."""

# b batch, n sequence, h heads, g groups of key and value, r queries of a group, d features of a head, t q k v

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.bits import moved
from einspec.impls.torch.views import unshared

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


@op
def split_heads(x: Tensor, *, num_heads: int) -> Tensor:
    """Compute split_heads (see its card)."""
    b, n, features = x.shape
    return x.reshape(b, n, num_heads, features // num_heads).transpose(1, 2)  # b h n d


@op
def merge_heads(x: Tensor) -> Tensor:
    """Compute merge_heads (see its card)."""
    return x.transpose(1, 2).flatten(2)


@op
def split_qkv(x: Tensor, *, num_heads: int, layout: Layout = "3hd") -> tuple[Tensor, ...]:
    """Compute split_qkv (see its card)."""
    b, n, features = x.shape
    sizes = {"3": 3, "h": num_heads, "d": features // (3 * num_heads)}
    t, h, d = (2 + layout.index(axis) for axis in "3hd")
    q, k, v = x.reshape(b, n, *(sizes[axis] for axis in layout)).permute(t, 0, h, 1, d)  # t b h n d
    return q, k, v


@op
def merge_qkv(qkv: Sequence[Tensor], *, layout: Layout = "3hd") -> Tensor:
    """Compute merge_qkv (see its card)."""
    if layout == "3hd":
        return torch.stack([x.transpose(1, 2) for x in qkv], 2).flatten(2)
    order = ["bhn3d".index(axis) for axis in "bn" + layout]
    return torch.stack(tuple(qkv), 3).permute(order).flatten(2)


@op
def split_qkv_grouped(x: Tensor, *, num_kv_heads: int, num_queries_per_kv: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute split_qkv_grouped (see its card)."""
    b, n, features = x.shape
    g, r = num_kv_heads, num_queries_per_kv
    y = x.reshape(b, n, g, r + 2, features // (g * (r + 2))).permute(0, 2, 3, 1, 4)  # b g s n d
    return unshared(y[:, :, :r].flatten(1, 2), x), unshared(y[:, :, r], x), unshared(y[:, :, r + 1], x)


@op
def split_qkv_contiguous(x: Tensor, *, num_heads: int, num_kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute split_qkv_contiguous (see its card)."""
    b, n, features = x.shape
    heads = num_heads + 2 * num_kv_heads
    y = x.reshape(b, n, heads, features // heads).transpose(1, 2)
    keys, values = num_heads, num_heads + num_kv_heads
    return unshared(y[:, :keys], x), unshared(y[:, keys:values], x), unshared(y[:, values:], x)


@op
def merge_qkv_contiguous(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute merge_qkv_contiguous (see its card)."""
    return torch.cat([t.transpose(1, 2) for t in (q, k, v)], 2).flatten(2)


@op
def mrope_select(x: Tensor, *, sections: Sections, layout: Literal["chunked", "interleaved"] = "chunked") -> Tensor:
    """Compute mrope_select (see its card)."""
    times, heights, widths = sections if isinstance(sections, tuple | list) else (sections,) * 3
    f = torch.arange(x.shape[-1], device=x.device)
    if layout == "chunked":
        own = (f >= times).long() + (f >= times + heights)
    else:
        own = ((f % 3 == 1) & (f < 3 * heights)) + 2 * ((f % 3 == 2) & (f < 3 * widths))
    return moved(x, lambda bits: bits.gather(0, own.expand(1, *x.shape[1:])).squeeze(0))


@op
def repeat_kv(x: Tensor, *, num_repeats: int) -> Tensor:
    """Compute repeat_kv (see its card)."""
    b, g, n, d = x.shape
    return unshared(x.unsqueeze(2).expand(b, g, num_repeats, n, d).flatten(1, 2), x)


@op
def rope_interleaved_to_half(x: Tensor) -> Tensor:
    """Compute rope_interleaved_to_half (see its card)."""
    pairs = x.reshape(*x.shape[:-1], x.shape[-1] // 2, 2)  # ... d r
    return pairs.transpose(-2, -1).flatten(-2)


@op
def rope_half_to_interleaved(x: Tensor) -> Tensor:
    """Compute rope_half_to_interleaved (see its card)."""
    halves = x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2)  # ... r d
    return halves.transpose(-2, -1).flatten(-2)
