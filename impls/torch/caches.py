"""PyTorch: caches of keys and values, linear, circular and in pages."""

# r requests, s places, n t tokens, p pages, m entries of a block table, d features

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.bits import moved
from einspec.impls.torch.groups import rows_from

__all__ = ["cache_read", "cache_update", "paged_gather", "paged_write"]

Mode = Literal["linear", "circular"]


@op
def cache_update(cache: Tensor, x: Tensor, start: Tensor, *, mode: Mode = "linear") -> Tensor:
    """Compute cache_update (see its card)."""
    s, n = cache.shape[-2], x.shape[-2]
    if not n or not s:
        return cache.clone()
    first = start.long().remainder(s) if mode == "circular" else start.long()
    token = torch.arange(s, device=cache.device) - first[:, None]  # r s: the token of each place
    if mode == "circular":
        token = token.remainder(s)
        token = token + (n - 1 - token).div(s, rounding_mode="floor") * s  # the last one; negative where there is none
    read = _along(token.clamp(0, n - 1), cache, s)
    return torch.where(_along((token >= 0) & (token < n), cache, s), moved(x, lambda bits: bits.gather(-2, read)), cache)


@op
def cache_read(cache: Tensor, length: Tensor, *, tokens: int, mode: Mode = "linear") -> Tensor:
    """Compute cache_read (see its card)."""
    s = cache.shape[-2]
    if not tokens:
        return cache[..., :0, :].clone()
    stop = length.long()[:, None]
    token = (stop - tokens).clamp(min=0) + torch.arange(tokens, device=cache.device)  # r n
    lost = (token >= stop) | (token >= s) if mode == "linear" else token >= stop
    read, lost = _along(token.remainder(s), cache, tokens), _along(lost, cache, tokens)
    return moved(cache, lambda bits: bits.gather(-2, read).masked_fill(lost, 0))


def _along(x: Tensor, cache: Tensor, size: int) -> Tensor:
    """Return what is said for each sequence and place, for all axes of the cache."""
    shape = (*cache.shape[:-2], size, cache.shape[-1])
    return x.reshape(x.shape[0], *(1,) * (cache.ndim - 3), size, 1).expand(shape)


@op
def paged_gather(pages: Tensor, table: Tensor, lengths: Tensor, *, tokens: int) -> Tensor:
    """Compute paged_gather (see its card)."""
    (p, s, *rest), (b, m) = pages.shape, table.shape
    token = torch.arange(tokens, device=pages.device)
    entries = table.long().repeat_interleave(s, 1)[:, :tokens]  # r n, as far as the table goes
    held = (entries >= 0) & (entries < p) & (token[: m * s] < lengths.long()[:, None])
    slots = torch.where(held, entries * s + token[: m * s] % s, -1)
    slots = torch.nn.functional.pad(slots, (0, tokens - slots.shape[1]), value=-1)
    return rows_from(pages.reshape(p * s, math.prod(rest)), slots.reshape(-1)).reshape(b, tokens, *rest)


@op
def paged_write(pages: Tensor, x: Tensor, slots: Tensor) -> Tensor:
    """Compute paged_write (see its card)."""
    p, s, *rest = pages.shape
    count, t = p * s, x.shape[0]
    if not t:
        return pages.clone()
    places = slots.long()
    places = torch.where((places >= 0) & (places < count), places, count)
    order = torch.arange(t, device=pages.device)
    last = order.new_full((count + 1,), -1).scatter_reduce(0, places, order, "amax")[:count]  # which token a slot gets
    taken = rows_from(x.reshape(t, math.prod(rest)), last).reshape(pages.shape)
    return torch.where((last < 0).reshape(p, s, *(1,) * len(rest)), pages, taken)
