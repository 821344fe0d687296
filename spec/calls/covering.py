"""Calls in which each pair of a size or number with another is met once: parameters far from their least values.

Faults hide in pairs: a stride that is larger than the kernel, a shift in one direction alone, a window of 7 shifted by 3. All
values of each variable with all of each other would be millions of calls; those that meet every pair once are some dozens.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from einspec.calls.space import Case, Space, make_case, spaces, usual_numbers, usual_values
from einspec.card import Op
from einspec.language.linear import EXACT
from einspec.semantics.traits import traits_of

AXIS_LEVELS = (1, 2, 3, 5, 8, 13)
"""The sizes of an axis: one, few, a Fibonacci number beside powers of two, so that one rarely divides another."""
SIZE_LEVELS = (1, 2, 3, 4, 5, 7, 8)
"""The sizes that a parameter gives: kernels, windows and blocks, 7 among them, which is Swin's."""
INTEGER_LEVELS = (0, 1, 2, 3, 4, 5, 7, 8, 17)
"""What an integer parameter adds to its least value: shifts, strides and dilations past every special case."""
NEGATIVE_LEVELS = (-9, -3, -1, 0, 2, 3, 7, 40)
"""Values of an integer parameter that may be negative."""
FRACTIONS = (0.375, -1.5)
"""What a parameter that may be a float is tried at besides: exact in every float dtype, one of them negative."""
MODELS = ((2, 8), (4, 16), (6, 64), (8, 128), (8, 256), (8, 384))
"""How many of how many experts real models choose."""
MOST_WORK, MOST_TERMS = 20_000, 200_000
"""How many elements a call has at most, and how many combinations of coordinates."""
TRIES, COMPLETIONS = 16, 5
"""How many completions of a pair are tried until some are legal, and how many legal ones are compared."""


Key = tuple[Any, ...]
"""A value of a variable in a form, or two classes of values of two variables."""
LONG = 400
"""From how many terms on a definition is asked for the pairs of its usual numbers alone: its calls are dear."""


@dataclass(frozen=True)
class Stage:
    """Variables that are free together; the others keep the values that a caller gets who leaves them out."""

    free: frozenset[int]
    tied: bool
    """Whether a parameter with several targets gives them one number."""


@functools.lru_cache(maxsize=256)
def covering(op: Op) -> tuple[Case, ...]:
    """Return calls that have each value of every variable once, and each pair of classes of values of two, plain ones first.

    Calls with the usual numbers come first, then those in which one optional parameter differs, then all: a function that lacks
    a parameter is to meet the pairs of the others too. Of several forms the first meets every pair, the others every value, and
    the pairs of what the first has not.
    """
    found: dict[str, Case] = {}
    met: set[Key] = set()
    for number, space in enumerate(full_spaces(op)):
        for case in (*_covered(space, met, number == 0), *_of_models(space)):
            found.update((str(c), c) for c in (case, *_with_floats(case)))
    return tuple(sorted(found.values(), key=lambda c: (len(c.options), c.elements, str(c))))


def full_spaces(op: Op) -> list[Space]:
    """Return the space of every form in which each rest is one axis."""
    return [s for s in spaces(op, most_rank=1) if all(rank == 1 for rank in s.ranks.values()) and s.variables]


def levels(space: Space) -> list[tuple[Any, ...]]:
    """Return the values that each variable of a space is tried at."""
    card, found = space.op.card, list[tuple[Any, ...]]()
    given = {t for name, param in card.params.items() if param.size for t in param.targets(name)}
    numbers = {f"={t}": param for name, param in card.params.items() if param.is_number for t in param.targets(name)}
    for names, least, known in zip(space.variables, space.least, space.candidates, strict=True):
        if names[0] not in numbers:
            sizes = SIZE_LEVELS if given & set(names) else AXIS_LEVELS
            found.append(tuple(n for n in sizes if n >= least))
            continue
        param = numbers[names[0]]
        if param.rational:
            more: Iterable[Any] = ()
        elif param.number:
            signed = space.form.kind in EXACT and not isinstance(param.min, int)  # a limit or a rate below 0 means nothing
            more = FRACTIONS if signed else FRACTIONS[:1]
        elif isinstance(param.min, int):
            more = (param.min + n for n in INTEGER_LEVELS)
        else:
            more = NEGATIVE_LEVELS
        found.append(tuple(dict.fromkeys((*known, *more))))
    return found


def _stages(space: Space, usual: Mapping[int, Any], first: bool) -> Iterator[Stage]:
    """Yield what is free together: nothing optional, one optional parameter after the other, everything."""
    every = frozenset(range(len(space.variables)))
    optional = every & usual.keys()
    if first:
        yield Stage(every - optional, tied=True)
        for own in _parameters(space):
            if own <= optional:
                yield Stage(every - optional | own, tied=True)
    yield Stage(every, tied=False)


def _parameters(space: Space) -> list[frozenset[int]]:
    """Return the variables of each parameter that is a number or several sizes."""
    found = []
    for name, param in space.op.card.params.items():
        targets = {t if param.size else f"={t}" for t in param.targets(name)}
        own = frozenset(i for i, names in enumerate(space.variables) if targets & set(names))
        if own:
            found.append(own)
    return found


