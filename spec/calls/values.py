"""What tensors are filled with: ramps, and strata that hold the values which go wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from einspec.dtypes import COMPLEX, finfo, numpy_dtype

Array = np.ndarray[Any, Any]


SPARSE = 0.7
"""How much of a sparse tensor is zero."""


def ramp(shape: tuple[int, ...], start: int = 1, dtype: Any = np.int64) -> Array:
    """Return start, start + 1, ... in the shape: every element tells where it came from."""
    return np.arange(start, start + math.prod(shape)).reshape(shape).astype(numpy_dtype(dtype))


def fill(shape: tuple[int, ...], dtype: str, stratum: str, rng: np.random.Generator, subnormals: bool = True) -> Array:
    """Return a tensor of a stratum.

    Args:
        shape: the shape.
        dtype: the name of the dtype.
        stratum: ``bits``, any bit pattern (NaN payloads, subnormals); ``special``, few values that go wrong, many ties;
            ``sparse``, the same among zeros; ``small``, integers whose sums are exact in every dtype; ``coarse``, three
            integers, so that most things tie; ``gauss``, ordinary numbers; ``low``, numbers near the least of the dtype,
            below whatever a maximum may be started with; ``fading``, numbers whose exponentials are small and smaller;
            ``uneven``, powers of two so far apart that a sum of 16 bits loses the smaller one; ``level``, numbers between
            3/4 and 1, of which a long sum in 16 bits stands still.
        rng: where the values come from.
        subnormals: whether the values may be subnormal; some compilers flush those to zero.
    """
    target, count = numpy_dtype(dtype), math.prod(shape)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if stratum == "bits":
        random = np.frombuffer(rng.bytes(count * target.itemsize), target).reshape(shape).copy()
        return random if subnormals else flushed(random)
    if stratum == "special":
        return rng.choice(specials(dtype) if subnormals else flushed(specials(dtype)), shape)
    if stratum == "sparse":
        return np.where(rng.random(shape) < SPARSE, target.type(0), fill(shape, dtype, "special", rng, subnormals))
    if stratum == "small":
        low = 0 if dtype.startswith("uint") else -3
        return rng.integers(low, 4, shape).astype(target)
    if stratum == "coarse":
        return rng.integers(0 if dtype.startswith("uint") else -1, 2, shape).astype(target)
    if stratum == "low":
        least = float(np.iinfo(target).min if target.kind in "iu" else finfo(target).min)
        return (least * rng.uniform(0.1, 0.24, shape)).astype(target)  # 1 / x is no subnormal, which XLA flushes
    if stratum == "uneven":
        return (rng.choice([-1, 1], shape) * 2.0 ** rng.choice([-1, 0, 1, 12], shape)).astype(target)
    if stratum == "level":
        return rng.uniform(0.75, 1, shape).astype(target)
    if stratum == "fading":
        return rng.uniform(-70, 10, shape).astype(target)
    values = rng.standard_normal(shape)
    if dtype in COMPLEX:
        values = values + 1j * rng.standard_normal(shape)
    return (values * 3).astype(target) if target.kind not in "iu" else rng.integers(0, 100, shape).astype(target)


def specials(dtype: str) -> Array:
    """Return the values of a dtype that go wrong: both zeros, infinities, both NaN, the extremes, a subnormal."""
    target = numpy_dtype(dtype)
    if target.kind in "iu":
        info = np.iinfo(target)
        beyond = [2**53, 2**53 + 1] if info.bits == 64 else []  # which float64 does not tell apart
        return np.array([info.min, info.max, 0, 1, *beyond], target)
    if dtype in COMPLEX:
        parts = [complex(math.nan, 1), complex(math.inf, -0.0), complex(-0.0, 0.0), 1 - 2j]
        return np.array(parts, target)
    with np.errstate(all="ignore"):
        numbers = [math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -2.0, float(smallest(dtype))]
        return np.array(numbers).astype(target)


def flushed(array: Array) -> Array:
    """Return the array with subnormal numbers replaced by zero."""
    if array.dtype.kind in "iub":
        return array
    parts = np.atleast_1d(array).view(array.real.dtype) if array.dtype.kind == "c" else array
    with np.errstate(all="ignore"):
        tiny = (np.abs(parts.astype(np.float64)) < float(finfo(parts.dtype).smallest_normal)) & (parts != 0)
    return np.where(tiny, np.zeros_like(parts), parts).view(array.dtype).reshape(array.shape)


def smallest(dtype: str) -> Any:
    """Return the smallest positive number of a float dtype, a subnormal."""
    width = numpy_dtype(dtype).itemsize
    return np.array([1], f"u{width}").view(numpy_dtype(dtype))[0]


def made_up(
    kind: str,
    bound: int,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    index: Array | None = None,
    distinct: bool = False,
) -> Array:
    """Return an input of one of the kinds that a card names: int32, except for weights (float64) and flags (bool).

    Args:
        kind: a key of ``einspec.language.tables.KINDS``.
        bound: the number that the card gives with it.
        shape: the shape.
        rng: where the values come from.
        index: the ids that a place in a queue belongs to.
        distinct: ranks are all different.
    """
    count = math.prod(shape)
    match kind:
        case "id":
            return _ids(bound, shape, rng)
        case "place":
            inside = bound and rng.random() < 0.7
            return rng.integers(0, bound, shape).astype(np.int32) if inside else _ids(bound, shape, rng)
        case "slot":
            if index is None or index.shape != shape or bound > count or rng.random() < 0.3:
                found = rng.integers(-1, bound + 2, shape)
                edges = rng.integers(max(bound - 3, -1), bound + 2, shape)
                found = np.where(rng.random(shape) < 0.3, edges, found)
                if bound > count:  # no queue reaches the end: a few places do
                    found.reshape(-1)[:3] = [bound - 1, bound - 2, bound][:count]
                return found.astype(np.int32)
            return queue(index)
        case "count":
            cuts = np.sort(rng.integers(0, bound + 1, count))
            found = np.diff(cuts, prepend=0) if count else cuts
            spoiled = rng.random()
            if count and spoiled < 0.15:
                found[rng.integers(count)] += bound + 1
            elif count and spoiled < 0.25:
                found[rng.integers(count)] = -2
            return found.reshape(shape).astype(np.int32)
        case "route" | "row":
            taken = rng.permutation(max(bound, count))[:count]
            taken = np.where((taken < bound) & (rng.random(count) < 0.85), taken, rng.choice([-1, -1, -2], count))
            if kind == "route":
                taken = np.concatenate([taken[taken >= 0], taken[taken < 0]])
            return taken.reshape(shape).astype(np.int32)
        case "rank":
            found = rng.permutation(count)
            return (found if distinct or rng.random() < 0.5 else found // 2).reshape(shape).astype(np.int32)
        case "uniform":
            return np.where(rng.random(shape) < 0.1, 0.0, rng.random(shape))
        case "weight":
            return np.where(rng.random(shape) < 0.2, 0.0, rng.integers(0, 9, shape) / 4)
        case "flag":
            return rng.random(shape) < 0.75
    raise AssertionError(kind)


def kept(
    kind: str,
    bound: int,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    index: Array | None = None,
    distinct: bool = False,
) -> Array:
    """Return what :func:`made_up` does with nothing strange in it: ids that there are, counts that add up."""
    count = math.prod(shape)
    match kind:
        case "id" | "place" if bound:
            return rng.integers(0, bound, shape).astype(np.int32)
        case "slot" if index is not None and index.shape == shape:
            return queue(index)
        case "slot" if bound:
            return rng.permutation(max(bound, count))[:count].reshape(shape).astype(np.int32)
        case "count" if count:
            cuts = np.sort(rng.integers(0, bound + 1, count - 1))
            return np.diff(cuts, prepend=0, append=bound).reshape(shape).astype(np.int32)
        case "route" | "row" if bound >= count:
            return rng.permutation(bound)[:count].reshape(shape).astype(np.int32)
        case "rank":
            return made_up(kind, bound, shape, rng, index, distinct=True)
        case "uniform":
            return 1 - rng.random(shape)
        case "weight":
            return rng.integers(1, 9, shape) / 4
    return made_up(kind, bound, shape, rng, index, distinct)


def positive(array: Array) -> Array:
    """Return numbers without signs, 1 for those that are not finite."""
    if array.dtype.kind in "ub":
        return array
    with np.errstate(all="ignore"):
        finite = np.isfinite(array)
        found = np.abs(np.where(finite, array, np.ones_like(array))).astype(array.dtype)
    return np.maximum(found, 0) if array.dtype.kind == "i" else found


def _ids(bound: int, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return numbers below the bound, at times mostly the same one, and here and there another integer."""
    found = rng.integers(0, max(bound, 1), shape)
    if bound > 1 and rng.random() < 0.3:
        found = np.where(rng.random(shape) < 0.7, rng.integers(0, bound), found)
    strange = rng.choice([-1, -1, -1, bound, bound + 3, -7], shape)
    return np.where((rng.random(shape) < (0.2 if bound else 1.0)), strange, found).astype(np.int32)


def queue(index: Array) -> Array:
    """Return for each id how many equal ones come before it, -1 for a negative one."""
    flat, found, seen = index.reshape(-1).tolist(), [], dict[int, int]()
    for i in flat:
        found.append(-1 if i < 0 else seen.get(i, 0))
        seen[i] = seen.get(i, 0) + 1
    return np.array(found, np.int32).reshape(index.shape)
