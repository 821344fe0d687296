"""PyTorch: ops that rearrange the elements along an axis or in a plane."""

# a b any axes, n the axis whose elements move, h w the plane that is turned

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.bits import moved
from einspec.impls.torch.views import unshared

__all__ = ["flip", "narrow", "pad", "roll", "rot90"]

Mode = Literal["constant", "reflect", "symmetric", "edge", "wrap"]


@op
def flip(x: Tensor, *, axis: int) -> Tensor:
    """Compute flip (see its card)."""
    return moved(x, lambda bits: bits.flip(axis))


@op
def roll(x: Tensor, *, shift: int, axis: int) -> Tensor:
    """Compute roll (see its card)."""
    cut = -shift % max(x.shape[axis], 1)
    return torch.cat([x.narrow(axis, cut, x.shape[axis] - cut), x.narrow(axis, 0, cut)], axis) if cut else x.clone()


@op
def rot90(x: Tensor, *, times: int = 1, axis: int = 0) -> Tensor:
    """Compute rot90 (see its card)."""
    return moved(x, lambda bits: torch.rot90(bits, times, (axis, axis + 1)))


@op
def pad(x: Tensor, *, before: int, after: int, axis: int, mode: Mode = "constant", pad_value: float = 0) -> Tensor:
    """Compute pad (see its card)."""
    n, shape = x.shape[axis], list(x.shape)
    if mode == "constant":
        ends = (x.new_full((*shape[: axis % x.ndim], size, *shape[axis % x.ndim + 1 :]), pad_value) for size in (before, after))
        return torch.cat([next(ends), x, next(ends)], axis)
    place = torch.arange(-before, n + after, device=x.device)
    match mode:
        case "reflect":
            place = n - 1 - (n - 1 - place.abs()).abs()
        case "symmetric":
            place = torch.where(place < 0, -1 - place, torch.where(place < n, place, 2 * n - 1 - place))
        case "edge":
            place = place.clamp(0, max(n - 1, 0))
        case "wrap":
            place = place % max(n, 1)
    return moved(x, lambda bits: bits.index_select(axis, place))


@op
def narrow(x: Tensor, *, start: int, length: int, axis: int, step: int = 1) -> Tensor:
    """Compute narrow (see its card)."""
    return unshared(x[(slice(None),) * (axis % x.ndim) + (slice(start, start + length * step, step),)], x)
