"""PyTorch: whole Mixture-of-Experts layers, built from the other families."""

# t tokens, e experts, k choices of a token, c or s slots of an expert, d h features, f features inside, g gate and up

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.torch.assignment import drop, position
from einspec.impls.torch.experts import expert_mlp, glu, moe_dense, weighted_inputs
from einspec.impls.torch.groups import Sums, permute, unpermute
from einspec.impls.torch.modes import in_numpy
from einspec.impls.torch.routing import expert_choice, gate, wide
from einspec.impls.torch.soft import soft_combine, soft_dispatch, soft_weights

__all__ = ["expert_choice_layer", "moe_layer", "soft_moe_layer"]

FEW = 32
"""Up to so many routes, sorting them takes longer than to do without."""


@op
def moe_layer(
    x: Tensor,
    router: Tensor,
    gate_up: Tensor,
    down: Tensor,
    *more: Tensor,
    k: int,
    preset: str,
    capacity: int = -1,
    groups: int = 1,
    keep: int = 1,
    scale: float = 1.0,
    router_dtype: Literal["input", "float32"] = "input",
) -> Tensor:
    """Compute moe_layer (see its card)."""
    logits = _logits(x, router)
    more = tuple(m.to(torch.promote_types(m.dtype, logits.dtype)) for m in more)
    weights, index = gate(logits, *more, k=k, preset=preset, groups=groups, keep=keep, scale=scale)
    if capacity >= 0:
        index = drop(index, position(index, experts=router.shape[1]), capacity=capacity)[0]
    run = _few_routes if _is_few(x, weights, index, gate_up, down) else moe_dense
    if preset == "llama4":
        return weighted_inputs(run, x, weights, index, gate_up, down)
    y = run(x, weights, index, gate_up, down)
    return _with_identity(y, x, weights, index >= gate_up.shape[0]) if preset == "longcat" else y


@op
def expert_choice_layer(
    x: Tensor,
    router: Tensor,
    gate_up: Tensor,
    down: Tensor,
    *,
    capacity: int,
    softmax: Literal["experts", "tokens"] = "experts",
    router_dtype: Literal["input", "float32"] = "input",
) -> Tensor:
    """Compute expert_choice_layer (see its card)."""
    weights, token = expert_choice(_logits(x, router), capacity=capacity, softmax=softmax)  # e c
    rows = permute(x, token.reshape(-1), k=1).reshape(*token.shape, x.shape[1])
    y = expert_mlp(rows, gate_up, down, kind="swiglu")  # e c h
    routed = weights[:, :, None] * y.to(torch.promote_types(weights.dtype, y.dtype))
    z: Tensor = Sums.apply(routed.flatten(0, 1), token.reshape(-1), len(x))  # type: ignore[no-untyped-call]
    return z.to(x.dtype)


@op
def soft_moe_layer(x: Tensor, phi: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Compute soft_moe_layer (see its card)."""
    logits = _logits(x, phi.flatten(1)).reshape(len(x), *phi.shape[1:])
    dispatch, combine = soft_weights(logits, torch.ones(len(x), dtype=torch.bool, device=x.device))
    return soft_combine(expert_mlp(soft_dispatch(x, dispatch), gate_up, down, kind="swiglu"), combine)


def _logits(x: Tensor, router: Tensor) -> Tensor:
    """Return the product in at least float32, whatever the dtype of the tokens is."""
    dtype = torch.promote_types(wide(x).dtype, router.dtype)
    return x.to(dtype) @ router.to(dtype)


def _with_identity(y: Tensor, x: Tensor, weights: Tensor, identity: Tensor) -> Tensor:
    """Return the sum of what networks give and of the tokens themselves, times the weights of their identity experts."""
    dtype = torch.promote_types(weights.dtype, y.dtype)
    share = torch.where(identity, weights, 0).sum(1, keepdim=True)  # t 1
    taken = torch.where(identity.any(1, keepdim=True), x, 0)  # times 0, infinity would be NaN
    return (y.to(dtype) + share.to(dtype) * taken.to(dtype)).to(y.dtype)


def _is_few(x: Tensor, weights: Tensor, index: Tensor, gate_up: Tensor, down: Tensor) -> bool:
    """Whether these are few routes on a CPU, and nothing but their result is asked for."""
    differentiable = torch.is_grad_enabled() and any(a.requires_grad for a in (x, weights, gate_up, down))
    return index.numel() < min(FEW, len(gate_up)) and not differentiable and in_numpy(x, weights, gate_up, down)


def _few_routes(x: Tensor, weights: Tensor, index: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Return what moe_dense does, one route after the other."""
    (_, k), count = index.shape, index.numel()
    routes = [(r, e) for r, e in enumerate(index.reshape(-1).tolist()) if 0 <= e < len(gate_up)]
    h, y = (x.new_zeros(count, w.shape[2]) for w in (gate_up, down))
    for r, e in routes:
        torch.mm(x[r // k : r // k + 1], gate_up[e], out=h[r : r + 1])
    a = glu(h)
    for r, e in routes:
        torch.mm(a[r : r + 1], down[e], out=y[r : r + 1])
    held = (index >= 0) & (index < len(gate_up))
    return unpermute(y, weights, torch.where(held, torch.arange(count).reshape(index.shape), -1))
