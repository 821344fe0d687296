"""What writing to a result says of its memory: that it is none of an input's, and that each element has its own."""

from __future__ import annotations

from einspec.answers.rules import Difference
from einspec.clauses import memory_of, renames
from einspec.conformance.checks.block import Block
from einspec.conformance.judge.conduct import bytes_of, changed_inputs
from einspec.conformance.judge.context import Context, outside, too_few
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness
from einspec.conformance.protocol import Outcome as Came
from einspec.conformance.trial import Trial

TOLD = "a file may give such a result; --strict asks for memory of its own"


def judge_memory(context: Context, block: Block) -> dict[str, Result]:
    """Return the results of ``memory.own`` and ``memory.apart`` by clause; of what a file does it is told alone."""
    clauses = [f"memory.{name}" for name in memory_of(context.op)]
    if block.not_run:
        return {clause: context.not_run(clause, "scope", block.not_run) for clause in clauses}
    seen = dict.fromkeys(clauses, 0)
    found: dict[str, Result] = {}
    outcomes = list(context.stream(block))
    away = [came.outside for came in outcomes if came.outside]
    left, few = outside(len(outcomes), away), too_few(len(outcomes), away)
    for number, came in enumerate(outcomes):
        if came.error is not None or not came.runs:
            continue
        trial = block.trial(number)
        for clause, problem in _problems(trial, came).items():
            if clause not in seen:
                continue
            seen[clause] += 1
            if clause not in found and problem:
                found[clause] = _told(context, clause, seen[clause], trial, came, problem)
    for clause, count in seen.items():
        if clause not in found and count and not few:
            found[clause] = context.result(clause, "scope", Verdict.HOLDS, count, left)
    return {c: found.get(c) or context.not_run(c, "scope", left or "no result can be written to") for c in clauses}


def _problems(trial: Trial, came: Came) -> dict[str, str]:
    """Return what is wrong with the memory of a result, by clause, nothing for one that says nothing here."""
    read = came.runs["read"]
    if read.kind == "other":
        return {"memory.apart": f"the result may not be written to: {read.text.partition(chr(10))[0]}"}
    apart = "" if bytes_of(read) == bytes_of(came.runs["written"]) else "writing to one element of the result changed another"
    if renames(trial.case.form):
        return {"memory.apart": apart}
    changed = changed_inputs(trial, came)
    return {"memory.own": f"writing to the result changed {', '.join(changed)}" if changed else "", "memory.apart": apart}


def _told(context: Context, clause: str, count: int, trial: Trial, came: Came, problem: str) -> Result:
    if context.bare and not context.policy.strict:
        return context.result(clause, "scope", Verdict.REFUSED, count, f"{problem}, for {trial.case}: {TOLD}")
    outcome = context.session.outcome(trial, came)
    data = witness(context, clause, trial, outcome, ("", Difference(problem)))
    return context.result(clause, "scope", Verdict.WRONG, count, problem, data)
