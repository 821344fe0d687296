"""More elements than 32 bits can count: one call an op, judged at some coordinates, so that no oracle of that size is built.

Every input element is a hash of its place, so that a wrong offset gives another value, and the judge never reads it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil

from einspec.answers.expect import output_dtype
from einspec.answers.rules import Expected
from einspec.calls.cases import bank, batch_axis
from einspec.calls.hashed import Hashed
from einspec.calls.inputs import filled
from einspec.calls.space import Case, make_case
from einspec.card import Form, Op
from einspec.conformance.checks.large import sized
from einspec.conformance.checks.large.places import coordinates, dimension, rows_of
from einspec.conformance.checks.large.reading import called, no_room, whole
from einspec.conformance.checks.large.sized import Plan, made
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Session, Trial, WrongKind
from einspec.conformance.judge.witness import witness
from einspec.conformance.tiers import OPT_IN
from einspec.dtypes import GROUPS, finfo, numpy_dtype
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.points import Points
from einspec.solve import TensorSpec

Array = np.ndarray[Any, Any]
(TIER,) = OPT_IN
LIMIT = 20 * 2**30
"""How many bytes of the host a call takes at most, however many are free."""
NARROW = ("int8", "uint8", "float16", "bfloat16", "int16", "float32", "bool", "int32", "float64")
"""The dtypes of values, the first of which that the op and the target take is used."""
AMPLE = 3
"""How many times what a call needs must be free for it to cross the limit of unsigned offsets too."""
GROUP, TERMS = 8, 1.2e8
"""How many coordinates are evaluated together, and how many terms are looked at for them all."""


def check_large(context: Context) -> Iterator[Result]:
    """Judge ``def`` on more than 2**31 elements, or on a million tokens; the reason says what did not fit."""
    form = sized.plainest(context.op)
    axis = None if sized.exact(form) else batch_axis(form, _ones(form), everywhere=False)
    if not any(s.index for s in form.signature.outputs):
        yield context.not_run("def", TIER, "no tensor comes out")
        return
    if axis is None and not sized.exact(form):
        yield context.not_run("def", TIER, "its results round, and no axis is independent of the others")
        return
    dtype, error = taken(context, form)
    if error is not None:
        yield context.not_run("def", TIER, f"a small call raised {type(error).__name__}: {error}"[:300])
        return
    plans = _plans(context.op, form, dtype, axis, available(context.session))
    yield _first_that_fits(context, list(plans), axis)


def _plans(op: Op, form: Form, dtype: str, axis: str | None, free: int) -> Iterator[Plan]:
    """Yield the calls to be tried, in order: past the offsets of 32 bits, then long indices or many rows alone."""
    yield from (p for p in sized.plans(op, dtype, _past(2 * sized.MANY), axis) if p.need <= free // AMPLE)
    yield from sized.plans(op, dtype, _past(sized.MANY), axis)
    if form.values or axis:
        yield from sized.plans(op, dtype, 0, axis)


def _past(count: int) -> int:
    """Return a number so much larger that a fifth of the elements lie behind: a coordinate at random is one of them."""
    return count + count // 4


def _first_that_fits(context: Context, plans: Sequence[Plan], axis: str | None) -> Result:
    notes: list[str] = []
    for plan in plans:
        free = available(context.session)
        if plan.need > free:
            notes.append(f"{plan.case} needs {gib(plan.need)}, {gib(free)} are free")
        else:
            result = _judged(context, plan, axis)
            if result.verdict == "holds" and notes and plan.elements <= sized.MANY:
                result.reason += f"; not run: {notes[-1]}"
            if result.verdict != "not run":
                return result
            notes.append(result.reason)
    return context.not_run("def", TIER, "; ".join(dict.fromkeys(notes)) or "no axis can grow")


def _judged(context: Context, plan: Plan, axis: str | None) -> Result:
    """Return the verdict on one large call."""
    case = plan.case
    inputs = made(case, plan.dtype)
    try:
        trial, asked = _sliced(case, inputs, axis) if axis else _at_points(case, inputs)
    except OverflowError:
        return context.not_run("def", TIER, f"{case}: every element is a sum of too many terms")
    if trial is None:
        return context.not_run("def", TIER, f"{case}: its sums are too long to be exact in {plan.dtype}")
    outcome = called(context.session, trial, inputs, case, asked)
    if outcome.error is not None and no_room(outcome.error):
        text = (str(outcome.error).strip().splitlines() or [type(outcome.error).__name__])[0]
        return context.not_run("def", TIER, f"{case} did not fit, though {gib(plan.need)} were estimated: {text}"[:400])
    if outcome.error is not None or outcome.difference(trial) is not None:
        found = witness(context, "def", trial, outcome)
        return Result(context.id("def"), TIER, "wrong", 1, context.summary(trial, outcome), found)
    what = f"{case}, {plan.dtype}" if case.form.lead else str(case)
    return Result(context.id("def"), TIER, "holds", 1, f"{what}: {trial.how.partition(' of the call ')[0]}")


def gib(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**27 else f"{count / 2**20:.1f} MiB"


def available(session: Session) -> int:
    """Return how many bytes a call may take: what the adapter says of a device of its own, else what the host has."""
    if session.device != "cpu" and hasattr(session.adapter, "memory"):
        return int(session.adapter.memory(session.device))
    return min(int(psutil.virtual_memory().available), LIMIT)


def taken(context: Context, form: Form) -> tuple[str, BaseException | None]:
    """Return the narrowest dtype of values that a target takes in a small call, and what the last raised if it takes none."""
    group = GROUPS[form.group(form.lead)] if form.lead else frozenset(("float32",))
    case = next((c for c in bank(context.op) if c.form is form), None)
    error: BaseException | None = TypeError("no dtype of this tier can be held")
    for dtype in NARROW:
        if dtype in group and dtype in context.session.adapter.dtypes:
            small = case and plain_trial(case, filled(case, dtype, "small", 0, context.subnormals))
            error = context.session.one(small).error if small else None
            if error is None or isinstance(error, WrongKind):
                return dtype, None
    return "", error


def _sliced(case: Case, inputs: Mapping[str, Any], axis: str) -> tuple[Trial | None, dict[str, Any]]:
    """Return the same call on a few rows of an axis along which calls are independent, and where those rows are."""
    outputs, rows = case.form.signature.outputs, rows_of(case, axis)
    small = {}
    for spec in case.form.signature.inputs:
        place = dimension(case, spec, axis)
        source = inputs[spec.name]
        small[spec.name] = whole(source) if place is None else np.asarray(source[(slice(None),) * place + (rows,)])
    part = make_case(case.op, case.params, [small[s.name].shape for s in case.form.signature.inputs])
    if part is None:
        raise OverflowError
    trial = plain_trial(part, small)
    asked = {s.name: (slice(None),) * (dimension(case, s, axis) or 0) + (rows,) for s in outputs}
    how = f"at {len(rows)} coordinates of axis {axis} of the call {case}"
    return replace(trial, call=lambda *args: args, how=how), asked


def _at_points(case: Case, inputs: Mapping[str, Any]) -> tuple[Trial | None, dict[str, Any]]:
    """Return the call with what it must give at some coordinates, and these.

    Raises:
        OverflowError: that takes too many terms for every output.
    """
    wants: dict[str, Expected] = {}
    rng = np.random.default_rng(3)
    for spec in case.form.signature.outputs:
        points = coordinates(case, spec, inputs, rng)
        dtype = output_dtype(case, spec.name, inputs)
        values = _evaluated(case, inputs, spec, points)
        if not len(values):
            continue
        points = points[: len(values)]
        if not _is_exact(case, inputs, spec, points, dtype):
            return None, {}
        how = "bits" if case.form.kind in EXACT else "values"
        with np.errstate(all="ignore"):
            array = values.astype(numpy_dtype(dtype))
        wants[spec.name] = Expected(array, how, at=points, shape=case.solution.shape(spec))
    if not wants:
        raise OverflowError
    count = "; ".join(f"{name} at {len(w.array)} coordinates" for name, w in wants.items())
    left = [s.name for s in case.form.signature.outputs if s.name not in wants]
    how = count + (f"; not {', '.join(left)}: too many terms" if left else "")
    return Trial(case, inputs, wants, how=how), {name: tuple(w.at.T) for name, w in wants.items() if w.at is not None}


def _evaluated(case: Case, inputs: Mapping[str, Any], spec: TensorSpec, points: Array) -> Array:
    """Return the definition at the points, as many of them as the work allows."""
    found: list[Array] = []
    definition = Points(case.solution, inputs, TERMS)
    for start in range(0, len(points), GROUP):
        try:
            found.append(definition.at(spec.name, points[start : start + GROUP]))
        except OverflowError:
            break
    return np.concatenate(found) if found else np.zeros(0)


def _is_exact(case: Case, inputs: Mapping[str, Any], spec: TensorSpec, points: Array, dtype: str) -> bool:
    """Whether no order of summation can round at these points: a mantissa holds the sum of all magnitudes."""
    if case.form.kind in (*EXACT, OpClass.SELECTION) or numpy_dtype(dtype).kind in "iub":
        return True
    sizes = {k: replace(v, magnitude=True) if isinstance(v, Hashed) else np.abs(v) for k, v in inputs.items()}
    most = _evaluated(case, {k: sizes[k] if k in case.form.data else v for k, v in inputs.items()}, spec, points)
    return len(most) == len(points) and float(most.max(initial=0)) <= 2.0 ** finfo(numpy_dtype(dtype)).nmant


def _ones(form: Form) -> dict[str, int]:
    """Return one axis for every rest."""
    return {r: 1 for s in (*form.signature.inputs, *form.signature.outputs) for r in s.rests}
