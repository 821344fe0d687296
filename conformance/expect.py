"""What a call must give, derived from the definition by the oracle."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec import oracle
from einspec.card import Form
from einspec.classes import OpClass, transpose
from einspec.conformance.calls import Case
from einspec.conformance.compare import Expected
from einspec.dtypes import finfo, numpy_dtype
from einspec.formula import Apply, Binary, Read, Reduce, terms, walk

Array = np.ndarray[Any, Any]
EXACT = (OpClass.PERMUTATION, OpClass.GATHER)


@dataclass(frozen=True)
class Map:
    """Where each element of an output comes from: 1 + the place in the inputs laid end to end, or 0 and a constant."""

    index: Array
    constant: Array | None

    def apply(self, flat: Array) -> Array:
        """Return the output whose input elements are along the last axis of ``flat``, moved bit for bit."""
        if self.constant is None:
            return flat[..., self.index - 1]
        source = np.concatenate([np.zeros_like(flat[..., :1], shape=(*flat.shape[:-1], 1)), flat], axis=-1)
        return np.where(self.index == 0, self.constant.astype(flat.dtype), source[..., self.index])


def index_maps(case: Case) -> dict[str, Map]:
    """Return the map of every output of a permutation or gather, found by the oracle on an integer ramp."""
    inputs, start = {}, 1
    for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True):
        inputs[spec.name] = np.arange(start, start + math.prod(shape), dtype=np.float64).reshape(shape)
        start += math.prod(shape)
    found = oracle.evaluate(case.solution, inputs)
    outputs = [spec.name for spec in case.form.signature.outputs]
    if traits_of(case.form).plain:
        return {name: Map(found[name].astype(np.int64), None) for name in outputs}
    if not traits_of(case.form).constants:
        return {name: Map(np.rint(found[name]).astype(np.int64), np.zeros(1)) for name in outputs}
    fills = oracle.evaluate(case.solution, {k: np.zeros_like(v) for k, v in inputs.items()})
    return {name: Map(np.rint(found[name] - fills[name]).astype(np.int64), fills[name]) for name in outputs}


def expected(case: Case, inputs: Mapping[str, Array], maps: Mapping[str, Map] | None = None) -> dict[str, Expected]:
    """Return what every output must be.

    Args:
        case: the call.
        inputs: the input tensors, listed ones stacked.
        maps: the index maps of the case where they are known already.
    """
    form, outputs = case.form, case.form.signature.outputs
    if traits_of(form).plain:
        return {name: Expected(array) for name, array in oracle.evaluate(case.solution, inputs).items()}
    if form.kind in EXACT:
        maps = maps or index_maps(case)
        flat = np.concatenate([np.asarray(inputs[s.name]).reshape(-1) for s in form.signature.inputs])
        return {s.name: Expected(maps[s.name].apply(flat)) for s in outputs}
    result = oracle.evaluate(case.solution, {k: widen(v) for k, v in inputs.items()})
    kinds = {s.name: output_dtype(case, s.name, inputs) for s in outputs}
    if form.kind is OpClass.SELECTION or is_exact(case, inputs, kinds):
        how = "bits" if form.kind is OpClass.SELECTION else "values"
        return {s.name: Expected(_cast(result[s.name], kinds[s.name]), how) for s in outputs}
    bounds = error_bounds(case, inputs, result, kinds)
    return {s.name: Expected(result[s.name], "bound", bounds[s.name], kinds[s.name]) for s in outputs}


def output_dtype(case: Case, output: str, inputs: Mapping[str, Array]) -> str:
    """Return the dtype that the card gives to an output: by default that of the first input."""
    first = next((s.name for s in case.form.signature.inputs), "")
    rule = case.op.card.dtype.get(output, f"same as {first}")
    return inputs[rule.removeprefix("same as ")].dtype.name if rule.startswith("same as ") else rule


def widen(array: Array) -> Array:
    """Return the array in the dtype in which the oracle computes: int64, float64 or complex128."""
    if array.dtype == np.uint64 and array.max(initial=0) > np.iinfo(np.int64).max:
        return array
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _cast(array: Array, dtype: str) -> Array:
    with np.errstate(all="ignore"):
        return array.astype(numpy_dtype(dtype))


def is_exact(case: Case, inputs: Mapping[str, Array], kinds: Mapping[str, str]) -> bool:
    """Whether no order of summation can round on these inputs.

    So it is for maxima, for integer dtypes, and for whole numbers whose absolute sum the mantissa of the output can hold.
    """
    traits = traits_of(case.form)
    if traits.applies:
        return False
    if not traits.sums:
        return not traits.arithmetic
    if traits.divides and not _is_power_of_two(summands(case)):
        return False
    if not all(_whole(v) for v in inputs.values()):
        return False
    size = _sizes_of_terms(case, inputs)
    return all(_holds(dtype, size[name] * summands(case)) for name, dtype in kinds.items())


def _whole(array: Array) -> bool:
    wide = widen(array)
    with np.errstate(all="ignore"):
        return bool(np.all(np.isfinite(wide) & (wide == np.rint(wide))))


def _holds(dtype: str, sizes: Array) -> bool:
    """Whether a dtype holds all whole numbers up to the largest of these; integers wrap and are exact always."""
    if numpy_dtype(dtype).kind in "iu":
        return True
    return bool(np.max(np.abs(sizes), initial=0) <= 2.0 ** finfo(numpy_dtype(dtype)).nmant)


def _sizes_of_terms(case: Case, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return oracle.evaluate(case.solution, {k: np.abs(widen(v)) for k, v in inputs.items()})


def _is_power_of_two(n: int) -> bool:
    return n > 0 and n & (n - 1) == 0


def summands(case: Case) -> int:
    """Return how many terms the longest sum of the definition adds."""
    sums = traits_of(case.form).sums
    return max((math.prod(case.solution.size(a) for a in axes) for axes in sums), default=1)


@dataclass(frozen=True)
class Traits:
    """What a definition is made of, as far as rounding goes."""

    applies: bool
    arithmetic: bool
    divides: bool
    plain: bool
    constants: bool
    """Whether a term of an output reads nothing: what it adds is a fill other than zero."""
    sums: tuple[tuple[str, ...], ...]
    """The axes of every sum."""


@functools.lru_cache(maxsize=512)
def traits_of(form: Form) -> Traits:
    """Return the traits of a form."""
    nodes = [n for e in form.equations for n in walk(e.body)]
    return Traits(
        any(isinstance(n, Apply) for n in nodes),
        any(isinstance(n, Binary) for n in nodes),
        any(isinstance(n, Binary) and n.op == "/" for n in nodes),
        all(isinstance(e.body, Read) for e in form.equations),
        any(not any(isinstance(n, Read) for n in walk(t)) for e in form.equations for t in terms(e.body)),
        tuple(n.axes for n in nodes if isinstance(n, Reduce) and n.kind == "sum"),
    )


def error_bounds(
    case: Case, inputs: Mapping[str, Array], exact: Mapping[str, Array], kinds: Mapping[str, str]
) -> dict[str, Array]:
    """Return how far each element of a linear op may be from the exact value.

    ``n * eps * sum|terms|`` of an accumulation in at least float32, plus one rounding to the dtype of the output.
    """
    size = _sizes_of_terms(case, inputs)
    bounds = {}
    for name, dtype in kinds.items():
        own = finfo(numpy_dtype(dtype))
        accumulated = np.finfo(np.float64 if dtype in ("float64", "complex128") else np.float32)
        with np.errstate(all="ignore"):
            rounding = (summands(case) + 2) * float(accumulated.eps) * size[name]
            storing = float(own.eps) * np.abs(exact[name]) + float(own.smallest_normal)
            bounds[name] = np.asarray(rounding + storing, np.float64)
    return bounds


def gradient(case: Case, inputs: Mapping[str, Array], cotangents: Mapping[str, Array], wrt: str) -> Array | None:
    """Return the gradient of a linear op by its derived transpose, in float64; None where the op is not linear."""
    equations = transpose(case.form.signature, case.form.equations, wrt)
    if equations is None:
        return None
    wide = {k: widen(v) for k, v in inputs.items() if k != wrt}
    found = oracle.evaluate(case.solution, {**wide, **{k: widen(v) for k, v in cotangents.items()}}, equations=equations)
    result: Array = found[wrt]
    return result
