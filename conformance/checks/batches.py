"""Independent inputs of one call judged as a batch, and one of them picked out again."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.expect import Map, expected, index_maps
from einspec.answers.rules import Difference, Expected
from einspec.calls import cases
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case, make_case
from einspec.calls.values import fill
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.session import Outcome, Trial
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]


def single(found: Trial, outcome: Outcome) -> Trial | None:
    """Return the call on the one input of the batch that goes wrong."""
    case = found.case
    axis = cases.batch_axis(case.form, case.solution.ranks)
    place = outcome.difference(found) if outcome.error is None else None
    if found.call is not None or axis is None or place is None or place[1].position is None:
        return None
    output = next(s for s in case.form.signature.outputs if s.name == place[0])
    at = place[1].position[output.axes(case.solution.ranks).index((axis,))]
    arrays = {}
    for spec in case.form.signature.inputs:
        along = spec.axes(case.solution.ranks).index((axis,))
        arrays[spec.name] = np.take(found.arrays[spec.name], [at], axis=along)
    smaller = make_case(case.op, case.params, [a.shape for a in arrays.values()])
    return plain_trial(smaller, arrays) if smaller is not None else None


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


def batched(case: Case, arrays: Mapping[str, Array], maps: Mapping[str, Map] | None, call: Any) -> Trial:
    """Return a call on independent inputs along a new first axis, which in a list of tensors each tensor has."""
    trials: list[Trial] = []
    if maps is not None:
        flat = np.concatenate([a.reshape(len(a), -1) for a in arrays.values()], axis=1)
        wants = {name: Expected(m.apply(flat)) for name, m in maps.items()}
    else:
        each = [{name: a[i] for name, a in arrays.items()} for i in range(len(next(iter(arrays.values()))))]
        trials = [plain_trial(case, a) if case.form.selects else Trial(case, a, expected(case, a)) for a in each]
        wants = {name: _stack([t.expected[name] for t in trials]) for name in trials[0].expected}
    signature = case.form.signature
    given = {s.name: np.swapaxes(arrays[s.name], 0, 1) if s.listed else arrays[s.name] for s in signature.inputs}
    for spec in signature.outputs:
        if spec.listed:
            wants[spec.name] = replace(wants[spec.name], array=np.swapaxes(wants[spec.name].array, 0, 1))
    relation = (next(iter(case.form.selects)), functools.partial(_in_each, trials)) if case.form.selects else None
    return Trial(case, given, wants, call, how="on a batch of inputs under vmap", direct=True, relation=relation)


def _in_each(trials: Sequence[Trial], outputs: Mapping[str, Array]) -> Difference | None:
    """Return the first difference in the outputs of independent calls of which more than one result may be right."""
    checks = ((i, t.relation[1]) for i, t in enumerate(trials) if t.relation is not None)
    return next((d for i, check in checks if (d := check({k: v[i] for k, v in outputs.items()})) is not None), None)


def _stack(rows: Sequence[Expected]) -> Expected:
    how = "bound" if any(r.how == "bound" for r in rows) else rows[0].how
    bound = np.stack([np.zeros(r.array.shape) if r.bound is None else r.bound for r in rows]) if how == "bound" else None
    return Expected(np.stack([r.array for r in rows]), how, bound, rows[0].dtype_name)
