"""Right functions in PyTorch that store in 16 bits what may be stored, and keep in float32 what is promised in it."""

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
    weights = (scale * value[:, :k] / value[:, :k].sum(1, keepdim=True)).to(x.dtype)
    y = _wide(torch.zeros(len(x), down.shape[2], dtype=x.dtype))
    for e in range(len(gate_up)):
        token, choice = torch.where(index[:, :k] == e)
        y = y.index_add(0, token, _wide(_swiglu(x[token], gate_up[e], down[e])) * _wide(weights[token, choice, None]))
    return y.to(x.dtype)


def router_in_float32_where_asked(
    x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0, router_dtype="input"
):
    """moe_layer: the router in the dtype of the tokens unless float32 is asked for; weights are rounded to it in any case."""
    if router_dtype not in ("input", "float32"):
        raise ValueError(router_dtype)
    logits = _wide(x) @ _wide(router).to(_wide(x).dtype) if router_dtype == "float32" else _wide(x @ router.to(x.dtype))
    return _mixtral(x, torch.softmax(logits, dim=1), gate_up, down, k, preset, capacity, groups, keep, scale)


def router_in_the_dtype_of_the_tokens(x, router, gate_up, down, *, k, preset, capacity=-1, groups=1, keep=1, scale=1.0):
    """moe_layer: logits and scores in the dtype of the tokens, and no parameter that asks for another."""
    scores = torch.softmax(x @ router.to(x.dtype), dim=1)
    return _mixtral(x, _wide(scores), gate_up, down, k, preset, capacity, groups, keep, scale)


def experts_choose_in_float32(x, router, gate_up, down, *, capacity, softmax="experts", router_dtype="input"):
    """expert_choice_layer: the product with the router in float32 whatever is asked for."""
    if softmax != "experts":
        raise NotImplementedError(softmax)
    if router_dtype not in ("input", "float32") or gate_up.shape[2] % 2:
        raise ValueError(router_dtype)
    scores = torch.softmax(_wide(x) @ router.to(_wide(x).dtype), dim=1)
    value, token = torch.sort(scores.T, dim=1, descending=True, stable=True)
    y = _wide(torch.zeros(len(x), down.shape[2], dtype=x.dtype))
    for e in range(len(gate_up)):
        own = token[e, :capacity]
        y = y.index_add(0, own, value[e, :capacity, None] * _wide(_swiglu(x[own], gate_up[e], down[e])))
    return y.to(x.dtype)


def routes_added_in_float32(x, weights, index, gate_up, down, *, weight_on="output"):
    """moe_dense: what experts give is stored in the dtype of the rows, weighted and added up in float32."""
    if weight_on != "output":
        raise NotImplementedError(weight_on)
    if gate_up.shape[2] % 2:
        raise ValueError("gate_up")
    y = _wide(torch.zeros(len(x), down.shape[2], dtype=x.dtype))
    there = (index >= 0) & (index < len(gate_up))
    for k in range(index.shape[1]):
        token = torch.where(there[:, k])[0]
        expert = index[token, k].long()
        own = _swiglu(x[token, None], gate_up[expert], down[expert])[:, 0]
        y = y.index_add(0, token, _wide(weights[token, k, None]).to(y.dtype) * _wide(own))
    return y.to(x.dtype)
