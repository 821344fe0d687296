"""PyTorch: scores, selection and weights of experts."""

# t tokens, e experts, k choices of a token, c slots of an expert, g groups of experts, m members of a group

from __future__ import annotations

from typing import Literal

import ml_dtypes
import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.numpy.routing import largest as largest_in_numpy
from einspec.impls.presets import BIASED, LEAST, NEAR, NORMS, SCORES, SMALLEST
from einspec.impls.torch.bits import moved
from einspec.impls.torch.modes import in_numpy
from einspec.impls.torch.views import unshared

__all__ = [
    "append_shared_experts",
    "expert_choice",
    "gate",
    "group_mask",
    "hash_route",
    "noisy_logits",
    "route_weights",
    "score",
    "select",
    "thin",
    "top_k",
]

FEW = 16
"""Up to so many rounds, taking the largest out one by one is faster than a sort."""


def wide(x: Tensor) -> Tensor:
    """Return the floats in at least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def order_key(x: Tensor) -> Tensor:
    """Return signed integers in the order of x: all NaN equal and above infinity, -0 equal to +0."""
    if x.dtype == torch.uint64:
        return x.view(torch.int64) ^ -(2**63)
    if not x.is_floating_point():
        return x.to(torch.int64) if x.dtype in (torch.uint16, torch.uint32) else x.to(torch.int16) if x.itemsize == 1 else x
    if x.itemsize == 1:
        x = x.to(torch.float32)
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.itemsize]
    bits, most = x.contiguous().view(whole), torch.iinfo(whole).max
    magnitude = bits & most
    key = torch.where(bits < 0, -magnitude, magnitude)
    return torch.where(x.isnan(), most, key)


def largest(x: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """Return the positions of the k largest of every row where the mask allows, the lower first where they tie, then -1."""
    x = x.detach()
    float8 = x.is_floating_point() and x.itemsize == 1
    if not float8 and in_numpy(x, *(() if mask is None else (mask,))):
        array = x.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.numpy()
        return torch.from_numpy(largest_in_numpy(array, k, None if mask is None else mask.numpy()))
    key = order_key(x)
    if mask is not None:
        key = torch.where(mask, key, torch.iinfo(key.dtype).min)
    if k <= FEW and x.is_floating_point():
        places = []
        for _ in range(k):
            place = key.argmax(1, keepdim=True)
            key = key.scatter(1, place, torch.iinfo(key.dtype).min)
            places.append(place)
        index = torch.cat(places, 1) if places else x.new_empty((x.shape[0], 0), dtype=torch.int64)
    else:
        index = torch.sort(~key, dim=1, stable=True)[1][:, :k]
    if mask is not None:
        index = torch.where(torch.arange(k, device=x.device) < mask.sum(1, keepdim=True), index, -1)
    return index.to(torch.int32)


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Return x[t, index[t, k]], where a row of the index holds nothing twice."""
    return moved(x, lambda bits: bits.gather(1, index.to(torch.int64)))


