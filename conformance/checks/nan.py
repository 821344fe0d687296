"""Does a NaN come out exactly where the definition reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from einspec.answers.expect import index_maps, widen
from einspec.calls.inputs import filled, makes_up
from einspec.calls.space import Case
from einspec.conformance.checks.batches import fixed_maps
from einspec.conformance.checks.scope import ROUNDS
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.language.linear import OpClass
from einspec.semantics.oracle import evaluate

Array = np.ndarray[Any, Any]

MOST_PLACES = 96
"""How many elements of an input are asked one by one whether they are read."""


def check_nan(context: Context) -> Iterator[Result]:
    """Judge ``nan``: a NaN comes out exactly where the definition reads it, and nowhere else."""
    lossy = getattr(context.session.adapter, "loses_nan_in_maxima", False)
    if context.bare and lossy and any(f.kind is OpClass.NONLINEAR for f in context.op.forms.values()):
        yield context.not_run("nan", "scope", f"maxima of {context.session.target.framework} may lose NaN by themselves")
        return
    floats = [c for c in context.bank[:3] if c.form.data][: 2 if context.session.compiles else 3]
    trials = []
    made_up = [(c, filled(c, "float32", "small", i)) for c in floats if makes_up(c) for i in range(ROUNDS)]
    for case, arrays in [*((c, ordinary(c)) for c in floats), *(made_up if not context.session.compiles else [])]:
        for name in case.form.data:
            size = arrays[name].size
            places = {f"flat position {p} of {name}": [p] for p in sorted({0, size // 2}) if p < size}
            hidden = unread(case, arrays, name)
            if hidden:
                places[f"every place of {name} that the definition does not read"] = hidden
            for where, flat in places.items():
                spoiled = {k: v.copy() for k, v in arrays.items()}
                spoiled[name].reshape(-1)[flat] = np.nan
                trials.append(plain_trial(case, spoiled, how=f"with NaN at {where}"))
    yield (context.trials("nan", "scope", trials) if trials else context.not_run("nan", "scope", "the op takes no values"))


def unread(case: Case, arrays: Mapping[str, Array], name: str) -> list[int]:
    """Return the flat positions of an input at which a NaN does not come out by the definition."""
    form, size = case.form, arrays[name].size
    if fixed_maps(case) is not None and len(form.data) == 1:
        used = np.unique(np.concatenate([m.index.reshape(-1) for m in index_maps(case, arrays).values()]))
        return [int(i) for i in np.setdiff1d(np.arange(1, size + 1), used) - 1]
    if len(form.data) == len(form.signature.inputs):
        return []
    hidden = []
    for place in range(0, size, max(1, size // MOST_PLACES)):
        spoiled = {k: widen(v) for k, v in arrays.items()}
        spoiled[name] = spoiled[name].copy()
        spoiled[name].reshape(-1)[place] = np.nan
        found = evaluate(case.solution, spoiled)
        if not any(np.isnan(found[s.name]).any() for s in case.form.signature.outputs if found[s.name].dtype.kind == "f"):
            hidden.append(place)
    return hidden
