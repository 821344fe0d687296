"""Moving elements without looking at them, where XLA would otherwise change the bits of a NaN."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import bitcast_convert_type

_WIDENED = ("bfloat16", "float8_e5m2")
"""XLA's CPU compiler widens these for pad, concatenate and update, and narrows them again with one NaN for all."""


def moved(move: Callable[..., Array], *xs: Array) -> Array:
    """Return ``move(*xs)`` with the bits of the elements kept.

    Args:
        move: linear, and moves, copies or drops elements or fills with zeros; closes over no traced array.
        xs: arrays of one dtype.
    """
    return _moved(move, *xs) if xs[0].dtype.name in _WIDENED else move(*xs)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moved(move: Callable[..., Array], *xs: Array) -> Array:
    dtype = xs[0].dtype
    # bytes, not uint16: with AVX512-BF16 a fused loop that casts a selected uint16 to bfloat16 flushes subnormals
    parts = [bitcast_convert_type(x, jnp.uint8) for x in xs]
    each = jax.vmap(move, in_axes=-1, out_axes=-1) if dtype.itemsize > 1 else move
    return bitcast_convert_type(each(*parts), dtype)


@_moved.defjvp
def _moved_jvp(
    move: Callable[..., Array], primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    return _moved(move, *primals), move(*tangents)
