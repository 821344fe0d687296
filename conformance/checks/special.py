"""Calls apart by what is special in them: values that are no ordinary numbers, promises of the caller that they break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.rules import Expected, is_nan
from einspec.calls.assumptions import broken
from einspec.calls.cases import batch_axis
from einspec.calls.space import make_case
from einspec.card import Op
from einspec.clauses import VALUES, totals_of
from einspec.conformance.checks.scene import Asked
from einspec.conformance.mapping import levels_of, rows_of
from einspec.conformance.trial import Trial

Array = np.ndarray[Any, Any]
NAMES = ("def", *VALUES)


def split(op: Op, asked: Asked) -> dict[str, Asked]:
    """Return the calls of a definition by the clause that they belong to.

    ``def`` has those of finite values that keep what callers promise.
    """
    parts: dict[str, list[Trial]] = {name: [] for name in (*NAMES, *totals_of(op))}
    for trial in asked.trials:
        for name, part in _apart(trial):
            parts[name].append(part)
    count = {name: sum(_calls_in(t) if _stacked(t) else 1 for t in own) for name, own in parts.items()}
    found = {name: Asked(own, asked.reason if name == "def" else "", count[name]) for name, own in parts.items()}
    found["def"].instances = max(count["def"], (asked.instances or 0) - sum(count.values()) + count["def"])
    return found


def clause_of(trial: Trial) -> str:
    """Return the clause that a call of the definition belongs to as a whole."""
    promise = broken_promise(trial)
    return f"total.{promise}" if promise else NAMES[_rank(trial)]


def broken_promise(trial: Trial) -> str:
    """Return the promise of the caller that a call breaks, in one of its rows where it has several."""
    if not trial.case.form.assume:
        return ""
    return next(filter(None, _broken(trial)), "") if _stacked(trial) else broken(trial.case, trial.arrays)


def _stacked(trial: Trial) -> bool:
    """Whether a trial holds several calls along a first axis."""
    return trial.way.kind in ("rows", "vmap")


def _broken(trial: Trial) -> list[str]:
    """Return the promise that each of several calls breaks."""
    specs = trial.case.form.signature.inputs
    names, listed = [s.name for s in specs], [s.listed for s in specs]
    rows = rows_of([trial.arrays[n] for n in names], levels_of(trial.way, len(names)), listed)
    return [broken(trial.case, dict(zip(names, row, strict=True))) for row in rows]


def _first_axes(trial: Trial) -> dict[str, int]:
    """Return the axis of each tensor along which calls are stacked: behind that of the tensors of a list."""
    signature = trial.case.form.signature
    return {s.name: int(s.listed) for s in (*signature.inputs, *signature.outputs)}


def _calls_in(trial: Trial) -> int:
    """Return how many calls are stacked in a trial."""
    name, array = next(iter(trial.arrays.items()))
    return int(array.shape[_first_axes(trial)[name]])


def _apart(trial: Trial) -> Iterator[tuple[str, Trial]]:
    """Yield a call, or its independent rows, under the names of clauses."""
    if _stacked(trial):
        yield from _calls_apart(trial)
        return
    promise = broken_promise(trial)
    axis = batch_axis(trial.case.form, trial.case.solution.ranks)
    rows = _row_ranks(trial, axis) if axis is not None and trial.way.kind == "plain" and not promise else None
    if rows is None or len(set(rows.tolist())) < 2:
        yield clause_of(trial), trial
        return
    assert axis is not None
    for rank in sorted(set(rows.tolist())):
        part = _taken(trial, axis, np.flatnonzero(rows == rank))
        yield NAMES[rank], part if part is not None else trial


def _calls_apart(trial: Trial) -> Iterator[tuple[str, Trial]]:
    """Yield calls that are stacked along a first axis, under the names of clauses."""
    axes, count = _first_axes(trial), _calls_in(trial)
    first = {n: np.moveaxis(ranks(a), axes[n], 0) for n, a in trial.arrays.items()}
    special = np.max([a.reshape(count, -1).max(1, initial=0) for a in first.values()], axis=0)
    broken_ones = _broken(trial) if trial.case.form.assume else [""] * len(special)
    names = [f"total.{b}" if b else NAMES[rank] for b, rank in zip(broken_ones, special, strict=True)]
    for name in dict.fromkeys(names):
        those = np.flatnonzero([n == name for n in names])
        wants = {output: _part(want, axes[output], those) for output, want in trial.expected.items()}
        own = {given: array.take(those, axes[given]) for given, array in trial.arrays.items()}
        yield name, replace(trial, arrays=own, expected=wants)


def _rank(trial: Trial) -> int:
    return max((int(ranks(a).max(initial=0)) for a in trial.arrays.values()), default=0)


def ranks(array: Array) -> Array:
    """Return how special each number is: 0 finite, 1 a negative zero, 2 infinite, 3 NaN."""
    if array.dtype.kind in "iub":
        return np.zeros(array.shape, np.int8)
    parts = np.stack([array.real, array.imag], -1) if array.dtype.kind == "c" else array[..., None]
    with np.errstate(invalid="ignore"):  # a NaN that signals
        wide = parts.astype(np.float64)
    zero = (wide == 0) & np.signbit(wide)
    infinite = np.isinf(wide)
    found = np.where(is_nan(parts), 3, np.where(infinite, 2, np.where(zero, 1, 0)))
    return np.asarray(found.max(-1))


def _row_ranks(trial: Trial, axis: str) -> Array | None:
    """Return how special each independent row of a call is; None where an input has no such axis."""
    total: Array | None = None
    for spec in trial.case.form.signature.inputs:
        axes = spec.axes(trial.case.solution.ranks)
        if (axis,) not in axes:
            return None
        place = axes.index((axis,))
        found = np.moveaxis(ranks(trial.arrays[spec.name]), place, 0)
        own = found.reshape(len(found), -1).max(1, initial=0)
        total = own if total is None else np.maximum(total, own)
    return total


def _taken(trial: Trial, axis: str, rows: Array) -> Trial | None:
    """Return a call on some of its independent rows."""
    case = trial.case
    arrays = {}
    for spec in case.form.signature.inputs:
        place = spec.axes(case.solution.ranks).index((axis,))
        arrays[spec.name] = np.take(trial.arrays[spec.name], rows, place)
    smaller = make_case(case.op, case.params, [a.shape for a in arrays.values()])
    if smaller is None:
        return None
    wants = {}
    for spec in case.form.signature.outputs:
        place = spec.axes(case.solution.ranks).index((axis,))
        wants[spec.name] = _part(trial.expected[spec.name], place, rows)
    return replace(trial, case=smaller, arrays=arrays, expected=wants)


def _part(want: Expected, place: int, rows: Array) -> Expected:
    bound = want.bound
    if bound is not None:
        bound = np.take(np.broadcast_to(bound, want.array.shape), rows, place)
    return replace(want, array=np.take(want.array, rows, place), bound=bound)
