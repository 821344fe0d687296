"""NumPy: what the experts compute, on rows grouped by expert or on one block of rows an expert."""

# t tokens, k choices, e experts, r rows, n (or c) rows of one expert, d features in, f h features inside and out, g gate, up

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.groups import group, group_ends, permute, unpermute

__all__ = [
    "act_and_mul",
    "biased_expert_mlp",
    "expert_bias",
    "expert_matmul",
    "expert_mlp",
    "glu",
    "grouped_matmul",
    "moe_dense",
    "shared_expert",
    "zero_experts",
]

Array = np.ndarray[Any, Any]
Sharing = Literal["plain", "gated"]
Packing = Literal["gate_up", "up_gate", "interleaved"]
Act = Literal["silu", "gelu", "gelu_tanh", "sigmoid", "relu", "relu2"]
Side = Literal["output", "input"]


@op
def grouped_matmul(x: Array, w: Array, counts: Array) -> Array:
    """Compute grouped_matmul (see its card)."""
    y = np.zeros((len(x), w.shape[2]), x.dtype)  # r f
    start = 0
    for weight, end in zip(w, group_ends(counts, len(x)).tolist(), strict=True):
        if end > start:
            _product(x[start:end], weight, y[start:end])
        start = end
    return y


@op
def expert_matmul(x: Array, w: Array) -> Array:
    """Compute expert_matmul (see its card)."""
    y = np.zeros((*x.shape[:2], w.shape[2]), x.dtype)  # e c f
    for rows, weight, out in zip(x, w, y, strict=True):
        _product(rows, weight, out)
    return y


@op
def expert_bias(x: Array, bias: Array, counts: Array) -> Array:
    """Compute expert_bias (see its card)."""
    y = np.zeros_like(x, order="C")  # r f
    start = 0
    with np.errstate(all="ignore"):
        for row, end in zip(bias, group_ends(counts, len(x)).tolist(), strict=True):
            np.add(x[start:end], row, out=y[start:end])
            start = end
    return y


@op
def glu(h: Array, *, layout: Packing = "gate_up", alpha: float = 1.0, limit: float = math.inf, shift: float = 0.0) -> Array:
    """Compute glu (see its card)."""
    wide = h.astype(np.promote_types(h.dtype, np.float32), copy=False)
    f = h.shape[-1] // 2
    gate, up = (wide[..., :f], wide[..., f:]) if layout != "interleaved" else (wide[..., ::2], wide[..., 1::2])
    if layout == "up_gate":
        gate, up = up, gate
    one, least, most = wide.dtype.type(1), wide.dtype.type(-limit), wide.dtype.type(limit)
    with np.errstate(all="ignore"):
        if limit < math.inf:
            gate, up = np.minimum(gate, most), np.clip(up, least, most)
        a: Array = gate / (one + np.exp(wide.dtype.type(-alpha) * gate))
        a *= up + wide.dtype.type(shift) if shift else up
        return a.astype(h.dtype, copy=False)


@op
def expert_mlp(
    x: Array,
    w1: Array,
    w2: Array,
    w3: Array | None = None,
    *,
    kind: Literal["gelu", "leaky_relu", "swiglu"] = "gelu",
    slope: float = 0.01,
) -> Array:
    """Compute expert_mlp (see its card)."""
    h = expert_matmul(x, w1)
    if kind == "gelu":
        return expert_matmul(_gelu(h), w2)
    if w3 is None:
        return expert_matmul(glu(h), w2)
    return expert_matmul(_leaky_relu(expert_matmul(_leaky_relu(h, slope), w2), slope), w3)


@op
def shared_expert(y: Array, shared: Array, gate: Array | None = None, *, kind: Sharing = "plain") -> Array:
    """Compute shared_expert (see its card)."""
    wide = np.promote_types(y.dtype, np.float32)
    z, addend = y.astype(wide), shared.astype(wide, copy=False)  # t d
    with np.errstate(all="ignore"):
        if gate is not None:
            addend = addend / (wide.type(1) + np.exp(-gate.astype(wide, copy=False)))[:, None]
        z += addend
        return z.astype(y.dtype, copy=False)


