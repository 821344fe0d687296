"""PyTorch: what the experts compute, on rows grouped by expert or on one block of rows an expert."""

# t tokens, k choices, e experts, r rows, n (or c) rows of one expert, d features in, f h features inside and out, g gate, up

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from einspec.impls.checked_torch import op
from einspec.impls.torch.groups import Rows, group, group_ends, group_of, looped, permute, unpermute
from einspec.impls.torch.rows import apply

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

Sharing = Literal["plain", "gated"]
Packing = Literal["gate_up", "up_gate", "interleaved"]
Act = Literal["silu", "gelu", "gelu_tanh", "sigmoid", "relu", "relu2"]
Side = Literal["output", "input"]
NATIVE = (torch.float32, torch.bfloat16, torch.float16) if hasattr(functional, "grouped_mm") else ()
"""The dtypes of PyTorch's own grouped product."""
LINEAR = 10.0
"""From here on GELU is the identity in every dtype."""


@op
def grouped_matmul(x: Tensor, w: Tensor, counts: Tensor) -> Tensor:
    """Compute grouped_matmul (see its card)."""
    return apply(_Product, x, w, group_ends(counts, x.shape[0]))


@op
def expert_matmul(x: Tensor, w: Tensor) -> Tensor:
    """Compute expert_matmul (see its card)."""
    return torch.bmm(x, w)


@op
def expert_bias(x: Tensor, bias: Tensor, counts: Tensor) -> Tensor:
    """Compute expert_bias (see its card)."""
    ends = group_ends(counts, x.shape[0])
    if not len(ends):
        return torch.zeros_like(x)
    own = torch.arange(x.shape[0], device=x.device) < ends[-1]
    return torch.where(own[:, None], x + apply(_Shared, bias, ends, x.shape[0]), 0)


@op
def glu(h: Tensor, *, layout: Packing = "gate_up", alpha: float = 1.0, limit: float = math.inf, shift: float = 0.0) -> Tensor:
    """Compute glu (see its card)."""
    wide = h.to(torch.promote_types(h.dtype, torch.float32))
    gate, up = (wide[..., ::2], wide[..., 1::2]) if layout == "interleaved" else wide.chunk(2, -1)
    if layout == "up_gate":
        gate, up = up, gate
    if limit < math.inf:
        gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    a = functional.silu(gate) if alpha == 1 else gate * torch.sigmoid(alpha * gate)
    return (a * (up + shift if shift else up)).to(h.dtype)


@op
def expert_mlp(
    x: Tensor,
    w1: Tensor,
    w2: Tensor,
    w3: Tensor | None = None,
    *,
    kind: Literal["gelu", "leaky_relu", "swiglu"] = "gelu",
    slope: float = 0.01,
) -> Tensor:
    """Compute expert_mlp (see its card)."""
    h = torch.bmm(x, w1)
    if kind == "gelu":
        return torch.bmm(_gelu(h), w2)
    if w3 is None:
        return torch.bmm(glu(h), w2)
    return torch.bmm(functional.leaky_relu(torch.bmm(functional.leaky_relu(h, slope), w2), slope), w3)


@op
def shared_expert(y: Tensor, shared: Tensor, gate: Tensor | None = None, *, kind: Sharing = "plain") -> Tensor:
    """Compute shared_expert (see its card)."""
    if gate is None:
        return y + shared
    wide = torch.promote_types(y.dtype, torch.float32)
    return (y.to(wide) + torch.sigmoid(gate.to(wide))[:, None] * shared.to(wide)).to(y.dtype)


@op
def moe_dense(
    x: Tensor, weights: Tensor, index: Tensor, gate_up: Tensor, down: Tensor, *, weight_on: Side = "output"
) -> Tensor:
    """Compute moe_dense (see its card)."""
    if weight_on == "input":
        return weighted_inputs(moe_dense, x, weights, index, gate_up, down)
    order, row, counts = group(index, experts=gate_up.shape[0])
    rows = permute(x, order, k=max(index.shape[1], 1))  # r d
    h = glu(grouped_matmul(rows, gate_up, counts))  # r f
    return unpermute(grouped_matmul(h, down, counts), weights, row)


