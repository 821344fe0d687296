"""Wrong routing in PyTorch: gradients, orders that nobody promised, memory that was never written."""

import torch

FRAMEWORK = "torch"


def order_of_equals_left_open(x, k):
    """top_k/layout.expanded: torch.topk leaves the order of equal values open.

    Imitates https://github.com/pytorch/pytorch/issues/27542.
    """
    value, index = torch.topk(x, k, dim=1)
    return value, index.int()


def weights_cut_off(y, weights, index, position):
    """combine/grad.weights: the weights are detached, so the router learns nothing.

    Imitates https://github.com/huggingface/transformers/issues/48687.
    """
    e, c, d = y.shape
    inside = (index >= 0) & (index < e) & (position >= 0) & (position < c)
    slot = torch.where(inside, index.long() * c + position, e * c)
    rows = torch.cat([y.reshape(e * c, d), y.new_zeros(1, d)]).float()[slot]
    w = torch.where(inside, weights.detach().float(), 0)
    return (w[..., None] * rows).sum(1).to(y.dtype)


def divisor_is_a_constant(scores, index, norm="none", eps=0.0, least=0.0, scale=1.0, p=2.0):
    """route_weights/grad.scores: normalised by a sum through which no gradient flows.

    Constructed.
    """
    if norm not in ("none", "sum") or least or p != 2:
        raise NotImplementedError(norm)
    inside = (index >= 0) & (index < scores.shape[1])
    raw = torch.where(inside, scores.float().gather(1, torch.where(inside, index, 0).long()), 0)
    if norm == "none":
        return raw.sin() * 0 + raw.detach() * scale
    total = raw.detach().sum(1, keepdim=True) + eps
    return torch.where(total != 0, scale * raw / torch.where(total != 0, total, 1), 0)


def gradient_of_what_is_not_read(y, weights, index, position):
    """combine/grad.weights: masks the product and not its factor, so the gradient is 0 times NaN.

    Imitates https://github.com/NVIDIA/TransformerEngine/issues/3116.
    """
    e, c, d = y.shape
    inside = ((index >= 0) & (index < e) & (position >= 0) & (position < c))[..., None]
    slot = torch.where(inside[..., 0], index.long() * c + position, 0)
    rows = y.reshape(e * c, d).float()[slot] if y.numel() else y.new_zeros(*slot.shape, d).float()
    return torch.where(inside, weights.float()[..., None] * rows, 0).sum(1).to(y.dtype)


def slots_never_written(x, mask):
    """dispatch_by_mask/def: slots of nobody hold whatever memory held.

    Imitates https://github.com/pytorch/pytorch/issues/193633.
    """
    picked = torch.where(mask[..., None], x[:, None, None, :], 0).sum(0)
    return torch.where(mask.any(0)[..., None], picked, torch.full_like(picked, 6e27))


def bias_by_the_median(bias, counts, rate):
    """bias_step/def: compares with the median where the card has the mean.

    Constructed.
    """
    return (bias + rate * torch.sign(counts.median() - counts)).to(bias.dtype) if len(bias) else bias.clone()


def unbiased_variance(x, ddof=1, eps=0.0):
    """cv_squared/def: the variance of a sample by default, where the card divides by the number.

    Constructed.
    """
    s = x.to(torch.promote_types(x.dtype, torch.float32))
    if len(s) <= ddof or not bool((s != 0).any()):
        return s.sum() * 0
    return s.var(correction=ddof) / (s.mean() ** 2 + eps)


def ids_in_int8(index, experts):
    """expert_counts/def: the ids of experts are compared in int8.

    Constructed.
    """
    return (index.reshape(-1).to(torch.int8)[:, None] == torch.arange(experts).to(torch.int8)).sum(0).int()


def none_is_taken_modulo(ids, table):
    """hash_route/def: an id that is none wraps around into the table.

    Imitates https://github.com/vllm-project/vllm-gguf-plugin/issues/130.
    """
    return table[ids.long() % max(len(table), 1)].int() if len(table) else table.new_zeros((len(ids), 0)).int()


