"""NumPy: ops that rearrange the elements along an axis or in a plane."""

# a b any axes, n the axis whose elements move, h w the plane that is turned

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op

__all__ = ["flip", "narrow", "pad", "roll", "rot90"]

Array = np.ndarray[Any, Any]
Mode = Literal["constant", "reflect", "symmetric", "edge", "wrap"]


@op
def flip(x: Array, *, axis: int) -> Array:
    """Compute flip (see its card)."""
    return np.flip(x, axis).copy()


@op
def roll(x: Array, *, shift: int, axis: int) -> Array:
    """Compute roll (see its card)."""
    cut = -shift % max(x.shape[axis], 1)
    y = np.moveaxis(x, axis, 0)
    return np.moveaxis(np.concatenate([y[cut:], y[:cut]]), 0, axis)


@op
def rot90(x: Array, *, times: int = 1, axis: int = 0) -> Array:
    """Compute rot90 (see its card)."""
    return np.rot90(x, times, (axis, axis + 1)).copy()


@op
def pad(x: Array, *, before: int, after: int, axis: int, mode: Mode = "constant", pad_value: float = 0) -> Array:
    """Compute pad (see its card)."""
    a = axis % x.ndim
    given: dict[str, Any] = {"constant_values": pad_value} if mode == "constant" else {}
    return np.pad(x, [(before, after) if i == a else (0, 0) for i in range(x.ndim)], mode=mode, **given)


@op
def narrow(x: Array, *, start: int, length: int, axis: int, step: int = 1) -> Array:
    """Compute narrow (see its card)."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, start + length * step, step),)].copy()
