"""Calls whose sizes are those of the blocks of kernels, one less and one more: each axis alone, and two at once."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from einspec.calls.covering import LONG, full_spaces
from einspec.calls.space import Case, Space, usual_numbers
from einspec.card import Op
from einspec.semantics.traits import traits_of

BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)
"""How many elements along an axis kernels take together."""
EDGES = (*(block + step for block in BLOCKS for step in (-1, 0, 1)), 2 * BLOCKS[-1])
"""Where a block begins, ends, or is left out; and two of the largest."""
BESIDE = ((2, 3, 1, 2), (1, 1, 2, 1), (3, 2, 2, 3), (1, 1, 1, 1))
"""How long the other axes are, in turn; nothing but 1 where that is too much work."""
ALONE = ((1,) * 4,)
"""The others where all elements together are to be as many as one axis is long, and axes that are merged too."""
SQUARES = (8, 16, 32, 33, 64)
"""What two axes have at once: full blocks, and one with a rest."""
MOST_WORK, MOST_TERMS = 20_000, 400_000
"""How many elements a call has at most, and how many combinations of coordinates."""
BOUNDED_TERMS = 5_000_000
"""And how many where one axis bounds another, so that both are long: few calls are so."""
FEW = 4
"""How many of the sizes a form gets at least that is not the first, or whose definition is long, for each axis."""


@functools.lru_cache(maxsize=256)
def blocks(op: Op) -> tuple[Case, ...]:
    """Return calls of every form with each axis at the edges of blocks, and any two at full blocks at once, smallest first."""
    found: dict[str, Case] = {}
    for number, space in enumerate(full_spaces(op)):
        few = number > 0 or traits_of(space.form).nodes > LONG
        for case in itertools.chain(_edges(space, number if few else None), () if number else _squares(space)):
            found[str(case)] = case
    return tuple(sorted(found.values(), key=lambda c: (c.elements, str(c))))


def _edges(space: Space, number: int | None) -> Iterator[Case]:
    """Yield a call for each axis and size; only some of them, and others than of other forms, for a form of a number."""
    step = 1 if number is None else len(EDGES) // FEW
    merged = {*space.axes[:1], *_merged(space)}
    for place, axis in enumerate(space.axes):
        start = 0 if number is None else (number + place) % step
        for turn, size in enumerate(EDGES[start::step]):
            case = _first_legal(space, {axis: size}, turn) or _bounded(space, axis, size)
            if case is not None:
                yield case
            alone = _first_legal(space, {axis: size}, 0, ALONE) if number is None and axis in merged else None
            if alone is not None:
                yield alone


def _squares(space: Space) -> Iterator[Case]:
    """Yield calls with two axes at full blocks or just past them, and with all at the least block."""
    for size in SQUARES:
        for one, other in itertools.combinations(space.axes, 2):
            case = _first_legal(space, {one: size, other: size}, 1)
            if case is not None:
                yield case
    case = _first_legal(space, dict.fromkeys(space.axes, BLOCKS[0]), 0)
    if case is not None:
        yield case


def _merged(space: Space) -> Iterator[int]:
    """Yield the axes that are part of a dimension with others."""
    tensors = (*space.form.signature.inputs, *space.form.signature.outputs)
    parts = {a for spec in tensors for names in spec.axes(space.ranks) if len(names) > 1 for a in names}
    yield from (i for i in space.axes if parts & set(space.variables[i]))


def _bounded(space: Space, axis: int, size: int) -> Case | None:
    """Return a call in which another axis, which bounds one, is as long as this one is to be."""
    others = (i for i in space.axes if i != axis)
    found = (_first_legal(space, {axis: size, i: size}, 0, ALONE, BOUNDED_TERMS) for i in others)
    return next((case for case in found if case is not None), None)


def _first_legal(
    space: Space,
    fixed: dict[int, int],
    turn: int,
    others: Sequence[tuple[int, ...]] = BESIDE,
    most: int = MOST_TERMS,
) -> Case | None:
    """Return a call with these sizes, the others short; None where the card allows none, or it is too much work."""
    for beside in (*others[turn % 3 :], *others[: turn % 3]):
        for numbers in _numbers(space):
            values = [fixed.get(i, max(beside[i % 4], space.least[i])) if i in space.axes else n for i, n in enumerate(numbers)]
            if any(values[i] < space.least[i] for i in fixed) or math.prod(values[i] for i in space.axes) > most:
                continue
            case = space.case(values, 0)
            if case is not None and not case.empty and case.work <= MOST_WORK:
                return case
    return None


def _numbers(space: Space) -> Iterator[Sequence[Any]]:
    """Yield a value for each variable, of which those of numbers matter: the usual ones, then the first and the last tried."""
    usual = usual_numbers(space)
    for which in (0, -1):
        yield [usual.get(i, own[which] if own else 1) for i, own in enumerate(space.candidates)]
