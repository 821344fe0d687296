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
