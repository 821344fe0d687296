"""JAX: Soft MoE, where every slot of an expert is a mean of all tokens."""

# t tokens, e experts, s slots of an expert, d features

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op

__all__ = ["soft_combine", "soft_dispatch", "soft_weights"]


@op
@jax.jit
def soft_weights(logits: Array, valid: Array) -> tuple[Array, Array]:
    """Compute soft_weights (see its card)."""
    x, row = logits.astype(jnp.promote_types(logits.dtype, jnp.float32)), valid[:, None, None]
    return _softmax(x, row, 0, row.any()), _softmax(x, row, (1, 2), row)


@op
@jax.jit
def soft_dispatch(x: Array, dispatch: Array) -> Array:
    """Compute soft_dispatch (see its card)."""
    wide = _accumulator(x, dispatch)
    read = jnp.where(_used(dispatch)[:, None], x.astype(wide), 0)
    return jnp.einsum("tes,td->esd", dispatch.astype(wide), read, precision=lax.Precision.HIGHEST).astype(x.dtype)


@op
@jax.jit
def soft_combine(y: Array, combine: Array) -> Array:
    """Compute soft_combine (see its card)."""
    wide = _accumulator(y, combine)
    z = jnp.einsum("tes,esd->td", combine.astype(wide), y.astype(wide), precision=lax.Precision.HIGHEST)
    return jnp.where(_used(combine)[:, None], z, 0).astype(y.dtype)


def _softmax(x: Array, valid: Array, axes: int | tuple[int, ...], some: Array) -> Array:
    """Return the softmax over the valid part of some axes, 0 for the rest; ``some`` says where there is a valid part."""
    top = lax.stop_gradient(jnp.where(valid, x, -jnp.inf).max(axes, initial=-jnp.inf, keepdims=True))
    top = jnp.where(some, top, 0)
    grown = jnp.where(valid, jnp.exp(jnp.where(valid, x, top) - top), 0)
    return jnp.where(valid, grown / jnp.where(some, grown.sum(axes, keepdims=True), 1), 0)


def _used(weights: Array) -> Array:
    """Return which tokens have a weight other than 0: the rest are not read and not written."""
    return (weights != 0).any((1, 2))  # t


def _accumulator(x: Array, weights: Array) -> Any:
    return jnp.promote_types(jnp.promote_types(x.dtype, weights.dtype), jnp.float32)
