"""More elements than 32 bits can count: one call an op, judged at some coordinates.

No oracle of that size is built. Every input element is a hash of its place, so that a wrong offset
gives another value. The runner makes the inputs by that recipe and is told where to look; what must
be there stays here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psutil

from einspec.calls.cases import bank, batch_axis
from einspec.calls.inputs import filled
from einspec.card import Form, Op
from einspec.conformance import protocol
from einspec.conformance.checks.large import sized
from einspec.conformance.checks.large.question import (
    NotExactError,
    Question,
    ask_points,
    ask_rows,
)
from einspec.conformance.checks.large.sized import Plan, made
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.context import Context, error_line, outside
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness
from einspec.conformance.judge.wrongness import reason_of, wrongness
from einspec.conformance.protocol import Raised
from einspec.conformance.targets.session import Session
from einspec.conformance.tiers import LARGE as TIER
from einspec.conformance.trial import WRONG_KIND
from einspec.dtypes import GROUPS

LIMIT = 20 * 2**30
"""How many bytes of the host a call takes at most, however many are free: a machine of 24 GiB has
room for what else runs on it."""
NARROW = (
    "int8",
    "uint8",
    "float16",
    "bfloat16",
    "int16",
    "float32",
    "bool",
    "int32",
    "float64",
)
"""The dtypes of values, the first of which that the op and the target take is used."""
AMPLE = 3
"""How many times what a call needs must be free for it to cross unsigned offsets too."""
MOST_TEXT = 400
"""Characters of a reason that are told."""


def check_large(context: Context) -> Result:
    """Judge ``def`` on more than 2**31 elements, or on a million tokens."""
    form = sized.plainest(context.op)
    exact = sized.exact(form)
    axis = None if exact else batch_axis(form, _ones(form), everywhere=False)
    if not any(s.index for s in form.signature.outputs):
        return context.not_run("def", TIER, "no tensor comes out")
    if axis is None and not exact:
        return context.not_run("def", TIER, "its results round, and no axis is independent of the others")
    dtype, error = taken(context, form)
    if error is not None:
        return context.not_run("def", TIER, f"a small call {error_line(error)}")
    plans = _plans(context.op, form, dtype, axis, available(context.session))
    return _first_that_fits(context, list(plans), axis)


def _plans(op: Op, form: Form, dtype: str, axis: str | None, free: int) -> Iterator[Plan]:
    """Yield the calls to be tried: past offsets of 32 bits, then long indices or many rows alone."""
    unsigned = sized.plans(op, dtype, _past(2 * sized.MANY), axis)
    yield from (p for p in unsigned if p.need <= free // AMPLE)
    yield from sized.plans(op, dtype, _past(sized.MANY), axis)
    if form.values or axis:
        yield from sized.plans(op, dtype, 0, axis)


def _past(count: int) -> int:
    """Return a number so much larger that a fifth of the elements lie behind."""
    # coordinates at random are among them
    return count + count // 4


def _first_that_fits(context: Context, plans: Sequence[Plan], axis: str | None) -> Result:
    notes: list[str] = []
    for plan in plans:
        free = available(context.session)
        if plan.need > free:
            notes.append(f"{plan.case} needs {gib(plan.need)}, {gib(free)} are free")
            continue
        result = _judged(context, plan, axis)
        if result.verdict is Verdict.HOLDS and notes and plan.elements <= sized.MANY:
            result.reason += f"; not run: {notes[-1]}"
        if result.verdict is not Verdict.NOT_RUN:
            return result
        notes.append(result.reason)
    return context.not_run("def", TIER, "; ".join(dict.fromkeys(notes)) or "no axis can grow")


def _judged(context: Context, plan: Plan, axis: str | None) -> Result:
    """Return the verdict on one large call."""
    case = plan.case
    inputs = made(case, plan.dtype)
    try:
        question = ask_rows(case, inputs, axis) if axis else ask_points(case, inputs)
    except OverflowError:
        return context.not_run("def", TIER, f"{case}: every element is a sum of too many terms")
    except NotExactError:
        text = f"{case}: its sums are too long to be exact in {plan.dtype}"
        return context.not_run("def", TIER, text)
    return _verdict(context, plan, question)


def _verdict(context: Context, plan: Plan, question: Question) -> Result:
    """Ask, and return what becomes of the answer."""
    case, trial = plan.case, question.trial
    calls = protocol.encode([question.large.call()])
    (came,) = context.session.stream(context.op.name, calls)
    if came.outside:
        return context.not_run("def", TIER, f"{case}: {outside(1, [came.outside])}")
    if came.error is not None and came.error.memory:
        needed = f"though {gib(plan.need)} were estimated"
        text = f"{case} did not fit, {needed}: {error_line(came.error)}"
        return context.not_run("def", TIER, text[:MOST_TEXT])
    outcome = question.outcome(came.result, came.error)
    found = wrongness(context, trial, outcome)
    if found is not None:
        data = witness(context, "def", trial, outcome, found)
        return context.result("def", TIER, Verdict.WRONG, 1, reason_of(found), data)
    what = f"{case}, {plan.dtype}" if case.form.lead else str(case)
    where = trial.how.partition(" of the call ")[0]
    return context.result("def", TIER, Verdict.HOLDS, 1, f"{what}: {where}")


def gib(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**27 else f"{count / 2**20:.1f} MiB"


def available(session: Session) -> int:
    """Return how many bytes a call may take: of a device of its own, else of the host."""
    free = session.free_memory()
    if free is not None:
        return free
    limit = session.host.limits.bytes if session.host is not None else LIMIT
    return min(int(psutil.virtual_memory().available), LIMIT, limit)


def taken(context: Context, form: Form) -> tuple[str, Raised | None]:
    """Return the narrowest dtype that a target takes in a small call, or what the last raised."""
    group = GROUPS[form.group(form.lead)] if form.lead else frozenset(("float32",))
    case = next((c for c in bank(context.op) if c.form is form), None)
    error: Raised | None = Raised("TypeError", "no dtype of this tier can be held")
    for dtype in NARROW:
        if dtype not in group or dtype not in context.session.target.dtypes:
            continue
        if case is None:
            return dtype, None
        arrays = filled(case, dtype, "small", 0, context.scene.subnormals)
        error = context.session.one(plain_trial(case, arrays)).error
        if error is None or error.name == WRONG_KIND:
            return dtype, None
    return "", error


def _ones(form: Form) -> dict[str, int]:
    """Return one axis for every rest."""
    tensors = (*form.signature.inputs, *form.signature.outputs)
    return {rest: 1 for spec in tensors for rest in spec.rests}
