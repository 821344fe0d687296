"""What an output must be where more than one result is right: looked at by what came."""

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.answers.choice import Choice, descends, free_ties, loosened
from einspec.answers.expect import analysed
from einspec.answers.rules import Difference
from einspec.conformance.trial import Outcome, Trial

Array = np.ndarray[Any, Any]
MOST_SHOWN = 20
"""How many numbers of a failing row are shown."""


def unrelated(trial: Trial, outcome: Outcome) -> tuple[str, Difference] | None:
    """Return the output that is not what a trial asks of it besides, and how."""
    assert trial.relation is not None
    kind, name = trial.relation
    shape = outcome.difference(Trial(trial.case, trial.arrays, loosened(trial.expected)))
    if shape is not None:
        return shape
    if kind == "choice":
        choice = Choice(trial.case, trial.arrays, analysed(trial.case, trial.arrays), free_ties.get())
        found = choice.check(outcome.outputs)
    elif kind == "descends":
        found = _descending(trial, outcome.outputs[name], name)
    else:
        found = _numbers(kind, outcome.outputs[name])
    return (name, found) if found is not None else None


def _numbers(kind: str, found: Array) -> Difference | None:
    """Return how numbers repeat, or are not those below their count."""
    if kind == "distinct":
        for row in found.reshape(-1, found.shape[-1]) if found.size else ():
            chosen = row[row >= 0].tolist()
            if len(set(chosen)) < len(chosen):
                return Difference(f"{chosen} holds one number twice")
        return None
    if np.array_equal(np.sort(found.reshape(-1)), np.arange(found.size)):
        return None
    shown = found.reshape(-1).tolist()[:MOST_SHOWN]
    return Difference(f"{shown} are not the numbers below {found.size}, each once")


def _descending(trial: Trial, found: Array, name: str) -> Difference | None:
    """Return the first row that is no descending selection."""
    source, _ = trial.case.form.selects[name]
    scores = analysed(trial.case, trial.arrays, last=source)[source]
    everywhere = np.ones(scores.array.shape[-1], bool)
    for row in np.ndindex(found.shape[:-1]):
        problem = descends(found[row], scores.array[row], scores.error[row], everywhere, free_ties.get())
        if problem:
            return Difference(f"row {list(row)} is {found[row].tolist()}: {problem}")
    return None
