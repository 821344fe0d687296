"""PyTorch: ops that move, merge, split and repeat whole axes."""

# a b any axes, n the axis that is moved, cut or repeated, r copies, t tensors

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.views import unshared

__all__ = [
    "channels_first",
    "channels_last",
    "concat",
    "cyclic_permute",
    "expand_dims",
    "flatten_leading",
    "interleave",
    "matrix_transpose",
    "moveaxis",
    "permute_dims",
    "repeat_interleave",
    "repeat_new_axis",
    "split",
    "squeeze",
    "stack",
    "swap_hw",
    "swapaxes",
    "tile",
    "unflatten",
    "unstack",
]


Axes = int | tuple[int, ...]


@op
def matrix_transpose(x: Tensor) -> Tensor:
    """Compute matrix_transpose (see its card)."""
    return x.transpose(-2, -1)


@op
def swap_hw(x: Tensor, *, layout: Literal["nchw", "nhwc"] = "nchw") -> Tensor:
    """Compute swap_hw (see its card)."""
    return x.transpose(2, 3) if layout == "nchw" else x.transpose(1, 2)


@op
def cyclic_permute(x: Tensor) -> Tensor:
    """Compute cyclic_permute (see its card)."""
    return x.permute(3, 0, 1, 2)


@op
def channels_last(x: Tensor) -> Tensor:
    """Compute channels_last (see its card)."""
    return x.movedim(1, -1)


@op
def channels_first(x: Tensor) -> Tensor:
    """Compute channels_first (see its card)."""
    return x.movedim(-1, 1)


@op
def flatten_leading(x: Tensor, *, num_axes: int = 2) -> Tensor:
    """Compute flatten_leading (see its card)."""
    return x.flatten(0, num_axes - 1)


@op
def unflatten(x: Tensor, *, sizes: tuple[int, ...]) -> Tensor:
    """Compute unflatten (see its card)."""
    known = math.prod([s for s in sizes if s >= 0])
    return x.reshape(*(s if s >= 0 else x.shape[0] // known for s in sizes), *x.shape[1:])


@op
def tile(x: Tensor, *, repeats: int, axis: int = 0) -> Tensor:
    """Compute tile (see its card)."""
    return torch.cat([x] * repeats, dim=axis) if repeats else x.narrow(axis, 0, 0)


@op
def repeat_interleave(x: Tensor, *, repeats: int, axis: int = 0) -> Tensor:
    """Compute repeat_interleave (see its card)."""
    a = axis % x.ndim
    copies = x.unsqueeze(a + 1).expand(*x.shape[: a + 1], repeats, *x.shape[a + 1 :])  # *a n r *b
    return unshared(copies.flatten(a, a + 1), x)


@op
def repeat_new_axis(x: Tensor, *, num_repeats: int, axis: int = 0) -> Tensor:
    """Compute repeat_new_axis (see its card)."""
    a = axis % (x.ndim + 1)
    return unshared(x.unsqueeze(a).expand(*x.shape[:a], num_repeats, *x.shape[a:]), x)


@op
def stack(xs: Sequence[Tensor], *, axis: int = 0) -> Tensor:
    """Compute stack (see its card)."""
    return _stacked(xs, axis % (xs[0].ndim + 1))


@op
def unstack(x: Tensor, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Compute unstack (see its card)."""
    return x.unbind(axis)


@op
def split(x: Tensor, *, parts: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Compute split (see its card)."""
    size = x.shape[axis] // parts
    return tuple(x.narrow(axis, i * size, size) for i in range(parts))


@op
def expand_dims(x: Tensor, *, axis: int = 0) -> Tensor:
    """Compute expand_dims (see its card)."""
    return x.unsqueeze(axis)


@op
def squeeze(x: Tensor, *, axis: int = 0) -> Tensor:
    """Compute squeeze (see its card)."""
    return x.squeeze(axis)


@op
def concat(xs: Sequence[Tensor], *, axis: int = 0) -> Tensor:
    """Compute concat (see its card)."""
    return torch.cat(tuple(xs), dim=axis)


@op
def interleave(xs: Sequence[Tensor], *, axis: int = 0) -> Tensor:
    """Compute interleave (see its card)."""
    a = axis % xs[0].ndim
    return _stacked(xs, a + 1).flatten(a, a + 1)  # *a (n t) *b


def _stacked(xs: Sequence[Tensor], axis: int) -> Tensor:
    """Return the tensors along a new axis; PyTorch is slow to write them along the last one."""
    if axis < xs[0].ndim:
        return torch.stack(tuple(xs), dim=axis)
    return torch.stack(tuple(xs)).movedim(0, -1).contiguous()


@op
def permute_dims(x: Tensor, *, axes: Axes) -> Tensor:
    """Compute permute_dims (see its card)."""
    return x.permute(_each(axes))


@op
def moveaxis(x: Tensor, *, source: Axes, destination: Axes) -> Tensor:
    """Compute moveaxis (see its card)."""
    return x.movedim(_each(source), _each(destination))


@op
def swapaxes(x: Tensor, *, axis1: int, axis2: int) -> Tensor:
    """Compute swapaxes (see its card)."""
    return x.transpose(axis1, axis2)


def _each(axes: Axes) -> tuple[int, ...]:
    """Return axes as a tuple."""
    return axes if isinstance(axes, tuple) else (axes,)
