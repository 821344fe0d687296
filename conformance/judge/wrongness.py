"""What is wrong with what came of a call, if anything is."""

from __future__ import annotations

from einspec.answers.rules import Difference, difference
from einspec.conformance.judge.context import Context, error_line
from einspec.conformance.judge.relations import unrelated
from einspec.conformance.trial import Outcome, Trial


def wrongness(context: Context, trial: Trial, outcome: Outcome) -> tuple[str, Difference] | None:
    """Return what is wrong with an outcome: the output and how it differs; None where nothing is.

    An output in another dtype of the same kind is judged by its values, and noted.
    """
    if outcome.error is not None:
        return "", Difference(error_line(outcome.error))
    found = None
    for name, want in trial.expected.items():
        got = outcome.outputs[name]
        if got.dtype.name != want.dtype_name != "int":
            context.dtypes.setdefault(f"{name}: {got.dtype.name} instead of {want.dtype_name}", (trial, outcome, name))
        found = found or ((name, d) if (d := difference(got, want)) is not None else None)
    if trial.relation is None:
        return found
    if found is None and trial.relation[0] in ("choice", "descends"):
        return None
    return unrelated(trial, outcome)
