"""Judging a selection where more than one is right: rounding may decide it, or the target promises no order of ties."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from einspec.answers.expect import analysed, bounded
from einspec.answers.rules import Difference, Expected, difference
from einspec.calls.space import Case
from einspec.semantics.bounds import Tensor

Array = np.ndarray[Any, Any]
free_ties: ContextVar[bool] = ContextVar("free_ties", default=False)
"""Whether what is judged promises any valid choice among equal values, not the first."""
free_nan: ContextVar[bool] = ContextVar("free_nan", default=False)
"""Whether NaN may stand anywhere in an order."""
free_zeros: ContextVar[bool] = ContextVar("free_zeros", default=False)
"""Whether zeros of both signs may be ordered among themselves."""
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
"""By how much zeros of both signs may differ in an order."""


class Choice:
    """One call of an op that selects, and what may come out of it.

    An output that selects holds positions of a tensor in descending order. It is right if it is what the definition gives
    for some values within the error that computing that tensor may have; where ties are free, equal values may come in any
    order. All other outputs must then be what the definition gives for the selection that came.
    """

    def __init__(self, case: Case, inputs: Mapping[str, Array], tensors: Mapping[str, Tensor], free_ties: bool) -> None:
        self.case, self.inputs, self.tensors, self.free_ties = case, inputs, tensors, free_ties
        self.selects = case.form.selects

    @property
    def open(self) -> bool:
        """Whether more than one selection may be right."""
        return self.free_ties or freed() or any(self.tensors[name].doubt.any() for name in self.selects)

    def check(self, outputs: Mapping[str, Array]) -> Difference | None:
        """Return what is wrong with a selection, None if it is a right one."""
        for name in self.selects:
            problem = self.selection(name, outputs[name])
            if problem is not None:
                return problem
        given = {name: outputs[name].astype(np.int64) for name in self.selects}
        for name, want in bounded(self.case, self.inputs, analysed(self.case, self.inputs, given)).items():
            chosen = self.chosen(name, given) if freed() else None
            want = want if chosen is None else chosen
            found = None if name in self.selects else difference(outputs[name], want)
            if found is not None:
                return Difference(f"{name}, given the selection that came: {found.problem}", None)
        return None

    def chosen(self, name: str, given: Mapping[str, Array]) -> Expected | None:
        """Return the values at the positions that came, where an output holds those of an input; None where it does not."""
        specs = {s.name: s for s in self.case.form.signature.outputs}
        for index, (source, _) in self.selects.items():
            same = specs[name].axes(self.case.solution.ranks) == specs[index].axes(self.case.solution.ranks)
            if same and source in self.inputs and self.case.form.dtype[name] == f"same as {source}":
                return Expected(np.take_along_axis(self.inputs[source], given[index], -1), "values")
        return None

    def selection(self, name: str, got: Array) -> Difference | None:
        """Return the first row of a selection that is not right."""
        source, mask = (self.tensors.get(n) for n in self.selects[name])
        exact = self.tensors[name]
        assert source is not None
        for row in np.ndindex(got.shape[:-1]):
            if np.array_equal(got[row], exact.array[row]) and not exact.doubt[row].any():
                continue
            errors = _freed(source.array[row], source.error[row])
            if not (self.free_ties or exact.doubt[row].any() or (errors > source.error[row]).any()):
                text = f"{got[row].tolist()} instead of {exact.array[row].astype(int).tolist()}"
                return Difference(f"row {list(row)} is {text}", (*row, 0))
            allowed = mask.array[row] != 0 if mask is not None else np.ones(len(source.array[row]), bool)
            if mask is not None and mask.doubt[row].any():
                allowed = None
            problem = descends(got[row], source.array[row], errors, allowed, self.free_ties)
            if problem:
                return Difference(f"row {list(row)} is {got[row].tolist()}: {problem}", (*row, 0))
        return None


def freed() -> bool:
    """Whether more than one order may be right, whatever rounding does."""
    return free_ties.get() or free_nan.get() or free_zeros.get()


def _freed(values: Array, errors: Array) -> Array:
    """Return how far values may be off in an order, where NaN or the sign of zero has no place in it."""
    if free_nan.get():
        errors = np.where(np.isnan(values), np.inf, errors)
    if free_zeros.get():
        errors = np.where(values == 0, np.maximum(errors, SMALLEST), errors)
    return errors


def descends(chosen: Array, values: Array, errors: Array, allowed: Array | None, free_ties: bool) -> str:
    """Return why positions are not a descending selection of values known within errors, or nothing.

    Args:
        chosen: the positions, -1 where none is left.
        values: what is chosen from.
        errors: how far each value may be off.
        allowed: which positions may be taken; None where rounding decides that.
        free_ties: whether equal values may come in any order.
    """
    count = int(np.sum(chosen >= 0)) if allowed is None else min(len(chosen), int(np.sum(allowed)))
    found = chosen[:count].tolist()
    if (chosen[count:] != -1).any() or min(found, default=0) < 0:
        return f"expected {count} positions, then -1"
    if len(set(found)) < len(found) or max(found, default=0) >= len(values):
        return "a position comes twice, or is none"
    if allowed is None:
        return ""
    if not allowed[found].all():
        return "a position is masked out"
    most = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        keys = np.where(np.isnan(values), np.inf, np.clip(values, -most, most))
        high, low = (np.where(np.isinf(errors), side, keys + np.sign(side) * errors) for side in (np.inf, -np.inf))
    high, low = (np.where(np.isnan(values) & (errors == 0), np.inf, bound) for bound in (high, low))
    level, last = np.inf, -1
    for place in found:
        top = min(level, high[place])
        follows = top > low[place] or (top == low[place] and (free_ties or top < level or place > last))
        if not follows:
            return f"position {place} comes too late"
        level, last = top, place
    for place in sorted(set(np.flatnonzero(allowed).tolist()) - set(found)):
        if found and (low[place] > level or (low[place] == level and not free_ties and place < last)):
            return f"position {place} should have been chosen"
    return ""


def loosened(wants: Mapping[str, Expected]) -> dict[str, Expected]:
    """Return the same outputs where any value will do: their shapes and dtypes."""
    return {n: Expected(w.array, "bound", np.full(w.array.shape, np.inf), w.dtype_name) for n, w in wants.items()}
