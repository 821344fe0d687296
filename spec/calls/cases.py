"""The calls that an op is judged on: derived from its card, smallest first."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from einspec.calls.space import MOST_RANK, SCOPE, Case, Space, spaces, usual_numbers
from einspec.card import Form, Op
from einspec.language.formula import Axis, Bracket, Read, Reduce, Size, base, children, free_axes, walk
from einspec.semantics.oracle import open_rests
from einspec.solve import expand

SCOPE_LIMIT = 1024
"""How many size tuples of an op are tried where all of them would be more."""
PLAIN_TRIES = 40
"""How many sizes are tried with the usual numbers, before others are."""
TRIES = 8
"""How many assignments are looked at for each call of a sample: many are not allowed."""
BIG_WORK = 1_500_000
"""How many elements a big call has at most."""
VAST, MOST_VAST = 2**20 - 15, 2_200_000
"""How long the one axis of a vast call is, a prime next to 2**20, and how many elements it has at most."""
BROAD, BROAD_TRIES, TERMS = (48, 36, 28, 22, 17), 60, 1.5e7
"""How long the axes of a broad call are, the longest that will do; how many sizes are tried; how many places there are."""


@functools.lru_cache(maxsize=256)
def scope(op: Op, limit: int) -> tuple[tuple[Case, ...], int]:
    """Return the calls of the small scope, smallest first, and how many assignments of sizes and parameters there are.

    Every size up to 3, beside an empty axis up to 2: all of them where there are no more than the limit, else a fixed sample.
    """
    all_spaces = spaces(op, sizes=sizes_of(op))
    total = sum(s.count for s in all_spaces)
    cases: list[Case] = []
    for space in all_spaces:
        share = space.count if total <= limit else max(limit // len(all_spaces), 1)
        cases += itertools.islice(_legal(space, share), share)
    cases.sort(key=lambda c: (c.elements, sum(c.solution.sizes.values()), len(c.params), str(c)))
    return tuple(cases), total


def _legal(space: Space, share: int) -> Iterator[Case]:
    """Yield the calls of a space that a card allows: all of them, or those among a fixed sample of assignments.

    Args:
        space: the calls.
        share: how many are wanted: with more assignments they come in no order, so that the first are a sample.
    """
    numbers: Sequence[int] = range(space.count)
    if space.count > share:
        numbers = random.Random(space.op.name).sample(numbers, min(TRIES * share, space.count))
    for number in numbers:
        values = space.assignment(number)
        case = space.case(values, number) if _in_scope(space, values) else None
        if case is not None:
            yield case


def sizes_of(op: Op) -> tuple[int, ...]:
    """Return the sizes of the small scope: larger ones too where a number has to divide them, so that it can."""
    divided = any("%" in term.text for form in op.forms.values() for term in form.require.values())
    return (*range(SCOPE + 1), 4, 6) if divided else tuple(range(SCOPE + 1))


def _in_scope(space: Space, values: Sequence[Any]) -> bool:
    sizes = {values[i] for i in space.axes}
    return not (0 in sizes and max(sizes) >= SCOPE)


@functools.lru_cache(maxsize=256)
def bank(op: Op) -> tuple[Case, ...]:
    """Return a few calls whose axes have pairwise distinct sizes above 1, every form and rank among them.

    Wrong axis orders hide behind equal sizes and behind sizes of 1.
    """
    found: dict[str, Case] = {}
    rng = random.Random(op.name)
    for space in spaces(op, sizes=tuple(range(2, 9))):
        if any(rank == 0 for rank in space.ranks.values()) and len(space.ranks) == 1:
            continue
        wanted, own = 3 if len(spaces(op)) < 6 else 1, 0
        for attempt in range(200):
            if own == wanted:
                break
            case = _distinct(space, rng, attempt, usual=own == 0 and attempt < PLAIN_TRIES)
            if case is not None and not case.empty and str(case) not in found:
                found[str(case)] = case
                own += 1
    return tuple(sorted(found.values(), key=lambda c: (len(c.options), c.elements)))


def _distinct(space: Space, rng: random.Random, attempt: int, usual: bool = False) -> Case | None:
    """Return a call of a space with different sizes, with the usual numbers if asked for; None where the card forbids it."""
    axes = space.axes
    spread = 2 + len(axes) + attempt // 20
    sizes = rng.sample(range(2, max(spread, 2 + len(axes))), len(axes))
    if attempt == 0:
        sizes.sort()
    values = [rng.choice(c) if c else 2 for c in space.candidates]
    for i, size in zip(axes, sizes, strict=True):
        values[i] = max(size, space.least[i])
    if usual:
        known = usual_numbers(space)
        values = [known.get(i, v) for i, v in enumerate(values)]
    if attempt % 2 == 0:
        values = _without_tuples(space, values)
    return None if space.clashes(values) else space.case(values, attempt)


def _without_tuples(space: Space, values: list[Any]) -> list[Any]:
    """Return the assignment with one number for all targets of a parameter, the plainest way to call it."""
    values = list(values)
    places = {name: i for i, names in enumerate(space.variables) for name in names}
    for name, param in space.op.card.params.items():
        targets = [t if param.size else f"={t}" for t in param.targets(name)] if param.several else []
        found = [places[t] for t in targets if t in places]
        for i in found[1:]:
            values[i] = values[found[0]]
    return values


@functools.lru_cache(maxsize=256)
def telling(op: Op) -> tuple[Case, ...]:
    """Return calls on which guesses go wrong: two sizes whose product is a square, and one rank more than the scope has."""
    found: dict[str, Case] = {}
    for space in spaces(op, most_rank=1, sizes=(1, 2, 3, 4)):
        for one, four in itertools.permutations(space.axes, 2):
            values = _without_tuples(space, [_middle(space, i, 2, 0) for i in range(len(space.variables))])
            values[one], values[four] = max(1, space.least[one]), 4
            case = space.case(values)
            if case is not None and not case.empty:
                found[str(case)] = case
    rng = random.Random(op.name)
    for space in spaces(op, most_rank=MOST_RANK + 1, sizes=(2, 3, 4)):
        if MOST_RANK + 1 in space.ranks.values() and sum(space.ranks.values()) <= MOST_RANK + 2:
            case = next((c for i in range(20) if (c := _distinct(space, rng, i, usual=i == 0)) is not None), None)
            if case is not None:
                found[str(case)] = case
    return tuple(sorted(found.values(), key=lambda c: c.elements))


def big(op: Op) -> list[Case]:
    """Return calls in which index quantities cross 2**7, 2**8, 2**15 and 2**16, one axis after the other."""
    found: list[Case] = []
    for space in _richest(op):
        dense = any(isinstance(n, Bracket) for e in space.form.equations for n in walk(e))
        for i in space.axes:
            near = dense or len(space.variables[i]) > 1 or _listed(space, i)
            for others, which, long in itertools.product((2, 1), (-1, 0), (307, 300) if near else (65_539, 66_000)):
                values = [_middle(space, j, others, which) for j in range(len(space.variables))]
                values[i] = max(long, space.least[i])  # a prime, which leaves a rest, unless it has to be divided
                case = space.case(values, i)
                if case is not None and case.work < BIG_WORK:
                    found.append(case)
                    break
    return found


@functools.lru_cache(maxsize=256)
def broad(op: Op) -> tuple[Case, ...]:
    """Return a call of every form in which all axes are long at once, as far as there is work for: past every block."""
    found = {id(s.form): case for s in spaces(op) if all(r == 1 for r in s.ranks.values()) and (case := _broad(s)) is not None}
    return tuple(found.values())


def _broad(space: Space) -> Case | None:
    rng, axes = random.Random(space.op.name), space.axes
    for longest in BROAD:
        for attempt in range(BROAD_TRIES if axes else 0):
            values = [rng.choice(c) if attempt > BROAD_TRIES // 2 else _greatest(c) for c in space.candidates]
            for i, size in zip(axes, rng.sample(range(longest - 2 * len(axes), longest), len(axes)), strict=True):
                values[i] = max(size, space.least[i])
            case = space.case(values, 0)
            little = math.prod(values[i] for i in axes) < TERMS
            if little and case is not None and not case.empty and case.work < BIG_WORK and _compared(case) < TERMS:
                return case
    return None


def _compared(case: Case) -> int:
    """Return how many places the comparison has that has the most: it is made at all of them at once."""
    found = [free_axes(n) for e in case.form.equations for n in walk(e.body) if isinstance(n, Bracket)]
    return max((math.prod(map(case.solution.size, open_rests(case.solution, tuple(axes)))) for axes in found), default=0)


@functools.lru_cache(maxsize=256)
def vast(op: Op) -> tuple[Case, ...]:
    """Return a call of the first form with about 2**20 elements along one axis of a tensor: the first that may be so long."""
    for space in _richest(op):
        dense = any(isinstance(n, Bracket) for e in space.form.equations for n in walk(e))
        for i in space.axes if not dense else ():
            if _listed(space, i):
                continue
            values = [_middle(space, j, 1, 0) for j in range(len(space.variables))]
            values[i] = VAST
            case = space.case(values, 0)
            if case is not None and not case.empty and case.work < MOST_VAST:
                return (case,)
    return ()


def _greatest(candidates: Sequence[Any]) -> Any:
    """Return the greatest number of those that are to be tried; the last of what are not all numbers."""
    return max(candidates) if all(isinstance(c, int | float | Fraction) for c in candidates) else candidates[-1]


def _richest(op: Op) -> list[Space]:
    """Return the default form with one axis for every rest."""
    usual = op.bind(_dummy(op))[op.choice] if op.choice else ""
    default = op.forms[usual] if usual in op.forms else next(iter(op.forms.values()))
    return [s for s in spaces(op) if s.form is default and all(r == 1 for r in s.ranks.values())]


def _dummy(op: Op) -> dict[str, Any]:
    """Return some value for every required parameter, enough to select a form."""
    chosen = {n: p.choices[0] for n, p in op.card.params.items() if p.choices and p.required}
    least = {
        n: max(p.min if isinstance(p.min, int) else 1, 1) for n, p in op.card.params.items() if p.required and not p.choices
    }
    return {**least, **{n: (1,) for n, p in op.card.params.items() if p.sizes}, **chosen}


def _middle(space: Space, i: int, size: int, which: int) -> Any:
    """Return an ordinary value of a variable that does not grow: a size, or one of the numbers to be tried."""
    return max(size, space.least[i]) if i in space.axes else space.candidates[i][which]


def _listed(space: Space, i: int) -> bool:
    """Whether a variable is the length of a list of tensors."""
    tensors = (*space.form.signature.inputs, *space.form.signature.outputs)
    return any(s.listed and s.axes(space.ranks)[0] == space.variables[i] for s in tensors)


def coordinates(node: Any) -> Iterator[str]:
    """Yield the axes whose coordinate a term computes with; those at which it reads tensors are none."""
    if isinstance(node, Axis):
        yield node.name
    elif not isinstance(node, Read):
        for child in children(node):
            yield from coordinates(child)


def batch_axis(form: Form, ranks: Mapping[str, int], everywhere: bool = True) -> str | None:
    """Return an axis along which calls are independent.

    It is plain in every tensor, and the definition never computes with its coordinate, reduces it or takes its size.

    Args:
        form: the form of the op.
        ranks: what every rest stands for.
        everywhere: every input has the axis; else some, and what the others hold is the same for all its coordinates.
    """
    return next(iter(batch_axes(form, ranks, everywhere)), None)


def batch_axes(form: Form, ranks: Mapping[str, int], everywhere: bool = True) -> tuple[str, ...]:
    """Return the axes along each of which calls are independent, see :func:`batch_axis`."""
    return _batch_axes(form, tuple(ranks.items()), everywhere) if form.signature.inputs else ()


@functools.lru_cache(maxsize=4096)
def _batch_axes(form: Form, opened: tuple[tuple[str, int], ...], everywhere: bool) -> tuple[str, ...]:
    inputs, outputs, ranks = form.signature.inputs, form.signature.outputs, dict(opened)
    plain = {s.name: {d.name for d in expand(s.index, ranks)[s.listed :] if isinstance(d, Axis)} for s in (*inputs, *outputs)}
    nodes = [n for e in form.equations for n in walk(e.body)]
    used = {base(a) for e in form.equations for a in coordinates(e.body)}
    used |= {base(a) for n in nodes if isinstance(n, Reduce) for a in n.axes} | {n.axis for n in nodes if isinstance(n, Size)}
    if not everywhere:
        used |= {a for s in inputs for names in s.axes(ranks) for a in names if a not in plain[s.name]}
    shared = set.intersection(*(plain[s.name] for s in (*inputs, *outputs) if everywhere or s in outputs)) - used
    order = (d.name for s in inputs for d in expand(s.index, ranks) if isinstance(d, Axis))
    return tuple(dict.fromkeys(a for a in order if a in shared))
