"""Calls with many tokens at once: independent rows that tie or hold special values, and tokens that compete for experts."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from einspec.calls.cases import TRIES, batch_axis, coordinates, sizes_of
from einspec.calls.inputs import filled
from einspec.calls.space import Case, Space, spaces
from einspec.card import Form, Op
from einspec.language.formula import Bracket, Read, base, walk
from einspec.language.linear import OpClass

Array = np.ndarray[Any, Any]
WIDE, WIDE_LIMIT, WIDE_LEAST = 64, 48, 6
"""How many independent inputs a wide call has, how many such calls there are of an op, and of each of many forms at least."""
TOKENS, CROWD, BESIDE, CROWD_WORK = (7, 13), (4, 6), (1, 2, 3), 5_200
"""The sizes of the first axis of a crowded call, of others whose coordinates are compared, and of the rest; and how many terms
are looked at for every choice of numbers.
"""
DECIDING, BY_TOKENS = ("coarse", "twins", "special", "small"), ("mild", "fading")
"""The values of the inputs that decide who goes where in a crowded call, in turn: twins are ``small``, see :func:`_twins`; then
those of :func:`_by_tokens`, where all tokens share some.
"""
MILD = 8
"""By how much what all tokens share is divided in a mild call, so that each token decides for itself."""


@functools.lru_cache(maxsize=256)
def wide(op: Op) -> tuple[Case, ...]:
    """Return calls on many independent inputs at once, with other sizes and numbers of the scope: the largest of a sample."""
    found: dict[str, Case] = {}
    all_spaces = spaces(op, most_rank=1, sizes=sizes_of(op))
    for space in all_spaces:
        axis = batch_axis(space.form, space.ranks)
        place = next((i for i, names in enumerate(space.variables) if names == (axis,)), None)
        if place is None or 0 in space.ranks.values():
            continue
        numbers = random.Random(op.name).sample(range(space.count), min(space.count, TRIES * WIDE_LIMIT))
        grown = (_replaced(space.assignment(number), place, WIDE) for number in numbers)
        legal = (case for values in grown if (case := space.case(values)) is not None and not case.empty)
        own = {str(case): case for case in legal}
        largest = sorted(own.items(), key=lambda item: -item[1].elements)
        found |= dict(largest[: max(WIDE_LEAST, WIDE_LIMIT // len(all_spaces))])
    return tuple(sorted(found.values(), key=lambda c: (c.elements, str(c))))


def _replaced(values: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*values[:place], value, *values[place + 1 :])


def crowded(op: Op, subnormals: bool) -> Iterator[tuple[Case, dict[str, Array]]]:
    """Yield calls in which tokens compete, of forms whose results round and whose inputs are not independent, smallest first.

    Every choice of numbers comes with every kind of values of the inputs that decide, special ones in one of them. The other
    inputs are ordinary numbers, so that it shows in the results who was chosen.
    """
    for i, (case, stratum) in enumerate((*_crowded(op, DECIDING), *_crowded(op, BY_TOKENS))):
        ordinary = filled(case, "float32", "gauss", i)
        deciding = [name for name in case.form.data if name in _deciding(case.form)]
        own = deciding if stratum != "special" else [deciding[i % len(deciding)]]
        beside = {name: ordinary[name] for name in case.form.data if name not in own}
        kind = "small" if stratum in ("twins", "mild") else stratum
        arrays = filled(case, "float32", kind, i, subnormals, known=beside)
        decide = {name: arrays[name] for name in own}
        if stratum == "twins":
            decide = _twins(case, decide, i)
        elif stratum in ("mild", "fading"):
            if not (shared := _shared(case, own)):
                continue
            decide = _by_tokens(case, decide, shared, stratum, i)
        yield case, arrays | decide


def _shared(case: Case, names: Sequence[str]) -> list[str]:
    """Return those of some inputs that all tokens share."""
    first = case.form.signature.inputs[0].axes(case.solution.ranks)[0]
    return [s.name for s in case.form.signature.inputs if s.name in names and first not in s.axes(case.solution.ranks)]


def _by_tokens(case: Case, arrays: dict[str, Array], shared: Sequence[str], stratum: str, seed: int) -> dict[str, Array]:
    """Return inputs of which those that all tokens share decide little: an eighth of small numbers, or numbers just below 1.

    The former leave sigmoids and what is added to them alike in size, the latter keep sums of fading numbers far below 0.
    """
    if stratum == "mild":
        return arrays | {name: arrays[name] / np.float32(MILD) for name in shared}
    level = filled(case, "float32", "level", seed)
    return arrays | {name: level[name] for name in shared}


def _twins(case: Case, arrays: dict[str, Array], seed: int) -> dict[str, Array]:
    """Return inputs that are the same at several coordinates of the axes that are compared, so that everything ties.

    The second half of an axis repeats the first, or every other coordinate the one before it, or some repeat others.
    """
    found, rng = dict(arrays), np.random.default_rng(seed)
    for axis in sorted(_compared_axes(case.form)):
        size = case.solution.sizes.get(axis, 0)
        place = np.arange(size)
        same = (place % max(1, -(-size // 2)), place // 2 * 2, rng.integers(0, max(1, size), size))[rng.integers(3)]
        for spec in case.form.signature.inputs:
            if spec.name in found and (axis,) in (dims := spec.axes(case.solution.ranks)):
                found[spec.name] = np.take(found[spec.name], same, dims.index((axis,)))
    return found


@functools.lru_cache(maxsize=256)
def _crowded(op: Op, kinds: tuple[str, ...]) -> tuple[tuple[Case, str], ...]:
    """Return the calls and kinds of values; axes whose coordinates are compared are large unless a parameter is their size."""
    found: dict[tuple[str, str], tuple[Case, str]] = {}
    for space in spaces(op, most_rank=1, sizes=sorted({*TOKENS, *CROWD, *BESIDE})):
        form = space.form
        if form.kind is not OpClass.NONLINEAR or batch_axis(form, space.ranks) is not None or not _competing(form):
            continue
        told = {t for name, param in op.card.params.items() if param.size for t in param.targets(name)}
        large = _compared_axes(form) - told
        first = form.signature.inputs[0].axes(space.ranks)[0][0]
        numbered = [names[0].startswith("=") for names in space.variables]
        numbers = list(itertools.product(*(c for c, number in zip(space.candidates, numbered, strict=True) if number)))
        rng = random.Random(op.name)
        rounds = CROWD_WORK // sum(1 for e in form.equations for _ in walk(e.body))
        for turn, chosen in itertools.product(range(rounds), numbers):
            case = space.case(list(_sized(space, iter(chosen), large, first, rng)))
            stratum = kinds[turn % len(kinds)]
            if case is not None and not case.empty:
                found[str(case), stratum] = case, stratum
    return tuple(sorted(found.values(), key=lambda pair: (pair[0].elements, str(pair[0]), pair[1])))


def _competing(form: Form) -> bool:
    """Whether values decide in a definition which others count: a comparison reads them."""
    return len(form.data) == len(form.signature.inputs) and any(_compared(form))


def _compared(form: Form) -> Iterator[str]:
    """Yield the tensors that comparisons read."""
    brackets = (n for e in form.equations for n in walk(e.body) if isinstance(n, Bracket))
    yield from (n.tensor for b in brackets for n in walk(b) if isinstance(n, Read))


def _compared_axes(form: Form) -> set[str]:
    """Return the axes whose coordinates a definition computes with."""
    return {base(a) for e in form.equations for a in coordinates(e.body)}


@functools.lru_cache(maxsize=256)
def _deciding(form: Form) -> frozenset[str]:
    """Return the tensors on which a comparison depends."""
    found = set(_compared(form))
    for equation in reversed(form.equations):
        if equation.tensor in found:
            found |= {n.tensor for n in walk(equation.body) if isinstance(n, Read)}
    return frozenset(found)


def _sized(space: Space, numbers: Iterator[Any], large: set[str], first: str, rng: random.Random) -> Iterator[Any]:
    """Yield the values of an assignment: numbers that are given, and a size drawn for every axis."""
    for names, candidates in zip(space.variables, space.candidates, strict=True):
        if names[0].startswith("="):
            yield next(numbers)
            continue
        wanted: Sequence[int] = BESIDE if not large & set(names) else TOKENS if first in names else CROWD
        yield rng.choice([c for c in candidates if c in wanted] or list(candidates))
