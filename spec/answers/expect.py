"""What a call must give, derived from the definition by the oracle."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from einspec.answers.rules import Expected, is_nan
from einspec.calls.space import Case
from einspec.card import KEPT_IN, Form
from einspec.dtypes import COMPLEX, WIDE, finfo, numpy_dtype
from einspec.language.formula import Bracket, walk
from einspec.language.linear import EXACT, OpClass
from einspec.semantics import oracle
from einspec.semantics.bounds import Tensor, storing
from einspec.semantics.rounding import analyse, breaks_tie
from einspec.semantics.traits import moves, traits_of

Array = np.ndarray[Any, Any]
KEPT, MOST_KEPT = 128, 4096
"""How many analyses are kept, and how many elements the inputs of one have at most: a few megabytes in all."""
loses_nan: ContextVar[bool] = ContextVar("loses_nan", default=False)
"""Whether the maxima of a framework may lose NaN, so that a function that takes a plain maximum may give anything there."""

half_inside: ContextVar[bool] = ContextVar("half_inside", default=False)
"""Whether what is given in 16 bits may be computed in them."""
HALVES = ("float16", "bfloat16")


@dataclass(frozen=True)
class Map:
    """Where each element of an output comes from: 1 + the place in the inputs laid end to end, or 0 and a constant."""

    index: Array
    constant: Array | None

    def apply(self, flat: Array) -> Array:
        """Return the output whose input elements are along the last axis of ``flat``, moved bit for bit."""
        if self.constant is None:
            return flat[..., self.index - 1]
        if not self.index.any():  # an index, as a rule: a number that the dtype of the inputs need not hold
            return np.broadcast_to(self.constant, (*flat.shape[:-1], *self.index.shape))
        source = np.concatenate([np.zeros_like(flat[..., :1], shape=(*flat.shape[:-1], 1)), flat], axis=-1)
        return np.where(self.index == 0, self.constant.astype(flat.dtype), source[..., self.index])


def index_maps(case: Case, inputs: Mapping[str, Array], brackets: dict[int, oracle.Labelled] | None = None) -> dict[str, Map]:
    """Return the map of every output of an op that moves elements, found by the oracle on an integer ramp.

    Args:
        case: the call.
        inputs: the inputs, of which only the indices matter.
        brackets: see :func:`einspec.semantics.oracle.evaluate`; no comparison of an op that moves elements reads them.
    """
    brackets = {} if brackets is None else brackets
    ramps, start = {name: widen(array) for name, array in inputs.items() if name not in case.form.data}, 1
    whole = all(isinstance(n, int) for n in case.solution.values.values())  # so that a constant beyond 2**53 stays what it is
    for name in case.form.data:
        size = inputs[name].size
        ramps[name] = np.arange(start, start + size, dtype=np.int64 if whole else np.float64).reshape(inputs[name].shape)
        start += size
    found = oracle.evaluate(case.solution, ramps, brackets=brackets)
    outputs = [spec.name for spec in case.form.signature.outputs]
    if traits_of(case.form).plain:
        return {name: Map(found[name].astype(np.int64), None) for name in outputs}
    if not traits_of(case.form).constants:
        return {name: Map(np.rint(found[name]).astype(np.int64), np.zeros(())) for name in outputs}
    nothing = {k: np.zeros_like(v) if k in case.form.data else v for k, v in ramps.items()}
    fills = oracle.evaluate(case.solution, nothing, brackets=brackets)
    return {name: Map(np.rint(found[name] - fills[name]).astype(np.int64), fills[name]) for name in outputs}


def expected(case: Case, inputs: Mapping[str, Array], maps: Mapping[str, Map] | None = None) -> dict[str, Expected]:
    """Return what every output must be.

    Args:
        case: the call.
        inputs: the input tensors, listed ones stacked.
        maps: the index maps of the case where they are known already.
    """
    wants = _expected(case, inputs, maps)
    if loses_nan.get() and traits_of(case.form).extreme:
        return {name: _but_nan(want) for name, want in wants.items()}
    return wants


def _but_nan(want: Expected) -> Expected:
    """Return what an output must be, except that anything will do where it is NaN."""
    lost = is_nan(want.array)
    bound = np.zeros(lost.shape) if want.bound is None else want.bound
    return replace(want, how="bound", bound=np.where(lost, np.inf, bound), dtype=want.dtype_name) if lost.any() else want


def _expected(case: Case, inputs: Mapping[str, Array], maps: Mapping[str, Map] | None) -> dict[str, Expected]:
    form, outputs = case.form, case.form.signature.outputs
    if traits_of(form).plain and all(s.name in form.data for s in form.signature.inputs):
        found = oracle.evaluate(case.solution, inputs)
        return {s.name: Expected(_cast(found[s.name], output_dtype(case, s.name, inputs))) for s in outputs}
    brackets: dict[int, oracle.Labelled] = {}
    if moves(case.solution, {k: v if k in form.data else widen(v) for k, v in inputs.items()}, brackets):
        maps = maps or index_maps(case, inputs, brackets)
        flat = np.concatenate([np.asarray(inputs[name]).reshape(-1) for name in form.data])
        how = "bits" if form.kind in EXACT else "values"
        return {s.name: Expected(_cast(maps[s.name].apply(flat), output_dtype(case, s.name, inputs)), how) for s in outputs}
    if not rounds(case, inputs):
        result = oracle.evaluate(case.solution, {k: widen(v) for k, v in inputs.items()})
        kinds = {s.name: output_dtype(case, s.name, inputs) for s in outputs}
        how = "bits" if form.kind is OpClass.SELECTION else "values"
        return {s.name: Expected(_cast(result[s.name], kinds[s.name]), how, dtype=kinds[s.name]) for s in outputs}
    return bounded(case, inputs, analysed(case, inputs))


def rounds(case: Case, inputs: Mapping[str, Array]) -> bool:
    """Whether an implementation may round on these inputs, so that there is a bound and not one right result."""
    kinds = {s.name: output_dtype(case, s.name, inputs) for s in case.form.signature.outputs}
    working = precision(case, inputs)[0]
    if working in HALVES:
        kinds = {name: working if dtype == "float32" else dtype for name, dtype in kinds.items()}
    return case.form.kind not in (*EXACT, OpClass.SELECTION) and not is_exact(case, inputs, kinds)


def bounded(case: Case, inputs: Mapping[str, Array], found: Mapping[str, Tensor]) -> dict[str, Expected]:
    """Return what every output must be within the error that rounding may make, exact where there is none.

    Args:
        case: the call.
        inputs: the inputs.
        found: the tensors of the definition with their errors.
    """
    result = {}
    for spec in case.form.signature.outputs:
        tensor, dtype = found[spec.name], output_dtype(case, spec.name, inputs)
        own = numpy_dtype("int64" if dtype == "int" else dtype)
        bound = tensor.error + storing(tensor, own)
        if not bound.any():
            result[spec.name] = Expected(_cast(tensor.array, dtype), "values", dtype=dtype)
        else:
            result[spec.name] = Expected(tensor.array, "bound", bound, dtype)
    return result


def analysed(
    case: Case,
    inputs: Mapping[str, Array],
    given: Mapping[str, Array] | None = None,
    last: str = "",
    free_ties: bool = False,
) -> dict[str, Tensor]:
    """Return every tensor of the definition with its errors, in the precision in which an op computes these inputs.

    See :func:`einspec.semantics.rounding.analyse` for ``given``, ``last`` and ``free_ties``. What is not large is kept for a
    while: the clauses of an op ask one call in many ways.
    """
    if given is not None or case.elements > MOST_KEPT:
        return _analysed(case, inputs, given, last, free_ties)
    values = tuple((k, v.dtype, v.shape, v.strides, v.tobytes()) for k, v in inputs.items())
    key = (case, values, last, free_ties, half_inside.get())
    if key not in _kept:
        while len(_kept) >= KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[key] = _analysed(case, inputs, None, last, free_ties)
    return _kept[key]


_kept: dict[Hashable, dict[str, Tensor]] = {}


def _analysed(
    case: Case, inputs: Mapping[str, Array], given: Mapping[str, Array] | None, last: str, free_ties: bool
) -> dict[str, Tensor]:
    wide = {k: widen(v) for k, v in inputs.items()}
    return analyse(case.solution, wide, *precision(case, inputs), given, last, free_ties)


def precision(case: Case, inputs: Mapping[str, Array]) -> tuple[str, str, frozenset[str], dict[str, str]]:
    """Return the dtype in which an op computes these inputs at least, and that of tensors on the way, ``""`` for the same.

    Then come those on the way that are kept in the first of both all the same, and the dtypes of sums along axes that have one.
    """
    lead = inputs[case.form.lead].dtype.name if case.form.lead else "float32"
    stored = lead if case.op.card.stores else ""
    along = dict.fromkeys(case.op.card.ranks.reduces, lead) if lead in HALVES else {}
    if lead in HALVES and half_inside.get():
        return lead, stored, kept_in(case), along
    double, complex_ = lead in ("float64", "complex128"), lead in COMPLEX
    working = ("complex128" if double else "complex64") if complex_ else "float64" if double else "float32"
    return working, stored, kept_in(case), along


def kept_in(case: Case) -> frozenset[str]:
    """Return the tensors on the way that a parameter of the call says to be kept in at least float32."""
    params = case.op.card.params.items()
    names = {n for name, p in params if case.params.get(name, p.default) == KEPT_IN for n in p.keeps.split()}
    tensors = (e.tensor for e in case.form.equations)
    return frozenset(t for t in tensors if names & {t, t.partition(".")[0]})


def breaks_ties(form: Form) -> bool:
    """Whether a definition orders equal values by their coordinates."""
    nodes = (n for e in form.equations for n in walk(e.body))
    return any(isinstance(n, Bracket) and (breaks_tie(n.left) or breaks_tie(n.right)) for n in nodes)


def output_dtype(case: Case, output: str, inputs: Mapping[str, Array]) -> str:
    """Return the dtype that the card gives to an output: a name, or ``int`` for a Python integer."""
    rule = case.form.dtype[output]
    if rule.startswith(WIDE):
        return np.promote_types(inputs[rule.removeprefix(WIDE)].dtype, np.float32).name
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
        return array.astype(numpy_dtype("int64" if dtype == "int" else dtype), copy=False)


def is_exact(case: Case, inputs: Mapping[str, Array], kinds: Mapping[str, str]) -> bool:
    """Whether no order of summation can round on these inputs.

    So it is for maxima, for integer dtypes, and for sums of products of whole numbers or fractions of a power of two whose
    absolute sum the mantissa of the output can hold.
    """
    traits = traits_of(case.form)
    if not traits.multilinear or any(v != int(v) for v in case.solution.values.values() if np.isfinite(v)):
        return False
    if not traits.sums:
        return not traits.arithmetic
    if traits.divides and not _is_power_of_two(summands(case)):
        return False
    digits = [_fraction_digits(inputs[name]) for name in case.form.data]
    if any(d is None for d in digits):
        return False
    most = _sizes_of_terms(case, inputs)
    scale = 2.0 ** (sum(d for d in digits if d) * traits.reads) * summands(case)
    return all(_holds(dtype, most[name] * scale) for name, dtype in kinds.items())


def _fraction_digits(array: Array) -> int | None:
    """Return how many binary digits the numbers have behind the point; None where they are too many, or not finite."""
    wide = widen(array)
    with np.errstate(all="ignore"):
        if not np.isfinite(wide).all():
            return None
        return next((n for n in (0, 1, 2, 4, 8) if np.all(wide * 2**n == np.rint(wide * 2**n))), None)


def _holds(dtype: str, sizes: Array) -> bool:
    """Whether a dtype holds all whole numbers up to the largest of these; integers wrap and are exact always."""
    if dtype == "int" or numpy_dtype(dtype).kind in "iub":
        return True
    return bool(np.max(np.abs(sizes), initial=0) <= 2.0 ** finfo(numpy_dtype(dtype)).nmant)


def _sizes_of_terms(case: Case, inputs: Mapping[str, Array]) -> dict[str, Array]:
    data = case.form.data
    return oracle.evaluate(case.solution, {k: np.abs(widen(v)) if k in data else v for k, v in inputs.items()})


def _is_power_of_two(n: int) -> bool:
    return n > 0 and n & (n - 1) == 0


def summands(case: Case) -> int:
    """Return how many terms the longest sum of the definition adds."""
    sums = traits_of(case.form).sums
    return max((math.prod(case.solution.size(a) for a in axes) for axes in sums), default=1)
