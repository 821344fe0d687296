"""What is wrong with what came of a call, if anything is."""

from __future__ import annotations

import numpy as np

from einspec.answers.rules import Difference, difference
from einspec.conformance.judge.admitted import admitted
from einspec.conformance.judge.context import Context, error_line
from einspec.conformance.judge.relations import unrelated
from einspec.conformance.trial import Outcome, Trial

SCALARS = "python_scalars"
"""The convention that is looked at where results are read."""


def wrongness(context: Context, trial: Trial, outcome: Outcome) -> tuple[str, Difference] | None:
    """Return what is wrong with an outcome: the output and how it differs; None where nothing is.

    An output in another dtype of the same kind is judged by its values, and noted; a tangent is not noted, as PyTorch itself
    multiplies those of numbers in float64.
    Of a call that was not made nothing is wrong.
    """
    if outcome.outside:
        return None
    if outcome.error is None and trial.way.kind != "jvp":
        for name, want in trial.expected.items():
            got = outcome.outputs[name].dtype.name
            if got != want.dtype_name != "int":
                key = f"{name}: {got} instead of {want.dtype_name}"
                context.dtypes.setdefault(key, (trial, outcome, name))
    found = wrong_output(trial, outcome)
    if outcome.scalars:
        context.admitted[SCALARS] = None
    if found is None or not context.admit:
        return found
    used = admitted(context.admit, trial, outcome, wrong_output)
    context.admitted |= dict.fromkeys(used)
    return None if used else found


def wrong_output(trial: Trial, outcome: Outcome) -> tuple[str, Difference] | None:
    """Return the output that is wrong by its values and how it differs, None where none is."""
    if outcome.error is not None:
        return "", Difference(error_line(outcome.error))
    differences = ((name, difference(outcome.outputs[name], want)) for name, want in trial.expected.items())
    found = next(((name, how) for name, how in differences if how is not None), None)
    if trial.relation is None:
        return found
    if found is None and trial.relation[0] in ("choice", "descends"):
        return None
    return unrelated(trial, outcome)


def reason_of(found: tuple[str, Difference] | None) -> str:
    """Return what is wrong in words."""
    if found is None:
        return "it was wrong once, and right when it was tried again"
    name, how = found
    return f"{name}: {how.problem}" if name else how.problem


def is_habit(trial: Trial, outcome: Outcome, name: str) -> bool:
    """Whether an output in another dtype is a framework's habit: an integer of another width for a position or a count.

    It is none where the card has the dtype of an input.
    """
    fixed = not trial.case.form.dtype.get(name, "").startswith("same as")
    numbers = trial.expected[name].dtype_name.startswith(("int", "uint"))
    return fixed and numbers and np.dtype(outcome.outputs[name].dtype).kind in "iu"
