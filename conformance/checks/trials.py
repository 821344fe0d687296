"""The plain call of a case with what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from einspec.answers.choice import Choice, free_ties, freed, loosened
from einspec.answers.expect import analysed, bounded, breaks_ties, expected, rounds
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.conformance.protocol import PLAIN, Way
from einspec.conformance.trial import Trial
from einspec.language.linear import OpClass
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
SEEDS = 16
"""How many orders of a ramp are looked at for one on which rounding decides nothing."""
EAGER = Way("eager")


def ordinary(case: Case) -> dict[str, Array]:
    """Return a ramp, or :func:`shuffled` values where functions of them saturate and comparisons would be all alike."""
    return shuffled(case) if case.form.kind is OpClass.NONLINEAR else ramps(case)


def shuffled(case: Case) -> dict[str, Array]:
    """Return inputs without ties, in an order that is not that of memory, on which rounding decides no comparison."""
    seeds = range(6, 6 + SEEDS) if rounds(case, ramps(case)) else range(6, 7)
    outputs = [s.name for s in case.form.signature.outputs]
    for seed in seeds if len(seeds) > 1 else ():
        arrays = _shuffled(case, seed)
        found = analysed(case, arrays)
        if not any(np.isinf(found[name].error).any() for name in outputs):
            return arrays
    return _shuffled(case, seeds[0])


def _shuffled(case: Case, seed: int) -> dict[str, Array]:
    """Return a ramp in another order, of a size at which functions do not saturate."""
    rng, arrays = np.random.default_rng(seed), ramps(case)
    total = sum(arrays[n].size for n in case.form.data)
    scale = 1.0 if traits_of(case.form).multilinear else max(1.0, total / 4)
    for name in case.form.data:
        if name not in case.form.values:
            array = arrays[name]
            mixed = rng.permutation(array.reshape(-1)).reshape(array.shape)
            arrays[name] = (mixed / np.float32(scale)).astype(array.dtype)
    return arrays


def plain_trial(case: Case, arrays: Mapping[str, Array], way: Way = PLAIN, how: str = "") -> Trial:
    """Return the plain call of a case with what it must give."""
    if case.form.selects and (freed() or rounds(case, arrays)):
        return _selection(case, arrays, way, how)
    if free_ties.get() and breaks_ties(case.form):
        return Trial(case, arrays, bounded(case, arrays, analysed(case, arrays, free_ties=True)), way, how)
    wants = expected(case, arrays)
    whole = any(w.dtype_name == "int" for w in wants.values())
    return Trial(case, arrays, wants, EAGER if whole and way == PLAIN else way, how)


def _selection(case: Case, arrays: Mapping[str, Array], way: Way, how: str) -> Trial:
    """Return a call of an op that selects, where more than one selection may be right.

    What must come is that of the exact selection, which is always right; what is something else is
    asked whether it is right as well.
    """
    choice = Choice(case, arrays, analysed(case, arrays), free_ties.get())
    if not choice.open:
        return Trial(case, arrays, bounded(case, arrays, choice.tensors), way, how)
    exact = {name: choice.tensors[name].array.astype(np.int64) for name in case.form.selects}
    wants = bounded(case, arrays, analysed(case, arrays, exact))
    relation = ("choice", next(iter(case.form.selects)))
    return Trial(case, arrays, wants, way, how, relation)  # type: ignore[arg-type]  # a kind of relation


def loose(trial: Trial) -> Trial:
    """Return a trial of which only the shapes and dtypes of results are asked, and its relation."""
    trial.expected = loosened(trial.expected)
    return trial
