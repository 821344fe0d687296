"""NumPy: whole Mixture-of-Experts layers, built from the other families."""

# t tokens, e experts, k choices of a token, c or s slots of an expert, d h features, f features inside, g gate and up

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.assignment import drop, position
from einspec.impls.numpy.experts import expert_mlp, moe_dense
from einspec.impls.numpy.groups import permute
from einspec.impls.numpy.routing import expert_choice, gate, wide
from einspec.impls.numpy.soft import soft_combine, soft_dispatch, soft_weights

__all__ = ["expert_choice_layer", "moe_layer", "soft_moe_layer"]

Array = np.ndarray[Any, Any]


@op
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
    more = tuple(m.astype(np.promote_types(m.dtype, logits.dtype), copy=False) for m in more)
    weights, index = gate(logits, *more, k=k, preset=preset, groups=groups, keep=keep, scale=scale)
    if capacity >= 0:
        index = drop(index, position(index, experts=router.shape[1]), capacity=capacity)[0]
    if preset == "llama4":
        return moe_dense(x, weights, index, gate_up, down, weight_on="input")
    y = moe_dense(x, weights, index, gate_up, down)
    return _with_identity(y, x, weights, index >= len(gate_up)) if preset == "longcat" else y


@op
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
    scale = weights.astype(np.promote_types(weights.dtype, y.dtype), copy=False)
    z = np.zeros((len(x), y.shape[2]), scale.dtype)
    with np.errstate(all="ignore"):
        for tokens, factor, out in zip(token, scale, y, strict=True):  # the tokens of one expert are distinct
            taken = tokens >= 0
            z[tokens[taken]] += factor[taken, None] * out[taken]
        return z.astype(x.dtype, copy=False)


@op
def soft_moe_layer(x: Array, phi: Array, gate_up: Array, down: Array) -> Array:
    """Compute soft_moe_layer (see its card)."""
    d, e, s = phi.shape
    logits = _logits(x, phi.reshape(d, e * s)).reshape(len(x), e, s)
    dispatch, combine = soft_weights(logits, np.ones(len(x), np.bool_))
    return soft_combine(expert_mlp(soft_dispatch(x, dispatch), gate_up, down, kind="swiglu"), combine)


def _with_identity(y: Array, x: Array, weights: Array, identity: Array) -> Array:
    """Return the sum of what networks give and of the tokens themselves, times the weights of their identity experts."""
    taken = identity.any(1)
    with np.errstate(all="ignore"):
        share = np.where(identity, weights, 0).sum(1)[taken, None]  # t 1
        z = y.astype(np.promote_types(weights.dtype, y.dtype))
        z[taken] += share * x[taken]
        return z.astype(y.dtype, copy=False)


def _logits(x: Array, router: Array) -> Array:
    """Return the product in at least float32, whatever the dtype of the tokens is."""
    with np.errstate(all="ignore"):
        logits: Array = wide(x) @ wide(router)
        return logits
