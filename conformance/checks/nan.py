"""Does a NaN come out exactly where the definition reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from einspec.answers.expect import index_maps
from einspec.calls.inputs import filled, makes_up
from einspec.calls.space import Case
from einspec.conformance.checks.batches import fixed_maps
from einspec.conformance.checks.exhaustive import evaluate_stacked
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.scope import ROUNDS
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.language.linear import OpClass

Array = np.ndarray[Any, Any]
MOST_PLACES = 96
"""How many elements of an input are asked one by one whether they are read."""


def ask_nan(scene: Scene, _: str, tier: str) -> Asked:
    """Ask for ``nan``: a NaN comes out exactly where the definition reads it, and nowhere else."""
    if scene.profile.loses_nan and any(f.kind is OpClass.NONLINEAR for f in scene.op.forms.values()):
        return Asked([], not_run="maxima of the framework may lose NaN by themselves")
    floats = [c for c in scene.bank[:3] if c.form.data][: 2 if scene.compiles else 3]
    given = [(c, ordinary(c)) for c in floats]
    if not scene.compiles:
        for case in floats:
            if makes_up(case):
                given += [(case, filled(case, "float32", "small", i)) for i in range(ROUNDS)]
    trials = []
    for case, arrays in given:
        for name in case.form.data:
            for where, flat in _places(case, arrays, name).items():
                spoiled = {k: v.copy() for k, v in arrays.items()}
                spoiled[name].reshape(-1)[flat] = np.nan
                trials.append(plain_trial(case, spoiled, how=f"with NaN at {where}"))
    return Asked(trials, not_run="" if trials else "the op takes no values")


def _places(case: Case, arrays: Mapping[str, Array], name: str) -> dict[str, list[int]]:
    """Return where a NaN is planted in an input, in words and as flat positions."""
    size = arrays[name].size
    places = {f"flat position {p} of {name}": [p] for p in sorted({0, size // 2}) if p < size}
    hidden = unread(case, arrays, name)
    if hidden:
        places[f"every place of {name} that the definition does not read"] = hidden
    return places


def unread(case: Case, arrays: Mapping[str, Array], name: str) -> list[int]:
    """Return the flat positions of an input at which a NaN does not come out by the definition."""
    form, size = case.form, arrays[name].size
    if fixed_maps(case) is not None and len(form.data) == 1:
        maps = index_maps(case, arrays).values()
        used = np.unique(np.concatenate([m.index.reshape(-1) for m in maps]))
        return [int(i) for i in np.setdiff1d(np.arange(1, size + 1), used) - 1]
    if len(form.data) == len(form.signature.inputs):
        return []
    if not size:
        return []
    places = range(0, size, max(1, size // MOST_PLACES))
    spoiled = {k: np.stack([v] * len(places)) for k, v in arrays.items()}
    for row, place in enumerate(places):
        spoiled[name][row].reshape(-1)[place] = np.nan
    found = evaluate_stacked(case, spoiled)
    outputs = [found[s.name].reshape(len(places), -1) for s in case.form.signature.outputs]
    shown = [np.asarray(np.isnan(o).any(1)) for o in outputs if o.dtype.kind == "f"]
    return [place for row, place in enumerate(places) if not any(s[row] for s in shown)]
