"""What a call made twice, with another between, says of an op: inputs left alone, results repeatable, device kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.answers.expect import expected
from einspec.answers.rules import Difference
from einspec.clauses import CONDUCT
from einspec.conformance.judge.context import Context, error_line, outside
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import witness
from einspec.conformance.judge.wrongness import wrongness
from einspec.conformance.protocol import Item
from einspec.conformance.protocol import Outcome as Came
from einspec.conformance.trial import Outcome, Trial, WrongKindError, unpacked

Array = np.ndarray[Any, Any]
CHANGED = "a later call with other values changed an earlier result"
OTHER_BITS = "the same call gave other bits after a call with other values"
STALE = "a call with other values gave the result of an earlier call"


def judge_conduct(context: Context, trial: Trial, came: Came) -> dict[str, Result]:
    """Return the results of ``pure``, ``repeat`` and ``device`` by clause."""
    if came.outside:
        return {clause: context.not_run(clause, "scope", outside(1, [came.outside])) for clause in CONDUCT}
    if came.error is not None:
        return {clause: _raised(context, clause, trial, came) for clause in CONDUCT}
    outcome = context.session.outcome(trial, came)
    wrongness(context, trial, outcome)  # notes the dtypes of the outputs
    if outcome.error is not None:
        found = "", Difference(error_line(outcome.error))
        return {clause: _result(context, clause, trial, outcome, found) for clause in CONDUCT}
    context.sample = {"case": str(trial.case), "outputs": outcome.outputs, "expected": trial.expected}
    problems = {"pure": _impure(trial, came), "repeat": _unsteady(context, trial, came), "device": _moved(context, came)}
    results = {}
    for clause, problem in problems.items():
        shown = ("", Difference(problem)) if problem else None
        results[clause] = _result(context, clause, trial, outcome, shown)
    if not trial.arrays:
        results["device"] = context.not_run("device", "scope", "the op takes no tensors")
    return results


def _raised(context: Context, clause: str, trial: Trial, came: Came) -> Result:
    assert came.error is not None
    outcome = Outcome(error=came.error)
    if context.refuses(frozenset(trial.case.features), bool(trial.unusual), came.error):
        return context.result(clause, "scope", Verdict.REFUSED, 1, error_line(came.error))
    return _result(context, clause, trial, outcome, ("", Difference(error_line(came.error))))


def _result(context: Context, clause: str, trial: Trial, outcome: Outcome, found: tuple[str, Difference] | None) -> Result:
    if found is None:
        return context.result(clause, "scope", Verdict.HOLDS, 1)
    data = witness(context, clause, trial, outcome, found)
    return context.result(clause, "scope", Verdict.WRONG, 1, found[1].problem, data)


def _impure(trial: Trial, came: Came) -> str:
    changed = changed_inputs(trial, came)
    return f"the call changed its input {', '.join(changed)}" if changed else ""


def changed_inputs(trial: Trial, came: Came) -> list[str]:
    """Return the inputs that are afterwards other bytes than they were given as."""
    return [name for name, array in trial.arrays.items() if bytes_of(came.runs[f"input {name}"]) != _flat(array)]


def _flat(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def bytes_of(item: Item) -> bytes:
    """Return all bytes of what came, those of a list one after the other."""
    own = item.tensor.data if item.tensor is not None else b""
    own += str(item.value).encode() if item.kind == "int" else b""
    return own + b"".join(map(bytes_of, item.parts))


def _unsteady(context: Context, trial: Trial, came: Came) -> str:
    """Return in what way results depend on what is called besides."""
    runs = {name: bytes_of(item) for name, item in came.runs.items()}
    if runs["first"] != runs["kept"]:
        return CHANGED
    if any(runs[f"again {i}"] != runs["first"] for i in range(2)):
        return OTHER_BITS
    if runs["other"] == runs["first"] and not _expects_the_same(context, trial, came):
        return STALE
    return ""


def _expects_the_same(context: Context, trial: Trial, came: Came) -> bool:
    """Whether the call between may give what the call itself gives."""
    wants = expected(trial.case, trial.extra)
    specs = {s.name: s for s in trial.case.form.signature.outputs}
    try:
        outputs = unpacked(came.runs["other"], wants, specs, context.session.target)
    except WrongKindError:
        return True
    return Outcome(outputs).difference(Trial(trial.case, trial.extra, wants)) is None


def _moved(context: Context, came: Came) -> str:
    """Return where results are that are not on the device of the inputs."""
    device = context.session.device
    if came.devices == (device,):
        return ""
    return f"inputs on {device}, result on {', '.join(came.devices) or 'no device'}"