def masked_by_infinity(logits, valid):
    """soft_weights/def: where all tokens are padding a softmax of nothing but -inf is NaN.

    Imitates https://github.com/huggingface/transformers/issues/45491.
    """
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    x = x.masked_fill(~valid[:, None, None], float("-inf"))
    return x.softmax(0), x.flatten(1).softmax(1).reshape(x.shape)


def ascending_when_compiled(logits, capacity, softmax="experts"):
    """expert_choice/transform.compile: the compiled function takes the tokens that score lowest.

    Constructed.
    """
    if softmax != "experts":
        raise NotImplementedError(softmax)
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(1).T
    value, index = torch.sort(scores, dim=1, descending=not torch.compiler.is_compiling(), stable=True)
    rest = (0, max(capacity - len(logits), 0))
    pad = torch.nn.functional.pad
    return pad(value[:, :capacity], rest), pad(index[:, :capacity].int(), rest, value=-1)


class _Combined(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, weights, index, position):
        ctx.save_for_backward(y, weights, index, position)
        return _combined(y, weights, index, position)

    @staticmethod
    def backward(ctx, grad):
        y, weights, index, position = ctx.saved_tensors
        with torch.enable_grad():
            leaves = y.detach().requires_grad_(), weights.detach().requires_grad_()
            of_y, of_weights = torch.autograd.grad(_combined(*leaves, index, position), leaves, grad)
        return of_y, of_weights if ctx.needs_input_grad[0] else torch.zeros_like(weights), None, None


class _Cleared(_Combined):
    @staticmethod
    def backward(ctx, grad):
        found = _Combined.backward(ctx, grad)
        grad.zero_()
        return found[0], found[1] if ctx.needs_input_grad[1] else None, None, None


def _combined(y, weights, index, position):
    e, c, d = y.shape
    inside = (index >= 0) & (index < e) & (position >= 0) & (position < c)
    slot = torch.where(inside, index.long() * c + position, e * c)
    wide = torch.promote_types(y.dtype, torch.float32)
    rows = torch.cat([y.reshape(e * c, d), y.new_zeros(1, d)]).to(wide)[slot]
    return (torch.where(inside, weights, 0).to(wide)[..., None] * rows).sum(1).to(y.dtype)


def frozen_with_the_experts(y, weights, index, position):
    """combine/grad.weights: no gradient of the weights where none of the experts is asked for.

    Constructed.
    """
    return _Combined.apply(y, weights, index, position)


def cotangent_as_scratch(y, weights, index, position):
    """combine/grad.y: the backward pass clears the gradient that it was given, which others read as well.

    Constructed.
    """
    return _Cleared.apply(y, weights, index, position)


def eight_choices_at_most(x, k):
    """top_k/def: beyond eight choices the last of equal values comes first.

    Constructed.
    """
    if k > x.shape[1]:
        raise ValueError("k")
    if k <= 8:
        index = torch.sort(x, dim=1, descending=True, stable=True).indices[:, :k]
    else:
        index = x.shape[1] - 1 - torch.sort(x.flip(1), dim=1, descending=True, stable=True).indices[:, :k]
    return x.gather(1, index), index.int()


def ties_with_what_is_masked(scores, bias, mask, k):
    """select/transform.compile: the compiled function masks by -infinity, which allowed experts may score as well.

    Constructed.
    """
    if k > scores.shape[1]:
        raise ValueError("k")
    choice = scores.to(torch.promote_types(scores.dtype, torch.float32)) + bias
    order = torch.sort(choice.masked_fill(~mask, -torch.inf), dim=1, descending=True, stable=True).indices
    if not torch.compiler.is_compiling():
        order = torch.sort(choice, dim=1, descending=True, stable=True).indices
        allowed = mask.gather(1, order)
        order = order.gather(1, torch.sort((~allowed).int(), dim=1, stable=True).indices)
    return torch.where(torch.arange(k) < mask.sum(1, keepdim=True), order[:, :k], -1).int()
