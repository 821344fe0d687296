"""JAX: tokens into the slots of experts and back. Every gradient is a gather, or a sum in a fixed order."""

# b batch, s sequence, t tokens, k choices of a token, e experts, c slots of an expert, d features; flat slot e*C + c

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op
from einspec.impls.jax.assignment import position as place
from einspec.impls.jax.assignment import route_slots
from einspec.impls.jax.rows import Gradients, first_to_rows, wide_type
from einspec.impls.jax.rows import weighted_rows as weighted_rows  # others take it from here

__all__ = ["combine", "combine_by_mask", "dispatch", "dispatch_by_mask", "group_tokens"]


@op
@partial(jax.jit, static_argnames=("experts", "capacity"))
def dispatch(x: Array, index: Array, position: Array, *, experts: int, capacity: int) -> Array:
    """Compute dispatch (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    return first_to_rows(x, slots, experts * capacity).reshape(experts, capacity, x.shape[1])


@op
@jax.jit
def combine(y: Array, weights: Array, index: Array, position: Array) -> Array:
    """Compute combine (see its card)."""
    e, c, d = y.shape
    return weighted_rows(y.reshape(e * c, d), weights, route_slots(index, position, e, c))


@op
def dispatch_by_mask(x: Array, mask: Array) -> Array:
    """Compute dispatch_by_mask (see its card)."""
    t, e, c = mask.shape
    wide = wide_type(x)
    return _masked(mask.reshape(t, e * c).T.astype(wide), x.astype(wide)).astype(x.dtype).reshape(e, c, x.shape[1])


@op
def combine_by_mask(y: Array, mask: Array) -> Array:
    """Compute combine_by_mask (see its card)."""
    t, e, c = mask.shape
    wide = wide_type(y, mask)
    z: Array = _masked(mask.reshape(t, e * c).astype(wide), y.reshape(e * c, y.shape[2]).astype(wide))
    return z.astype(y.dtype)


@op
def group_tokens(x: Array, assignments: Array, *, num_experts: int) -> Array:
    """Compute group_tokens (see its card)."""
    b, s, d = x.shape
    index = assignments.reshape(b * s, 1)
    queue = place(index, experts=num_experts)
    y: Array = dispatch(x.reshape(b * s, d), index, queue, experts=num_experts, capacity=b * s // num_experts)
    return y


@jax.custom_vjp
def _masked(mask: Array, y: Array) -> Array:
    """Return a product of matrices in which a zero of the first annihilates even NaN."""
    finite = jnp.isfinite(mask).all() & jnp.isfinite(y).all()
    z: Array = lax.cond(finite, _matmul, _all_cases, mask, y)
    return z


def _masked_forward(mask: Array, y: Array) -> tuple[Array, Any]:
    return _masked(mask, y), (mask, y)


def _masked_backward(kept: Any, g: Array) -> Gradients:
    mask, y = kept
    return jnp.where(mask != 0, _matmul(g, y.T), 0), _masked(mask.T, g)


_masked.defvjp(_masked_forward, _masked_backward)


def _matmul(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _all_cases(mask: Array, y: Array) -> Array:
    """Return the product where either may hold NaN and infinities: these are counted apart."""
    inf = jnp.inf
    finite = _matmul(jnp.where(jnp.isfinite(mask), mask, 0), jnp.where(jnp.isfinite(y), y, 0))

    def some(left: list[Array], right: list[Array]) -> Array:
        return _matmul(jnp.concatenate(left, 1).astype(y.dtype), jnp.concatenate(right).astype(y.dtype)) > 0

    signs = [mask > 0, mask < 0, mask == inf, mask == -inf]
    up = some(signs, [y == inf, y == -inf, y > 0, y < 0])
    down = some(signs, [y == -inf, y == inf, y < 0, y > 0])
    nan = some([mask != 0, jnp.isnan(mask), jnp.isinf(mask)], [jnp.isnan(y), jnp.ones_like(y, bool), y == 0])
    return finite + jnp.where(nan | (up & down), jnp.nan, jnp.where(up, inf, jnp.where(down, -inf, 0)))
