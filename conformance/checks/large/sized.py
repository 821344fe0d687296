"""The one large call of an op, by a rule from its card: which axes grow, and how much memory the call needs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.answers.expect import output_dtype
from einspec.calls import hashed
from einspec.calls.hashed import Hashed, queues
from einspec.calls.inputs import own_dtype
from einspec.calls.space import Case, Space, spaces
from einspec.calls.values import made_up
from einspec.card import Form, Op
from einspec.dtypes import numpy_dtype
from einspec.language.formula import Bracket, Reduce, base, factors, walk
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.traits import traits_of

MANY = 2**31
"""How many elements an input or an output has at least: more than a signed 32-bit offset can tell apart."""
LONG = 2**20
"""How many tokens, routes or rows a call has at least where indices come in."""
MADE_UP = ("id", "place", "slot", "count", "route", "row", "rank", "weight", "uniform")
"""Kinds of inputs that are made as a whole."""
MOST_LONG = 2**28
"""How many elements a tensor has at most where long indices alone make a call large."""
FEW, TRIES = 6, 36
"""How many sizes are tried, one after the other, where a number has to divide them; more where that finds none."""
PRIMES = (
    (2, 3, 5, 7, 11, 13, 17, 19, 23),
    (11, 7, 13, 5, 2, 3, 17, 19, 23),
    (4, 6, 2, 3, 5, 7, 11, 13, 17),
    (23, 19, 17, 13, 11, 7, 5, 3, 2),
)
"""Sizes of the axes that do not grow, to be tried in turn."""
Side = Callable[[tuple[int, int]], int]
"""The smaller or the larger of the two numbers of elements, of inputs and of outputs."""


@dataclass(frozen=True)
class Plan:
    """A large call: what is known of it before anything is made."""

    case: Case
    dtype: str
    elements: int
    """How many elements the largest tensor has."""
    need: int
    """How many bytes the call takes, all that lives at the same time."""


def plainest(op: Op) -> Form:
    """Return the default form."""
    default = op.card.params[op.choice].default if op.choice else ""
    return op.forms.get(str(default), next(iter(op.forms.values())))


def exact(form: Form) -> bool:
    """Whether a form gives exact results on whole numbers, so that it can be judged at single coordinates."""
    if form.kind in (*EXACT, OpClass.SELECTION):
        return True
    traits = traits_of(form)
    return traits.multilinear and not traits.divides and not form.selects


def plans(op: Op, dtype: str, many: int, axis: str | None = None) -> list[Plan]:
    """Return the cheapest call in which an input and an output have more than so many elements, and that in which one has.

    Args:
        op: the op.
        dtype: the dtype of values.
        many: how many elements; 0 where long indices alone make a call large.
        axis: the only axis that may grow.
    """
    form = plainest(op)
    best: dict[bool, tuple[Any, Plan]] = {}
    for space in spaces(op, most_rank=1, sizes=(1, 2, 3)):
        if space.form is not form or any(rank != 1 for rank in space.ranks.values()):
            continue
        own = list(_grown(space, many, axis, FEW)) or list(_grown(space, many, axis, TRIES))
        for case in own:
            small, large = sorted(_elements(case))
            if large <= many:
                continue
            found = Plan(case, dtype, large, need(case, dtype))
            longest = max(case.solution.sizes.values(), default=0)
            key = (round(8 * math.log(max(found.need, 1))) if many else 0, longest if many else 0)
            both = small > many
            if both not in best or key < best[both][0]:
                best[both] = key, found
    return [best[both][1] for both in (True, False) if both in best]


def _grown(space: Space, many: int, axis: str | None, tries: int) -> Iterator[Case]:
    """Yield calls of which one axis, or two, are so large that an input or an output crosses a number of elements."""
    slotted = any(kind == "slot" for kind, _ in space.form.values.values())
    long = _long(space.form, space.ranks)
    fixed = {i for i, names in enumerate(space.variables) if names[0].startswith("=") or _fixed(space, names)}
    free = [i for i in reversed(range(len(space.variables))) if i not in fixed]
    free = [i for i in free if axis in space.variables[i]] if axis else free
    for primes, slots in itertools.product(PRIMES, (True, False) if slotted else (False,)):
        start = _start(space, primes, long, slots)
        if many == 0:
            found = [_case(space, [LONG + 7 if axis in n else v for n, v in zip(space.variables, start, strict=True)])]
            found = [case for case in found if case is None or max(_elements(case)) < MOST_LONG]
        else:
            pairs: list[tuple[int, ...]] = [*itertools.combinations(free, 2)] if not axis else []
            each = [*pairs, *((i,) for i in free)]
            found = [_until(space, start, g, many, side, tries) for g in each for side in (min, max)]
            found += [_case(space, start)] if not free else []
            for i, j in itertools.permutations(free, 2) if long else ():
                held = [LONG // 4 + 3 if k == i else v for k, v in enumerate(start)]
                found += [_until(space, held, (j,), many, side, tries) for side in (min, max)]
        yield from (case for case in found if case is not None)


def _start(space: Space, primes: Sequence[int], long: Mapping[str, int], slots: bool) -> list[Any]:
    """Return small distinct sizes, except for the axes of indices; where asked for, as many slots as there are routes."""
    rest = iter(primes)
    values: list[Any] = []
    for i, names in enumerate(space.variables):
        if names[0].startswith("="):
            values.append(max(space.candidates[i]))
        else:
            values.append(max(long.get(names[0], 0) or next(rest), space.least[i]))
    sizes = {a: v for names, v in zip(space.variables, values, strict=True) for a in names}
    for name, (kind, bound) in space.form.values.items():
        if not slots or kind != "slot" or len(bound.needs) != 1:
            continue
        routes = math.prod(sizes.get(a, 1) for a in _axes_of(space.form, name, space.ranks))
        each = routes // sizes.get(_experts(space.form), 1) + 1
        values = [
            max(each, space.least[i]) if bound.needs & set(names) else v
            for i, (names, v) in enumerate(zip(space.variables, values, strict=True))
        ]
    return values


def _experts(form: Form) -> str:
    """Return the axis that ids point to."""
    bounds = [bound.needs for kind, bound in form.values.values() if kind in ("id", "place") and len(bound.needs) == 1]
    return next(iter(bounds[0])) if bounds else ""


def _axes_of(form: Form, name: str, ranks: Mapping[str, int]) -> list[str]:
    spec = next(s for s in form.signature.inputs if s.name == name)
    return [a for names in spec.axes(ranks) for a in names]


def _long(form: Form, ranks: Mapping[str, int]) -> dict[str, int]:
    """Return the axes that are long in every call, and their sizes: tokens, routes and rows that indices stand for."""
    found: dict[str, int] = {}
    for name, (kind, bound) in form.values.items():
        axes = _axes_of(form, name, ranks)
        if kind in ("id", "place", "slot", "uniform"):
            found[axes[-2] if len(axes) > 1 else axes[0]] = LONG + 7
        elif kind == "count" and len(bound.needs) == 1 and not bound.needs & set(axes):
            found[next(iter(bound.needs))] = LONG + 7
        elif kind in ("route", "row"):
            found |= dict.fromkeys((axes[0], *bound.needs), LONG + 7)
            found |= dict.fromkeys(bound.needs if kind == "row" else axes, 2 * LONG + 17)
    return found


def _fixed(space: Space, names: Sequence[str]) -> bool:
    """Whether axes must not grow: those of indices, of the length of a list, and those over which terms are summed."""
    form = space.form
    held = {a for name, (kind, _) in form.values.items() if kind in MADE_UP for a in _axes_of(form, name, space.ranks)}
    held |= {s.axes(space.ranks)[0][0] for s in (*form.signature.inputs, *form.signature.outputs) if s.listed}
    for node in (n for e in form.equations for n in walk(e.body)):
        if isinstance(node, Reduce) and not any(isinstance(f, Bracket) for f in factors(node.body)):
            held |= {base(a) for a in node.axes}
    return any(a in held or base(a) in held for a in names)


def _case(space: Space, values: Sequence[Any]) -> Case | None:
    """Return the call of an assignment, or with the first number of each parameter where the last does not fit."""
    first = [c[0] if n[0].startswith("=") else v for n, c, v in zip(space.variables, space.candidates, values, strict=True)]
    return space.case(values) or space.case(first)


def _until(space: Space, start: Sequence[Any], grown: Sequence[int], many: int, side: Side, tries: int) -> Case | None:
    """Return the first call, as axes grow together, in which the smaller or the larger side has more elements than that."""

    def at(size: int) -> Case | None:
        sizes = ([n + grown.index(i) if i in grown else v for i, v in enumerate(start)] for n in range(size, size + tries))
        return next((case for values in sizes if (case := _case(space, values)) is not None), None)

    low = high = max(start[i] for i in grown)
    have, misses, found = -1, 0, at(high)
    while found is None or (count := side(_elements(found))) <= many:
        misses += found is None
        if misses > 2 or (found is not None and count <= have):
            return None
        have = -1 if found is None else count
        low, high = high, 4 * high
        found = at(high)
    while high - low > max(1, low >> 10):
        middle = (low + high) // 2
        case = at(middle)
        if case is not None and side(_elements(case)) > many:
            high, found = middle, case
        else:
            low = middle
    return found


def _elements(case: Case) -> tuple[int, int]:
    """Return how many elements the largest input and the largest output have."""
    outputs = [math.prod(case.solution.shape(s)) for s in case.form.signature.outputs]
    return max((math.prod(s) for s in case.shapes), default=0), max(outputs, default=0)


def dtypes_in(case: Case, dtype: str) -> dict[str, str]:
    """Return the dtype of every input."""
    usual = {"index": "int32", "bool": "bool"}
    return {s.name: usual.get(case.form.group(s.name), own_dtype(case, s.name, dtype)) for s in case.form.signature.inputs}


def need(case: Case, dtype: str) -> int:
    """Return how many bytes a call takes: its tensors and what computing them takes besides.

    An op that moves elements may make one copy more, one that adds what is moved two. One that selects sorts places (64 bits)
    besides values. One that computes does so in float32 and keeps three such arrays. An index is held in 64 bits, and sorted.
    """
    names = dtypes_in(case, dtype)
    stubs = {name: np.empty(0, numpy_dtype(d)) for name, d in names.items()}
    counts = {s.name: math.prod(shape) for s, shape in zip(case.form.signature.inputs, case.shapes, strict=True)}
    inputs = sum(n * stubs[name].itemsize for name, n in counts.items())
    outputs = 0
    for spec in case.form.signature.outputs:
        own = output_dtype(case, spec.name, stubs)
        outputs += math.prod(case.solution.shape(spec)) * (8 if own == "int" else numpy_dtype(own).itemsize)
    traits = traits_of(case.form)
    moving = case.form.kind in (*EXACT, OpClass.SELECTION) or not (traits.sums or traits.operations)
    copies = 1 if moving else 2 if traits.brackets else 0
    work = copies * max(inputs, outputs) or 12 * max(_elements(case))
    work += 24 * max(counts.values(), default=0) if case.form.selects else 0
    work += sum(32 * n for name, n in counts.items() if case.form.group(name) == "index")
    return max(2 * inputs, inputs + outputs + work)


def made(case: Case, dtype: str) -> dict[str, Any]:
    """Return the inputs of a large call: values by a hash of their place, indices as the card says."""
    rng = np.random.default_rng(5)
    names, found = dtypes_in(case, dtype), dict[str, Any]()
    for number, (spec, shape) in enumerate(zip(case.form.signature.inputs, case.shapes, strict=True)):
        own = numpy_dtype(names[spec.name])
        if spec.name in case.form.values and case.form.values[spec.name][0] in MADE_UP:
            kind, term = case.form.values[spec.name]
            bound = term.value(case.solution.sizes, case.solution.values)
            index = found.get("index")
            if kind == "slot" and index is not None and index.shape == tuple(shape):
                found[spec.name] = queues(index).astype(own)
            else:
                found[spec.name] = made_up(kind, bound, shape, rng, index).astype(own)
        else:
            source = Hashed(tuple(shape), own, number * 2**40, fine=not exact(case.form))
            found[spec.name] = source if source.size > hashed.WHOLE else source.whole()
    return found
