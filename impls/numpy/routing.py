"""NumPy: scores, selection and weights of experts."""

# t tokens, e experts, k choices of a token, c slots of an expert, g groups of experts, m members of a group

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.views import unshared
from einspec.impls.presets import BIASED, LEAST, NEAR, NORMS, SCORES, SMALLEST

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

Array = np.ndarray[Any, Any]

BLOCK = 1 << 15
"""Elements whose copy stays in a cache while their largest are taken out one by one."""
FEW = 16
"""Up to so many rounds, taking the largest out one by one is faster than a sort of long rows."""
SHORT = 20
"""Rows of up to so many elements for each of the k rounds are sorted faster than the rounds take."""


def wide(x: Array) -> Array:
    """Return the floats in at least float32."""
    return x.astype(np.promote_types(x.dtype, np.float32), copy=False)


def order_key(x: Array) -> Array:
    """Return integers in the order of x: all NaN equal and above infinity, -0 equal to +0."""
    if x.dtype == bool:
        return x.view(np.uint8)
    if x.dtype.kind in "iu":
        return x
    if x.itemsize == 1:
        x = x.astype(np.float32)
    bits = x.view(f"i{x.itemsize}")
    most, infinity = np.iinfo(bits.dtype).max, np.array(np.inf, x.dtype).view(bits.dtype)
    key, sign = bits & most, bits >> 8 * x.itemsize - 1
    nan = key > infinity
    key ^= sign  # with the next line: minus the magnitude where the sign is set
    key -= sign
    if nan.any():
        key[nan] = most
    return key


def largest(x: Array, k: int, mask: Array | None = None) -> Array:
    """Return the positions of the k largest of every row where the mask allows, the lower first where they tie, then -1."""
    t, e = x.shape
    index = np.empty((t, k), np.int32)
    rows = max(1, BLOCK // max(1, e))
    for start in range(0, t if k else 0, rows):
        part = slice(start, start + rows)
        index[part] = _largest(x[part], k, None if mask is None else mask[part])
    return index if mask is None else np.where(_take(mask, index), index, -1).astype(np.int32, copy=False)


def _largest(x: Array, k: int, mask: Array | None) -> Array:
    exact = _exact(x)
    if k > 1 and (k > FEW or k > x.shape[1] / SHORT) and exact is not None and exact.dtype == np.float32:
        return _by_packed_sort(exact, k, mask)
    if exact is None or k > FEW:
        return _by_sort(x, k, mask)
    if k > 1 or mask is not None:
        exact = np.array(exact, order="C")  # rows are taken from it laid flat
    if mask is not None:
        exact[~mask] = -np.inf
    index, least = _by_rounds(exact, k)
    (unclear,) = np.nonzero(least == -np.inf)  # what was taken out, or is masked, looks the same
    if unclear.size:
        index[unclear] = _by_sort(x[unclear], k, None if mask is None else mask[unclear])
    return index


def _exact(x: Array) -> Array | None:
    """Return the same values in a float that NumPy compares fast; none for integers of 64 bits."""
    if x.dtype.kind in "biu":
        return x.astype(np.float64) if x.itemsize < 8 else None
    if x.dtype.name == "bfloat16":
        return (x.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return wide(x)


def _by_rounds(x: Array, k: int) -> tuple[Array, Array]:
    """Take out the first largest k times, from x itself; return the positions and the last values."""
    t, e = x.shape
    index = np.empty((t, k), np.int32)
    for j in range(k):
        place = x.argmax(1)
        index[:, j] = place
        if k > 1:
            flat, place = x.reshape(-1), place + np.arange(t) * e
            least = flat[place]
            flat[place] = -np.inf
    return index, least if k > 1 else _take(x, index)[:, 0]


def _by_packed_sort(x: Array, k: int, mask: Array | None) -> Array:
    """Sort whole rows, each value packed with what makes the lower position greater: integers are sorted fast."""
    e = x.shape[1]
    key = order_key(x).astype(np.int64)
    if mask is not None:
        key[~mask] = np.iinfo(np.int32).min
    key <<= 32
    key |= np.arange(e)[::-1]
    key.sort(1)
    index: Array = e - 1 - (key[:, e - k :][:, ::-1] & (2**32 - 1))
    return index


def _by_sort(x: Array, k: int, mask: Array | None) -> Array:
    key = ~order_key(x)
    order: Array = np.lexsort((key,) if mask is None else (key, ~mask), axis=1)
    return order[:, :k]


def _take(x: Array, index: Array) -> Array:
    """Return x[t, index[t, k]]."""
    t, e = x.shape
    return np.asarray(x.reshape(-1).take(index + np.arange(t)[:, None] * e))


def pick(x: Array, index: Array) -> tuple[Array, Array]:
    """Return x at the index, 0 where that is no position in the row, and whether it is one."""
    found = (index >= 0) & (index < x.shape[1])
    if not x.shape[1]:
        return np.zeros(index.shape, x.dtype), found
    values = _take(x, np.where(found, index, 0).astype(np.int64))
    return np.where(found, values, 0), found


@op
def score(logits: Array, *, fn: str = "softmax") -> Array:
    """Compute score (see its card)."""
    x = wide(logits)
    with np.errstate(all="ignore"):
        if fn == "softmax":
            return _softmax(x, 1)
        if fn == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-x)))
        return _sqrt_softplus(x) if fn == "sqrt_softplus" else unshared(x, logits)


