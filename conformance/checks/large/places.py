"""Where a result that is too large to be compared as a whole is looked at: wherever offsets and indices go wrong first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.calls.hashed import Hashed
from einspec.calls.space import Case
from einspec.conformance.checks.large import sized
from einspec.language.formula import Axis, Read
from einspec.language.linear import EXACT
from einspec.semantics.points import Points, joined, split
from einspec.solve import TensorSpec, expand

Array = np.ndarray[Any, Any]
POINTS = 64
"""How many coordinates are random."""
BORDER = 2**20
"""How many elements the blocks have at whose borders an output is compared."""
STARTS, ROUNDS, NEAREST = 256, 12, 4
"""From how many coordinates, how often and from how many of the best those that read a certain place are searched for."""
MULTIPLES = 8
"""Around how many multiples of the number of elements that a signed 32-bit offset can tell apart."""


def rows_of(case: Case, axis: str) -> Array:
    """Return coordinates of an axis: its ends, those at which the offset in a tensor crosses, and some between."""
    size, rng = case.solution.size(axis), np.random.default_rng(7)
    found: list[Any] = [0, 1, size - 2, size - 1]
    for spec in (*case.form.signature.inputs, *case.form.signature.outputs):
        shape, place = case.solution.shape(spec), dimension(case, spec, axis)
        if place is not None:
            found += [np.unravel_index(flat, shape)[place] for flat in _crossings(math.prod(shape))]
    found += rng.integers(0, size, max(0, POINTS - len(found))).tolist()
    return np.unique(np.clip(np.array(found, np.int64), 0, size - 1))


def dimension(case: Case, spec: TensorSpec, axis: str) -> int | None:
    """Return the dimension of a tensor that an axis is, None where it has none."""
    dims = expand(spec.index, case.solution.ranks)
    return next((i for i, d in enumerate(dims) if d == Axis(axis)), None)


def _crossings(count: int) -> list[int]:
    """Return the places around which an offset outgrows 32 bits, signed or not, and the ends."""
    near = [m * sized.MANY + step for m in range(1, min(count // sized.MANY, MULTIPLES) + 1) for step in (-1, 0, 1)]
    return [n for n in (0, count - 1, *near) if 0 <= n < count]


def coordinates(case: Case, spec: TensorSpec, inputs: Mapping[str, Any], rng: np.random.Generator) -> Array:
    """Return coordinates of an output, the more telling ones first.

    In turns these and any: its ends, those around which an offset in the output or in an input outgrows 32 bits, the borders of
    blocks. Of the others half are those that indices at random places, or at the ends, point to.
    """
    shape = case.solution.shape(spec)
    if not shape:
        return np.zeros((1, 0), np.int64)
    total = math.prod(shape)
    borders = rng.integers(0, total // BORDER + 1, 4) * BORDER
    flat = np.clip([*_crossings(total), *borders, *(borders - 1)], 0, total - 1)
    telling = np.concatenate([np.stack(np.unravel_index(flat, shape), axis=1), _read_around(case, spec, inputs, rng)])
    free = np.stack([rng.integers(0, n, POINTS) for n in shape], axis=1)
    free[::2] = _pointed(case, spec, inputs, free[::2], rng)
    both = min(len(telling), len(free))
    turns = np.stack([telling[:both], free[:both]], axis=1).reshape(2 * both, len(shape))
    found = np.concatenate([turns, telling[both:], free[both:]])
    once = np.unique(found, axis=0, return_index=True)[1]
    return found[np.sort(once)][: 2 * POINTS]


def _pointed(case: Case, spec: TensorSpec, inputs: Mapping[str, Any], points: Array, rng: np.random.Generator) -> Array:
    """Return points moved to where the indices at random places point to."""
    points, places, ranks = points.copy(), dict[str, Array](), case.solution.ranks
    for source in case.form.signature.inputs:
        kind, bound = case.form.values.get(source.name, ("", None))
        if kind not in ("id", "place", "slot", "row") or bound is None:
            continue
        axes = [a for names in source.axes(ranks) for a in names]
        for axis in axes:
            size = case.solution.size(axis)
            places.setdefault(axis, np.where(rng.random(len(points)) < 0.5, rng.integers(0, size, len(points)), size - 1))
        values = inputs[source.name][tuple(np.clip(places[a], 0, case.solution.size(a) - 1) for a in axes)]
        if len(bound.needs) == 1:
            places[next(iter(bound.needs))] = values.astype(np.int64)
    for i, names in enumerate(spec.axes(ranks)):
        if len(names) == 1 and names[0] in places:
            fits = (places[names[0]] >= 0) & (places[names[0]] < case.solution.size(names[0]))
            points[fits, i] = places[names[0]][fits]
    return points


def _read_around(case: Case, spec: TensorSpec, inputs: Mapping[str, Any], rng: np.random.Generator) -> Array:
    """Return coordinates that read an input where its offset outgrows 32 bits and at its ends, or as near as can be found."""
    dimensions = len(case.solution.shape(spec))
    source = max(case.form.data, key=lambda n: int(inputs[n].size), default="")
    if case.form.kind not in EXACT or not isinstance(inputs.get(source), Hashed):
        return np.zeros((0, dimensions), np.int64)
    wanted, body = _crossings(inputs[source].size), case.form.equation(spec.name).body
    if isinstance(body, Read):
        return _readers(case, spec, body, np.unravel_index(np.array(wanted), inputs[source].shape))
    ramps = {**inputs, source: replace(inputs[source], ramp=True)}
    definition = Points(case.solution, ramps, math.inf)
    return np.concatenate([_nearest(definition, spec.name, case.solution.shape(spec), w, rng) for w in wanted])


def _readers(case: Case, spec: TensorSpec, read: Read, coordinates: tuple[Array, ...]) -> Array:
    """Return where an output that is a plain read has these elements of the input; first along axes that the input lacks."""
    ranks, count = case.solution.ranks, len(coordinates[0])
    known = split(case.solution, expand(read.index, ranks), coordinates)
    own = spec.axes(ranks)
    axes = {a: known.get(a, np.zeros(count, np.int64)) for names in own for a in names}
    return np.stack([joined(case.solution, names, axes, count) for names in own], axis=1)


def _nearest(definition: Points, output: str, shape: tuple[int, ...], wanted: int, rng: np.random.Generator) -> Array:
    """Return the coordinates, of those that a search comes to, that read the input nearest to a place."""
    steps = np.array([s << k for k in range(32) for s in (1, -1)], np.int64)
    points = near = np.stack([rng.integers(0, n, STARTS) for n in shape], axis=1)
    for _ in range(ROUNDS):
        off = np.abs(definition.at(output, points) - 1.0 - wanted)
        near = points[np.argsort(off, kind="stable")[:NEAREST]]
        if off.min() == 0:
            break
        moved = [near]
        for i, n in enumerate(shape):
            more = np.repeat(near, len(steps), axis=0)
            more[:, i] += np.tile(steps, len(near))
            moved.append(more[(more[:, i] >= 0) & (more[:, i] < n)])
        points = np.concatenate(moved)
    return near[:1]