def pick(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return x at the index, 0 where that is no position in the row, and whether it is one."""
    index = index.to(torch.int64)
    found = (index >= 0) & (index < x.shape[1])
    if x.shape[1] == 0:
        return x.new_zeros(index.shape), found
    index = torch.where(found, index, 0)
    values = x.gather(1, index) if x.device.type == "cpu" else _gather(x, index, found)
    return torch.where(found, values, 0), found


def _gather(x: Tensor, index: Tensor, found: Tensor) -> Tensor:
    """Return x[t, index[t, k]] in a way whose gradient adds to each element one number at a time, which has one result."""
    k = index.shape[1]
    if k > FEW:
        return torch.cat([x.gather(1, column) for column in torch.split(index, 1, 1)], 1)
    same = (index[:, :, None] == index[:, None, :]) & found[:, None, :]  # t k k1
    first = ~(same & torch.ones((k, k), dtype=torch.bool, device=x.device).tril(-1)).any(2) & found
    values = torch.where(first, x.gather(1, torch.where(first, index, 0)), 0)
    return torch.where(same & first[:, None, :], values[:, None, :], 0).sum(2)


@op
def score(logits: Tensor, *, fn: str = "softmax") -> Tensor:
    """Compute score (see its card)."""
    x = wide(logits)
    if fn == "softmax":
        return x.softmax(1)
    if fn == "sigmoid":
        return x.sigmoid()
    return _sqrt_softplus(x) if fn == "sqrt_softplus" else unshared(x, logits)


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


def _sqrt_softplus(x: Tensor) -> Tensor:
    low = x < -40  # there softplus is the exponential, and its root has a slope that can be computed
    return torch.where(low, (torch.where(low, x, 0) / 2).exp(), _softplus(torch.where(low, 0, x)).sqrt())


@op
def top_k(x: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """Compute top_k (see its card)."""
    index = largest(x, k)
    return _take(x, index), index


@op
def group_mask(choice: Tensor, *, groups: int, keep: int, top: int = 1) -> Tensor:
    """Compute group_mask (see its card)."""
    t, e = choice.shape
    size = e // groups
    if size == 0:
        return choice.new_zeros((t, e), dtype=torch.bool)
    members = wide(choice.detach()).reshape(t * groups, size)
    best = members.amax(1) if top == 1 else _take(members, largest(members, min(top, size))).sum(1)
    kept = largest(best.reshape(t, groups), keep).to(torch.int64)
    mask = torch.zeros_like(best, dtype=torch.bool).reshape(t, groups).scatter(1, kept, True)
    return unshared(mask[:, :, None].expand(t, groups, size).reshape(t, e), mask)


@op
def select(scores: Tensor, bias: Tensor, mask: Tensor, *, k: int) -> Tensor:
    """Compute select (see its card)."""
    return largest(wide(scores.detach()) + wide(bias.detach()), k, mask)


@op
def route_weights(
    scores: Tensor,
    index: Tensor,
    *,
    norm: str = "none",
    eps: float = 0.0,
    least: float = 0.0,
    scale: float = 1.0,
    p: float = 2.0,
) -> Tensor:
    """Compute route_weights (see its card)."""
    raw, found = pick(wide(scores), index)
    if norm == "none" or index.shape[1] == 0:
        return raw * scale
    if norm == "softmax":
        return torch.where(found, torch.where(found, raw, -torch.inf).softmax(1), 0) * scale
    total = _norm(raw, p) if norm == "p_norm" else raw.sum(1, keepdim=True)
    total = (total + eps).clamp(min=least)
    used = found & (total != 0)
    return torch.where(used, raw * scale / torch.where(total != 0, total, 1), 0)


def _norm(x: Tensor, p: float) -> Tensor:
    size = x.abs()
    unit = size.detach().amax(1, keepdim=True)
    unit = torch.where(unit.isfinite() & (unit > 0), unit, 1)
    total = ((size / unit) ** p).sum(1, keepdim=True)
    empty = total == 0
    return torch.where(empty, 0, unit * torch.where(empty, 1, total) ** (1 / p))


@op
def thin(index: Tensor, ratio: Tensor, uniform: Tensor) -> Tensor:
    """Compute thin (see its card)."""
    both = torch.promote_types(wide(ratio).dtype, wide(uniform).dtype)
    route, first = index.to(torch.int64), torch.arange(index.shape[1], device=index.device) == 0
    stays = first | (order_key(uniform.detach().to(both)) < order_key(ratio.detach().to(both)))
    return torch.where(stays & (route >= 0), route, -1).to(index.dtype)


@op
def noisy_logits(logits: Tensor, spread: Tensor, noise: Tensor, *, floor: float = 0.0) -> Tensor:
    """Compute noisy_logits (see its card)."""
    return wide(logits) + wide(noise) * (_softplus(wide(spread)) + floor)


@op
def expert_choice(logits: Tensor, *, capacity: int, softmax: str = "experts") -> tuple[Tensor, Tensor]:
    """Compute expert_choice (see its card)."""
    x = wide(logits).T.contiguous()  # e t
    scores = x if softmax == "none" else x.softmax(0 if softmax == "experts" else 1)
    taken = largest(scores, min(capacity, x.shape[1]))
    rest = (0, max(capacity - x.shape[1], 0))
    return torch.nn.functional.pad(_take(scores, taken), rest), torch.nn.functional.pad(taken, rest, value=-1)


@op
def hash_route(ids: Tensor, table: Tensor) -> Tensor:
    """Compute hash_route (see its card)."""
    v, k = table.shape
    ids, table = ids.to(torch.int64), table.to(torch.int64)
    if v == 0:
        return ids.new_full((ids.shape[0], k), -1, dtype=torch.int32)
    found = (ids >= 0) & (ids < v)
    rows = table[torch.where(found, ids, 0)]
    return torch.where(found[:, None] & (rows >= 0), rows, -1).to(torch.int32)


@op
def append_shared_experts(
    weights: Tensor,
    index: Tensor,
    gate: Tensor | None = None,
    *,
    kind: Literal["plain", "gated"] = "plain",
    experts: int,
    shared: int,
    weight: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Compute append_shared_experts (see its card)."""
    t, own = weights.shape[0], index.to(torch.int64)
    more = torch.full((t,), weight, device=weights.device) if gate is None else weight * wide(gate).sigmoid()
    routes = torch.where((own >= 0) & (own < experts), own, -1)
    ids = torch.arange(experts, experts + shared, device=index.device).expand(t, shared)
    extended = torch.cat([weights, more.to(weights.dtype)[:, None].expand(t, shared)], 1)
    return extended, torch.cat([routes, ids], 1).to(torch.int32)


@op
def gate(*tensors: Tensor, k: int, preset: str, groups: int = 1, keep: int = 1, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Compute gate (see its card)."""
    logits, *more = tensors
    if preset == "vmoe":
        logits = wide(logits) + wide(more[0]) / max(logits.shape[1], 1)
    if preset == "shazeer":
        logits = noisy_logits(logits, *more)
    scores = score(logits, fn=SCORES.get(preset, "softmax"))
    if preset == "deepseek_v2":
        mask = group_mask(scores, groups=groups, keep=keep)
        index = select(scores, scores.new_zeros(scores.shape[1]), mask, k=k)
    elif preset == "deepseek_v3":
        mask = group_mask(scores + wide(more[0]), groups=groups, keep=keep, top=2)
        index = select(scores, more[0], mask, k=k)
    elif preset in BIASED:
        index = select(scores, more[0], torch.ones_like(scores, dtype=torch.bool), k=k)
    elif preset in ("mistral4", "axk2"):
        choice = scores if preset == "mistral4" else scores + wide(more[0])
        index = top_k(torch.where(group_mask(choice, groups=groups, keep=keep, top=2), choice, 0), k=k)[1]
    else:
        index = top_k(logits if preset in ("llama4", "phimoe") else scores, k=k)[1]
    if preset == "phimoe":
        return _alone(wide(logits), index, scale), index
    if preset != "gshard":
        norm, eps, least = NORMS.get(preset, "none"), SMALLEST.get(preset, 0.0), LEAST.get(preset, 0.0)
        weights = route_weights(scores, index, norm=norm, eps=eps, least=least, scale=scale)
        return (_times(weights, more[0], index) if preset == "gemma4" else weights), index
    weights = route_weights(scores, index, norm="sum")
    index = thin(index, 2 * weights, more[0])
    return torch.where(index >= 0, weights * scale, 0), index


def _times(weights: Tensor, factor: Tensor, index: Tensor) -> Tensor:
    """Return the weights times the factor of the expert of each route."""
    return (weights * pick(wide(factor).expand(len(index), -1), index)[0]).to(weights.dtype)


def _alone(x: Tensor, index: Tensor, scale: float) -> Tensor:
    """Return the share of each route in a softmax of its own, over the experts near it that no route before it has."""
    hit = index[:, :, None] == torch.arange(x.shape[1], device=x.device)  # t k e
    left = hit.cumsum(1) - hit.to(torch.int64) == 0
    own = pick(x, index)[0][:, :, None]
    away = x[:, None] - own
    reach = NEAR * torch.maximum(x.detach().abs()[:, None], own.detach())
    near = left & (hit | (-away.detach() <= reach) | reach.isnan())  # in the order of top_k, where NaN is greatest
    return scale / torch.where(near, torch.where(near, away, 0).exp(), 0).sum(2)
