"""Routes as they come in practice and at their extremes: balanced, all to one expert, a geometric fall, one each.

What is drawn by chance is even: no expert gets more than twice its share of a few hundred routes, no late token finds a slot.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np

from einspec.calls.space import Case

Array = np.ndarray[Any, Any]
Pattern = Literal["balanced", "first", "last", "most", "falling", "single", "mixed"]
"""As many to each expert; all to the first, or the last; all but a few to one in the middle; half to the
first, a quarter to the second and so on; one to each and none besides, or few experts that have one; in no order, to any
expert and any slot, the first and the last of them too, so that no block of routes or slots tells what another does."""
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
SKEWED = PATTERNS[:-1]
"""Those that say how many routes each expert gets."""
SPARSE = 64
"""From how many experts on those that get one route are few, so that nearly all have none."""
NO_ROUTE = -1


def routes(case: Case, pattern: Pattern, seed: int = 0) -> dict[str, Array]:
    """Return the inputs of a call that say where rows go, by a pattern: all legal, all flags set, no weight 0.

    Args:
        case: the call.
        pattern: how many rows go where.
        seed: where the order of rows comes from.
    """
    rng, found = np.random.default_rng(seed), dict[str, Array]()
    for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True):
        if case.form.group(spec.name) == "bool":
            found[spec.name] = np.ones(shape, bool)
        if spec.name not in case.form.values:
            continue
        kind, term = case.form.values[spec.name]
        bound, count = term.value(case.solution.sizes, case.solution.values), math.prod(shape)
        match kind:
            case "id":
                own = _choices(pattern, count, shape[-1] if len(shape) > 1 else 1, bound, rng)
            case "count":
                own = np.bincount(1 + _choices(pattern, bound, 1, count, rng).reshape(-1), minlength=1 + count)[1:]
            case "slot" if pattern == "mixed" and not _apart(case, spec.name):
                own = _ends(rng.integers(0, max(bound, 1), count), bound, rng)
            case "slot" if pattern == "mixed" and "index" in found and found["index"].shape == tuple(shape):
                own = _any_slots(found["index"].reshape(-1), bound, rng)
            case "slot" if "index" in found and found["index"].shape == tuple(shape):
                own = slots(found["index"].reshape(-1), bound)
            case "slot":
                own = np.arange(count) % max(bound, 1)
            case "route" | "row":
                order = rng.permutation(max(bound, count))[:count]
                own = np.concatenate([order[order < bound], np.full(np.count_nonzero(order >= bound), NO_ROUTE)])
            case "flag":
                found[spec.name] = np.ones(shape, bool)
                continue
            case "weight":
                found[spec.name] = rng.integers(1, 9, shape) / 4
                continue
            case _:
                continue
        found[spec.name] = own.reshape(shape).astype(np.int32)
    return found


def _choices(pattern: Pattern, count: int, choices: int, experts: int, rng: np.random.Generator) -> Array:
    """Return so many ids, those of a token next to each other and distinct as far as there are experts.

    Where routes are even, tokens come in any order: experts in turn would be the same in every block.
    """
    if pattern == "mixed" and experts:
        return _mixed(count, choices, experts, rng)
    rows = ids(pattern, count // max(choices, 1), experts)[:, None]
    rows = rng.permutation(rows) * choices if pattern == "balanced" else rows
    return np.where(rows < 0, rows, (rows + np.arange(choices)) % max(experts, 1))


def _mixed(count: int, choices: int, experts: int, rng: np.random.Generator) -> Array:
    """Return so many ids in no order, those of a token distinct as far as there are experts."""
    tokens = count // max(choices, 1)
    if choices > experts:
        return _ends(rng.integers(0, experts, count), experts, rng)
    first = _ends(rng.integers(0, experts, tokens), experts, rng)
    others = rng.permuted(np.tile(np.arange(1, experts), (tokens, 1)), axis=1)[:, : choices - 1]
    further = np.concatenate([np.zeros((tokens, 1), np.int64), others], axis=1)
    return np.asarray((first[:, None] + further) % experts)


def _ends(numbers: Array, bound: int, rng: np.random.Generator) -> Array:
    """Return numbers below a bound among which are the greatest there may be and, if there are several, 0."""
    numbers[:2] = [bound - 1, 0][: len(numbers)]
    return rng.permutation(numbers)


def _apart(case: Case, name: str) -> bool:
    """Whether callers promise that the slots of an input are distinct."""
    return any(kind == "distinct_slots" and name in tensors for kind, tensors in case.form.assume.values())


def _any_slots(index: Array, capacity: int, rng: np.random.Generator) -> Array:
    """Return distinct slots of each expert, any of them and the last too; of one with more routes see :func:`slots`."""
    found = slots(index, capacity)
    for expert in np.unique(index[index >= 0]):
        own = np.flatnonzero(index == expert)
        if len(own) <= capacity:
            places = rng.permutation(capacity - 1)[: len(own) - 1]
            found[own] = rng.permutation(np.append(places, capacity - 1))
    return found


def ids(pattern: Pattern, count: int, experts: int) -> Array:
    """Return so many ids of experts, by one of the patterns that say how many each gets."""
    place = np.arange(count)
    if not experts:
        return np.full(count, NO_ROUTE)
    match pattern:
        case "balanced":
            return place % experts
        case "first":
            return np.zeros(count, np.int64)
        case "last":
            return np.full(count, experts - 1)
        case "most":
            return np.where(place % 97 == 96, place // 97 % experts, experts // 2)
        case "falling":
            twos = (place + 1) & -(place + 1)  # the power of two that divides it: half of them 1, a quarter 2, ...
            return np.asarray(np.minimum(np.log2(twos).astype(np.int64), experts - 1))
        case "single":
            step = experts // 2 if experts >= SPARSE else 1
            return np.where(place * step < experts, place * step, NO_ROUTE)
    raise ValueError(f"{pattern} routes are drawn token by token")


def slots(index: Array, capacity: int) -> Array:
    """Return a slot for each route: the first and the last of each expert get one, so that it tells where the end is cut."""
    order = np.argsort(index, kind="stable")
    _, starts, number, counts = np.unique(index[order], return_index=True, return_inverse=True, return_counts=True)
    before = np.arange(len(index)) - starts[number]
    after = counts[number] - 1 - before
    half = capacity // 2
    place = np.where(before < half, before, np.where(after < capacity - half, capacity - 1 - after, capacity + before))
    found = np.empty(len(index), np.int64)
    found[order] = np.where(counts[number] <= capacity, before, place)
    return np.where(index < 0, NO_ROUTE, found)
