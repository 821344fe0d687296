"""JAX: ops that rearrange the elements along an axis or in a plane."""

# a b any axes, n the axis whose elements move, h w the plane that is turned

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op

__all__ = ["flip", "narrow", "pad", "roll", "rot90"]

Mode = Literal["constant", "reflect", "symmetric", "edge", "wrap"]


@op
def flip(x: Array, *, axis: int) -> Array:
    """Compute flip (see its card)."""
    return jnp.flip(x, axis)


@op
def roll(x: Array, *, shift: int, axis: int) -> Array:
    """Compute roll (see its card)."""
    return jnp.roll(x, shift % max(x.shape[axis], 1), axis)


@op
def rot90(x: Array, *, times: int = 1, axis: int = 0) -> Array:
    """Compute rot90 (see its card)."""
    return jnp.rot90(x, times, (axis, axis + 1))


@op
def pad(x: Array, *, before: int, after: int, axis: int, mode: Mode = "constant", pad_value: float = 0) -> Array:
    """Compute pad (see its card)."""
    a = axis % x.ndim
    if mode == "constant":
        return lax.pad(x, jnp.asarray(pad_value, x.dtype), [(before, after, 0) if i == a else (0, 0, 0) for i in range(x.ndim)])
    return jnp.pad(x, [(before, after) if i == a else (0, 0) for i in range(x.ndim)], mode=mode)


@op
def narrow(x: Array, *, start: int, length: int, axis: int, step: int = 1) -> Array:
    """Compute narrow (see its card)."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, start + length * step, step),)]