def _softmax(x: Array, axis: int) -> Array:
    part = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return np.asarray(part / part.sum(axis, keepdims=True))


def _sqrt_softplus(x: Array) -> Array:
    low = x < -40  # there softplus is the exponential, and may be too small for a float
    return np.where(low, np.exp(x / 2), np.sqrt(np.logaddexp(x, 0)))


@op
def top_k(x: Array, *, k: int) -> tuple[Array, Array]:
    """Compute top_k (see its card)."""
    index = largest(x, k)
    return _take(x, index), index


@op
def group_mask(choice: Array, *, groups: int, keep: int, top: int = 1) -> Array:
    """Compute group_mask (see its card)."""
    t, e = choice.shape
    size = e // groups
    members = wide(choice).reshape(t * groups, size)
    with np.errstate(all="ignore"):
        best = _take(members, largest(members, min(top, size))).sum(1)
    mask = np.zeros((t, groups), bool)
    np.put_along_axis(mask, largest(best.reshape(t, groups), keep), True, 1)
    return mask.repeat(size, 1)


@op
def select(scores: Array, bias: Array, mask: Array, *, k: int) -> Array:
    """Compute select (see its card)."""
    with np.errstate(all="ignore"):
        choice = wide(scores) + wide(bias)
    return largest(choice, k, mask)


@op
def route_weights(
    scores: Array,
    index: Array,
    *,
    norm: str = "none",
    eps: float = 0.0,
    least: float = 0.0,
    scale: float = 1.0,
    p: float = 2.0,
) -> Array:
    """Compute route_weights (see its card)."""
    raw, found = pick(wide(scores), index)
    with np.errstate(all="ignore"):
        if norm == "none":
            return np.asarray(raw * float(scale))
        if norm == "softmax":
            top = np.where(found, raw, -np.inf).max(1, keepdims=True, initial=-np.inf)
            raw = np.where(found, np.exp(raw - top), 0)
        total = _norm(raw, p) if norm == "p_norm" else raw.sum(1, keepdims=True)
        if norm != "softmax":
            total = np.maximum(total + float(eps), float(least))
        return np.where(found & (total != 0), raw * float(scale) / total, 0)


def _norm(x: Array, p: float) -> Array:
    top = np.abs(x).max(1, keepdims=True, initial=0)
    unit = np.where(np.isfinite(top) & (top > 0), top, 1)
    return np.asarray(unit * ((np.abs(x) / unit) ** float(p)).sum(1, keepdims=True) ** (1 / float(p)))


@op
def thin(index: Array, ratio: Array, uniform: Array) -> Array:
    """Compute thin (see its card)."""
    both = np.promote_types(wide(ratio).dtype, wide(uniform).dtype)
    stays = order_key(uniform.astype(both)) < order_key(ratio.astype(both))
    stays[:, :1] = True
    return np.where(stays & (index >= 0), index, np.array(-1).astype(index.dtype))


@op
def noisy_logits(logits: Array, spread: Array, noise: Array, *, floor: float = 0.0) -> Array:
    """Compute noisy_logits (see its card)."""
    x, s = wide(logits), wide(spread)
    with np.errstate(all="ignore"):
        return np.asarray(x + wide(noise) * (np.logaddexp(s, 0) + float(floor)))


