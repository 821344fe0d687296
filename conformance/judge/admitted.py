"""What may come instead of what a card says, where an adapter says that its library has such a convention.

Each convention turns a call and its outcome into one that is judged as any other: with answers that allow more, or with the
outcome in the order and the dtype of the card. It does so only where the call is of the kind that it is about. What is wrong
all the same stays wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.choice import free_nan, free_ties, free_zeros
from einspec.answers.derivatives import expected_gradient, expected_second
from einspec.answers.expect import analysed, half_inside
from einspec.answers.rules import Difference
from einspec.calls.invalid import InvalidCall
from einspec.calls.space import Case, make_case
from einspec.conformance.checks.gradients import GRADIENT
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.mapping import levels_of, rows_of, unplace
from einspec.conformance.trial import Outcome, Trial
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]
Judge = Callable[[Trial, Outcome], tuple[str, Difference] | None]
Way = Callable[[Trial, Outcome], tuple[Trial, Outcome] | None]
"""What a convention makes of a call and its outcome; None where it says nothing of such a call."""
HALVES = ("float16", "bfloat16")
NARROW = {"float64": "float32", "complex128": "complex64", "int64": "int32", "uint64": "uint32"}
"""What 64 bits become where there are none."""
FLOATS = {k: v for k, v in NARROW.items() if k in ("float64", "complex128")}
RAW = {"norm": "none", "preset": "softmax_raw"}
"""By parameter, the value with which a weight is the score itself."""
NORMALISED = {"norm": ("sum", "softmax", "p_norm"), "preset": ("mixtral", "topk_softmax")}
"""The values of the same parameters with which one score is divided by itself."""
SINGLE = ("plain", "eager", "jit", "compile", "twice")
"""The ways in which one call is made and nothing else comes than its outputs."""
NOT_AGAIN = ("rows", "vmap", "jvp", "double_backward")
"""The ways whose answers are not worked out again: very many rows at once, derivatives but gradients."""
MOST_ROWS = 512
"""How many rows of a call are judged one by one."""


def admitted(names: Sequence[str], trial: Trial, outcome: Outcome, judge: Judge) -> tuple[str, ...]:
    """Return the conventions that make a call right which is wrong by its card; none where it is wrong with all of them.

    Args:
        names: the conventions of the library.
        trial: the call.
        outcome: what came.
        judge: says what is wrong.
    """
    known = [n for n in names if n in WAYS]
    wrong = [each for each in _apart(trial, outcome) if judge(*each) is not None] if known else []
    for some in [*((n,) for n in known), *(tuple(known[:i]) for i in range(2, len(known) + 1))]:
        used: set[str] = set()
        changed = list(wrong)
        with contextlib.ExitStack() as stack:
            for name in some:
                stack.enter_context(ALLOWED.get(name, contextlib.nullcontext)())
                for i, each in enumerate(changed):
                    found = _changed(WAYS[name], *each)
                    if found is not None:
                        changed[i] = found
                        used.add(name)
            if used and all(judge(*each) is None for each in changed):
                return tuple(name for name in some if name in used)
    return ()


def _changed(way: Way, trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Return what a convention makes of a call, nothing where what came is no such thing as it is about."""
    try:
        return way(trial, outcome)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None


def _apart(trial: Trial, outcome: Outcome) -> Iterator[tuple[Trial, Outcome]]:
    """Yield a call, or the independent calls that are mapped in it, with answers of their own."""
    signature, whole = trial.case.form.signature, outcome.error is None
    shaped = whole and all(outcome.outputs[n].shape == w.array.shape for n, w in trial.expected.items())
    if trial.way.kind not in ("rows", "vmap") or not shaped:
        yield trial, outcome
        return
    maps = levels_of(trial.way, len(signature.inputs))
    inputs = [trial.arrays[s.name] for s in signature.inputs]
    rows = list(rows_of(inputs, maps, [s.listed for s in signature.inputs]))
    if len(rows) > MOST_ROWS:
        yield trial, outcome
        return
    found = {s.name: unplace(outcome.outputs[s.name], [m.out for m in maps], s.listed) for s in signature.outputs}
    flat = {name: array.reshape(len(rows), *array.shape[len(maps) :]) for name, array in found.items()}
    for number, row in enumerate(rows):
        own = {s.name: array for s, array in zip(signature.inputs, row, strict=True)}
        yield plain_trial(trial.case, own), Outcome({name: array[number] for name, array in flat.items()})


