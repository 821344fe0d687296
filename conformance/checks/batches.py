"""Independent inputs of one call judged as a batch, and one of them picked out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.expect import Map, index_maps
from einspec.answers.rules import Expected
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case
from einspec.calls.values import fill
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.protocol import Way, WayKind
from einspec.conformance.trial import Trial
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]


def fixed_maps(case: Case) -> dict[str, Map] | None:
    """Return the index maps of a call that do not depend on what it is given."""
    plain = case.form.kind in EXACT and set(case.form.data) == {s.name for s in case.form.signature.inputs}
    return index_maps(case, ramps(case)) if plain else None


def several(case: Case, size: int, stratum: str, seed: int, subnormals: bool = True) -> dict[str, Array]:
    """Return so many independent inputs of a stratum along a new first axis."""
    if fixed_maps(case) is not None:
        rng = np.random.default_rng(seed)
        inputs = zip(case.form.signature.inputs, case.shapes, strict=True)
        return {s.name: fill((size, *shape), "float32", stratum, rng, subnormals) for s, shape in inputs}
    rows = [filled(case, "float32", stratum, seed + i, subnormals) for i in range(size)]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def batched(case: Case, arrays: Mapping[str, Array], maps: Mapping[str, Map] | None, kind: WayKind) -> Trial | None:
    """Return a call on independent inputs along a new first axis, which in a list of tensors each tensor has.

    Those of which more than one result is right are left out; None where no other is left.
    """
    if maps is not None:
        flat = np.concatenate([a.reshape(len(a), -1) for a in arrays.values()], axis=1)
        wants = {name: Expected(m.apply(flat)) for name, m in maps.items()}
    else:
        count = len(next(iter(arrays.values())))
        rows = [{name: a[i] for name, a in arrays.items()} for i in range(count)]
        tried = [plain_trial(case, row) for row in rows]
        closed = [i for i, t in enumerate(tried) if t.relation is None]
        if not closed:
            return None
        trials = [tried[i] for i in closed]
        arrays = {name: a[closed] for name, a in arrays.items()}
        wants = {name: _stack([t.expected[name] for t in trials]) for name in trials[0].expected}
    signature = case.form.signature
    given = {s.name: np.swapaxes(arrays[s.name], 0, 1) if s.listed else arrays[s.name] for s in signature.inputs}
    for spec in signature.outputs:
        if spec.listed:
            array = np.swapaxes(wants[spec.name].array, 0, 1)
            wants[spec.name] = replace(wants[spec.name], array=array)
    return Trial(case, given, wants, Way(kind), "on a batch of inputs")


def _stack(rows: Sequence[Expected]) -> Expected:
    how = "bound" if any(r.how == "bound" for r in rows) else rows[0].how
    bound = np.stack([np.zeros(r.array.shape) if r.bound is None else r.bound for r in rows]) if how == "bound" else None
    return Expected(np.stack([r.array for r in rows]), how, bound, rows[0].dtype_name)