@op
def expert_choice(logits: Array, *, capacity: int, softmax: str = "experts") -> tuple[Array, Array]:
    """Compute expert_choice (see its card)."""
    x = np.ascontiguousarray(wide(logits).T)  # e t
    with np.errstate(all="ignore"):
        scores = x if softmax == "none" else _softmax(x, 0 if softmax == "experts" else 1)
    e, t = x.shape
    taken = largest(scores, min(capacity, t))
    token = np.full((e, capacity), -1, np.int32)
    token[:, :t] = taken
    weights = np.zeros((e, capacity), x.dtype)
    weights[:, :t] = _take(scores, taken)
    return weights, token


@op
def hash_route(ids: Array, table: Array) -> Array:
    """Compute hash_route (see its card)."""
    v, k = table.shape
    if not v:
        return np.full((ids.shape[0], k), -1, np.int32)
    found = (ids >= 0) & (ids < v)
    rows = table.take(np.where(found, ids, 0).astype(np.int64), axis=0)
    return np.where(found[:, None] & (rows >= 0), rows, np.int64(-1)).astype(np.int32)


@op
def append_shared_experts(
    weights: Array,
    index: Array,
    gate: Array | None = None,
    *,
    kind: Literal["plain", "gated"] = "plain",
    experts: int,
    shared: int,
    weight: float = 1.0,
) -> tuple[Array, Array]:
    """Compute append_shared_experts (see its card)."""
    t = len(weights)
    more = np.full(t, weight) if gate is None else weight * score(gate[:, None], fn="sigmoid")[:, 0]
    columns = np.repeat(more.astype(weights.dtype)[:, None], shared, 1)  # t s
    routes = np.where((index >= 0) & (index < experts), index, np.int64(-1)).astype(np.int32)
    ids = np.broadcast_to(np.arange(experts, experts + shared, dtype=np.int32), (t, shared))
    return np.concatenate([weights, columns], 1), np.concatenate([routes, ids], 1)


@op
def gate(*tensors: Array, k: int, preset: str, groups: int = 1, keep: int = 1, scale: float = 1.0) -> tuple[Array, Array]:
    """Compute gate (see its card)."""
    logits, *more = tensors
    if preset == "vmoe":
        logits = wide(logits) + wide(more[0]) / max(logits.shape[1], 1)
    if preset == "shazeer":
        logits = noisy_logits(logits, *more)
    scores = score(logits, fn=SCORES.get(preset, "softmax"))
    if preset == "deepseek_v2":
        mask = group_mask(scores, groups=groups, keep=keep)
        index = select(scores, np.zeros(scores.shape[1], scores.dtype), mask, k=k)
    elif preset == "deepseek_v3":
        mask = group_mask(scores + wide(more[0]), groups=groups, keep=keep, top=2)
        index = select(scores, more[0], mask, k=k)
    elif preset in BIASED:
        index = select(scores, more[0], np.ones(scores.shape, bool), k=k)
    elif preset in ("mistral4", "axk2"):
        choice = scores if preset == "mistral4" else scores + wide(more[0])
        index = top_k(np.where(group_mask(choice, groups=groups, keep=keep, top=2), choice, 0), k=k)[1]
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
    return np.where(index >= 0, weights * float(scale), 0), index


def _times(weights: Array, factor: Array, index: Array) -> Array:
    """Return the weights times the factor of the expert of each route."""
    with np.errstate(all="ignore"):
        each = factor.take(index.astype(np.int64)) if index.size else weights
        return np.asarray(weights * each).astype(weights.dtype, copy=False)


def _alone(x: Array, index: Array, scale: float) -> Array:
    """Return the share of each route in a softmax of its own, over the experts near it that no route before it has."""
    weights, best, left = np.empty(index.shape, x.dtype), pick(x, index)[0], np.ones(x.shape, bool)
    row = np.arange(len(x))
    with np.errstate(all="ignore"):
        for j, expert in enumerate(index.T):
            own = best[:, j, None]
            reach = NEAR * np.maximum(np.abs(x), own)
            near = (own - x <= reach) | np.isnan(reach)  # in the order of top_k, where NaN is greatest
            near[row, expert] = True
            weights[:, j] = float(scale) / np.where(near & left, np.exp(x - own), 0).sum(1)
            left[row, expert] = False
    return weights
