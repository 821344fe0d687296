"""What the solver of :mod:`einspec.solve` can find wrong with sizes, followed on intervals.

The right side of an equation is a dimension of an input or a parameter, which a caller may choose
freely: it alone can be wrong while all that is checked before is right. So an equation that the
solver checks is a constraint, unless a rule proves that it cannot fail.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from einspec.card import Form, Op
from einspec.intervals import ANY, NATURAL, Interval, Polynomial, bounds, demands, holds, product
from einspec.language.formula import Node, Rest, Size, walk
from einspec.language.formula import Param as Parameter
from einspec.language.tables import Param
from einspec.solve import TensorSpec, axes_of_target, rest_axis

MOST = 2
"""How many axes a rest stands for at most: each further one is checked as the second is."""
EMPTY = Interval(0, 0)
ONE = Interval(1, 1)


def size_constraints(op: Op, form: Form) -> Iterator[str]:
    """Yield the ids of what can be wrong with the sizes of a call, some of them more than once."""
    return _followed(op, form, {})


@functools.lru_cache(maxsize=256)
def divisors(op: Op, form: Form) -> dict[str, set[tuple[str, ...]]]:
    """Return the axes whose sizes have to divide a number, on each path of the solver, by where the number stands."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for _ in _followed(op, form, found):
        pass
    return found


def _followed(op: Op, form: Form, divided: dict[str, set[tuple[str, ...]]]) -> Iterator[str]:
    """Follow the solver on every path, yield what can be wrong, and write down by what is divided."""
    for equations in _systems(op, form):
        # A size of 0 can be divided by nothing, so that the solver goes on in another way: both
        # are followed where an axis may be empty and it matters.
        waiting: list[dict[str, bool]] = [{}]
        while waiting:
            empty = waiting.pop()
            try:
                yield from _Path(op, form, empty, divided).run(equations)
            except _Undecided as fork:
                waiting += [{**empty, fork.axis: True}, {**empty, fork.axis: False}]
            except _Stopped:
                pass


@dataclass(frozen=True)
class _Equation:
    """Axes whose product is a number that a caller chooses, and where that stands."""

    names: tuple[str, ...]
    total: Interval
    where: str


def _systems(op: Op, form: Form) -> Iterator[list[_Equation]]:
    """Yield the equations of a call, for each rank of the rests and each size that is left open."""
    tensors = (*form.signature.inputs, *form.signature.outputs)
    rests = list(dict.fromkeys(r for spec in tensors for r in spec.rests))
    params = op.card.params
    least = {p.rank: p.min for p in params.values() if p.rank and isinstance(p.min, int)}
    least |= {p.sizes: 1 for p in params.values() if p.sizes}
    for counts in itertools.product(*(range(least.get(r, 0), MOST + 1) for r in rests)):
        ranks = dict(zip(rests, counts, strict=True))
        shapes = [e for spec in form.signature.inputs for e in _dimensions(spec, ranks)]
        given = [list(_given(name, param, ranks)) for name, param in params.items()]
        for choice in itertools.product(*given):
            yield [*itertools.chain(*choice), *shapes]


def _dimensions(spec: TensorSpec, ranks: Mapping[str, int]) -> Iterator[_Equation]:
    """Yield the equation of every dimension of an input; its id counts those of the signature."""
    widths = [ranks[d.name] if isinstance(d, Rest) else 1 for d in spec.index]
    owners = [d for d, width in enumerate(widths) for _ in range(width)]
    for axes, owner in zip(spec.axes(ranks), owners, strict=True):
        place = "length" if spec.listed and owner == 0 else str(owner - spec.listed)
        yield _Equation(axes, NATURAL, f"{spec.name}.{place}")


def _given(name: str, param: Param, ranks: Mapping[str, int]) -> Iterator[tuple[_Equation, ...]]:
    """Yield the equations that a parameter gives, for each choice of sizes that it leaves open."""
    if param.sizes:
        axes = [rest_axis(param.sizes, i) for i in range(ranks[param.sizes])]
        for told in itertools.product((True, False), repeat=len(axes)):
            chosen = itertools.compress(axes, told)
            yield tuple(_Equation((a,), NATURAL, name) for a in chosen)
    elif param.size:
        least = param.min if isinstance(param.min, int) else -math.inf
        total = Interval(least, math.inf)
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


