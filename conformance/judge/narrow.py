"""Making a failing call smaller and plainer, as far as it still shows the failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from einspec.answers.rules import Difference
from einspec.calls.cases import batch_axis
from einspec.calls.inputs import ramps
from einspec.calls.space import make_case
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.fresh import Fresh
from einspec.conformance.judge.wrongness import wrongness
from einspec.conformance.trial import Outcome, Trial

Failure = tuple[Trial, Outcome]


def shrunk(context: Context, clause: str, failure: Failure) -> Failure:
    """Return the smallest failing call that Hypothesis finds in the place of one, and what came of it."""
    fresh = Fresh(context, clause)
    fresh.search(context.scene, shrink=True)
    return fresh.failure or failure


def narrowed(context: Context, failure: Failure) -> Failure:
    """Return the smallest and plainest call that shows a failure, and what came of it."""
    best = failure
    for make in (one_row, _one_mapped, _plain_values):
        for smaller in make(best[0], wrongness(context, *best)):
            again = context.session.one(smaller)
            if wrongness(context, smaller, again) is not None:
                best = smaller, again
                break
    return best


def one_row(trial: Trial, found: tuple[str, Difference] | None) -> Iterator[Trial]:
    """Yield the call on the one input of a batch that goes wrong."""
    case = trial.case
    axis = batch_axis(case.form, case.solution.ranks)
    if trial.way.kind != "plain" or axis is None or found is None or found[1].position is None:
        return
    if trial.law is not None or case.solution.sizes[axis] < 2 or not trial.arrays:
        return
    specs = {s.name: s for s in case.form.signature.outputs}
    axes = specs[found[0]].axes(case.solution.ranks)
    if (axis,) not in axes or len(found[1].position) != len(axes):
        return
    at = found[1].position[axes.index((axis,))]
    arrays = {}
    for spec in case.form.signature.inputs:
        along = spec.axes(case.solution.ranks).index((axis,))
        arrays[spec.name] = np.take(trial.arrays[spec.name], [at], axis=along)
    smaller = make_case(case.op, case.params, [a.shape for a in arrays.values()])
    if smaller is not None:
        yield plain_trial(smaller, arrays, trial.way, trial.how)


def _one_mapped(trial: Trial, found: tuple[str, Difference] | None) -> Iterator[Trial]:
    """Yield the call mapped over the one row that goes wrong."""
    listed = any(s.listed for s in trial.case.form.signature.inputs)
    if trial.way.kind != "vmap" or trial.way.maps or listed or found is None or not found[1].position:
        return
    row = slice(found[1].position[0], found[1].position[0] + 1)
    arrays = {name: array[row] for name, array in trial.arrays.items()}
    wants = {}
    for name, want in trial.expected.items():
        bound = None if want.bound is None else np.broadcast_to(want.bound, want.array.shape)[row]
        wants[name] = replace(want, array=want.array[row], bound=bound)
    yield replace(trial, arrays=arrays, expected=wants)


def _plain_values(trial: Trial, _: tuple[str, Difference] | None) -> Iterator[Trial]:
    """Yield the same call on a ramp."""
    usual = not trial.unusual and trial.way.kind == "plain" and not trial.way.at
    if usual and trial.law is None and trial.how == "" and trial.case.form.data:
        yield plain_trial(trial.case, ramps(trial.case), trial.way)