def _again(trial: Trial, arrays: Mapping[str, Array] | None = None) -> Trial | None:
    """Return a call with the answers that are allowed now, on the same inputs or on others.

    None where there are none but those that it has: of a law, of a call that is too large to be evaluated but at some places,
    or whose selection is looked at as it came.
    """
    given = dict(trial.arrays if arrays is None else arrays)
    in_parts = trial.way.at or any(want.at is not None for want in trial.expected.values())
    if (
        trial.law is not None
        or in_parts
        or trial.way.kind in NOT_AGAIN
        or (trial.relation is not None and trial.relation[0] == "descends")
    ):
        return None
    if trial.way.kind == "vjp":
        outer = {n: _cast(a, FLOATS) if arrays is not None else a for n, a in trial.extra.items()}
        wanted = expected_gradient(trial.case, given, outer, trial.way.wrt)
        return replace(trial, arrays=given, expected={**trial.expected, GRADIENT: wanted})
    return plain_trial(trial.case, given, trial.way, trial.how)


def _cast(array: Array, dtypes: Mapping[str, str]) -> Array:
    """Return an array in fewer bits, where its dtype has too many."""
    with np.errstate(all="ignore"):
        return array.astype(dtypes[array.dtype.name]) if array.dtype.name in dtypes else array


def _in_fewer_bits(trial: Trial, outcome: Outcome, dtypes: Mapping[str, str]) -> tuple[Trial, Outcome] | None:
    if not trial.dtypes & dtypes.keys():
        return None
    again = _again(trial, {n: _cast(a, dtypes) for n, a in trial.arrays.items()})
    if again is None:
        return None
    kept = {n: trial.expected[n] for n in again.expected if n.startswith("cotangent of ")}
    return replace(again, expected={**again.expected, **kept}), outcome