class _Path:
    """The solver on one path: the interval of every size that it knows."""

    def __init__(self, op: Op, form: Form, empty: Mapping[str, bool], divided: dict[str, set[tuple[str, ...]]]) -> None:
        self.op, self.form, self.empty, self.divided = op, form, empty, divided
        self.sizes: dict[str, Interval] = {}
        self.values = _values(op)
        self.terms = _terms(form)

    def run(self, equations: list[_Equation]) -> Iterator[str]:
        """Yield what can be wrong, in the order of the checks.

        Raises:
            _Undecided: an axis may be empty, and what follows depends on it.
            _Stopped: no call gets further.
        """
        for axis, term in self.form.sizes.items():
            if not term.needs:
                self.learn(axis, self.bounds(axis))
        while equations:
            waiting: list[_Equation] = []
            for equation in equations:
                settled = yield from self.settle(equation)
                if not settled:
                    waiting.append(equation)
            if len(waiting) == len(equations):
                found = self.derivable()
                yield from self.check_axes()
                if not found:
                    yield f"open.{waiting[0].where}"
                    return
                self.derive(found)
            equations = waiting
        yield from self.finish()

    def settle(self, equation: _Equation) -> Generator[str, None, bool]:
        """Yield what can be wrong with an equation; return whether it is settled."""
        known = [self.sizes[a] for a in equation.names if a in self.sizes]
        unknown = {a for a in equation.names if a not in self.sizes}
        if len(unknown) > 1 or unknown & self.form.sizes.keys():
            return False
        if not unknown:
            yield f"match.{equation.where}"
            if len(equation.names) == 1:
                axis = equation.names[0]
                self.learn(axis, self.sizes[axis].meet(equation.total))
            return True
        self.decide(equation.names)
        factor = product(known)
        if factor == EMPTY:
            return False
        # What is one axis alone, or one beside axes of size 1, is divided by nothing.
        if factor != ONE:
            self.divided.setdefault(equation.where, set()).add(tuple(a for a in equation.names if a in self.sizes))
            yield f"divides.{equation.where}"
        self.learn(unknown.pop(), _quotient(equation.total, factor))
        return True

    def decide(self, names: Iterable[str]) -> None:
        """Ask for each known factor whether it is zero, where it may be."""
        for axis in names:
            size = self.sizes.get(axis, ONE)
            if size.low <= 0 <= size.high and axis not in self.empty and size != EMPTY:
                raise _Undecided(axis)

    def learn(self, axis: str, size: Interval) -> None:
        """Set the interval of a size, as far as this path says whether it is zero."""
        if axis in self.empty:
            filled = Interval(1, math.inf) if size.low >= 0 else ANY
            size = size.meet(EMPTY if self.empty[axis] else filled)
        self.sizes[axis] = size
        if size.low > size.high:
            raise _Stopped

    def derivable(self) -> list[str]:
        """Return the sizes that the card derives from those that are known."""
        terms = self.form.sizes.items()
        return [a for a, t in terms if a not in self.sizes and t.needs <= self.sizes.keys()]

    def derive(self, axes: Iterable[str], facts: Iterable[Polynomial] = ()) -> None:
        """Learn the sizes that the card derives; facts may say more of those that are known."""
        for axis, size in [(a, self.bounds(a, facts)) for a in axes]:
            self.learn(axis, self.sizes.get(axis, ANY).meet(size))

    def bounds(self, axis: str, facts: Iterable[Polynomial] = ()) -> Interval:
        """Return the bounds of a size that the card derives."""
        return bounds(self.terms[axis], self.known(), facts)

    def known(self) -> dict[Node, Interval]:
        """Return the intervals by the nodes that stand for them in expressions."""
        sizes: dict[Node, Interval] = {Size(a): n for a, n in self.sizes.items()}
        return sizes | {Parameter(p): n for p, n in self.values.items()}

    def check_axes(self) -> Iterator[str]:
        """Yield the axes that may be shorter than the card allows; past the check they are not."""
        for axis, rule in self.op.card.axes.items():
            # An axis whose bounds lie above the least size is never too short.
            if axis in self.sizes and self.sizes[axis].low < rule.min:
                yield f"axes.{axis}"
                self.learn(axis, self.sizes[axis].meet(Interval(rule.min, math.inf)))

    def finish(self) -> Iterator[str]:
        """Yield what is checked when all sizes of the inputs are known."""
        yield from self.check_axes()
        self.derive([a for a in self.form.sizes if a not in self.sizes])
        facts: list[Polynomial] = []
        for name in self.form.require:
            node = self.terms[f"require {name}"]
            # What follows from the bounds and the requirements before it always holds.
            if not holds(node, self.known(), facts):
                yield f"require.{name}"
            facts += demands(node, whole=not _reads(node, _floats(self.op)))
        # What is required may say that a size that the card derives is not negative.
        self.derive(self.form.sizes, facts)
        yield from self.check_axes()
        for axis, size in self.sizes.items():
            if size.low < 0:
                yield f"axes.{axis}"


def _quotient(total: Interval, factor: Interval) -> Interval:
    """Return the interval of what is left of a total that is a multiple of a factor."""
    if factor == ONE:
        return total
    # A total of at least 1 that positive factors divide leaves at least 1.
    return Interval(min(total.low, 1) if factor.low > 0 else -math.inf, math.inf)


@functools.lru_cache(maxsize=256)
def _values(op: Op) -> dict[str, Interval]:
    """Return the intervals of the numbers that formulas read, by name."""
    found: dict[str, Interval] = {}
    for name, param in op.card.params.items():
        if param.is_number:
            # Of a number that may be a float the least value is checked for integers only.
            least = float(param.min) if isinstance(param.min, int) and not param.number else -math.inf
            found |= dict.fromkeys(param.targets(name), Interval(least, math.inf))
            if param.rational:
                numerator, denominator = param.targets(name)
                # A fraction that is not negative is no larger than its numerator.
                found[numerator] = Interval(least if least >= 0 else -math.inf, math.inf)
                found[denominator] = Interval(1, math.inf)
    return found


def _floats(op: Op) -> set[str]:
    """Return the names of the numbers that need not be integers."""
    return {t for name, p in op.card.params.items() if p.number for t in p.targets(name)}


def _reads(node: Node, names: set[str]) -> bool:
    """Return whether an expression reads one of some parameters."""
    return any(isinstance(n, Parameter) and n.name in names for n in walk(node))


def _terms(form: Form) -> dict[str, Node]:
    """Return the expressions of a form: sizes by axis, requirements by ``require`` and name."""
    sizes = {axis: term.node for axis, term in form.sizes.items()}
    return sizes | {f"require {name}": term.node for name, term in form.require.items()}
