"""Computed in 16 bits on the way in PyTorch where float32 is promised: routers, and sums over the routes of a token."""

import torch

FRAMEWORK = "torch"


def _wide(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _swiglu(x, gate_up, down):
    gate, up = (x @ gate_up).chunk(2, dim=-1)
    return (torch.nn.functional.silu(gate) * up) @ down


def _mixtral(x, scores, gate_up, down, k, preset, capacity, groups, keep, scale):
    if preset != "mixtral" or capacity >= 0:
        raise NotImplementedError(preset)
    if k > scores.shape[1] or (groups, keep) != (1, 1) or gate_up.shape[2] % 2:
        raise ValueError("k")
    value, index = torch.sort(scores, dim=1, descending=True, stable=True)
    weights = scale * _wide(value[:, :k]) / _wide(value[:, :k]).sum(1, keepdim=True)
    y = _wide(torch.zeros(len(x), down.shape[2], dtype=x.dtype))
    for e in range(len(gate_up)):
        token, choice = torch.where(index[:, :k] == e)
        y = y.index_add(0, token, _wide(_swiglu(x[token], gate_up[e], down[e])) * weights[token, choice, None].to(y.dtype))
    return y.to(x.dtype)


def rounded_product(x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0, router_dtype="input"):
    """moe_layer/dtype.bfloat16: multiplies with the router in the dtype of the tokens, and takes its softmax in float32.

    Imitates https://github.com/sgl-project/sglang/issues/38695.
    """
    scores = torch.softmax(_wide(x @ router.to(x.dtype)), dim=1)
    return _mixtral(x, scores, gate_up, down, k, preset, capacity, groups, keep, scale)


def rounded_scores(x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0, router_dtype="input"):
    """moe_layer/dtype.float16: chooses by scores that are rounded to the dtype of the tokens behind a product in float32.

    Constructed.
    """
    scores = torch.softmax(_wide(x) @ _wide(router), dim=1).to(x.dtype)
    return _mixtral(x, scores, gate_up, down, k, preset, capacity, groups, keep, scale)


def experts_choose_by_a_rounded_product(x, router, gate_up, down, *, capacity, softmax="experts", router_dtype="input"):
    """expert_choice_layer/dtype.bfloat16: multiplies with the router in the dtype of the tokens.

    Constructed.
    """
    if softmax != "experts":
        raise NotImplementedError(softmax)
    if gate_up.shape[2] % 2:
        raise ValueError("gate_up")
    scores = torch.softmax(_wide(x @ router.to(x.dtype)), dim=1)
    value, token = torch.sort(scores.T, dim=1, descending=True, stable=True)
    y = _wide(torch.zeros(len(x), down.shape[2], dtype=x.dtype))
    for e in range(len(gate_up)):
        own = token[e, :capacity]
        y = y.index_add(0, own, value[e, :capacity, None] * _wide(_swiglu(x[own], gate_up[e], down[e])))
    return y.to(x.dtype)


def routes_added_in_the_dtype_of_the_rows(x, weights, index, gate_up, down, *, weight_on="output"):
    """moe_dense/dtype.bfloat16: adds one route of all tokens after the other to a result in their dtype.

    Imitates https://github.com/vllm-project/vllm/pull/46643.
    """
    if weight_on != "output":
        raise NotImplementedError(weight_on)
    if gate_up.shape[2] % 2:
        raise ValueError("gate_up")
    y = torch.zeros(len(x), down.shape[2], dtype=x.dtype)
    there = (index >= 0) & (index < len(gate_up))
    for k in range(index.shape[1]):
        token = torch.where(there[:, k])[0]
        expert = index[token, k].long()
        own = _swiglu(x[token, None], gate_up[expert], down[expert])[:, 0]
        y = y.index_add(0, token, (_wide(weights[token, k, None]) * _wide(own)).to(y.dtype))
    return y


def features_added_in_the_dtype_of_the_rows(x, gate_up, gate_up_bias, down, down_bias, *, alpha=1.702, limit=7.0, shift=1.0):
    """biased_expert_mlp/dtype.bfloat16: adds the products of features up one after the other in the dtype of the rows.

    Constructed.
    """

    def product(a, b):
        found = torch.zeros(*a.shape[:2], b.shape[2], dtype=x.dtype)
        for d in range(a.shape[2]):
            found = found + a[:, :, d, None] * b[:, None, d].to(x.dtype)
        return found

    h = product(x, gate_up) + gate_up_bias[:, None].to(x.dtype)
    gate, up = h[..., ::2].clamp(max=limit), h[..., 1::2].clamp(-limit, limit)
    return product(gate * torch.sigmoid(alpha * gate) * (up + shift), down) + down_bias[:, None].to(x.dtype)
