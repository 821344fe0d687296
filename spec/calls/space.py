"""The legal calls of an op: its sizes, ranks and parameters as independent variables, and one call of them all."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from einspec.calls.domain import Fit
from einspec.card import Form, Op, sized_axes
from einspec.errors import ParameterError, ShapeError
from einspec.language.formula import Axis, Group, Rest, axes_of, base
from einspec.orders import Ordered
from einspec.solve import Solution, expand, rest_axis, solve

SCOPE = 3
"""Every size up to this one is tried."""
MOST_RANK = 2
"""How many axes ``...`` and ``*a`` stand for at most."""


ORDERED_RANK = 3
"""How many axes a rest stands for at most whose axes are put in order: of two, an order is its own inverse."""


@dataclass(frozen=True, eq=False)
class Case:
    """One legal call: the parameters as a caller gives them, the shapes of the inputs, and what follows from both."""

    op: Op
    params: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    solution: Solution

    @property
    def form(self) -> Form:
        """The form of the card that the parameters select."""
        return self.solution.form

    @property
    def elements(self) -> int:
        """The number of input elements."""
        return sum(math.prod(s) for s in self.shapes)

    @property
    def made(self) -> int:
        """The number of output elements."""
        return sum(math.prod(self.solution.shape(s)) for s in self.form.signature.outputs)

    @property
    def work(self) -> int:
        """The number of input and output elements."""
        return self.elements + self.made

    @property
    def empty(self) -> bool:
        """Whether some axis has size zero."""
        return 0 in self.solution.sizes.values()

    @property
    def options(self) -> frozenset[str]:
        """What a file of functions may lack.

        A string that is not the default, a tuple for integers, a number of axes, empty axes other than the leading one.
        """
        found = set()
        for name, param in self.op.card.params.items():
            value = self.params.get(name, param.default)
            if param.choices and value != param.default:
                found.add(f"{name}={value}")
            elif isinstance(value, tuple) and param.several and not param.order:
                found.add(f"a tuple for {name}")
            elif (param.axis or param.order) and _negative(value):
                found.add(f"negative {name}")
            elif not param.required and value != param.default:
                found.add(name)
        if self.solution.ranks:
            ranks = (
                f"{s.name} of {len(n) - s.listed} axes" for s, n in zip(self.form.signature.inputs, self.shapes, strict=True)
            )
            found.update(ranks)
        found.update(f"no {axis}" for axis, size in self.solution.sizes.items() if size == 0 and axis != self.leading)
        return frozenset(found)

    @property
    def leading(self) -> str:
        """The slowest axis of the first input, that of a list left out: the batch, as a rule."""
        first = next(iter(self.form.signature.inputs), None)
        axes = first.axes(self.solution.ranks)[first.listed :] if first else ()
        return axes[0][0] if axes and axes[0] else ""

    @property
    def features(self) -> frozenset[str]:
        """What of a call somebody may not offer: the value of each parameter, a number of axes, each empty axis."""
        found = {f"no {axis}" for axis, size in self.solution.sizes.items() if size == 0}
        for name, param in self.op.card.params.items():
            value = self.params.get(name, param.default)
            if param.axis and isinstance(value, int) and value < 0:
                found.add(f"negative {name}")
            elif param.rational:
                found.add(f"{name}={value!r}")  # a Fraction and a float of one value are not one thing to take
            elif not param.sizes:
                found.add(f"{name}={value}")
        if self.solution.ranks:
            pairs = zip(self.form.signature.inputs, self.shapes, strict=True)
            found.update(f"{s.name} of {len(n) - s.listed} axes" for s, n in pairs)
        return frozenset(found)

    def __str__(self) -> str:
        inputs = (f"{s.name}{list(shape)}" for s, shape in zip(self.form.signature.inputs, self.shapes, strict=True))
        return ", ".join([*inputs, *(f"{k}={v!r}" for k, v in self.params.items())])


@dataclass(frozen=True)
class Space:
    """All calls of one form of an op with given ranks: independent variables and the values that each may take."""

    op: Op
    form: Form
    ranks: dict[str, int]
    variables: tuple[tuple[str, ...], ...]
    """Axes that have one size, or ``=name`` for a number that formulas read."""
    least: tuple[int, ...]
    candidates: tuple[tuple[Any, ...], ...]
    fits: tuple[Fit | None, ...] = ()
    """Which sizes each variable may have, where not all; empty where all may have any."""

    @property
    def count(self) -> int:
        """The number of assignments."""
        return math.prod(len(c) for c in self.candidates)

    @functools.cached_property
    def axes(self) -> tuple[int, ...]:
        """The places of the variables that are sizes of axes; the others are numbers that formulas read."""
        return tuple(i for i, names in enumerate(self.variables) if not names[0].startswith("="))

    def assignment(self, number: int) -> tuple[Any, ...]:
        """Return the assignment of a number in 0..count-1."""
        values = []
        for choices in reversed(self.candidates):
            number, i = divmod(number, len(choices))
            values.append(choices[i])
        return tuple(reversed(values))

    def case(self, values: Sequence[Any], variant: int = 0) -> Case | None:
        """Return the call of an assignment, None where the card forbids it.

        Args:
            values: one value a variable.
            variant: which of several equal ways to write the parameters is taken (negative axis, inferred size).
        """
        return make_case(self.op, *self.call(values, variant))

    def fitted(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the assignment that is asked where one is wanted: sizes that the domain of the op has."""
        if not self.fits:
            return values
        return [v if fit is None else fit(v) for v, fit in zip(values, self.fits, strict=True)]

    def clashes(self, values: Sequence[Any]) -> bool:
        """Whether an axis whose sizes are given one by one gets the size of another one."""
        if not any(fit is not None and fit.among for fit in self.fits):
            return False
        fitted = self.fitted(values)
        sizes = [fitted[i] for i in self.axes]
        return len(set(sizes)) < len(sizes)

    def call(self, values: Sequence[Any], variant: int = 0) -> tuple[dict[str, Any], tuple[tuple[int, ...], ...]]:
        """Return the parameters and shapes of an assignment, legal or not."""
        sizes: dict[str, Any] = {}
        for names, value in zip(self.variables, self.fitted(values), strict=True):
            exact = isinstance(value, Fraction)
            each = (value.numerator, value.denominator) if exact else (value,) * len(names)
            sizes.update(zip(names, each, strict=True))
        numbers = {name[1:]: value for name, value in sizes.items() if name.startswith("=")}
        sizes = {name: value for name, value in sizes.items() if not name.startswith("=")}
        for axis, term in self.form.sizes.items():
            if axis not in sizes:
                sizes[axis] = term.value(sizes, numbers)
        draft = Solution(self.form, self.ranks, sizes, numbers)
        params = _parameters(self.op, draft, variant)
        shapes = tuple(draft.shape(spec) for spec in self.form.signature.inputs)
        return params, shapes


