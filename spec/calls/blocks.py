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
from einspec.language.formula import Reduce, axes_of, base, walk
from einspec.semantics.traits import traits_of
from einspec.solve import expand

BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)
"""How many elements along an axis kernels take together."""
EDGES = (*(block + step for block in BLOCKS for step in (-1, 0, 1)), 2 * BLOCKS[-1])
"""Where a block begins, ends, or is left out; and two of the largest."""
BESIDE = ((2, 3, 1, 2), (1, 1, 2, 1), (3, 2, 2, 3), (1, 1, 1, 1))
"""How long the other axes are, in turn; nothing but 1 where that is too much work."""
ALONE = ((1,) * 4,)
"""The others where all elements together are to be as many as one axis is long, and axes that are merged too."""
WINDOWS = ((1, 1, 2, 2), *ALONE)
"""The same for an op that takes numbers alone: in windows of 1 nothing differs."""
SQUARES = (8, 16, 32, 33, 64)
"""What two axes have at once: full blocks, and one with a rest."""
MOST_WORK, MOST_TERMS = 20_000, 400_000
"""How many elements a call has at most, and how many combinations of coordinates."""
BOUNDED_TERMS = 5_000_000
"""And how many where one axis bounds another, so that both are long: few calls are so."""
FEW = ((1, -1), (1, 1), (2, 0))
"""How many blocks, and how many more, a form gets which is not the first, or whose definition is long, for each axis, and one
of the other sizes: behind every block there is a tail, of all but one, of one, or none."""
MOST_TENSORS = 64
"""How many tensors a list has at most in what follows: each of them is made one by one."""
MOST_PAIRS = 2_000_000
"""How many combinations of coordinates such a call has at most, those of one axis with itself among them."""
LARGE, LARGE_WORK = 4099, 60_000
"""From how many elements on an output is large to kernels that choose by it, a prime, and how many such a call has at most."""


@functools.lru_cache(maxsize=256)
def blocks(op: Op) -> tuple[Case, ...]:
    """Return calls of every form with each axis at the edges of blocks, and any two at full blocks at once, smallest first."""
    found: dict[str, Case] = {}
    for number, space in enumerate(full_spaces(op)):
        few = number > 0 or traits_of(space.form).nodes > LONG
        for case in itertools.chain(_edges(space, number if few else None), () if number else _squares(space)):
            found[str(case)] = case
    return tuple(sorted(found.values(), key=lambda c: (c.elements, str(c))))


@functools.lru_cache(maxsize=256)
def large_outputs(op: Op) -> tuple[Case, ...]:
    """Return a call of every form with an output of so many elements, as few beside as may be."""
    found = []
    for space in full_spaces(op):
        cases = (first_legal(space, {axis: LARGE}, 0, most_work=LARGE_WORK, pairs=MOST_PAIRS) for axis in space.axes)
        large = [case for case in cases if case is not None and case.made >= LARGE and tensors(case) <= MOST_TENSORS]
        found += sorted(large, key=lambda c: (c.work, str(c)))[:1]
    return tuple(found)


def _edges(space: Space, number: int | None) -> Iterator[Case]:
    """Yield a call for each axis and size; only some of them, and others than of other forms, for a form of a number."""
    merged = {*space.axes[:1], *_merged(space)}
    for place, axis in enumerate(space.axes):
        if number is not None:
            yield from _few(space, axis, EDGES[(number + place) % len(EDGES)])
            continue
        for turn, size in enumerate(EDGES):
            case = first_legal(space, {axis: size}, turn) or _bounded(space, axis, size)
            if case is not None:
                yield case
            others = ALONE if space.form.signature.inputs else WINDOWS
            alone = first_legal(space, {axis: size}, 0, others) if axis in merged else None
            if alone is not None:
                yield alone


def _few(space: Space, axis: int, besides: int) -> Iterator[Case]:
    """Yield a call for each of few sizes of an axis, made of the greatest block that is not too much."""
    sizes = [[count * block + more for block in reversed(BLOCKS)] for count, more in FEW]
    for turn, lengths in enumerate((*sizes, [besides])):
        for length in lengths:
            case = first_legal(space, {axis: length}, turn, pairs=MOST_PAIRS) or _bounded(space, axis, length)
            if case is not None and combinations(case) <= MOST_PAIRS:
                yield case
                break


def tensors(case: Case) -> int:
    """Return how many tensors the longest list of a call has."""
    signature = case.form.signature
    given = [shape[0] for spec, shape in zip(signature.inputs, case.shapes, strict=True) if spec.listed]
    return max([*given, *(case.solution.shape(spec)[0] for spec in signature.outputs if spec.listed)], default=0)


def combinations(case: Case) -> int:
    """Return how many combinations of coordinates the greatest equation of a call is evaluated at."""
    found, sizes = 1, case.solution.sizes
    for equation in case.form.equations:
        axes = {*axes_of(expand(equation.index, case.solution.ranks))}
        axes |= {a for node in walk(equation.body) if isinstance(node, Reduce) for a in node.axes}
        found = max(found, math.prod(sizes.get(base(a), 1) for a in axes))
    return found


def _squares(space: Space) -> Iterator[Case]:
    """Yield calls with two axes at full blocks or just past them, and with all at the least block."""
    for size in SQUARES:
        for one, other in itertools.combinations(space.axes, 2):
            case = first_legal(space, {one: size, other: size}, 1)
            if case is not None:
                yield case
    case = first_legal(space, dict.fromkeys(space.axes, BLOCKS[0]), 0)
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
    found = (first_legal(space, {axis: size, i: size}, 0, ALONE, BOUNDED_TERMS) for i in others)
    return next((case for case in found if case is not None), None)


def first_legal(
    space: Space,
    fixed: dict[int, int],
    turn: int,
    others: Sequence[tuple[int, ...]] = BESIDE,
    most: float = MOST_TERMS,
    most_work: int = MOST_WORK,
    pairs: float = math.inf,
) -> Case | None:
    """Return a call with these sizes, the others short; None where the card allows none, or it is too much work."""
    for beside in (*others[turn % 3 :], *others[: turn % 3]):
        for numbers in _numbers(space):
            values = [fixed.get(i, max(beside[i % 4], space.least[i])) if i in space.axes else n for i, n in enumerate(numbers)]
            if any(values[i] < space.least[i] for i in fixed) or math.prod(values[i] for i in space.axes) > most:
                continue
            case = space.case(values, 0)
            if case is None or case.empty or case.work > most_work:
                continue
            if pairs == math.inf or combinations(case) <= pairs:
                return case
    return None


def _numbers(space: Space) -> Iterator[Sequence[Any]]:
    """Yield a value for each variable, of which those of numbers matter: the usual ones, then the first and the last tried.

    Of an op that takes numbers alone the usual ones come last: with no shift a mask is all the same.
    """
    usual = usual_numbers(space)
    found = [[usual.get(i, own[which] if own else 1) for i, own in enumerate(space.candidates)] for which in (0, -1)]
    if not space.form.signature.inputs:
        found.insert(0, [own[:2][-1] if own else 1 for own in space.candidates])
    yield from found