def _covered(space: Space, met: set[Key], first: bool) -> Iterator[Case]:
    """Yield calls until each value and each pair of classes is met that some legal call has."""
    usual = usual_numbers(space)
    rng, tried = random.Random(space.op.name), levels(space)
    plain = 0 if first else 1
    long = traits_of(space.form).nodes > LONG
    for number, stage in enumerate(_stages(space, usual, first)):
        if long and number > plain:
            return
        design = Design(space, stage, usual, tried)
        wanted = design.wanted()
        rng.shuffle(wanted)
        for fixed in wanted:
            if design.key(fixed) in met:
                continue
            best = design.best(fixed, met, rng)
            if best is not None:
                case, values = best
                met |= design.keys(values)
                yield case


@dataclass(frozen=True)
class Design:
    """What is to be met in a stage, and the calls that meet it."""

    space: Space
    stage: Stage
    usual: Mapping[int, Any]
    tried: Sequence[tuple[Any, ...]]

    def wanted(self) -> list[dict[int, Any]]:
        """Return what is to be met: every value of a free variable, and a value of each class beside one of each class."""
        free = sorted(self.stage.free)
        alone = [{i: value} for i in free for value in self.tried[i]]
        pairs = [
            {i: a[-1], j: b[-1]}
            for i, j in itertools.combinations(free, 2)
            for a, b in itertools.product(classes(self.tried[i]), classes(self.tried[j]))
        ]
        return [*pairs, *alone]

    def key(self, fixed: Mapping[int, Any]) -> Key:
        """Return one value, of this form, or two classes, under the names of variables, which other forms have too."""
        if len(fixed) == 1:
            ((place, value),) = fixed.items()
            return (str(self.space.form.choice), self.space.variables[place][0], str(value))
        one, other = sorted((self.space.variables[i][0], self.class_of(i, value)) for i, value in fixed.items())
        return (*one, *other)

    def keys(self, values: Sequence[Any]) -> set[Key]:
        """Return all that an assignment meets."""
        free = sorted(self.stage.free)
        return {self.key({i: values[i], j: values[j]}) for i, j in itertools.combinations_with_replacement(free, 2)}

    def class_of(self, place: int, value: Any) -> int:
        """Return the number of the class of a value."""
        own = classes(self.tried[place])
        return next((n for n, values in enumerate(own) if value in values), len(own))

    def best(self, fixed: Mapping[int, Any], met: set[Key], rng: random.Random) -> tuple[Case, list[Any]] | None:
        """Return, of some legal calls that meet what is wanted, the one that meets most of what none has met before."""
        best, score, legal = None, -1, 0
        for attempt in range(TRIES):
            values = self.drawn(fixed, attempt, rng)
            case = _legal(self.space, values) if values is not None else None
            if case is None or values is None:
                continue
            new = len(self.keys(values) - met)
            best, score = ((case, values), new) if new > score else (best, score)
            legal += 1
            if legal == COMPLETIONS:
                break
        return best

    def drawn(self, fixed: Mapping[int, Any], attempt: int, rng: random.Random) -> list[Any] | None:
        """Return an assignment with these classes of values, smaller ones the more often none was legal, if there is one."""
        values = []
        for i, own in enumerate(self.tried):
            if i in self.usual and i not in self.stage.free:
                values.append(self.usual[i])
            elif i in fixed:
                same = next((c for c in classes(own) if fixed[i] in c), (fixed[i],))
                values.append(rng.choice(same) if len(fixed) > 1 else fixed[i])
            else:
                values.append(rng.choice(own[: max(2, len(own) * (TRIES - attempt) // TRIES)]))
        if self.stage.tied and not _tie(self.space, values, fixed):
            return None
        return values


def classes(values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return values in classes: the first, the second, and two halves of the rest."""
    middle = 2 + (len(values) - 1) // 2
    parts = (values[:1], values[1:2], values[2:middle], values[middle:])
    return [tuple(part) for part in parts if part]


def _tie(space: Space, values: list[Any], fixed: Mapping[int, Any]) -> bool:
    """Give all targets of a parameter one number; false where two are asked for."""
    for own in _parameters(space):
        asked = {values[i] for i in own if i in fixed}
        if len(asked) > 1:
            return False
        one = next(iter(asked), values[min(own)])
        for i in own:
            values[i] = max(one, space.least[i]) if i in space.axes else one
    return True


def _legal(space: Space, values: Sequence[Any]) -> Case | None:
    """Return the call of an assignment, None where the card forbids it or it is too much work."""
    if math.prod(max(1, values[i]) for i in space.axes) > MOST_TERMS:
        return None
    case = space.case(values, 0)
    return case if case is not None and not case.empty and case.work <= MOST_WORK else None


def _with_floats(case: Case) -> Iterator[Case]:
    """Yield a call with floats for its fractions, as most callers write them, where these print as the same decimals."""
    exact = {n: v for n, v in case.params.items() if isinstance(v, Fraction) and v.denominator > 1}
    floats = {name: float(value) for name, value in exact.items() if Fraction(repr(float(value))) == value}
    other = make_case(case.op, {**case.params, **floats}, case.shapes) if floats else None
    if other is not None:
        yield other


def _of_models(space: Space) -> Iterator[Case]:
    """Yield calls that choose as many of as many experts as real models do, where one size is bounded by another."""
    bounds = (term for term in space.form.require.values() if "<=" in term.text)
    for term in bounds:
        few, _, many = term.text.partition(" <= ")
        places = {names[0].upper(): i for i, names in enumerate(space.variables)}
        if few not in places or many not in places:
            continue
        for chosen, size in MODELS:
            values = usual_values(space)
            values[places[few]], values[places[many]] = chosen, size
            case = space.case(values, 0)
            if case is not None:
                yield case
