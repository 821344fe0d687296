"""Calls that must raise: each violates a constraint of the card."""

from __future__ import annotations

from einspec.conformance.checks.invalid import near_call, optional_for_files, violating
from einspec.conformance.judge.admitted import without_remainder
from einspec.conformance.judge.context import Context, outside
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness_of_invalid
from einspec.conformance.judge.wrongness import wrong_output
from einspec.conformance.protocol import LACKING, RANKS
from einspec.conformance.protocol import Outcome as Came

MAY_ACCEPT = "a file of functions may accept more than the card; --strict asks for this too"
CUT = "remainder_dropped"
"""The convention that is looked at where calls that must raise are judged."""


def judge_invalid(context: Context, clause: str, constraint: str) -> Result:
    """Judge ``err.<constraint>``: a call that violates it raises, whatever the class of the exception."""
    optional = context.bare and not context.policy.strict and optional_for_files(context.op, constraint)
    if optional and not any(call.demanded for call in violating(context.asked, constraint)):
        return context.not_run(clause, "scope", MAY_ACCEPT)
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
    left = outside(len(outcomes), [came.outside for came in outcomes if came.outside])
    reason, held = "", 0
    for number, came in enumerate(outcomes):
        if came.outside:
            continue
        if came.error is not None and came.error.name == LACKING:
            reason = reason or came.error.text
        elif came.error is not None and came.error.name == RANKS:
            if _is_demanded(context, constraint, number, optional):
                problem, data = witness_of_invalid(context, constraint, number, came)
                return context.result(clause, "scope", Verdict.WRONG, number + 1, problem, data)
        elif came.error is not None:
            held += 1
        elif _is_demanded(context, constraint, number, optional):
            if CUT not in context.admit or not _cut_off(context, constraint, number, came):
                problem, data = witness_of_invalid(context, constraint, number, came)
                return context.result(clause, "scope", Verdict.WRONG, number + 1, problem, data)
            context.admitted[CUT] = None
            held += 1
    if not held:
        return context.not_run(clause, "scope", reason or left or MAY_ACCEPT)
    return context.result(clause, "scope", Verdict.HOLDS, held, left)


def judge_misfit(context: Context, clause: str) -> Result:
    """Judge ``ranks.error``: a rank that alone is given what does not fit raises."""
    block = context.sheets.block(context.scene, clause, "scope")
    if block.not_run:
        return context.not_run(clause, "scope", block.not_run)
    held, reason = 0, ""
    for number, came in enumerate(list(context.stream(block))):
        if came.error is not None and came.error.name == LACKING:
            reason = came.error.text
        elif came.error is not None and came.error.name != RANKS:
            held += 1
        else:
            call = block.decoded[number]
            problem = came.error.text if came.error is not None else "it gave a result"
            shapes = ", ".join(f"{given.name}{list(given.parts[0].shape[1:])}" for given in call.extra)
            data = {
                "summary": context.op.card.summary,
                "call": f"{context.op.name} on {call.inputs[0].parts[0].shape[0]} ranks",
                "how": f"rank {call.way.rank} is given {shapes}, which does not divide, and the others what does",
                "difference": problem,
            }
            return context.result(clause, "scope", Verdict.WRONG, number + 1, problem, data)
    if not held:
        return context.not_run(clause, "scope", reason)
    return context.result(clause, "scope", Verdict.HOLDS, held)


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
