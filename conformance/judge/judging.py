"""From calls, answers and outcomes to results: the one place where a verdict is made."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from einspec.answers.rules import Difference
from einspec.calls.cases import bank
from einspec.conformance.checks.transforms import impossible
from einspec.conformance.clauses import units
from einspec.conformance.judge.admitted import dtype_admitted
from einspec.conformance.judge.blocks import block_for, judge_block, wrong
from einspec.conformance.judge.conduct import judge_conduct
from einspec.conformance.judge.context import Context, outside, too_few
from einspec.conformance.judge.fresh import Fresh
from einspec.conformance.judge.invalid import judge_invalid, judge_misfit
from einspec.conformance.judge.known import holding_back
from einspec.conformance.judge.large import check_large
from einspec.conformance.judge.laws import judge_law
from einspec.conformance.judge.memory import judge_memory
from einspec.conformance.judge.narrow import narrowed
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness
from einspec.conformance.judge.wrongness import is_habit
from einspec.conformance.targets.conventions import RANDOM
from einspec.conformance.targets.process import LostError
from einspec.conformance.tiers import COMPILE

Array = np.ndarray[Any, Any]
STOPS = ("def", "values.signed_zero", "values.infinity", "values.nan")
"""Clauses after which the rest of an op is no news where they are wrong."""
NONE_MADE = "no call was made in which it could be seen"
"""Why a clause was not judged that is seen in the calls of others."""
OWN_RANDOMNESS = "own_randomness"
"""The convention that is looked at where the state of a process is judged."""
SLOPES = ("bare_gradient", "double_backward")
"""What is asked of gradients besides."""
NEEDED = {"jvp": "jvp", "double_backward": "vjp"}
"""The transform of an adapter that a derivative is asked for by, where it is no gradient."""


def judge(context: Context, only: Iterable[str] | None = None) -> Iterator[Result]:
    """Yield the results of every clause of an op, or of those named, in order, with the time that each took."""
    wanted = None if only is None else set(only)
    for clause, tier in units(context.op, context.policy.tiers):
        if wanted is None or clause in wanted:
            yield judge_unit(context, clause, tier)


def judge_unit(context: Context, clause: str, tier: str) -> Result:
    """Return what becomes of a clause in a tier, with the time that it took.

    Raises:
        LostError: the process of the candidate was lost over it.
    """
    started = time.perf_counter()
    excuse = context.session.excuse(context.op.name, clause)
    if excuse:
        return context.result(clause, tier, Verdict.UNSUPPORTED, 0, excuse)
    context.admitted, context.unasked = {}, 0
    context.session.admitted.clear()
    with context.profile.assumed():
        result = holding_back(context, clause, tier, lambda: _guarded(context, clause, tier))
    if result.verdict is Verdict.HOLDS:
        result.admitted = tuple(context.admitted | context.session.admitted)
        admitted = f"admitted: {', '.join(result.admitted)}" if result.admitted else ""
        result.reason = "; ".join(filter(None, (result.reason, admitted)))
    result.unasked = 0 if result.verdict.fails else context.unasked
    context.note_changes(f"{clause} ({tier})")
    result.seconds = round(time.perf_counter() - started, 4)
    return result


def _guarded(context: Context, clause: str, tier: str) -> Result:
    """Return the result of a clause; what the judge itself raises is one."""
    try:
        with np.errstate(all="ignore"):
            return _judged(context, clause, tier)
    except LostError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({place.filename.rsplit('/', 1)[-1]}, line {place.lineno})"
        return context.result(clause, tier, Verdict.ERRORED, 0, text[:500])


def _judged(context: Context, clause: str, tier: str) -> Result:
    """Return the result of a clause by its kind."""
    kind, _, detail = clause.partition(".")
    away = unavailable(context, kind, detail)
    if away is None and tier == COMPILE and "codegen" not in context.session.target.transforms:
        away = Verdict.NOT_RUN, f"{context.session.target.framework} has no codegen"
    if away is not None:
        verdict, reason = away
        return context.result(clause, tier, verdict, 0, reason)
    if context.asked is not context.op and not bank(context.asked):
        return context.not_run(clause, tier, "no call was found that has the sizes, forms and parameters that the adapter says")
    match kind:
        case "state":
            return _state(context)
        case "result":
            return _result_dtype(context)
        case "pure" | "repeat" | "device":
            return _conduct(context)[clause]
        case "memory":
            return _memory(context)[clause]
        case "err":
            return judge_invalid(context, clause, detail)
        case "ranks" if detail == "error":
            return judge_misfit(context, clause)
        case "law":
            return judge_law(context, clause, detail)
        case "def" if tier == "large" and context.session.ranks:
            return context.not_run(clause, tier, "large calls are not spread over ranks")
        case "def" if tier == "large":
            return check_large(context)
    if tier == "property" and context.policy.draws_afresh:
        return _drawn_afresh(context, clause)
    block = block_for(context, clause, tier)
    return judge_block(context, clause, tier, block, refusable=_refusable(context, clause))


def _refusable(context: Context, clause: str) -> bool:
    """Whether an exception in a clause is a refusal: of what files need not offer.

    That includes arrays that run backwards, which some libraries do not have, and volumes with channels last, of which
    PyTorch's own functions do not know what to give; what raises for other memory writes to its input, or reads it as if
    it were in order.
    """
    return context.bare and (
        clause in ("layout.reversed", "layout.channels_last", "ranks.bare_gradient")
        or clause.startswith(("grad.", "grad64.", "transform."))
    )


def unavailable(context: Context, kind: str, detail: str) -> tuple[Verdict, str] | None:
    """Return the verdict on a clause that cannot be judged here, with the reason; None where it can."""
    session, target = context.session, context.session.target
    lacks = f"{target.framework}{' on ranks' * bool(session.ranks)} has no"
    if reason := unranked(context, kind, detail):
        return Verdict.NOT_RUN, reason
    match kind:
        case "total" if context.bare and not context.policy.strict:
            return Verdict.NOT_RUN, "a caller promises that it does not happen; --strict asks for this too"
        case "dtype" | "index":
            if detail not in target.dtypes:
                return Verdict.UNSUPPORTED, f"{lacks} {detail}"
            if not session.holds_dtype(context.op.name, detail, context.policy.strict):
                return Verdict.NOT_RUN, "NumPy has this dtype from ml_dtypes only; --strict asks for it"
        case "grad" | "grad64" if "vjp" not in target.transforms:
            return Verdict.NOT_RUN, f"{lacks} gradients"
        case "grad64" if "float64" not in target.dtypes:
            return Verdict.NOT_RUN, f"{lacks} float64"
        case "device" if "device_of" not in target.offers:
            return Verdict.NOT_RUN, f"{target.framework} does not tell where arrays are"
        case "memory" if "layouts" not in target.offers:
            return Verdict.NOT_RUN, f"arrays of {target.framework} have no memory that is seen"
        case "layout" if "layouts" not in target.offers:
            return Verdict.NOT_RUN, f"arrays of {target.framework} have no memory layout"
        case "layout" if not session.lays_out(detail):
            return Verdict.NOT_RUN, f"{lacks} {detail} arrays"
        case "transform" if detail == "eager":
            return None if session.compiles else (Verdict.NOT_RUN, f"{target.framework} runs every call eagerly")
        case "transform" if (needed := NEEDED.get(detail)) is not None:
            return None if needed in target.transforms else (Verdict.NOT_RUN, f"{lacks} {needed}")
        case "transform":
            reason = impossible(context.op, detail) if detail in target.transforms else f"{lacks} {detail}"
            return (Verdict.NOT_RUN, reason) if reason else None
    return None


def unranked(context: Context, kind: str, detail: str) -> str:
    """Return why a clause is not judged, as the target runs on ranks or as it does not; nothing where it is."""
    if not context.session.ranks:
        return "--ranks 1,2,3 judges functions that run on ranks" if kind == "ranks" else ""
    copies = copied(context) if kind in ("grad", "grad64") or detail in SLOPES else ""
    return f"the card does not say whether the {copies} of all ranks counts once or once for each" if copies else ""


def copied(context: Context) -> str:
    """Return an output that all ranks have alike, and that has a gradient; nothing where there is none."""
    for form in context.op.forms.values():
        own = context.op.ranked(form)
        for spec in form.signature.outputs:
            if spec.name not in own and not form.dtype[spec.name].startswith(("int", "bool")):
                return spec.name
    return ""


def _drawn_afresh(context: Context, clause: str) -> Result:
    """Judge drawn calls that nobody could know before, each as it is drawn."""
    if not any(f.signature.inputs for f in context.op.forms.values()):
        return context.not_run(clause, "property", "the op takes no tensors: the scope tier draws its parameters")
    fresh = Fresh(context, clause)
    fresh.search(context.own_scene if context.session.compiles else context.scene, context.shrinks)
    if fresh.failure is not None:
        return wrong(context, clause, "property", fresh.instances, narrowed(context, fresh.failure))
    left = outside(fresh.drawn, fresh.outside)
    if too_few(fresh.drawn, fresh.outside):
        return context.not_run(clause, "property", left)
    if fresh.instances:
        return context.result(clause, "property", Verdict.HOLDS, fresh.instances, left)
    if fresh.refused:
        return context.result(clause, "property", Verdict.REFUSED, 0, "every drawn call was refused")
    return context.not_run(clause, "property", "no drawn call holds such values")


def _state(context: Context) -> Result:
    """Judge ``state``: no call changes what a process shares, in this clause or in those before it."""
    if not context.conduct:
        _conduct(context)
    context.note_changes("state")
    if not context.made:
        return context.not_run("state", "scope", NONE_MADE)
    if not context.changes:
        return context.result("state", "scope", Verdict.HOLDS, 1)
    random = [change for change in context.changes if change.startswith(RANDOM)]
    left = {c: where for c, where in context.changes.items() if OWN_RANDOMNESS not in context.admit or c not in random}
    if not left:
        context.admitted[OWN_RANDOMNESS] = None
        return context.result("state", "scope", Verdict.HOLDS, 1)
    change, where = next(iter(left.items()))
    data = {
        "summary": context.op.card.summary,
        "call": f"the calls of {where}",
        "difference": f"a call changed {change}",
    }
    return context.result("state", "scope", Verdict.WRONG, 1, f"a call changed {change}; seen in {where}", data)


def _result_dtype(context: Context) -> Result:
    """Judge ``result.dtype``: outputs are of the dtypes that the card names, in all calls that were made."""
    if not context.conduct and not context.dtypes:
        _conduct(context)
    if not context.made:
        return context.not_run("result.dtype", "scope", NONE_MADE)
    if not context.dtypes:
        return context.result("result.dtype", "scope", Verdict.HOLDS, 1)
    conventions = {key: dtype_admitted(context.admit, *item) for key, item in context.dtypes.items()}
    context.admitted |= dict.fromkeys(filter(None, conventions.values()))
    left = {key: item for key, item in context.dtypes.items() if not conventions[key]}
    if not left:
        return context.result("result.dtype", "scope", Verdict.HOLDS, 1)
    found = sorted(left.items(), key=lambda item: is_habit(*item[1]))
    text, (trial, outcome, name) = found[0]
    if context.bare and not context.policy.strict and is_habit(trial, outcome, name):
        reason = f"{text}: a framework's habit that a file may have; the values are judged whatever integer holds them"
        return context.result("result.dtype", "scope", Verdict.REFUSED, 1, reason)
    data = witness(context, "result.dtype", trial, outcome, (name, Difference(f"dtype {text.partition(': ')[2]}")))
    return context.result("result.dtype", "scope", Verdict.WRONG, 1, text, data)


def _conduct(context: Context) -> dict[str, Result]:
    """Return the results of ``pure``, ``repeat`` and ``device`` by clause, judged together and once."""
    if not context.conduct:
        block = block_for(context, "conduct", "scope")
        trial = block.trial(0)
        (came,) = context.stream(block)
        context.conduct = judge_conduct(context, trial, came)
    return context.conduct


def _memory(context: Context) -> dict[str, Result]:
    """Return the results of ``memory.own`` and ``memory.apart`` by clause, judged together and once."""
    if not context.memory:
        context.memory = judge_memory(context, block_for(context, "memory", "scope"))
    return context.memory
