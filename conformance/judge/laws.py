"""Laws: what calls of several functions of a target must give together."""

from __future__ import annotations

from einspec.card import load
from einspec.conformance.checks import laws
from einspec.conformance.judge.blocks import block_for, judge_block, wrong
from einspec.conformance.judge.context import Context, error_line, outside, too_few
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.wrongness import wrongness
from einspec.conformance.targets.budget import SPENT


def judge_law(context: Context, clause: str, law: str) -> Result:
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
    away: list[str] = []
    for number, trial in enumerate(block.trials()):
        trial, outcome = laws.evaluate(context.session, trial)
        if outcome.outside:
            away.append(outcome.outside)
            context.unasked += outcome.outside == SPENT
            continue
        error, features = outcome.error, frozenset(trial.case.features)
        if error is not None and context.may_refuse(features, bool(trial.unusual), error, optional=context.bare):
            reason = f"a call of the law is refused: {error_line(error)}, for {trial.case}"
            return context.not_run(clause, "scope", reason)
        found = wrongness(context, trial, outcome)
        if found is not None:
            return _told_of_law(context, wrong(context, clause, "scope", number + 1, (trial, outcome)), others)
    left = outside(block.count, away)
    if too_few(block.count, away):
        return context.not_run(clause, "scope", left)
    reason = "; ".join(filter(None, (block.reason, left)))
    instances = block.count - len(away) if context.unasked else block.instances - len(away)
    return context.result(clause, "scope", Verdict.HOLDS, instances, reason)


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