@op
def moe_dense(x: Array, weights: Array, index: Array, gate_up: Array, down: Array, *, weight_on: Side = "output") -> Array:
    """Compute moe_dense (see its card)."""
    if weight_on == "input":
        return _weighted_inputs(x, weights, index, gate_up, down)
    order, row, counts = group(index, experts=len(gate_up))
    rows = permute(x, order, k=max(index.shape[1], 1))  # r d
    h = glu(grouped_matmul(rows, gate_up, counts))  # r f
    return unpermute(grouped_matmul(h, down, counts), weights, row)


@op
def act_and_mul(h: Array, *, act: Act) -> Array:
    """Compute act_and_mul (see its card)."""
    wide = h.astype(np.promote_types(h.dtype, np.float32), copy=False)
    gate, up = np.split(wide, 2, -1)
    with np.errstate(all="ignore"):
        match act:
            case "silu" | "sigmoid":
                share = 1 / (1 + np.exp(-gate))
                a = gate * share if act == "silu" else share
            case "gelu":
                a = _gelu(gate)
            case "gelu_tanh":
                inner = math.sqrt(2 / math.pi) * (gate + 0.044715 * gate * gate * gate)
                a = gate * (1 + np.tanh(inner)) / 2
            case "relu" | "relu2":
                a = np.maximum(gate, 0)
                a = a * a if act == "relu2" else a
        return np.asarray(a * up).astype(h.dtype, copy=False)


@op
def biased_expert_mlp(
    x: Array,
    gate_up: Array,
    gate_up_bias: Array,
    down: Array,
    down_bias: Array,
    *,
    alpha: float = 1.702,
    limit: float = 7.0,
    shift: float = 1.0,
) -> Array:
    """Compute biased_expert_mlp (see its card)."""
    with np.errstate(all="ignore"):
        h = expert_matmul(x, gate_up) + gate_up_bias[:, None]
        y = expert_matmul(glu(h, layout="interleaved", alpha=alpha, limit=limit, shift=shift), down)
        return np.asarray(y + down_bias[:, None])


@op
def zero_experts(
    x: Array,
    weights: Array,
    index: Array,
    vectors: Array | None = None,
    *,
    kind: Literal["identity", "constant"] = "identity",
    experts: int,
    more: int,
) -> tuple[Array, Array]:
    """Compute zero_experts (see its card)."""
    own = index.astype(np.int64)  # t k
    served, kept = (own >= experts) & (own < experts + more), (own >= 0) & (own < experts)
    row = np.arange(len(x))[:, None] if vectors is None else own - experts
    y = unpermute(x if vectors is None else vectors, weights, np.where(served, row, -1))
    return y, np.where(kept, own, -1).astype(np.int32)


def _weighted_inputs(x: Array, weights: Array, index: Array, gate_up: Array, down: Array) -> Array:
    """Return what experts make of tokens times their weights: every route is a token of its own, of weight 1."""
    (t, k), dtype = weights.shape, np.promote_types(np.promote_types(weights.dtype, x.dtype), np.float32)
    with np.errstate(all="ignore"):
        routed = (weights[:, :, None] * x[:, None]).astype(x.dtype, copy=False)  # t k d
        one = np.ones((t * k, 1), np.float32)
        y = moe_dense(routed.reshape(t * k, x.shape[1]), one, index.reshape(t * k, 1), gate_up, down)
        z: Array = y.reshape(t, k, y.shape[1]).sum(1, dtype=dtype).astype(x.dtype, copy=False)
        return z


def _product(x: Array, w: Array, out: Array) -> None:
    """Write x @ w: in the dtype of the library where that adds up in it, else in float32, rounded once."""
    with np.errstate(all="ignore"):
        if x.dtype.itemsize < 4:
            out[:] = x.astype(np.float32) @ w.astype(np.float32)
        else:
            np.matmul(x, w, out=out)


def _gelu(h: Array) -> Array:
    """Return h times the part of the normal distribution that lies below h."""
    wide = h.astype(np.promote_types(h.dtype, np.float32), copy=False)
    with np.errstate(all="ignore"):
        scaled = (wide.ravel() / math.sqrt(2)).tolist()
        below = (1 + np.fromiter(map(math.erf, scaled), np.float64, wide.size).reshape(wide.shape)) / 2
        return (wide * below).astype(h.dtype)


def _leaky_relu(h: Array, slope: float) -> Array:
    wide = h.astype(np.promote_types(h.dtype, np.float32), copy=False)
    with np.errstate(all="ignore"):
        return np.where(wide <= 0, wide * wide.dtype.type(slope), wide).astype(h.dtype, copy=False)
