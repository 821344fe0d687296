"""JAX: scores, selection and weights of experts."""

# t tokens, e experts, k choices of a token, c slots of an expert, g groups of experts, m members of a group

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from einspec.impls.checked_jax import op
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

FEW = 16
"""Up to so many rounds, taking the largest out one by one is faster than a sort."""
MANY = 128
"""On rows longer than this, more than one round is slower than XLA's own selection."""


def wide(x: Array) -> Array:
    """Return the floats in at least float32."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def order_key(x: Array) -> Array:
    """Return integers in the order of x: all NaN equal and above infinity, -0 equal to +0."""
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint8)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    if x.dtype.itemsize == 1:
        x = x.astype(jnp.float32)
    whole = np.dtype(f"i{x.dtype.itemsize}")
    bits, most = lax.bitcast_convert_type(lax.stop_gradient(x), whole), np.iinfo(whole).max
    infinity = lax.bitcast_convert_type(jnp.asarray(jnp.inf, x.dtype), whole)
    magnitude = bits & most
    key = jnp.where(bits < 0, -magnitude, magnitude)
    return jnp.where(magnitude > infinity, jnp.asarray(most, whole), key)


def largest(x: Array, k: int, mask: Array | None = None) -> Array:
    """Return the positions of the k largest of every row where the mask allows, the lower first where they tie, then -1."""
    e = x.shape[1]
    key = order_key(x)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    if key.dtype.itemsize < 4:
        key, floating = key.astype(jnp.int32), True  # an integer that short never is the least int32
    least = np.iinfo(key.dtype).min
    if mask is not None:
        key = jnp.where(mask, key, least)
    if floating and k <= FEW and (e <= MANY or k == 1 or mask is not None):
        index = _by_rounds(key, k)
    elif floating and mask is None and key.dtype == jnp.int32:
        index = lax.top_k(_canonical(key), k)[1]
    else:
        places = lax.broadcasted_iota(jnp.int32, key.shape, 1)
        index = lax.sort((~key, places), dimension=1, is_stable=True, num_keys=1)[1][:, :k]
    if mask is None:
        return index
    return jnp.where(jnp.arange(k, dtype=jnp.int32) < mask.sum(1, keepdims=True, dtype=jnp.int32), index, -1)


def _by_rounds(key: Array, k: int) -> Array:
    """Return the positions of the first largest, taken out k times."""
    places = lax.broadcasted_iota(jnp.int32, key.shape, 1)
    index = jnp.zeros((key.shape[0], k), jnp.int32)
    for j in range(k):
        place = lax.argmax(key, 1, jnp.int32)
        index = index.at[:, j].set(place)
        key = jnp.where(places == place[:, None], np.iinfo(key.dtype).min, key)
    return index


def _canonical(key: Array) -> Array:
    """Return floats in the order of the keys, with one NaN and one zero: XLA tells the others apart."""
    bits = jnp.where(key < 0, -key | jnp.int32(-(2**31)), key)
    bits = jnp.where(key == np.iinfo(jnp.int32).max, jnp.int32(0x7FC00000), bits)
    return lax.bitcast_convert_type(bits, jnp.float32)


def _take(x: Array, index: Array) -> Array:
    """Return x[t, index[t, k]], where a row of the index holds nothing twice."""
    rows = lax.broadcasted_iota(jnp.int32, index.shape, 0)
    return jnp.asarray(x).at[rows, index].get(mode="promise_in_bounds", unique_indices=True)


def as_ids(index: Array, count: int) -> Array:
    """Return the index as int32, -1 where it is none of 0..count-1."""
    if index.dtype.itemsize > 4 or index.dtype == jnp.uint32:
        index = jnp.minimum(index, jnp.asarray(2**31 - 1, index.dtype))
        index = jnp.maximum(index, 0) if index.dtype == jnp.uint32 else jnp.maximum(index, -1)
    index = index.astype(jnp.int32)
    return jnp.where((index >= 0) & (index < count), index, -1)


def pick(x: Array, index: Array) -> tuple[Array, Array]:
    """Return x at the index, 0 where that is no position in the row, and whether it is one."""
    (t, e), k = x.shape, index.shape[1]
    index = as_ids(index, e)
    found = index >= 0
    if e == 0:
        return jnp.zeros((t, k), x.dtype), found
    if k > FEW:
        return lax.map(lambda column: _at(x, column[:, None])[:, 0], index.T).T, found
    same = index[:, :, None] == index[:, None, :]  # t k k1
    first = ~(same & jnp.tri(k, k, -1, dtype=bool)).any(2)
    values = _at(x, jnp.where(first, index, -1))
    return jnp.where(same & (first & found)[:, None, :], values[:, None, :], 0).sum(2), found


def _at(x: Array, index: Array) -> Array:
    """Return x[t, index[t, k]], 0 for -1; nothing else comes twice in a row, so its gradient is the same in any order."""
    rows, spare = (lax.broadcasted_iota(jnp.int32, index.shape, axis) for axis in (0, 1))
    places = jnp.where(index >= 0, index, x.shape[1] + spare)
    return jnp.asarray(x).at[rows, places].get(mode="fill", fill_value=0, unique_indices=True)


@op
def score(logits: Array, *, fn: str = "softmax") -> Array:
    """Compute score (see its card)."""
    x = wide(logits)
    if fn == "softmax":
        return _softmax(x, 1)
    if fn == "sigmoid":
        return jax.nn.sigmoid(x)
    return _sqrt_softplus(x) if fn == "sqrt_softplus" else x


def _softmax(x: Array, axis: int) -> Array:
    part = jnp.exp(x - lax.stop_gradient(x.max(axis, keepdims=True, initial=-jnp.inf)))
    return part / part.sum(axis, keepdims=True)


def _sqrt_softplus(x: Array) -> Array:
    low = x < -40  # there softplus is the exponential, and its root has a slope that can be computed
    return jnp.where(low, jnp.exp(jnp.where(low, x, 0) / 2), jnp.sqrt(jax.nn.softplus(jnp.where(low, 0, x))))


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
    best = _take(members, largest(members, min(top, size))).sum(1)
    kept = largest(best.reshape(t, groups), keep)
    mask = (kept[:, :, None] == jnp.arange(groups, dtype=jnp.int32)).any(1)
    return jnp.repeat(mask, size, axis=1)


@op
def select(scores: Array, bias: Array, mask: Array, *, k: int) -> Array:
    """Compute select (see its card)."""
    return largest(wide(scores) + wide(bias), k, mask)


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
    if norm == "none":
        return raw * scale
    if norm == "softmax":
        top = lax.stop_gradient(jnp.where(found, raw, -jnp.inf).max(1, keepdims=True, initial=-jnp.inf))
        raw = jnp.exp(jnp.where(found, raw - top, -jnp.inf))
    total = _norm(raw, p) if norm == "p_norm" else raw.sum(1, keepdims=True)
    if norm != "softmax":
        total = jnp.where(total + eps < least, least, total + eps)
    used = total != 0
    return jnp.where(found & used, raw * scale / jnp.where(used, total, 1), 0)


def _norm(x: Array, p: float) -> Array:
    size = jnp.abs(x)
    unit = lax.stop_gradient(size.max(1, keepdims=True, initial=0))
    largest = float(np.finfo(x.dtype).max) / 8  # 1 / unit is no subnormal, which XLA would take for zero
    unit = jnp.where(jnp.isfinite(unit) & (unit > 0), jnp.minimum(unit, largest), 1)
    total = ((size / unit) ** p).sum(1, keepdims=True)
    empty = total == 0
    return jnp.where(empty, 0, unit * jnp.where(empty, 1, total) ** (1 / p))


@op
def thin(index: Array, ratio: Array, uniform: Array) -> Array:
    """Compute thin (see its card)."""
    both = jnp.promote_types(wide(ratio).dtype, wide(uniform).dtype)
    first = jnp.arange(index.shape[1], dtype=jnp.int32) == 0
    stays = first | (order_key(uniform.astype(both)) < order_key(ratio.astype(both)))
    return jnp.where(stays & (index >= 0), index, jnp.asarray(-1, jnp.int32).astype(index.dtype))


@op
def noisy_logits(logits: Array, spread: Array, noise: Array, *, floor: float = 0.0) -> Array:
    """Compute noisy_logits (see its card)."""
    return wide(logits) + wide(noise) * (jax.nn.softplus(wide(spread)) + floor)


@op
def expert_choice(logits: Array, *, capacity: int, softmax: str = "experts") -> tuple[Array, Array]:
    """Compute expert_choice (see its card)."""
    x = wide(logits).T  # e t
    scores = x if softmax == "none" else _softmax(x, 0 if softmax == "experts" else 1)
    taken = largest(scores, min(capacity, x.shape[1]))
    rest = ((0, 0), (0, max(capacity - x.shape[1], 0)))
    return jnp.pad(_take(scores, taken), rest), jnp.pad(taken, rest, constant_values=-1)


@op
def hash_route(ids: Array, table: Array) -> Array:
    """Compute hash_route (see its card)."""
    v, k = table.shape
    if v == 0:
        return jnp.full((ids.shape[0], k), -1, jnp.int32)
    place = as_ids(ids, v)
    rows = jnp.asarray(table).at[jnp.maximum(place, 0)].get(mode="promise_in_bounds")
    return jnp.where((place >= 0)[:, None] & (rows >= 0), rows.astype(jnp.int32), -1)


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
    more = jnp.full(t, weight) if gate is None else weight * jax.nn.sigmoid(wide(gate))
    columns = jnp.broadcast_to(more.astype(weights.dtype)[:, None], (t, shared))
    ids = jnp.broadcast_to(jnp.arange(experts, experts + shared, dtype=jnp.int32), (t, shared))
    return jnp.concatenate([weights, columns], 1), jnp.concatenate([as_ids(index, experts), ids], 1)


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
        index = select(scores, jnp.zeros(scores.shape[1], scores.dtype), mask, k=k)
    elif preset == "deepseek_v3":
        mask = group_mask(scores + wide(more[0]), groups=groups, keep=keep, top=2)
        index = select(scores, more[0], mask, k=k)
    elif preset in BIASED:
        index = select(scores, more[0], jnp.ones_like(scores, dtype=bool), k=k)
    elif preset in ("mistral4", "axk2"):
        choice = scores if preset == "mistral4" else scores + wide(more[0])
        index = top_k(jnp.where(group_mask(choice, groups=groups, keep=keep, top=2), choice, 0), k=k)[1]
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
    return jnp.where(index >= 0, weights * scale, 0), index


def _times(weights: Array, factor: Array, index: Array) -> Array:
    """Return the weights times the factor of the expert of each route."""
    each = pick(jnp.broadcast_to(wide(factor), (len(index), len(factor))), index)[0]
    return (weights * each).astype(weights.dtype)


def _alone(x: Array, index: Array, scale: float) -> Array:
    """Return the share of each route in a softmax of its own, over the experts near it that no route before it has."""
    hit = index[:, :, None] == jnp.arange(x.shape[1])  # t k e
    left = jnp.cumsum(hit, 1) - hit == 0
    own = pick(x, index)[0][:, :, None]
    away = x[:, None] - own
    reach = NEAR * jnp.maximum(jnp.abs(x)[:, None], own)
    near = left & (hit | (-away <= reach) | jnp.isnan(reach))  # in the order of top_k, where NaN is greatest
    return scale / jnp.where(near, jnp.exp(jnp.where(near, away, 0)), 0).sum(2)
