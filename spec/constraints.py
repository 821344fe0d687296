"""The ids of the constraints that a card puts on its calls, found from the card alone.

The solver of :mod:`einspec.shapes` is followed on names and intervals instead of numbers. An equation that it checks gives an
id, because its right side is a dimension of an input or a parameter that a caller may choose freely: alone it can be
wrong while all before it is right. What is left out is proved by a rule, which stands where it is applied.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from einspec.card import Form, Op
from einspec.dtypes import ALL, GROUPS
from einspec.formula import Axis, Node, Rest, Size, parse_term, walk
from einspec.formula import Param as Parameter
from einspec.intervals import (
    ANY,
    NATURAL,
    Interval,
    Polynomial,
    bounds,
    demands,
    holds,
    product,
)
from einspec.shapes import TensorSpec, axes_of_target, rest_axis
from einspec.tables import Param

MOST = 2
"""How many axes a rest stands for at most: of more, each further one is checked as the second is."""


@functools.lru_cache(maxsize=256)
def constraints(op: Op) -> dict[str, Form]:
    """Return the ids of all constraints that a call of an op can violate, each with the first form that has it.

    Those that the card leaves unspecified are not among them. The order is that of the forms and, in each, that in which
    the solver checks.
    """
    found: dict[str, Form] = {}
    for form in op.forms.values():
        for constraint in form_constraints(op, form):
            if constraint not in op.card.unspecified:
                found.setdefault(constraint, form)
    return found


def form_constraints(op: Op, form: Form) -> Iterator[str]:
    """Yield the ids of the constraints of one form, some of them more than once."""
    yield "keyword"
    for name, param in op.card.params.items():
        yield from _of_parameter(name, param)
    yield "count"
    yield from _of_ranks(op, form)
    lengths: dict[str, Interval] = {}
    for start in _starts(op, form):
        yield from _followed(op, form, start, lengths)
    yield from _of_dtypes(form)
    yield from _of_lists(form, lengths)


def _of_parameter(name: str, param: Param) -> Iterator[str]:
    """Yield what can be wrong with the value of a parameter by itself."""
    # A number with a default and no least value takes every number: there is none outside its range.
    bounded = param.choices or isinstance(param.min, int) or param.axis or param.sizes or param.several
    if param.required or bounded:
        yield f"param.{name}"
    # A choice of another type is none of the choices, and that is all that is said of it.
    if not param.choices:
        yield f"type.{name}"


def _of_ranks(op: Op, form: Form) -> Iterator[str]:
    """Yield what can be wrong with the number of axes of an input."""
    placed = _placed(op, form)
    given = {p.rank or p.sizes for p in op.card.params.values()} | placed.keys()
    for i, spec in enumerate(form.signature.inputs):
        rests = [d.name for d in spec.index if isinstance(d, Rest)]
        # The first axis of a list of tensors is its length, and there always is one.
        single = len(spec.index) - len(rests) - spec.listed
        # The axes before a position fit into the first input, which says how many positions there are, unless some
        # single axis has to follow it as well.
        fit = {rest for rest, others in placed.items() if i == 0 and not others}
        fixed = [r for r in rests if r in given - fit]
        # An input without an axis that has to be there never has too few, one with an open rest never too many.
        if single or fixed or all(r in given for r in rests):
            yield f"rank.{spec.name}"
        given |= set(rests)


def _placed(op: Op, form: Form) -> dict[str, int]:
    """Return the rests whose number of axes follows from the position of an axis, and how many other single axes there are."""
    tensors = {s.name: s for s in (*form.signature.inputs, *form.signature.outputs)}
    found = {}
    for param in op.card.params.values():
        if param.axis:
            axis, tensor = param.axis.split(" in ")
            index = tensors[tensor].index
            rests = [d for d in index if isinstance(d, Rest)]
            before = index[index.index(Axis(axis)) - 1]
            rest = before if isinstance(before, Rest) else rests[0]
            found[rest.name] = len(index) - len(rests) - tensors[tensor].listed - 1
    return found


def _of_dtypes(form: Form) -> Iterator[str]:
    """Yield the inputs of which the dtype matters: not every one is taken, or it has to be that of others."""
    for spec in form.signature.inputs:
        rule = form.dtype[spec.name]
        restricted = GROUPS[form.group(spec.name)] != frozenset(ALL)
        if restricted or rule.startswith("same as ") or spec.listed:
            yield f"dtype.{spec.name}"


def _of_lists(form: Form, lengths: Mapping[str, Interval]) -> Iterator[str]:
    """Yield the lists whose tensors can differ in shape: none that can hold one tensor only."""
    for spec in form.signature.inputs:
        if spec.listed and lengths.get(spec.name, NATURAL).high > 1:
            yield f"list.{spec.name}"
            if len(spec.index) > 1:
                yield f"broadcast.{spec.name}"


@dataclass(frozen=True)
class _Equation:
    """Axes whose product is a number that a caller chooses, and where that stands."""

    names: tuple[str, ...]
    total: Interval
    where: str


@dataclass(frozen=True)
class _Start:
    """What is settled before sizes are solved: the equations, for one number of axes of every rest."""

    ranks: dict[str, int]
    equations: tuple[_Equation, ...]


def _starts(op: Op, form: Form) -> Iterator[_Start]:
    """Yield a start for every number of axes of the rests, and each way to leave sizes to be inferred."""
    tensors = (*form.signature.inputs, *form.signature.outputs)
    rests = list(dict.fromkeys(r for spec in tensors for r in spec.rests))
    least = {p.rank: p.min for p in op.card.params.values() if p.rank and isinstance(p.min, int)}
    least |= {p.sizes: 1 for p in op.card.params.values() if p.sizes}
    for counts in itertools.product(*(range(least.get(r, 0), MOST + 1) for r in rests)):
        ranks = dict(zip(rests, counts, strict=True))
        shapes = [e for spec in form.signature.inputs for e in _dimensions(spec, ranks)]
        given = [list(_given(name, param, ranks)) for name, param in op.card.params.items()]
        for choice in itertools.product(*given):
            yield _Start(ranks, (*(e for equations in choice for e in equations), *shapes))


def _dimensions(spec: TensorSpec, ranks: Mapping[str, int]) -> Iterator[_Equation]:
    """Yield the equation of every dimension of an input; an id counts the dimensions of the signature."""
    widths = [ranks[d.name] if isinstance(d, Rest) else 1 for d in spec.index]
    owners = [d for d, width in enumerate(widths) for _ in range(width)]
    for axes, owner in zip(spec.axes(ranks), owners, strict=True):
        place = "length" if spec.listed and owner == 0 else str(owner - spec.listed)
        yield _Equation(axes, NATURAL, f"{spec.name}.{place}")


def _given(name: str, param: Param, ranks: Mapping[str, int]) -> Iterator[tuple[_Equation, ...]]:
    """Yield the equations that a parameter gives, once for each choice of the sizes that it leaves open."""
    if param.sizes:
        axes = [rest_axis(param.sizes, i) for i in range(ranks[param.sizes])]
        for listed in itertools.product((True, False), repeat=len(axes)):
            chosen = [a for a, told in zip(axes, listed, strict=True) if told]
            yield tuple(_Equation((a,), NATURAL, name) for a in chosen)
    elif param.size:
        total = Interval(param.min if isinstance(param.min, int) else -math.inf, math.inf)
        yield tuple(_Equation(axes_of_target(t), total, name) for t in param.targets(name))
    else:
        yield ()


class _Undecided(Exception):
    """Whether an axis is empty decides how the solver goes on."""

    def __init__(self, axis: str) -> None:
        super().__init__(axis)
        self.axis = axis


class _Stopped(Exception):
    """No call gets past this check."""


def _followed(op: Op, form: Form, start: _Start, lengths: dict[str, Interval]) -> Iterator[str]:
    """Yield what the solver can find wrong from a start on, with every axis empty and not where that matters."""
    waiting: list[dict[str, bool]] = [{}]
    while waiting:
        empty = waiting.pop()
        path = _Path(op, form, start, empty)
        try:
            yield from path.run()
        except _Undecided as fork:
            waiting += [{**empty, fork.axis: True}, {**empty, fork.axis: False}]
        except _Stopped:
            pass
        for spec in form.signature.inputs:
            if spec.listed and (length := spec.axes(start.ranks)[0][0]) in path.sizes:
                lengths[spec.name] = path.sizes[length]


class _Path:
    """The solver on one path: the interval of every size that it knows, and the equations that wait."""

    def __init__(self, op: Op, form: Form, start: _Start, empty: Mapping[str, bool]) -> None:
        self.op, self.form, self.start, self.empty = op, form, start, empty
        self.sizes: dict[str, Interval] = {}
        self.values = _values(op)
        self.terms = _terms(op, form)

    def run(self) -> Iterator[str]:
        """Yield what can be wrong, in the order of the checks.

        Raises:
            _Undecided: an axis may be empty, and what follows depends on it.
            _Stopped: nothing gets further.
        """
        for axis, term in self.form.sizes.items():
            if not term.needs:
                self.learn(axis, self.bounds(axis))
        equations = list(self.start.equations)
        while equations:
            waiting: list[_Equation] = []
            for equation in equations:
                settled = yield from self.settle(equation)
                waiting += [] if settled else [equation]
            if len(waiting) == len(equations):
                yield from self.check_axes()
                if not self.derive():
                    yield f"open.{waiting[0].where}"
                    return
            equations = waiting
        yield from self.finish()

    def settle(self, equation: _Equation) -> Generator[str, None, bool]:
        """Yield what can be wrong with an equation; return whether it is settled."""
        names, where = equation.names, equation.where
        known = [self.sizes[a] for a in names if a in self.sizes]
        unknown = {a for a in names if a not in self.sizes}
        if len(unknown) > 1 or unknown & self.form.sizes.keys():
            return False
        if not unknown:
            yield f"match.{where}"
            self.meet(names, equation.total)
            return True
        self.decide(names)
        factor = product(known)
        if factor == Interval(0, 0):
            return False
        # A dimension that is one axis alone, or one beside axes of size 1, is divided by nothing.
        if factor.high > 1 or factor.low < 0:
            yield f"divides.{where}"
        positive = factor.low > 0
        least = min(equation.total.low, 1) if positive else -math.inf
        self.learn(unknown.pop(), equation.total if factor == Interval(1, 1) else Interval(least, math.inf))
        return True

    def decide(self, names: Iterable[str]) -> None:
        """Ask for each known factor whether it is zero, where it may be."""
        for axis in names:
            size = self.sizes.get(axis)
            if size is not None and size.low <= 0 <= size.high and size != Interval(0, 0) and axis not in self.empty:
                raise _Undecided(axis)

    def meet(self, names: tuple[str, ...], total: Interval) -> None:
        """Keep what an equation that holds says of the one axis in it."""
        if len(names) == 1:
            self.learn(names[0], self.sizes[names[0]].meet(total))

    def learn(self, axis: str, size: Interval) -> None:
        """Set the interval of a size, as far as this path says whether it is zero."""
        if axis in self.empty:
            side = Interval(0, 0) if self.empty[axis] else Interval(1, math.inf) if size.low >= 0 else ANY
            size = size.meet(side)
        self.sizes[axis] = size
        if size.empty:
            raise _Stopped

    def derive(self) -> bool:
        """Learn the sizes that the card derives from those that are known; return whether there were any."""
        found = [a for a, t in self.form.sizes.items() if a not in self.sizes and t.needs <= self.sizes.keys()]
        for axis, size in [(a, self.bounds(a)) for a in found]:
            self.learn(axis, size)
        return bool(found)

    def bounds(self, axis: str, facts: Iterable[Polynomial] = ()) -> Interval:
        """Return the bounds of a size that the card derives."""
        return bounds(self.terms[axis], self.known(), facts)

    def known(self) -> dict[Node, Interval]:
        """Return the intervals by the nodes that stand for them in expressions."""
        return {
            **{Size(a): n for a, n in self.sizes.items()},
            **{Parameter(p): n for p, n in self.values.items()},
        }

    def check_axes(self) -> Iterator[str]:
        """Yield the axes that are known and may be shorter than the card allows; past the check they are not."""
        for axis, rule in self.op.card.axes.items():
            # An axis whose bounds lie above the least size is never too short.
            if axis in self.sizes and self.sizes[axis].low < rule.min:
                yield f"axes.{axis}"
                self.learn(axis, self.sizes[axis].meet(Interval(rule.min, math.inf)))

    def finish(self) -> Iterator[str]:
        """Yield what is checked when all sizes of the inputs are known."""
        yield from self.check_axes()
        for axis in self.form.sizes:
            if axis not in self.sizes:
                self.learn(axis, self.bounds(axis))
        facts: list[Polynomial] = []
        for name in self.form.require:
            node = self.terms[f"require {name}"]
            # A requirement that follows from the bounds and the requirements before it always holds.
            if not holds(node, self.known(), facts):
                yield f"require.{name}"
            whole = not any(isinstance(n, Parameter) and n.name in _floats(self.op) for n in walk(node))
            facts += demands(node, whole)
        for axis in self.form.sizes:
            # What is required may say that a size that the card derives is not negative.
            self.learn(axis, self.sizes[axis].meet(self.bounds(axis, facts)))
        yield from self.check_axes()
        for axis, size in self.sizes.items():
            if size.low < 0:
                yield f"axes.{axis}"


@functools.lru_cache(maxsize=256)
def _values(op: Op) -> dict[str, Interval]:
    """Return the intervals of the numbers that formulas read, by name."""
    found: dict[str, Interval] = {}
    for name, param in op.card.params.items():
        if param.is_number:
            least = param.min if isinstance(param.min, int) and not param.number else -math.inf
            found |= dict.fromkeys(param.targets(name), Interval(least, math.inf))
            if param.rational:
                numerator, denominator = param.targets(name)
                # Of a fraction that is not negative the numerator is no smaller; of any the denominator is positive.
                found[numerator] = Interval(least if least >= 0 else -math.inf, math.inf)
                found[denominator] = Interval(1, math.inf)
    return found


def _floats(op: Op) -> set[str]:
    """Return the names of the numbers that need not be integers."""
    return {t for name, p in op.card.params.items() if p.number for t in p.targets(name)}


@functools.lru_cache(maxsize=1024)
def _terms(op: Op, form: Form) -> dict[str, Node]:
    """Return the expressions of a form as trees: sizes by axis, requirements by ``require`` and name."""
    names = frozenset(_values(op))
    texts = {axis: term.text for axis, term in form.sizes.items()}
    texts |= {f"require {name}": term.text for name, term in form.require.items()}
    return {key: parse_term(text, op.name, names) for key, text in texts.items()}