def _negative(value: int | tuple[int, ...]) -> bool:
    """Whether positions are counted from the end."""
    return any(n < 0 for n in (value if isinstance(value, tuple) else (value,)))


def make_case(op: Op, params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Case | None:
    """Return the case of a call, None where it does not fit the card, or is none of those that are asked."""
    try:
        case = Case(op, dict(params), tuple(shapes), solve(op, shapes, params))
    except (ShapeError, ParameterError):
        return None
    return case if op.domain is None or op.domain.allows(case) else None


def _parameters(op: Op, draft: Solution, variant: int) -> dict[str, Any]:
    """Return the parameters that give these sizes; defaults are left out for every second variant."""
    params: dict[str, Any] = {**draft.form.choice}
    for name, param in op.card.params.items():
        if param.choices and name not in params:
            continue  # what it says is no form of its own: left out it is the default
        if param.choices:
            pass
        elif param.size:
            each = tuple(math.prod(draft.size(a) for a in t.strip("()").split()) for t in param.targets(name))
            params[name] = each if param.several and len(set(each)) > 1 else each[0]
        elif param.sizes:
            each = tuple(draft.sizes[rest_axis(param.sizes, i)] for i in range(draft.ranks[param.sizes]))
            params[name] = each if 0 in draft.sizes.values() else _infer_one(each, variant)
        elif param.rank:
            params[name] = draft.ranks[param.rank]
        elif param.order:
            params[name] = _named(draft, name, param.order, variant)
        elif param.axis:
            params[name] = _axis(draft, param.axis, negative=variant % 2 == 1)
        elif param.rational:
            exact = Fraction(*(int(draft.values[t]) for t in param.targets(name)))
            params[name] = int(exact) if exact.denominator == 1 else exact
        else:
            numbers = tuple(draft.values[t] for t in param.targets(name))
            params[name] = numbers if param.several and len(set(numbers)) > 1 else numbers[0]
        if not param.required and params[name] == param.default and variant % 2 == 0:
            del params[name]
    return params


def _infer_one(sizes: tuple[int, ...], variant: int) -> tuple[int, ...]:
    hidden = variant % (len(sizes) + 1)
    others = math.prod(n for i, n in enumerate(sizes) if i != hidden)
    return tuple(-1 if i == hidden else n for i, n in enumerate(sizes)) if others else sizes


def _axis(draft: Solution, where: str, negative: bool) -> int:
    axis, tensor = where.split(" in ")
    signature = draft.form.signature
    spec = next(s for s in (*signature.inputs, *signature.outputs) if s.name == tensor)
    dims = expand(spec.index, draft.ranks)
    total = len(dims) - spec.listed
    position = next(i for i, d in enumerate(dims) if d == Axis(axis)) - spec.listed
    return position - total if negative else position


def _named(draft: Solution, name: str, rest: str, variant: int) -> int | tuple[int, ...]:
    """Return the axes that a parameter names: counted from the end for every second variant, else one of them as a number."""
    rank = draft.ranks[rest]
    assert isinstance(rank, Ordered)
    value = rank.given[name]
    if isinstance(value, int):
        return value - rank if variant % 2 else value
    if variant % 2:
        return tuple(n - rank for n in value)
    return value[0] if len(value) == 1 and any(order.places for order in draft.form.orders.values()) else value


@functools.lru_cache(maxsize=512)
def _spaces(op: Op, most: int, sizes: tuple[int, ...]) -> tuple[Space, ...]:
    found: list[Space] = []
    for form in op.forms.values():
        tensors = (*form.signature.inputs, *form.signature.outputs)
        rests = sorted({d.name for s in tensors for d in _flat(s.index) if isinstance(d, Rest)})
        least = {p.rank: p.min if isinstance(p.min, int) else 0 for p in op.card.params.values() if p.rank}
        least |= {p.sizes: 1 for p in op.card.params.values() if p.sizes}
        choices = itertools.product(*(_ranks(form, r, least.get(r, 0), most) for r in rests))
        found += [_space(op, form, dict(zip(rests, ranks, strict=True)), sizes) for ranks in choices]
    return tuple(found)


def _ranks(form: Form, rest: str, least: int, most: int) -> list[int]:
    """Return how many axes a rest stands for, with orders of them where parameters give one: a cycle needs three."""
    orders = [order for order in form.orders.values() if order.rest == rest]
    counts = range(least, max(most, ORDERED_RANK if orders else 0) + 1)
    return [rank for n in counts for rank in orders[0].choices(n)] if orders else list(counts)


def spaces(op: Op, most_rank: int = MOST_RANK, sizes: Sequence[int] = range(SCOPE + 1)) -> tuple[Space, ...]:
    """Return the spaces of calls of an op, one a form and a choice of ranks.

    Args:
        op: the op.
        most_rank: how many axes a rest stands for at most.
        sizes: the sizes that an axis may have.
    """
    return _spaces(op, most_rank, tuple(sizes))


def _flat(index: Sequence[Any]) -> Iterator[Any]:
    for part in index:
        yield from part.parts if isinstance(part, Group) else (part,)


def _space(op: Op, form: Form, ranks: dict[str, int], sizes: tuple[int, ...]) -> Space:
    axes = [base(a) for spec in (*form.signature.inputs, *form.signature.outputs) for a in axes_of(expand(spec.index, ranks))]
    inner = {base(a) for e in form.equations for a in axes_of(expand(e.index, ranks))} & set(sized_axes(op.card))
    free = [a for a in dict.fromkeys([*axes, *sorted(inner)]) if a not in form.sizes]
    tied: dict[str, tuple[str, ...]] = {a: (a,) for a in free}
    least = {a: op.card.axes[a].min if a in op.card.axes else 0 for a in free}
    numbers: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
    for name, param in op.card.params.items():
        if param.size and "(" not in param.size:
            targets = [t for t in param.targets(name) if t in tied]
            for target in targets:
                least[target] = max(least[target], param.min if isinstance(param.min, int) else 0)
                if not param.several:
                    tied[target] = tuple(targets)
        elif not (param.size or param.sizes or param.rank or param.axis or param.order or param.choices):
            low = param.min if isinstance(param.min, int) else 0
            if param.rational:
                exact = tuple(Fraction(v) for v in param.values or (low, low + 1))
                numbers.append((tuple(f"={t}" for t in param.targets(name)), exact))
            else:
                numbers += [((f"={t}",), param.values or (low, low + 1)) for t in param.targets(name)]
    for one, other in op.domain.equal if op.domain is not None else ():
        if one in tied and other in tied and tied[one] != tied[other]:
            joined = (*tied[one], *tied[other])
            tied |= dict.fromkeys(joined, joined)
    groups = list(dict.fromkeys(tied.values()))
    floors = tuple(max(least[a] for a in g) for g in groups) + tuple(0 for _ in numbers)
    choices = tuple(tuple(n for n in sizes if n >= low) for low in floors[: len(groups)])
    variables, candidates = (*groups, *(n for n, _ in numbers)), (*choices, *(v for _, v in numbers))
    if op.domain is None:
        return Space(op, form, ranks, variables, floors, candidates)
    fits = tuple(op.domain.fit(names) for names in variables)
    some = len(groups)
    given = (
        own if fit is None or not fit.among else fit.among for own, fit in zip(candidates[:some], fits[:some], strict=True)
    )
    candidates = (*given, *map(_fitting, candidates[some:], fits[some:]))
    return Space(op, form, ranks, variables, floors, candidates, (*fits[:some], *(None for _ in fits[some:])))


def _fitting(numbers: tuple[Any, ...], fit: Fit | None) -> tuple[Any, ...]:
    """Return the numbers among those to be tried that fit, or the least that does."""
    if fit is None:
        return numbers
    return tuple(n for n in numbers if fit.fits(n)) or (fit(1),)


def usual_numbers(space: Space) -> dict[int, Any]:
    """Return the variables of the numbers that a caller may leave out, and what they are then."""
    known: dict[str, Any] = {}
    for name, param in space.op.card.params.items():
        if param.is_number and not param.required:
            targets, default = param.targets(name), Fraction(str(param.default)) if param.rational else param.default
            each = default if isinstance(default, tuple) else (default,) * len(targets)
            known |= zip((f"={t}" for t in targets), each, strict=True)
    return {i: known[names[0]] for i, names in enumerate(space.variables) if names[0] in known}


def usual_values(space: Space) -> list[Any]:
    """Return an assignment of axes of size 2, or of the least size that is more, with the usual numbers."""
    usual = usual_numbers(space)
    return [
        max(2, least) if i in space.axes else usual.get(i, own[0])
        for i, (least, own) in enumerate(zip(space.least, space.candidates, strict=True))
    ]
