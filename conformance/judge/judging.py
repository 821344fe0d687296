"""From calls, answers and outcomes to results: the one place where a verdict is made."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from einspec.answers.rules import Difference
from einspec.calls.cases import bank
from einspec.card import load
from einspec.conformance.checks import laws
from einspec.conformance.checks.block import Block, Fact
from einspec.conformance.checks.invalid import near_call, optional_for_files, violating
from einspec.conformance.checks.transforms import impossible
from einspec.conformance.clauses import units, uses_bank
from einspec.conformance.judge.admitted import dtype_admitted, without_remainder
from einspec.conformance.judge.conduct import judge_conduct
from einspec.conformance.judge.context import WHERE, Context, error_line, outside
from einspec.conformance.judge.fresh import Fresh
from einspec.conformance.judge.known import holding_back
from einspec.conformance.judge.large import check_large
from einspec.conformance.judge.memory import judge_memory
from einspec.conformance.judge.narrow import narrowed, shrunk
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness, witness_of_invalid
from einspec.conformance.judge.wrongness import is_habit, reason_of, wrong_output, wrongness
from einspec.conformance.protocol import Outcome as Came
from einspec.conformance.targets.process import LostError
from einspec.conformance.tiers import COMPILE
from einspec.conformance.trial import Outcome, Trial

Array = np.ndarray[Any, Any]
LEAST_MET = 30
"""Calls that must meet the condition of an adapter for a clause to hold; half of them where that is fewer."""
CUT = "remainder_dropped"
"""The convention that is looked at where calls that must raise are judged."""
STOPS = ("def", "values.signed_zero", "values.infinity", "values.nan")
"""Clauses after which the rest of an op is no news where they are wrong."""
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
    context.admitted = {}
    with context.profile.assumed():
        result = holding_back(context, clause, tier, lambda: _guarded(context, clause, tier))
    if result.verdict is Verdict.HOLDS:
        result.admitted = tuple(context.admitted)
        admitted = f"admitted: {', '.join(result.admitted)}" if result.admitted else ""
        result.reason = "; ".join(filter(None, (result.reason, admitted)))
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
            return _invalid(context, clause, detail)
        case "law":
            return _law(context, clause, detail)
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
        clause in ("layout.reversed", "layout.channels_last") or clause.startswith(("grad.", "grad64.", "transform."))
    )


def unavailable(context: Context, kind: str, detail: str) -> tuple[Verdict, str] | None:
    """Return the verdict on a clause that cannot be judged here, with the reason; None where it can."""
    session, target = context.session, context.session.target
    lacks = f"{target.framework} has no"
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


def block_for(context: Context, clause: str, tier: str) -> Block:
    """Return the calls of a clause that the target can be asked: those in dtypes and in memory that it has.

    A file of functions may count on what callers promise. A dtype over which a process was lost is not asked for again.
    """
    scene = context.own_scene if uses_bank(clause) else context.scene
    block = context.sheets.block(scene, clause, tier)
    if block.not_run:
        return block
    strict = context.policy.strict
    total = strict or not context.bare or clause.startswith("total.")
    held = [
        i
        for i, fact in enumerate(block.facts)
        if all(context.session.holds_dtype(context.op.name, d, strict) for d in fact.dtypes)
        and context.session.lays_out(fact.memory)
        and (total or not fact.breaks)
        and not (fact.unusual and context.deadly & set(fact.dtypes))
    ]
    return block.only(held)


def judge_block(context: Context, clause: str, tier: str, block: Block, refusable: bool = False) -> Result:
    """Return the verdict over calls, smallest first: the first wrong one is the witness.

    Args:
        context: what is judged.
        clause: the id of the clause within its op.
        tier: the tier.
        block: the calls and their answers.
        refusable: an exception is a refusal, not a wrong result, unless it is that of a bug.
    """
    if block.not_run or not block.count:
        return context.not_run(clause, tier, block.not_run or "no call can show it")
    facts = block.facts
    refused: list[tuple[int, Came]] = []
    away: list[str] = []
    opening: tuple[int, Came] | None = None
    failed: tuple[int, Came] | None = None
    for number, came in enumerate(context.stream(block)):
        if failed is not None:
            continue
        if came.outside:
            away.append(came.outside)
            continue
        fact = facts[number]
        features = frozenset(fact.features)
        if came.error is not None and context.may_refuse(features, fact.unusual, came.error, refusable):
            refused.append((number, came))
        elif came.error is not None or not _right(context, block, number, fact, came):
            if number == 0 and (clause, tier) == ("def", "scope"):
                opening = number, came  # a smaller one may show it as well
                continue
            failed = number, came
            context.session.stop()
        elif not fact.unusual:
            context.accepted.add(features)
    failed = failed or opening
    if failed is None and not refusable:
        failed = next((r for r in refused if not _founded(context, facts[r[0]], r[1])), None)
    if failed is not None:
        return _wrong(context, clause, tier, block, *failed)
    met = block.count - len(away)
    left = outside(block.count, met, next((why for why in away if why != WHERE), WHERE)) if away else ""
    if met < min(LEAST_MET, block.count / 2):
        return context.not_run(clause, tier, left)
    # a call that is drawn, or in other memory, in a dtype that is refused is news of the clause of that dtype alone
    beside = tier == "property" or (clause.startswith("layout.") and all(facts[number].unusual for number, _ in refused))
    if refused and (not beside or len(refused) == met):
        return _refused(context, clause, tier, block, refused)
    instances = max(block.instances - len(refused) - len(away), met - len(refused))
    return context.result(clause, tier, Verdict.HOLDS, instances, "; ".join(filter(None, (block.reason, left))))


def _founded(context: Context, fact: Fact, came: Came) -> bool:
    """Whether an exception is a refusal, given all that the target takes."""
    assert came.error is not None
    return context.refuses(frozenset(fact.features), fact.unusual, came.error)


def _right(context: Context, block: Block, number: int, fact: Fact, came: Came) -> bool:
    """Whether what came is right: byte for byte as a rule, else by its rule, else by what it must be besides."""
    if came.result is not None and fact.agrees(came.result) and fact.relation is None and not came.runs:
        return True
    trial = block.trial(number)
    return wrongness(context, trial, context.session.outcome(trial, came)) is None


def _wrong(context: Context, clause: str, tier: str, block: Block, number: int, came: Came) -> Result:
    """Return the result of a clause that a call fails, on the smallest call that shows it."""
    trial = block.trial(number)
    failure = trial, context.session.outcome(trial, came)
    if tier == "property" and context.shrinks and trial.way.kind == "plain":
        failure = shrunk(context, clause, failure)
    return wrong(context, clause, tier, number + 1, narrowed(context, failure))


def wrong(context: Context, clause: str, tier: str, instances: int, failure: tuple[Trial, Outcome]) -> Result:
    """Return the result of a clause that a call fails."""
    found = wrongness(context, *failure)
    data = witness(context, clause, *failure, found)
    return context.result(clause, tier, Verdict.WRONG, instances, reason_of(found), data)


def _drawn_afresh(context: Context, clause: str) -> Result:
    """Judge drawn calls that nobody could know before, each as it is drawn."""
    if not any(f.signature.inputs for f in context.op.forms.values()):
        return context.not_run(clause, "property", "the op takes no tensors: the scope tier draws its parameters")
    fresh = Fresh(context, clause)
    fresh.search(context.own_scene if context.session.compiles else context.scene, context.shrinks)
    if fresh.failure is not None:
        return wrong(context, clause, "property", fresh.instances, narrowed(context, fresh.failure))
    left = outside(fresh.drawn, fresh.drawn - fresh.outside, WHERE) if fresh.outside else ""
    if fresh.outside and fresh.drawn - fresh.outside < min(LEAST_MET, fresh.drawn / 2):
        return context.not_run(clause, "property", left)
    if fresh.instances:
        return context.result(clause, "property", Verdict.HOLDS, fresh.instances, left)
    if fresh.refused:
        return context.result(clause, "property", Verdict.REFUSED, 0, "every drawn call was refused")
    return context.not_run(clause, "property", "no drawn call holds such values")


def _refused(context: Context, clause: str, tier: str, block: Block, refused: list[tuple[int, Came]]) -> Result:
    """Return the result of a clause of which some calls were refused."""
    number, came = refused[0]
    assert came.error is not None
    trial = block.trial(number)
    parts = [f"{error_line(came.error)}, for {trial.case}"]
    parts += [f"{len(refused)} of {block.count} calls refused"] if len(refused) < block.count else []
    parts += [context.offered()]
    return context.result(clause, tier, Verdict.REFUSED, block.count, "; ".join(filter(None, parts)))


def _state(context: Context) -> Result:
    """Judge ``state``: no call changes what a process shares, in this clause or in those before it."""
    if not context.conduct:
        _conduct(context)
    context.note_changes("state")
    if not context.changes:
        return context.result("state", "scope", Verdict.HOLDS, 1)
    change, where = next(iter(context.changes.items()))
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


def _invalid(context: Context, clause: str, constraint: str) -> Result:
    """Judge ``err.<constraint>``: a call that violates it raises, whatever the class of the exception."""
    optional = context.bare and not context.policy.strict and optional_for_files(context.op, constraint)
    if optional and not any(call.demanded for call in violating(context.asked, constraint)):
        reason = "a file of functions may accept more than the card; --strict asks for this too"
        return context.not_run(clause, "scope", reason)
    block = context.sheets.block(context.scene, clause, "scope")
    if block.not_run:
        return context.not_run(clause, "scope", block.not_run)
    fact = block.facts[0]
    lacking = [d for d in fact.dtypes if d not in context.session.target.dtypes]
    if lacking:
        return context.not_run(clause, "scope", f"{context.session.framework} has no {lacking[0]}")
    if context.bare:
        near = near_call(context.op, constraint)
        if near is not None and not all(context.session.takes([near])):
            what = ", ".join(sorted(near.options)) or "the call that it is made from"
            return context.not_run(clause, "scope", f"the function refuses {what}")
    outcomes = list(context.stream(block))
    for number, came in enumerate(outcomes):
        if came.outside:
            continue
        if number == 0 and came.error is not None and came.error.name == "LackingError":
            return context.not_run(clause, "scope", came.error.text)
        if came.error is not None or not _is_demanded(context, constraint, number, optional):
            continue
        if CUT in context.admit and _cut_off(context, constraint, number, came):
            context.admitted[CUT] = None
            continue
        problem, data = witness_of_invalid(context, constraint, number, came)
        return context.result(clause, "scope", Verdict.WRONG, number + 1, problem, data)
    away = [came.outside for came in outcomes if came.outside]
    if len(away) == len(outcomes):
        return context.not_run(clause, "scope", outside(len(outcomes), 0, away[0]))
    return context.result(clause, "scope", Verdict.HOLDS, len(outcomes) - len(away))


def _is_demanded(context: Context, constraint: str, number: int, optional: bool) -> bool:
    """Whether a target must raise for an invalid call: a file must where it takes the legal call beside it."""
    if not context.bare:
        return True
    call = violating(context.asked, constraint)[number]
    offered = not call.near.options or all(context.session.takes([call.near]))
    return offered and (call.demanded or not optional)


def _cut_off(context: Context, constraint: str, number: int, came: Came) -> bool:
    """Whether a call that does not divide gave what the rest gives once the remainder is cut off."""
    call = violating(context.asked, constraint)[number]
    block = context.sheets.block(context.scene, f"err.{constraint}", "scope")
    arrays = {given.name: given.parts[0].array() for given in block.decoded[number].inputs if not given.listed}
    trial = without_remainder(call, constraint, arrays)
    return trial is not None and wrong_output(trial, context.session.outcome(trial, came)) is None


def _law(context: Context, clause: str, law: str) -> Result:
    """Judge ``law.<law>`` by calls of the target's own functions."""
    others = laws.needed(context.op, law)
    lacking = sorted(others - set(context.session.functions))
    if lacking:
        return context.not_run(clause, "scope", f"the law needs {', '.join(lacking)} as well")
    block = block_for(context, clause, "scope")
    if block.not_run or not block.count:
        return context.not_run(clause, "scope", block.not_run or "no call can show it")
    if all(f.law is None for f in block.facts):
        return _told_of_law(context, judge_block(context, clause, "scope", block, refusable=context.bare), others)
    away = 0
    for number, trial in enumerate(block.trials()):
        trial, outcome = laws.evaluate(context.session, trial)
        if outcome.outside:
            away += 1
            continue
        error, features = outcome.error, frozenset(trial.case.features)
        if error is not None and context.may_refuse(features, bool(trial.unusual), error, optional=context.bare):
            reason = f"a call of the law is refused: {error_line(error)}, for {trial.case}"
            return context.not_run(clause, "scope", reason)
        found = wrongness(context, trial, outcome)
        if found is not None:
            return _told_of_law(context, wrong(context, clause, "scope", number + 1, (trial, outcome)), others)
    left = outside(block.count, block.count - away, WHERE) if away else ""
    if block.count - away < min(LEAST_MET, block.count / 2):
        return context.not_run(clause, "scope", left)
    return context.result(clause, "scope", Verdict.HOLDS, block.instances - away, "; ".join(filter(None, (block.reason, left))))


def _told_of_law(context: Context, result: Result, others: set[str]) -> Result:
    """Return the result of a law, unless another op is guilty, so that a law with it tells nothing of this one."""
    clause = result.clause.partition("/")[2]
    if result.verdict is Verdict.REFUSED:
        return context.not_run(clause, "scope", f"a call of the law is refused: {result.reason}")
    guilty = sorted(op for op in others if _fails(context, op)) if result.verdict is Verdict.WRONG else []
    if guilty:
        return context.not_run(clause, "scope", f"{', '.join(guilty)} does not compute what its card says")
    return result


def _fails(context: Context, op: str) -> bool:
    """Whether another op of the target is wrong by its own definition."""
    other = Context(context.session, load(op), context.sheets, context.policy)
    block = block_for(other, "def", "scope")
    return judge_block(other, "def", "scope", block).verdict is Verdict.WRONG
