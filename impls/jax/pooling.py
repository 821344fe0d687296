"""JAX: means and maxima over images, channels and blocks."""

# b batch, c channels, h w pixels or blocks down and across, p q inside a block

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from einspec.impls.checked_jax import op
from einspec.impls.params import Pair, each

__all__ = ["avg_pool_blocks", "channel_max_pool", "global_avg_pool", "global_max_pool", "max_pool_blocks", "maxout"]


@op
def global_avg_pool(x: Array) -> Array:
    """Compute global_avg_pool (see its card)."""
    return _mean(x, (2, 3))  # b c


@op
def global_max_pool(x: Array) -> Array:
    """Compute global_max_pool (see its card)."""
    return _max(x, (2, 3))  # b c


@op
def channel_max_pool(x: Array) -> Array:
    """Compute channel_max_pool (see its card)."""
    return _max(x, (1,))  # b h w


@op
def maxout(x: Array, *, pool_size: int) -> Array:
    """Compute maxout (see its card)."""
    b, channels, h, w = x.shape
    return _max(x.reshape(b, channels // pool_size, pool_size, h, w), (2,))  # b c h w


@op
def avg_pool_blocks(x: Array, *, kernel_size: Pair) -> Array:
    """Compute avg_pool_blocks (see its card)."""
    return _mean(_blocks(x, kernel_size), (3, 5))  # b c h w


@op
def max_pool_blocks(x: Array, *, kernel_size: Pair) -> Array:
    """Compute max_pool_blocks (see its card)."""
    return _max(_blocks(x, kernel_size), (3, 5))  # b c h w


def _blocks(x: Array, kernel_size: Pair) -> Array:
    p, q = each(kernel_size)
    b, c, height, width = x.shape
    return x.reshape(b, c, height // p, p, width // q, q)  # b c h p w q


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32)).mean(axes).astype(x.dtype)


def _max(x: Array, axes: tuple[int, ...]) -> Array:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x.max(axes)
    lost = jnp.isnan(x).any(axes)  # XLA's maximum can lose a NaN on CPUs
    return jnp.where(lost, jnp.nan, x.max(axes)).astype(x.dtype)
