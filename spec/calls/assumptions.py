"""What callers promise: whether the inputs of a call are as ``[assume]`` of its card says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from einspec.calls.space import Case

Array = np.ndarray[Any, Any]


def broken(case: Case, inputs: Mapping[str, Array]) -> str:
    """Return the first promise that a call breaks, by its name; nothing where it keeps them all."""
    for name, (kind, tensors) in case.form.assume.items():
        if not KEPT[kind](case, [inputs[t] for t in tensors], tensors):
            return name
    return ""


def _distinct_slots(case: Case, arrays: list[Array], names: tuple[str, ...]) -> bool:
    """Whether routes that have a slot have different ones; ids first, then places in the queue."""
    ids, places = (a.reshape(-1).astype(np.int64) for a in arrays)
    there = (ids >= 0) & (ids < _bound(case, names[0])) & (places >= 0) & (places < _bound(case, names[1]))
    pairs = np.stack([ids[there], places[there]])
    return bool(np.unique(pairs, axis=1).shape[1] == pairs.shape[1])


def _inside(case: Case, arrays: list[Array], names: tuple[str, ...]) -> bool:
    """Whether all numbers are positions."""
    places = arrays[0].astype(np.int64)
    return bool(((places >= 0) & (places < _bound(case, names[0]))).all())


def _inside_or_none(case: Case, arrays: list[Array], names: tuple[str, ...]) -> bool:
    """Whether all numbers are positions, or -1."""
    places = arrays[0].astype(np.int64)
    return bool(((places >= -1) & (places < _bound(case, names[0]))).all())


def _fitting_mask(case: Case, arrays: list[Array], names: tuple[str, ...]) -> bool:
    """Whether as many rows as are true may be put there."""
    return int(np.count_nonzero(arrays[0])) <= _bound(case, names[0])


def _distinct_places(case: Case, arrays: list[Array], names: tuple[str, ...]) -> bool:
    """Whether the positions among the numbers differ along the axes that no output has."""
    order, lines, length = lines_of(case, names[0])
    places = np.sort(arrays[0].astype(np.int64).transpose(order).reshape(lines, length), axis=1)
    twice = (places[:, 1:] == places[:, :-1]) & (places[:, 1:] >= 0) & (places[:, 1:] < _bound(case, names[0]))
    return not twice.any()


def _fitting_counts(case: Case, arrays: list[Array], names: tuple[str, ...]) -> bool:
    """Whether no count is negative and their sum fits, along the last axis where there are several rows of counts."""
    counts = arrays[0].astype(np.int64)
    total = counts.sum(-1) if counts.ndim else counts
    return bool((counts >= 0).all() and (total <= _bound(case, names[0])).all())


def lines_of(case: Case, name: str) -> tuple[list[int], int, int]:
    """Return the dimensions of an input, those that no output has last, and how many lines these make of which length."""
    signature, ranks = case.form.signature, case.solution.ranks
    kept = {a for s in signature.outputs for axes in s.axes(ranks) for a in axes}
    (spec,) = (s for s in signature.inputs if s.name == name)
    own, shape = spec.axes(ranks), case.solution.shape(spec)
    order = sorted(range(len(own)), key=lambda i: not kept.issuperset(own[i]))
    sizes = [[n for axes, n in zip(own, shape, strict=True) if kept.issuperset(axes) == there] for there in (True, False)]
    return order, math.prod(sizes[0]), math.prod(sizes[1])


def _bound(case: Case, name: str) -> int:
    """Return the number that goes with what an input holds."""
    _, term = case.form.values[name]
    return int(term.value(case.solution.sizes, case.solution.values))


KEPT: dict[str, Callable[[Case, list[Array], tuple[str, ...]], bool]] = {
    "distinct_slots": _distinct_slots,
    "inside": _inside,
    "inside_or_none": _inside_or_none,
    "fitting_mask": _fitting_mask,
    "distinct_places": _distinct_places,
    "fitting_counts": _fitting_counts,
}
"""Whether the inputs of a call keep a promise, by its kind in ``einspec.language.tables.PROMISES``."""