def _no_64_bits(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    return _in_fewer_bits(trial, outcome, NARROW)


def _float32_inside(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    return None if trial.case.form.kind in EXACT else _in_fewer_bits(trial, outcome, FLOATS)


def _half_accumulation(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    if not trial.dtypes & {*HALVES}:
        return None
    again = _again(trial)
    return None if again is None else (again, outcome)


def _ties(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    again = _again(trial)
    return (trial if again is None else again), outcome


def _nan_order(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Ask again, where a selection meets NaN."""
    holds = any(a.dtype.kind in "fV" and np.isnan(a.astype(np.float64)).any() for a in trial.arrays.values())
    again = _again(trial) if holds and trial.case.form.selects else None
    return None if again is None else (again, outcome)


def _signed_zero(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Ask for numbers where the bits of zeros are asked for, and again where a selection meets a zero of either sign."""
    if not any(_negative_zero(a) for a in (*trial.arrays.values(), *outcome.outputs.values())):
        return None
    again = _again(trial) if trial.case.form.selects else trial
    again = again or trial
    wants = {n: replace(w, how="values") if w.how == "bits" else w for n, w in again.expected.items()}
    return replace(again, expected=wants), outcome


def _negative_zero(array: Array) -> bool:
    if array.dtype.kind not in "fVc":
        return False
    parts = array.view(array.real.dtype) if array.dtype.kind == "c" and array.ndim else array
    with np.errstate(all="ignore"):
        wide = np.asarray(parts.real, np.float64)
    return bool(((wide == 0) & np.signbit(wide)).any())


def _mask_dtype(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Take 0 and 1 for truth values."""
    masks = [n for n, w in trial.expected.items() if w.dtype_name == "bool" and n in outcome.outputs]
    found = {n: outcome.outputs[n] for n in masks if outcome.outputs[n].dtype.kind != "b"}
    if not found or not all(bool(((a == 0) | (a == 1)).all()) for a in found.values()):
        return None
    return trial, replace(outcome, outputs={**outcome.outputs, **{n: a != 0 for n, a in found.items()}})


def _route_order(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Put the routes of every token into the order of the card: that of their scores, the lower index first where equal."""
    form, kind = trial.case.form, trial.way.kind
    if trial.law is not None or outcome.error is not None or kind not in (*SINGLE, *DERIVED):
        return None
    outputs = outcome.beside if kind in DERIVED else outcome.outputs
    name = next((n for n in form.selects if n in outputs), "")
    order = _order_of_routes(trial, outputs[name], form.selects[name][0]) if name else None
    if order is None:
        return None
    specs = {s.name: s for s in form.signature.outputs}
    own = specs[name].axes(trial.case.solution.ranks)
    along = [n for n, s in specs.items() if s.axes(trial.case.solution.ranks) == own]
    if kind in DERIVED:
        return DERIVED[kind](trial, outcome, along, order)
    return trial, _moved(outcome, along, order)


def _order_of_routes(trial: Trial, index: Array, source: str) -> Array | None:
    """Return by token the places of the routes that came, in the order of the card; None where they are no routes."""
    score_of = analysed(trial.case, trial.arrays, last=source)[source].array
    index = index.astype(np.int64)
    if index.shape[:-1] != score_of.shape[:-1]:
        return None
    there = (index >= 0) & (index < score_of.shape[-1])
    score = np.take_along_axis(score_of, np.where(there, index, 0), -1) if score_of.shape[-1] else np.zeros(index.shape)
    nan = np.isnan(score)
    plain = np.where(nan, 0, score)
    descending = ~plain if plain.dtype.kind in "iu" else -plain  # the least integer has no negative
    return np.lexsort((index, descending, ~nan, ~there))


def _moved(outcome: Outcome, names: Sequence[str], order: Array) -> Outcome:
    """Return an outcome with some outputs in another order along their last axis."""
    moved = {n: np.take_along_axis(outcome.outputs[n], order, -1) for n in names if n in outcome.outputs}
    return replace(outcome, outputs={**outcome.outputs, **moved})


def _reordered(trial: Trial, names: Sequence[str], order: Array) -> dict[str, Array]:
    """Return the cotangents of outputs as they are where their routes stand in the order of the card."""
    narrow = not trial.dtypes & FLOATS.keys()  # inputs may have been taken in fewer bits before
    extra = {n: _cast(a, FLOATS) if narrow else a for n, a in trial.extra.items()}
    return {n: np.take_along_axis(a, order, -1) if n in names else a for n, a in extra.items()}


def _gradient_by_route(trial: Trial, outcome: Outcome, names: Sequence[str], order: Array) -> tuple[Trial, Outcome]:
    outer = _reordered(trial, names, order)
    wanted = expected_gradient(trial.case, trial.arrays, outer, trial.way.wrt)
    return replace(trial, expected={**trial.expected, GRADIENT: wanted}), outcome


def _tangents_by_route(trial: Trial, outcome: Outcome, names: Sequence[str], order: Array) -> tuple[Trial, Outcome]:
    return trial, _moved(outcome, [f"tangent of {n}" for n in names], order)


def _second_by_route(trial: Trial, outcome: Outcome, names: Sequence[str], order: Array) -> tuple[Trial, Outcome]:
    given = set(trial.case.form.data)
    extra = _reordered(trial, names, order)
    cotangents, outer = ({n: a for n, a in extra.items() if (n in given) is inner} for inner in (False, True))
    wants = expected_second(trial.case, trial.arrays, cotangents, outer)
    named = {f"gradient by {n}" if n in given else f"gradient by the cotangent of {n}": w for n, w in wants.items()}
    return replace(trial, expected=named), _moved(outcome, [f"gradient by the cotangent of {n}" for n in names], order)


DERIVED: dict[str, Callable[[Trial, Outcome, Sequence[str], Array], tuple[Trial, Outcome]]] = {
    "vjp": _gradient_by_route,
    "jvp": _tangents_by_route,
    "double_backward": _second_by_route,
}
"""The derivatives of which the outputs come too, so that it is known of which route each is."""


def _dropped_weights(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Allow any weight where the index, given or returned, is none."""
    want = trial.expected.get("weights")
    if want is None or trial.law is not None or trial.way.kind not in SINGLE:
        return None
    given = trial.arrays.get("index", outcome.outputs.get("index"))
    if given is None or given.shape != (want.array.shape if want.at is None else want.shape):
        return None
    given = given if want.at is None else given[tuple(want.at.T)]
    wide = given.astype(np.int64)
    most = trial.case.solution.sizes.get("e", np.iinfo(np.int64).max)
    none = (wide < 0) | (wide >= most)
    bound = np.zeros(want.array.shape) if want.bound is None else np.broadcast_to(want.bound, want.array.shape)
    free = replace(want, how="bound", bound=np.where(none, np.inf, bound), dtype=want.dtype_name)
    return (replace(trial, expected={**trial.expected, "weights": free}), outcome) if none.any() else None


def _unnormalised_single(trial: Trial, outcome: Outcome) -> tuple[Trial, Outcome] | None:
    """Ask for the score itself as the only weight of a token."""
    case, choice = trial.case, trial.case.op.choice
    value = case.op.bind(case.params).get(choice)
    if case.solution.sizes.get("k") != 1 or value not in NORMALISED.get(choice, ()) or trial.law is not None:
        return None
    other = make_case(case.op, {**case.params, choice: RAW[choice]}, case.shapes)
    if other is None or trial.way.kind not in SINGLE:
        return None
    return plain_trial(other, trial.arrays, trial.way, trial.how), outcome


WAYS: dict[str, Way] = {
    "no_64_bits": _no_64_bits,
    "float32_inside": _float32_inside,
    "half_accumulation": _half_accumulation,
    "ties": _ties,
    "nan_order": _nan_order,
    "signed_zero": _signed_zero,
    "mask_dtype": _mask_dtype,
    "route_order": _route_order,
    "dropped_weights": _dropped_weights,
    "unnormalised_single": _unnormalised_single,
}
"""The conventions about what a call gives; the others are looked at where their clause is judged."""


@contextlib.contextmanager
def _while(variable: Any) -> Iterator[None]:
    token = variable.set(True)
    try:
        yield
    finally:
        variable.reset(token)


ALLOWED: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "half_accumulation": lambda: _while(half_inside),
    "ties": lambda: _while(free_ties),
    "nan_order": lambda: _while(free_nan),
    "signed_zero": lambda: _while(free_zeros),
}
"""What answers allow while a convention is looked at."""


def dtype_admitted(names: Sequence[str], trial: Trial, outcome: Outcome, output: str) -> str:
    """Return the convention by which an output may be of another dtype than the card's, or nothing."""
    want, got = trial.expected[output].dtype_name, outcome.outputs[output].dtype.name
    rule = trial.case.form.dtype.get(output, "")
    source = rule.removeprefix("same as ")
    counts = source == rule or trial.case.form.group(source) == "index"
    whole = want.startswith(("int", "uint")) and np.dtype(outcome.outputs[output].dtype).kind in "iu"
    if "index_dtype" in names and whole and counts:
        return "index_dtype"
    if "mask_dtype" in names and want == "bool" and _mask_dtype(trial, outcome) is not None:
        return "mask_dtype"
    if "no_64_bits" in names and NARROW.get(want) == got:
        return "no_64_bits"
    if "float32_inside" in names and FLOATS.get(want) == got:
        return "float32_inside"
    if "half_accumulation" in names and want == "float32" and got in HALVES and got in trial.dtypes:
        return "half_accumulation"
    return ""


def without_remainder(call: InvalidCall, constraint: str, arrays: Mapping[str, Array]) -> Trial | None:
    """Return the call that is left of one whose sizes do not divide, once the remainder is cut off; None where there is none.

    Args:
        call: the call.
        constraint: what it violates, such as ``divides.x.1``.
        arrays: its inputs.
    """
    kind, _, where = constraint.partition(".")
    name, _, place = where.partition(".")
    if kind != "divides" or name not in arrays or not place.isdecimal():
        return None
    cut = dict(arrays)
    for size in range(arrays[name].shape[int(place)], 0, -1):
        cut[name] = np.take(arrays[name], range(size), int(place))
        case: Case | None = make_case(call.near.op, call.params, [a.shape for a in cut.values()])
        if case is not None:
            return plain_trial(case, cut)
        left = [i for i in range(cut[name].ndim) if i != int(place)]
        other = _also_cut(call, cut, name, left)
        if other is not None:
            return other
    return None


def _also_cut(call: InvalidCall, cut: Mapping[str, Array], name: str, axes: Sequence[int]) -> Trial | None:
    """Return the call where one more axis has to be cut."""
    for axis in axes:
        for size in range(cut[name].shape[axis] - 1, 0, -1):
            more = {**cut, name: np.take(cut[name], range(size), axis)}
            case = make_case(call.near.op, call.params, [a.shape for a in more.values()])
            if case is not None:
                return plain_trial(case, more)
    return None
