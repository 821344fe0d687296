"""Calls that are asked together for a clause: all must be right, and the first that is wrong is the witness."""

from __future__ import annotations

from einspec.conformance.checks.block import Block, Fact
from einspec.conformance.clauses import uses_bank
from einspec.conformance.judge.context import Context, error_line, outside, too_few
from einspec.conformance.judge.narrow import narrowed, shrunk
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness
from einspec.conformance.judge.wrongness import reason_of, wrongness
from einspec.conformance.protocol import Outcome as Came
from einspec.conformance.targets.budget import spread
from einspec.conformance.trial import Outcome, Trial


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
    return block.only(held if context.session.budget is None else spread(held))


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
    met, left = block.count - len(away), outside(block.count, away)
    if too_few(block.count, away):
        return context.not_run(clause, tier, left)
    # a call that is drawn, or in other memory, in a dtype that is refused is news of the clause of that dtype alone
    beside = tier == "property" or (clause.startswith("layout.") and all(facts[number].unusual for number, _ in refused))
    if refused and (not beside or len(refused) == met):
        return _refused(context, clause, tier, block, refused, away)
    rows = 0 if context.unasked else block.instances - len(refused) - len(away)
    instances = max(rows, met - len(refused))
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


def _refused(
    context: Context, clause: str, tier: str, block: Block, refused: list[tuple[int, Came]], away: list[str]
) -> Result:
    """Return the result of a clause of which some calls were refused."""
    number, came = refused[0]
    assert came.error is not None
    trial = block.trial(number)
    parts = [f"{error_line(came.error)}, for {trial.case}"]
    made = block.count - len(away)
    parts += [f"{len(refused)} of {made} calls refused"] if len(refused) < made else []
    parts += [context.offered(), outside(block.count, away)]
    return context.result(clause, tier, Verdict.REFUSED, made, "; ".join(filter(None, parts)))
