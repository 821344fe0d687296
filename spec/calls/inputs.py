"""The inputs of a call: a ramp, or values of one kind, as far as its card leaves open what they hold."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from einspec.calls.assumptions import lines_of
from einspec.calls.space import Case
from einspec.calls.values import fill, kept, made_up, positive, ramp
from einspec.dtypes import GROUPS, INTEGERS, USUAL, numpy_dtype
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.traits import moves, traits_of

Array = np.ndarray[Any, Any]
KEPT = 0.8
"""How often an input whose values decide whether a call is asked holds nothing strange; the others may be in the domain too."""
ONCE = 0.7
"""How often callers keep to positions of which none comes twice, where that is a promise."""
INDEX = USUAL["index"]
"""The dtype in which indices are given where another is not asked for."""


def ramps(case: Case, dtype: str = "float32", index: str = INDEX) -> dict[str, Array]:
    """Return inputs whose elements are all different, 1, 2, 3, ... across all inputs, as far as the card leaves that open."""
    start, found = 1, {}
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    for name, array in _shaped(case, rng, index, distinct=True).items():
        own = own_dtype(case, name, dtype)
        open_ = isinstance(array, tuple)
        found[name] = ramp(array, start, own) if open_ else array.astype(numpy_dtype(own or array.dtype.name))
        start += found[name].size
    return found


def filled(
    case: Case,
    dtype: str,
    stratum: str,
    seed: int,
    subnormals: bool = True,
    index: str = INDEX,
    mixed: bool = False,
    known: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Return inputs of a stratum.

    Args:
        case: the call.
        dtype: the dtype of the first input that holds values, and of those that follow it.
        stratum: see :func:`einspec.calls.values.fill`.
        seed: where the values come from.
        subnormals: whether the values may be subnormal.
        index: the dtype of indices.
        mixed: inputs that may be of a dtype of their own are float32.
        known: inputs that are given, to which the others are to fit.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for name, array in _shaped(case, rng, index, known or {}).items():
        own = own_dtype(case, name, "float32" if mixed and _own(case, name) else dtype)
        if isinstance(array, tuple):
            found[name] = fill(array, own, stratum, rng, subnormals)
            if _is_kept(case, name, rng):
                found[name] = positive(found[name])
        else:
            found[name] = array.astype(numpy_dtype(own or array.dtype.name))
    if stratum == "bits" and not moves(case.solution, found):
        return filled(case, dtype, "special", seed, subnormals, index, mixed)
    return found


def _own(case: Case, name: str) -> bool:
    """Whether an input may be of another dtype than the first."""
    return name != case.form.lead and not case.form.dtype[name].startswith("same as")


def own_dtype(case: Case, name: str, dtype: str) -> str:
    """Return the dtype of an input where others are of this one; ``""`` for indices and truth values."""
    group = case.form.group(name)
    if group in ("index", "bool"):
        return ""
    return dtype if dtype in GROUPS[group] else "float32"


def _shaped(
    case: Case,
    rng: np.random.Generator,
    index: str,
    known: Mapping[str, Array] = MappingProxyType({}),
    distinct: bool = False,
) -> dict[str, Any]:
    """Return for every input its shape, or what the card says that it holds."""
    found: dict[str, Any] = {}
    for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True):
        group = case.form.group(spec.name)
        if spec.name in known:
            found[spec.name] = known[spec.name]
        elif spec.name in case.form.values:
            kind, term = case.form.values[spec.name]
            bound = term.value(case.solution.sizes, case.solution.values)
            make = kept if _is_kept(case, spec.name, rng) else made_up
            found[spec.name] = make(kind, bound, shape, rng, found.get("index"), distinct)
            if ("distinct_places", (spec.name,)) in case.form.assume.values() and rng.random() < ONCE:
                found[spec.name] = _once(case, spec.name, found[spec.name], bound, rng)
        elif group == "bool":
            found[spec.name] = made_up("flag", 0, shape, rng)
        elif group == "index":
            least = 0 if _is_kept(case, spec.name, rng) else -2
            found[spec.name] = rng.integers(least, 5, shape).astype(np.int32)
        else:
            found[spec.name] = tuple(shape)
        if group == "index":
            counts = spec.name in case.form.values and case.form.values[spec.name][0] == "count"
            given = np.maximum(found[spec.name], 0) if counts and index.startswith("u") else found[spec.name]
            found[spec.name] = fitted(given, index)
    return found


def _is_kept(case: Case, name: str, rng: np.random.Generator) -> bool:
    """Whether an input is to hold what its card names and nothing else, as its values decide whether the call is asked."""
    return case.op.domain is not None and name in case.op.domain.reads and rng.random() < KEPT


def _once(case: Case, name: str, array: Array, bound: int, rng: np.random.Generator) -> Array:
    """Return other positions, each once in a line along the axes that no output has; the array where there are too few."""
    order, lines, length = lines_of(case, name)
    if length > bound:
        return array
    places = rng.permuted(np.tile(np.arange(bound, dtype=np.int32), (lines, 1)), axis=1)[:, :length]
    return places.reshape([array.shape[i] for i in order]).transpose(np.argsort(order))


def fitted(array: Array, dtype: str) -> Array:
    """Return indices in a dtype; what an unsigned one cannot hold becomes its largest number, which is none as well."""
    info = np.iinfo(numpy_dtype(dtype))
    return np.where((array < info.min) | (array > info.max), info.max, array).astype(dtype)


def strata(case: Case, dtype: str = "float32") -> tuple[str, ...]:
    """Return the strata on which a class of op can be judged in a dtype."""
    if case.form.kind in EXACT:
        return ("bits", "special")
    if case.form.kind is OpClass.NONLINEAR:
        return ("small", "low", "gauss", "special", "fading", "sparse")
    if dtype in INTEGERS:
        return ("small",)
    return ("small", "gauss", "special", "bits") if traits_of(case.form).brackets else ("small", "gauss", "special")


def makes_up(case: Case) -> bool:
    """Whether an input holds indices or truth values, which are made up for each call."""
    return len(case.form.data) < len(case.form.signature.inputs)
