"""JAX: losses that keep experts in use, and the step of a bias that does so without a loss."""

# t tokens, e experts, k choices of a token

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op
from einspec.impls.jax.assignment import expert_counts
from einspec.impls.jax.groups import numbers

__all__ = ["bias_step", "cv_squared", "load_balance", "sequence_load_balance", "z_loss"]

Routes = Literal["first", "all", "mean"]


@op
@partial(jax.jit, static_argnames="routes")
def load_balance(scores: Array, index: Array, valid: Array, *, routes: Routes = "mean") -> Array:
    """Compute load_balance (see its card)."""
    experts, k = scores.shape[1], index.shape[1]
    tokens = _count(valid, scores)
    asked = jnp.where(valid[:, None], numbers(index, experts), -1)  # t k
    load = expert_counts(asked[:, :1] if routes == "first" else asked, experts=experts)
    mass = _valid(scores, valid).sum(0)
    return experts * (load * mass).sum() / (tokens * tokens * (max(k, 1) if routes == "mean" else 1))


@op
@jax.jit
def z_loss(logits: Array, valid: Array) -> Array:
    """Compute z_loss (see its card)."""
    x = _valid(logits, valid)
    top = lax.stop_gradient(x.max(1, initial=-jnp.inf))
    top = jnp.where(jnp.isfinite(top), top, 0)
    total = top + jnp.log(jnp.exp(x - top[:, None]).sum(1))  # t
    return jnp.where(valid, total * total, 0).sum() / _count(valid, logits)


@op
@partial(jax.jit, static_argnames=("ddof", "eps"))
def cv_squared(x: Array, *, ddof: int = 0, eps: float = 0.0) -> Array:
    """Compute cv_squared (see its card)."""
    wide = x.astype(_wide(x))
    if len(x) <= ddof:
        return jnp.zeros((), wide.dtype)
    mean = wide.mean()
    variance = jnp.square(wide - mean).sum() / (len(x) - ddof)
    constant = variance == 0
    return jnp.where(constant, 0, variance / jnp.where(constant, 1, mean * mean + eps))


@op
@partial(jax.jit, static_argnames="rate")
def bias_step(bias: Array, counts: Array, *, rate: float) -> Array:
    """Compute bias_step (see its card)."""
    if not len(counts):
        return bias
    least, exact = _mean(counts)
    n = counts.astype(least.dtype)
    sign = ((n < least) | (n == least) & ~exact).astype(jnp.int32) - (n > least)  # of mean - count, on integers
    wide = bias.astype(_wide(bias))
    return jnp.where(sign == 0, wide, wide + rate * sign.astype(wide.dtype)).astype(bias.dtype)


def _mean(counts: Array) -> tuple[Array, Array]:
    """Return the mean rounded down, and whether it is whole: in two halves of digits, of which no sum overflows."""
    n = counts if counts.dtype.itemsize == 8 or counts.dtype == jnp.uint32 else counts.astype(jnp.int32)
    half = 4 * n.dtype.itemsize
    high, rest = jnp.divmod((n >> half).sum(dtype=n.dtype), len(n))
    low, rest = jnp.divmod(
        (rest.astype(_unsigned(n)) << half) + (n & ((1 << half) - 1)).astype(_unsigned(n)).sum(dtype=_unsigned(n)),
        jnp.asarray(len(n), _unsigned(n)),
    )
    return (high << half) + low.astype(n.dtype), rest == 0


def _unsigned(n: Array) -> Any:
    return jnp.uint64 if n.dtype.itemsize == 8 else jnp.uint32


@op
@partial(jax.jit, static_argnames="scores_are")
def sequence_load_balance(scores: Array, index: Array, valid: Array, *, scores_are: Literal["share", "raw"] = "share") -> Array:
    """Compute sequence_load_balance (see its card)."""
    (b, _, experts), k = scores.shape, index.shape[2]
    wide = jnp.where(valid[:, :, None], scores.astype(_wide(scores)), 0)
    if scores_are == "share":
        total = wide.sum(2, keepdims=True)
        wide = jnp.where(total != 0, wide / jnp.where(total != 0, total, 1), 0)
    tokens = jnp.maximum(valid.sum(1), 1).astype(wide.dtype)  # b
    hit = (numbers(index, experts)[:, :, :, None] == jnp.arange(experts, dtype=jnp.int32)) & valid[:, :, None, None]
    load = hit.sum((1, 2)).astype(wide.dtype)  # b e
    return experts * ((load * wide.sum(1)).sum(1) / (tokens * tokens)).sum() / (max(k, 1) * max(b, 1))


def _valid(x: Array, valid: Array) -> Array:
    """Return what the valid tokens have, and 0 for the rest, which is not read."""
    return jnp.where(valid[:, None], x.astype(_wide(x)), 0)


def _count(valid: Array, x: Array) -> Array:
    return jnp.maximum(valid.sum(), 1).astype(_wide(x))


def _wide(x: Array) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)
