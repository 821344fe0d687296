"""Right functions in PyTorch: compiled by its script, in modules, with gradients written by hand."""

import functools

import torch
from einops import rearrange

FRAMEWORK = "torch"


class _Rolled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, shift):
        ctx.shift = shift
        return torch.roll(x, (-shift, -shift), (1, 2))

    @staticmethod
    def backward(ctx, grad):
        return torch.roll(grad, (ctx.shift, ctx.shift), (1, 2)), None


def backward_by_hand(x, shift):
    """cyclic_shift: a gradient of its own, and one number for both axes."""
    if not isinstance(shift, int):
        raise NotImplementedError("pairs")
    return _Rolled.apply(x, shift)


def by_a_pattern(x, groups):
    """channel_shuffle: an einops pattern."""
    return rearrange(x, "b (g c) h w -> b (c g) h w", g=groups)


class _Mean(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


a_module = _Mean()
a_module.__doc__ = "global_avg_pool: a module that is called."

last_two = functools.partial(torch.transpose, dim0=-2, dim1=-1)
last_two.__doc__ = "matrix_transpose: a builtin with arguments bound ahead."


def queues_by_running_sums(index, experts, order="token"):
    """position: running sums of a table of routes and experts."""
    if order != "token":
        raise NotImplementedError(order)
    hit = index.reshape(-1, 1) == torch.arange(experts)
    before = (hit.long().cumsum(0) - 1) * hit
    return torch.where(hit.any(1), before.sum(1), -1).to(torch.int32).reshape(index.shape)


def values_behind_a_guard(x, mask):
    """dispatch_by_mask: masks before it adds, in another order of axes."""
    wide = torch.promote_types(x.dtype, torch.float32)
    picked = torch.where(mask.permute(1, 2, 0)[..., None], x.to(wide), torch.zeros((), dtype=wide))
    return picked.sum(2).to(x.dtype)


def sorted_and_cut(x, k):
    """top_k: a stable sort of everything."""
    if k > x.shape[1]:
        raise ValueError("k")
    value, index = torch.sort(x, dim=1, descending=True, stable=True)
    return value[:, :k], index[:, :k].int()


def windows_of_the_framework(x, window_size):
    """chunk_overlap: windows that share memory with the input."""
    if x.shape[1] % window_size or not x.shape[1]:
        raise ValueError("size")
    return x.unfold(1, 2 * window_size, window_size).transpose(2, 3)


@torch.jit.script
def scripted(x: torch.Tensor) -> torch.Tensor:
    """merge_heads: a scripted function."""
    b, h, n, d = x.shape
    return x.permute(0, 2, 1, 3).reshape(b, n, h * d)


def gelu_of_the_framework(x, w1, w2, w3=None, *, kind="gelu", slope=0.01):
    """expert_mlp: F.gelu is NaN at infinity on the CPU."""
    if kind != "gelu":
        raise NotImplementedError(kind)
    return torch.bmm(torch.nn.functional.gelu(torch.bmm(x, w1)), w2)


def images_of_nothing(x):
    """global_avg_pool: refuses an empty batch."""
    if x.shape[0] == 0:
        raise RuntimeError("expected a batch")
    return x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32)).to(x.dtype)


def positions_of_the_framework(x, k):
    """top_k: int64 positions, as PyTorch has them."""
    if k > x.shape[1]:
        raise ValueError("k")
    value, index = torch.sort(x, dim=1, descending=True, stable=True)
    return value[:, :k], index[:, :k]


def _swiglu(x, gate_up, down):
    gate, up = (x @ gate_up).chunk(2, dim=-1)
    return (torch.nn.functional.silu(gate) * up) @ down


def matrices_gathered_by_route(x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer: Llama 4 with the matrices of its expert beside each route, and a copy of the token times its weight."""
    if preset != "llama4" or capacity >= 0 or x.dtype.itemsize < 4:
        raise NotImplementedError(preset)
    if k > router.shape[1] or (groups, keep) != (1, 1) or gate_up.shape[2] % 2:
        raise ValueError("k")
    value, index = torch.sort(x @ router, dim=1, descending=True, stable=True)
    routed = x[:, None] * (scale * torch.sigmoid(value[:, :k]))[..., None]  # t k d
    return _swiglu(routed[:, :, None], gate_up[index[:, :k]], down[index[:, :k]])[:, :, 0].sum(1)


def identity_experts_in_a_loop(x, router, gate_up, down, bias, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer: LongCat as its users write it, expert after expert on the tokens that chose it."""
    if preset != "longcat" or capacity >= 0 or x.dtype.itemsize < 4:
        raise NotImplementedError(preset)
    if k > router.shape[1] or (groups, keep) != (1, 1) or len(gate_up) > router.shape[1] or gate_up.shape[2] % 2:
        raise ValueError("k")
    scores = torch.softmax(x @ router, dim=1)
    index = torch.sort(scores + bias, dim=1, descending=True, stable=True)[1][:, :k]
    weights = scores.gather(1, index) * scale
    y = torch.zeros_like(x)
    for e in range(router.shape[1]):
        token, choice = torch.where(index == e)
        out = _swiglu(x[token], gate_up[e], down[e]) if e < len(gate_up) else x[token]
        y = y.index_add(0, token, out * weights[token, choice, None])
    return y


def factor_behind_the_norm(x, router, gate_up, down, factor, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer: the gate of Gemma 4 as its users write it, the factor of an expert behind the norm."""
    if preset != "gemma4" or capacity >= 0 or x.dtype.itemsize < 4:
        raise NotImplementedError(preset)
    if k > router.shape[1] or (groups, keep) != (1, 1) or gate_up.shape[2] % 2:
        raise ValueError("k")
    scores = torch.softmax(x @ router, dim=1)
    value, index = torch.sort(scores, dim=1, descending=True, stable=True)
    weights = value[:, :k] / value[:, :k].sum(1, keepdim=True) * factor[index[:, :k]] * scale
    y = x.new_zeros(len(x), down.shape[2])
    for e in range(router.shape[1]):
        token, choice = torch.where(index[:, :k] == e)
        y = y.index_add(0, token, _swiglu(x[token], gate_up[e], down[e]) * weights[token, choice, None])
    return y


def embedded(x, index, axis, outside="zero"):
    """take: index_select of a flat index, which refuses an index beyond the end."""
    if outside != "zero":
        raise NotImplementedError(outside)
    return (
        torch.index_select(x, axis, index.reshape(-1)).unflatten(axis, index.shape)
        if index.ndim != 1
        else x.index_select(axis, index)
    )


def gathered(x, index, axis, outside="zero"):
    """take_along: torch.gather, which refuses an index beyond the end."""
    if outside != "zero":
        raise NotImplementedError(outside)
    return torch.gather(x, axis, index.long())


def scattered(x, index, updates, axis):
    """scatter: torch.scatter, which leaves open which of several updates is taken."""
    return x.scatter(axis, index.long(), updates)


def summed_in_place(x, index, updates, axis):
    """scatter_add: adds to a copy in place."""
    return x.clone().scatter_add_(axis, index.long(), updates)


def classes_as_floats(index, classes):
    """one_hot: PyTorch's own, made floats."""
    return torch.nn.functional.one_hot(index.long(), classes).float()