@op
def act_and_mul(h: Tensor, *, act: Act) -> Tensor:
    """Compute act_and_mul (see its card)."""
    gate, up = h.to(torch.promote_types(h.dtype, torch.float32)).chunk(2, -1)
    match act:
        case "silu":
            a = functional.silu(gate)
        case "gelu":
            a = _gelu(gate)
        case "gelu_tanh":
            a = torch.where(gate > LINEAR, gate, functional.gelu(gate.clamp(max=LINEAR), approximate="tanh"))
        case "sigmoid":
            a = gate.sigmoid()
        case "relu" | "relu2":
            a = gate.relu() if act == "relu" else gate.relu().square()
    return (a * up).to(h.dtype)


@op
def biased_expert_mlp(
    x: Tensor,
    gate_up: Tensor,
    gate_up_bias: Tensor,
    down: Tensor,
    down_bias: Tensor,
    *,
    alpha: float = 1.702,
    limit: float = 7.0,
    shift: float = 1.0,
) -> Tensor:
    """Compute biased_expert_mlp (see its card)."""
    h = torch.bmm(x, gate_up) + gate_up_bias[:, None]
    return torch.bmm(glu(h, layout="interleaved", alpha=alpha, limit=limit, shift=shift), down) + down_bias[:, None]


@op
def zero_experts(
    x: Tensor,
    weights: Tensor,
    index: Tensor,
    vectors: Tensor | None = None,
    *,
    kind: Literal["identity", "constant"] = "identity",
    experts: int,
    more: int,
) -> tuple[Tensor, Tensor]:
    """Compute zero_experts (see its card)."""
    own = index.long()  # t k
    served, kept = (own >= experts) & (own < experts + more), (own >= 0) & (own < experts)
    row = torch.arange(x.shape[0], device=x.device)[:, None] if vectors is None else own - experts
    y = unpermute(x if vectors is None else vectors, weights, torch.where(served, row, -1))
    return y, torch.where(kept, own, -1).int()


def weighted_inputs(
    run: Callable[..., Tensor], x: Tensor, weights: Tensor, index: Tensor, gate_up: Tensor, down: Tensor
) -> Tensor:
    """Return what experts make of tokens times their weights: every route is a token of its own, of weight 1."""
    factor = torch.where(index >= 0, weights, 0)  # of a route that is dropped, nothing is read
    dtype = torch.promote_types(weights.dtype, x.dtype)
    routed = (factor.to(dtype)[:, :, None] * x.to(dtype)[:, None]).to(x.dtype)  # t k d
    one = torch.ones_like(weights, dtype=dtype).reshape(-1, 1)
    y = run(routed.flatten(0, 1), one, index.reshape(-1, 1), gate_up, down)
    wide = torch.promote_types(dtype, torch.float32)
    return y.reshape(*index.shape, y.shape[1]).sum(1, dtype=wide).to(x.dtype)


def _gelu(h: Tensor) -> Tensor:
    """Return the exact GELU; of infinity too, which PyTorch's own makes NaN on a CPU."""
    return torch.where(h > LINEAR, h, functional.gelu(h.clamp(max=LINEAR)))


