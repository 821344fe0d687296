"""Routing on a scale at which narrow integers overflow: ids, queues and rows above 2**15 and 2**16, judged at some points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.expect import analysed, output_dtype
from einspec.answers.rules import Expected
from einspec.calls.blocks import combinations
from einspec.calls.cases import batch_axes
from einspec.calls.close import compares
from einspec.calls.hashed import queues
from einspec.calls.inputs import filled
from einspec.calls.routes import routes
from einspec.calls.space import Case, Space, make_case, spaces
from einspec.card import Op
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.trial import Trial
from einspec.dtypes import numpy_dtype
from einspec.language.formula import Bracket, walk
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.points import Points
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
SIZES = (70_000, 40_000)
"""Above 2**16 and above 2**15."""
LONG_ROWS, ROW_EDGES = (2**16 + 1, 2**15 + 1), (256, 1024, 4096, 2**15, 2**16)
"""How many rows a call has whose results round, and around which of them it is compared."""
POINTS = 48
"""How many coordinates of an output are looked at, besides those at which narrow integers end."""
ENDS = (2**7, 2**8, 2**15, 2**16)
"""Where narrow integers, signed or not, end."""
MOST_ELEMENTS, MOST_ROWS = 600_000, 16
MOST_LONG = 600_000
"""How many elements of work a call with so many rows is: looping over them is slow."""
MOST_PAIRS = 3.2e7
"""Up to how many pairs of candidates, times terms, a selection is evaluated as it is defined."""
TERMS = 3e7
"""How many terms are looked at for one output."""


def past_16_bits(op: Op, compiled: bool = False) -> list[Trial]:
    """Return calls on indices with one axis above 2**15 or 2**16, compared with the definition at some coordinates.

    Args:
        op: the op.
        compiled: whether each call is compiled: a loop over a parameter is unrolled then, so that none which only moves a
            window or cuts blocks is huge.
    """
    found: list[Trial] = []
    for space in spaces(op, most_rank=1, sizes=(1, 2, 3)):
        form = space.form
        exact = form.kind is OpClass.SELECTION or traits_of(form).multilinear
        gathers = form.kind in EXACT and any(isinstance(n, Bracket) for e in form.equations for n in walk(e))
        if (exact and form.values) or (gathers and 0 not in space.ranks.values()):
            fixed = _given(space) if compiled and not form.values else frozenset()
            short = 1 if form.values or not gathers else 0  # of two indices one may point far, and the other near
            found += [t for case in _grown(space, short, fixed) for t in _at_points(case)]
        elif any(not mask and not compares(form, source) for source, mask in form.selects.values()):
            found += [_selection(case) for case in _grown(space) if _rows(case) <= MOST_ROWS]
    return found


def past_15_bits(op: Op) -> list[Trial]:
    """Return calls of forms that round with more rows than 2**15, or 2**16.

    They are compared at rows where each is as if it were alone; else whole, where few terms make up an output.
    """
    found: list[Trial] = []
    for space in spaces(op, most_rank=1, sizes=(1, 2)):
        long = any(isinstance(n, Bracket) for e in space.form.equations for n in walk(e))  # others are long in any case
        form, few = space.form, _choices(space)
        rounds = form.kind is OpClass.NONLINEAR or (form.kind is OpClass.LINEAR and not traits_of(form).multilinear)
        if not rounds or not long or 0 in space.ranks.values():
            continue
        alone = batch_axes(space.form, space.ranks, everywhere=False)
        for names in (space.variables[i] for i in space.axes):
            case = None if few & set(names) else _with_rows(space, names)
            if case is not None and names[0] in alone:
                found += at_rows(case, filled(case, "float32", "gauss", 3), names[0])
            elif case is not None and combinations(case) <= MOST_LONG:
                sums = traits_of(case.form).sums
                found.append(plain_trial(case, spikes(case) if sums else filled(case, "float32", "gauss", 3)))
    return found


def _with_rows(space: Space, axis: tuple[str, ...]) -> Case | None:
    """Return a call with so many rows, the other axes 2 where that is little enough, else 1."""
    for which, rows in itertools.product((-1, 0), LONG_ROWS):
        values = [
            c[which] if not n[0].startswith("=") else c[-1] for n, c in zip(space.variables, space.candidates, strict=True)
        ]
        values = [rows if n == axis else v for n, v in zip(space.variables, values, strict=True)]
        case = space.case(values)
        if case is not None and case.work <= MOST_LONG:
            return case
    return None


def spikes(case: Case) -> dict[str, Array]:
    """Return small numbers at the ends of the longest axis of an input and beside where narrow integers end, and nothing else.

    A sum of very many terms may round as much as a few of them are.
    """
    found = filled(case, "float32", "small", 2, known=routes(case, "mixed"))
    lead = found[case.form.lead]
    along = int(np.argmax(lead.shape))
    lines, size = np.moveaxis(lead, along, 0), lead.shape[along]
    rest = np.ones(size, bool)
    rest[[n for edge in (0, *ENDS, size) for n in (edge - 1, edge, edge + 1) if 0 <= n < size]] = False
    lines[rest] = 0
    lines[~rest] += 4  # none of them is 0
    return found


def at_rows(case: Case, arrays: Mapping[str, Array], axis: str) -> Iterator[Trial]:
    """Yield a call with what its outputs hold in some rows of an axis along which calls are independent."""
    size = case.solution.size(axis)
    rows = np.unique(np.clip([*range(4), *(n + s for n in ROW_EDGES for s in (-1, 0, 1)), size - 2, size - 1], 0, size - 1))
    own = dict(arrays)
    for spec in case.form.signature.inputs:
        axes = spec.axes(case.solution.ranks)
        own[spec.name] = np.take(arrays[spec.name], rows, axes.index((axis,))) if (axis,) in axes else arrays[spec.name]
    part = make_case(case.op, case.params, [a.shape for a in own.values()])
    if part is None:
        return
    small = plain_trial(part, own)
    if small.relation is not None:
        return
    wants = {}
    for spec in case.form.signature.outputs:
        want, place = small.expected[spec.name], spec.axes(case.solution.ranks).index((axis,))
        at = np.indices(want.array.shape).reshape(want.array.ndim, -1).T.copy()
        at[:, place] = rows[at[:, place]]
        bound = None if want.bound is None else np.broadcast_to(want.bound, want.array.shape).reshape(-1)
        wants[spec.name] = replace(want, array=want.array.reshape(-1), bound=bound, at=at, shape=case.solution.shape(spec))
    yield Trial(case, arrays, wants, how=f"compared at {len(rows)} rows")


def _rows(case: Case) -> int:
    """Return how many selections a call makes."""
    name = next(iter(case.form.selects))
    return math.prod(case.solution.shape(next(s for s in case.form.signature.outputs if s.name == name))[:-1])


def _given(space: Space) -> frozenset[str]:
    """Return the variables that parameters give."""
    params = space.op.card.params.items()
    return frozenset(t if param.size else f"={t}" for name, param in params for t in param.targets(name))


def _grown(space: Space, short: int = 1, fixed: Set[str] = frozenset()) -> Iterator[Case]:
    """Yield calls in which one variable after the other is huge and the others are as small as tells.

    Never two: right code may hold an element for each pair of a token and an expert.

    Args:
        space: the calls.
        short: which of their sizes the other axes have.
        fixed: variables that are not made huge.
    """
    few = _choices(space) | fixed
    for i, names in enumerate(space.variables):
        for size in SIZES if not few & set(names) else ():
            values = [
                c[min(short, len(c) - 1)] if not n[0].startswith("=") else c[0]
                for n, c in zip(space.variables, space.candidates, strict=True)
            ]
            if names[0].startswith("=") and not isinstance(values[i], int):
                continue
            values[i] = size
            case = space.case(values)
            outputs = sum(math.prod(case.solution.shape(s)) for s in case.form.signature.outputs) if case else 0
            if case is not None and case.elements + outputs <= MOST_ELEMENTS:
                yield case
                break


def _choices(space: Space) -> set[str]:
    """Return the axes of the choices of a token: nobody makes 70,000."""
    ids = [name for name, (kind, _) in space.form.values.items() if kind in ("id", "place")]
    indices = [s for s in space.form.signature.inputs if s.name in ids and len(s.index) == 2]
    return {a for s in indices for a in s.axes(space.ranks)[-1]}


def _at_points(case: Case) -> Iterator[Trial]:
    """Yield the call with what its outputs must hold at some coordinates; not those for which even that is too much work."""
    rng = np.random.default_rng(3)
    arrays = _far(case, filled(case, "float32", "small", 3), rng)
    wants = {}
    for spec in case.form.signature.outputs:
        shape, dtype = case.solution.shape(spec), output_dtype(case, spec.name, arrays)
        if not shape or 0 in shape or dtype == "int":
            return
        points = _coordinates(shape, arrays, rng)
        try:
            values = Points(case.solution, arrays, TERMS).at(spec.name, points)
        except OverflowError:
            points, values = points[:0], np.zeros(0)
        wants[spec.name] = Expected(np.asarray(values).astype(numpy_dtype(dtype)), "values", at=points, shape=shape)
    if any(len(w.array) for w in wants.values()):
        yield Trial(case, arrays, wants, how=f"compared at {max(len(w.array) for w in wants.values())} coordinates")


def _far(case: Case, arrays: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Return the inputs with some ids and rows near the last, and slots for late tokens: by chance few of either come."""
    found = dict(arrays)
    for name, (kind, term) in case.form.values.items():
        bound = term.value(case.solution.sizes, case.solution.values)
        if kind in ("id", "place", "row", "route") and bound >= min(SIZES):
            own = found[name].reshape(-1)[::2]
            own[: bound // 32] = bound - 1 - rng.permutation(bound // 32)[: len(own)]
        elif kind == "row" and bound < found[name].size:
            own, places = found[name].reshape(-1), rng.permutation(bound)
            own[:] = -1
            own[: bound // 2], own[bound // 2 - bound :] = places[: bound // 2], places[bound // 2 :]
        elif kind == "slot" and "index" in found and found["index"].shape == found[name].shape and bound < found[name].size:
            found[name] = queues(found["index"]).astype(found[name].dtype)
    return found


def _coordinates(shape: tuple[int, ...], arrays: Mapping[str, Array], rng: np.random.Generator) -> Array:
    """Return coordinates of an output: anywhere, at its far end, where indices point to, and would in fewer bits."""
    points = np.stack([rng.integers(0, n, POINTS) for n in shape], axis=1)
    points[:8] = np.array(shape) - 1 - np.minimum(rng.integers(0, 3, (8, len(shape))), np.array(shape) - 1)
    points[0] = np.array(shape) - 1
    pointed = [v[(v >= 0) & (v < shape[0])] for v in arrays.values() if v.dtype.kind in "iu"]
    known = np.concatenate(pointed) if pointed else np.zeros(0, int)
    if known.size:
        points[8:32, 0] = rng.choice(known, 24)
        narrow = np.concatenate([known + shift for shift in (-(2**16), -(2**8), 2**8, 2**16)])
        narrow = narrow[(narrow >= 0) & (narrow < shape[0])]
        points[32:, 0] = rng.choice(narrow, POINTS - 32) if narrow.size else points[32:, 0]
    return np.concatenate([points, *_at_bits(shape, rng)])


def _at_bits(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Array]:
    """Yield coordinates of an output just before and behind where narrow integers end, axis by axis."""
    for axis, size in enumerate(shape):
        edges = [n + step for n in ENDS[2:] for step in (-1, 0, 1) if n < size and n + step < size]
        points = np.stack([rng.integers(0, n, len(edges)) for n in shape], axis=1)
        points[:, axis] = edges
        yield points


def _selection(case: Case) -> Trial:
    """Return a call of a selection from very many values, of which each row must be a right one."""
    arrays, lead = filled(case, "float32", "gauss", 3), case.form.lead
    arrays[lead] = np.round(arrays[lead] / 3) + 0  # so that equal values are among the largest, and no zero is negative
    long = np.moveaxis(arrays[lead], int(np.argmax(arrays[lead].shape)), -1)
    far = long[..., -long.shape[-1] // 32 :]
    far[:1], far[1:] = far[:1] + 10, far[1:] - 10  # so that far positions are chosen, in one row at least
    return descends(case, arrays)


def close_trial(case: Case, arrays: Mapping[str, Array]) -> Trial:
    """Return a call of a selection: the whole of it, or its order alone where comparing each with each is too much."""
    pairs = max(map(max, case.shapes)) ** 2 * traits_of(case.form).nodes
    ordered = all(not mask and not compares(case.form, source) for source, mask in case.form.selects.values())
    return descends(case, arrays) if ordered and pairs > MOST_PAIRS else plain_trial(case, arrays)


def descends(case: Case, arrays: Mapping[str, Array]) -> Trial:
    """Return a call of which each row must be a descending selection."""
    name, (source, _) = next(iter(case.form.selects.items()))
    scores = analysed(case, arrays, last=source)[source]

    first = np.argsort(-scores.array, axis=-1, kind="stable")
    wants = {}
    for spec in case.form.signature.outputs:
        array = np.zeros(case.solution.shape(spec), numpy_dtype(output_dtype(case, spec.name, arrays)))
        if spec.name == name:
            count = min(first.shape[-1], array.shape[-1])
            array[..., :count], array[..., count:] = first[..., :count], -1
        unknown = spec.name != name
        wants[spec.name] = Expected(array, "bound", np.full(array.shape, np.inf)) if unknown else Expected(array)
    return Trial(case, arrays, wants, how="each row must be a descending selection", relation=("descends", name))
