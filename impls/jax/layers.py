"""JAX: whole Mixture-of-Experts layers, built from the other families."""

# t tokens, e experts, k choices of a token, r routes, c or s slots of an expert, d h features, f features inside, g gate and up

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op
from einspec.impls.jax.assignment import drop, position
from einspec.impls.jax.experts import expert_matmul, expert_mlp, glu, moe_dense, weighted_inputs
from einspec.impls.jax.groups import numbers, permute, sums_to, unpermute
from einspec.impls.jax.routing import expert_choice, gate, wide
from einspec.impls.jax.soft import soft_combine, soft_dispatch, soft_weights

__all__ = ["expert_choice_layer", "moe_layer", "soft_moe_layer"]


@op
@partial(jax.jit, static_argnames=("k", "preset", "capacity", "groups", "keep", "scale", "router_dtype"))
def moe_layer(
    x: Array,
    router: Array,
    gate_up: Array,
    down: Array,
    *more: Array,
    k: int,
    preset: str,
    capacity: int = -1,
    groups: int = 1,
    keep: int = 1,
    scale: float = 1.0,
    router_dtype: Literal["input", "float32"] = "input",
) -> Array:
    """Compute moe_layer (see its card)."""
    logits = _logits(x, router)
    more = tuple(m.astype(jnp.promote_types(m.dtype, logits.dtype)) for m in more)
    weights, index = gate(logits, *more, k=k, preset=preset, groups=groups, keep=keep, scale=scale)
    if capacity >= 0:
        index = drop(index, position(index, experts=router.shape[1]), capacity=capacity)[0]
    run = _few_routes if index.size < len(gate_up) else moe_dense
    if preset == "llama4":
        return weighted_inputs(run, x, weights, index, gate_up, down)
    y = run(x, weights, index, gate_up, down)
    return _with_identity(y, x, weights, index >= len(gate_up)) if preset == "longcat" else y


@op
@partial(jax.jit, static_argnames=("capacity", "softmax", "router_dtype"))
def expert_choice_layer(
    x: Array,
    router: Array,
    gate_up: Array,
    down: Array,
    *,
    capacity: int,
    softmax: Literal["experts", "tokens"] = "experts",
    router_dtype: Literal["input", "float32"] = "input",
) -> Array:
    """Compute expert_choice_layer (see its card)."""
    weights, token = expert_choice(_logits(x, router), capacity=capacity, softmax=softmax)  # e c
    rows = permute(x, token.reshape(-1), k=1).reshape(*token.shape, x.shape[1])
    y = expert_mlp(rows, gate_up, down, kind="swiglu")  # e c h
    routed = weights[:, :, None] * y.astype(jnp.promote_types(weights.dtype, y.dtype))
    return sums_to(routed.reshape(token.size, y.shape[2]), token.reshape(-1), 1, len(x)).astype(x.dtype)


@op
@jax.jit
def soft_moe_layer(x: Array, phi: Array, gate_up: Array, down: Array) -> Array:
    """Compute soft_moe_layer (see its card)."""
    d, e, s = phi.shape
    logits = _logits(x, phi.reshape(d, e * s)).reshape(len(x), e, s)
    dispatch, combine = soft_weights(logits, jnp.ones(len(x), bool))
    y: Array = soft_combine(expert_mlp(soft_dispatch(x, dispatch), gate_up, down, kind="swiglu"), combine)
    return y


def _with_identity(y: Array, x: Array, weights: Array, identity: Array) -> Array:
    """Return the sum of what networks give and of the tokens themselves, times the weights of their identity experts."""
    dtype = jnp.promote_types(weights.dtype, y.dtype)
    share = jnp.where(identity, weights, 0).sum(1, keepdims=True)  # t 1
    taken = jnp.where(identity.any(1, keepdims=True), x, 0)  # times 0, infinity would be NaN
    return (y.astype(dtype) + share.astype(dtype) * taken.astype(dtype)).astype(y.dtype)


def _logits(x: Array, router: Array) -> Array:
    """Return the product in at least float32, whatever the dtype of the tokens is."""
    return jnp.matmul(wide(x), wide(router), precision=lax.Precision.HIGHEST)


@jax.custom_vjp
def _few_routes(x: Array, weights: Array, index: Array, gate_up: Array, down: Array) -> Array:
    """Return what moe_dense does, reading the matrices of one route after the other: fewer than there are experts."""
    expert = numbers(index.reshape(-1), len(gate_up))
    rows = permute(x, jnp.arange(index.size, dtype=jnp.int32), k=max(index.shape[1], 1))  # r d
    y = _by_route(glu(_by_route(rows, gate_up, expert)), down, expert)
    row = jnp.where(expert < 0, -1, jnp.arange(index.size, dtype=jnp.int32)).reshape(index.shape)
    z: Array = unpermute(y, weights, row)
    return z


def _by_route(x: Array, w: Array, expert: Array) -> Array:
    """Return each row times the matrix of its expert: of any, where that is -1."""
    expert = jnp.maximum(expert, 0)
    if x.dtype.itemsize < 4:  # XLA on the CPU would widen all matrices before the loop
        return _at_once(x, w, expert)
    y: Array = lax.platform_dependent(x, w, expert, cpu=_in_turn, default=_at_once)
    return y


def _in_turn(x: Array, w: Array, expert: Array) -> Array:
    def one(route: tuple[Array, Array]) -> Array:
        row, e = route
        return jnp.matmul(row, lax.dynamic_index_in_dim(w, e, keepdims=False), precision=lax.Precision.HIGHEST)

    y: Array = lax.map(one, (x, expert))
    return y


def _at_once(x: Array, w: Array, expert: Array) -> Array:
    y: Array = expert_matmul(x[:, None], w.at[expert].get(mode="promise_in_bounds"))
    return y[:, 0]


def _few_forward(*inputs: Array) -> tuple[Array, tuple[Array, ...]]:
    return _few_routes(*inputs), inputs


def _few_backward(inputs: tuple[Array, ...], grad: Array) -> tuple[Any, ...]:
    x, weights, index, gate_up, down = inputs
    pull = jax.vjp(lambda x, weights, *w: moe_dense(x, weights, index, *w), x, weights, gate_up, down)[1]
    dx, dweights, *dw = pull(grad)
    return dx, dweights, None, *dw


_few_routes.defvjp(_few_forward, _few_backward)