@looped
class _Product(Function):
    """Each row times the matrix of its group; 0 past the last group."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, ends: Tensor) -> Tensor:
        y: Tensor = grouped_product(x, w, ends)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w, ends = ctx.saved_tensors
        gx = apply(_Product, g, w.mT, ends) if ctx.needs_input_grad[0] else None
        return gx, apply(_Outer, x, g, ends) if ctx.needs_input_grad[1] else None, None

    @staticmethod
    def jvp(ctx: Any, *along: Tensor | None) -> Tensor:
        return _bilinear(_Product, ctx.saved_tensors, along)


@looped
class _Outer(Function):
    """For each group the sum of the outer products of its rows: the gradient of the matrices."""

    @staticmethod
    def forward(x: Tensor, g: Tensor, ends: Tensor) -> Tensor:
        sums: Tensor = grouped_outer(x, g, ends)
        return sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        x, g, ends = ctx.saved_tensors
        gx = apply(_Product, g, h.mT, ends) if ctx.needs_input_grad[0] else None
        return gx, apply(_Product, x, h, ends) if ctx.needs_input_grad[1] else None, None

    @staticmethod
    def jvp(ctx: Any, *along: Tensor | None) -> Tensor:
        return _bilinear(_Outer, ctx.saved_tensors, along)


@looped
class _Shared(Function):
    """For each row that of its group; 0 past the last group."""

    @staticmethod
    def forward(bias: Tensor, ends: Tensor, rows: int) -> Tensor:
        return Rows.forward(bias, group_of(ends, rows))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.rows = inputs[2]
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return apply(_Outer, g.new_ones(g.shape[0], 1), g, *ctx.saved_tensors)[:, 0], None, None

    @staticmethod
    def jvp(ctx: Any, along: Tensor, *_: None) -> Tensor:
        return apply(_Shared, along, *ctx.saved_tensors, ctx.rows)


def _bilinear(function: type[Function], inputs: tuple[Tensor, ...], along: tuple[Tensor | None, ...]) -> Tensor:
    """Return the tangent of a function that is linear in each of its first two inputs, of which one has a tangent at least."""
    one, other, ends = inputs
    parts = []
    if along[0] is not None:
        parts.append(apply(function, along[0], other, ends))
    if along[1] is not None:
        parts.append(apply(function, one, along[1], ends))
    return parts[0] + parts[1] if len(parts) > 1 else parts[0]


@torch.library.custom_op("einspec::grouped_product", mutates_args=())
def grouped_product(x: Tensor, w: Tensor, ends: Tensor) -> Tensor:
    """Return each row times the matrix of its group: a function that compilers do not look into, as it depends on values."""
    total = int(ends[-1]) if len(ends) else 0
    if total and _is_native(x, w):
        y = functional.grouped_mm(x, w, offs=ends.int()).contiguous()  # what is past the groups is not written
        y[total:] = 0
        return y
    y, start = x.new_zeros(x.shape[0], w.shape[2]), 0
    for weight, end in zip(w.unbind(), ends.tolist(), strict=True):
        if end > start:
            torch.mm(x[start:end], weight, out=y[start:end])
        start = end
    return y


@torch.library.custom_op("einspec::grouped_outer", mutates_args=())
def grouped_outer(x: Tensor, g: Tensor, ends: Tensor) -> Tensor:
    """Return the outer products of rows, summed for each group: a function that compilers do not look into."""
    if len(ends) and _is_native(x.mT, g):
        sums = functional.grouped_mm(x.mT, g, offs=ends.int())
        none = ends.diff(prepend=ends.new_zeros(1)) == 0
        return sums if sums.device.type == "cpu" else sums.masked_fill_(none[:, None, None], 0)
    out, start = x.new_zeros(len(ends), x.shape[1], g.shape[1]), 0  # e d f
    for total, end in zip(out.unbind(), ends.tolist(), strict=True):
        if end > start:
            torch.mm(x[start:end].mT, g[start:end], out=total)
        start = end
    return out


@grouped_product.register_fake
def _(x: Tensor, w: Tensor, ends: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], w.shape[2])


@grouped_outer.register_fake
def _(x: Tensor, g: Tensor, ends: Tensor) -> Tensor:
    return x.new_empty(ends.shape[0], x.shape[1], g.shape[1])


def _is_native(*matrices: Tensor) -> bool:
    """Whether PyTorch's grouped product takes these: rows or columns that are whole and begin at multiples of 16 bytes."""
    for m in matrices:
        (height, width), (down, across) = m.shape[-2:], m.stride()[-2:]
        apart = across if down == 1 and across >= height else down if across == 1 and down >= width else 0
        if m.dtype not in NATIVE or not m.numel() or not apart or (apart * m.element_size() | m.data_ptr()) % 16:
            return False
    return True
