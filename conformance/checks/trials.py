"""The plain call of a case on a ramp or on a stratum of values, with what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from einspec.answers.choice import Choice, loosened
from einspec.answers.expect import analysed, bounded, expected, rounds
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.conformance.judge.session import Trial
from einspec.language.linear import OpClass
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
free_ties: ContextVar[bool] = ContextVar("free_ties", default=False)
"""Whether what is judged promises any valid choice among equal values, not the first."""
SEEDS = 16
"""How many orders of a ramp are looked at for one on which rounding decides nothing."""


def ordinary(case: Case) -> dict[str, Array]:
    """Return a ramp, or :func:`shuffled` values where functions of them saturate and comparisons would be all alike."""
    return shuffled(case) if case.form.kind is OpClass.NONLINEAR else ramps(case)


def shuffled(case: Case) -> dict[str, Array]:
    """Return inputs without ties, in an order that is not that of memory, on which rounding decides no comparison."""
    seeds = range(6, 6 + SEEDS) if rounds(case, ramps(case)) else range(6, 7)
    found = (_shuffled(case, seed) for seed in seeds)
    outputs = [s.name for s in case.form.signature.outputs]
    sure = (a for a in found if len(seeds) == 1 or not any(np.isinf(analysed(case, a)[name].error).any() for name in outputs))
    return next(sure, _shuffled(case, seeds[0]))


def _shuffled(case: Case, seed: int) -> dict[str, Array]:
    """Return a ramp in another order, of a size at which functions do not saturate."""
    rng, arrays = np.random.default_rng(seed), ramps(case)
    scale = 1.0 if traits_of(case.form).multilinear else max(1.0, sum(arrays[n].size for n in case.form.data) / 4)
    free = [n for n in case.form.data if n not in case.form.values]
    return {
        k: (rng.permutation(v.reshape(-1)).reshape(v.shape) / np.float32(scale)).astype(v.dtype) if k in free else v
        for k, v in arrays.items()
    }


def plain_trial(case: Case, arrays: Mapping[str, Array], **more: Any) -> Trial:
    """Return the plain call of a case with what it must give."""
    if case.form.selects and (free_ties.get() or rounds(case, arrays)):
        choice = Choice(case, arrays, analysed(case, arrays), free_ties.get())
        wants = bounded(case, arrays, choice.tensors)
        if choice.open:
            return Trial(case, arrays, loosened(wants), relation=(next(iter(case.form.selects)), choice.check), **more)
        return Trial(case, arrays, wants, **more)
    wants = expected(case, arrays)
    more.setdefault("direct", any(w.dtype_name == "int" for w in wants.values()))
    return Trial(case, arrays, wants, **more)
