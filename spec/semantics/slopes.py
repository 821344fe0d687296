"""The slope of a term by every tensor that it reads: the rules of differentiation on the formula tree.

A path leads from a term down to one read. It carries the partial derivative as a product of factors over divisors, and the
axes that reductions bind on the way. Brackets stay factors by themselves, in front: one that is false annihilates the path,
NaN and all. A bracket, ``floor``, ``ceil``, ``//`` and ``%`` have no slope.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Node,
    Number,
    Read,
    Reduce,
    Tuple,
    factors,
    walk,
)
from einspec.semantics.binding import Known, canonical, fresh, rename

PI = Number(3.141592653589793)


@dataclass(frozen=True, slots=True)
class Choice(Bracket):
    """A bracket that takes one slope where a function has several, at a corner."""

    corner: Node
    """A term that is not zero where another slope would be as good."""


@dataclass(frozen=True)
class Path:
    """One partial derivative: ``factors / divisors`` of what is read, over the axes that are bound on the way."""

    read: Read
    factors: tuple[Node, ...] = ()
    divisors: tuple[Node, ...] = ()
    bound: tuple[str, ...] = ()
    negative: bool = False

    def times(self, *more: Node) -> Path:
        """Return the path with factors in front."""
        kept = tuple(f for f in more if not _is_one(f))
        return replace(self, factors=kept + self.factors)

    def over(self, *more: Node) -> Path:
        """Return the path with divisors in front."""
        kept = tuple(d for d in more if not _is_one(d))
        return replace(self, divisors=kept + self.divisors)

    def negated(self) -> Path:
        """Return the path with the other sign."""
        return replace(self, negative=not self.negative)

    def named(self, known: Known) -> Path:
        """Return the path in which what a tensor holds is read from it, a factor and its divisor together first."""
        left, divisors = list(self.factors), list[Node]()
        for divisor in self.divisors:
            quotients = [known.read(Binary("/", f, divisor)) for f in left]
            place = next((i for i, q in enumerate(quotients) if q is not None), None)
            if place is None:
                divisors.append(divisor)
            else:
                left[place] = quotients[place] or left[place]
        found = tuple(known.named(f) for f in left)
        return replace(self, factors=found, divisors=tuple(known.named(d) for d in divisors))


def product(parts: Sequence[Node], divisors: Sequence[Node]) -> Node:
    """Return a product over divisors, its brackets in front of the quotient so that they annihilate all of it."""
    brackets: list[Node] = [p for p in parts if isinstance(p, Bracket)]
    values: list[Node] = [p for p in parts if not isinstance(p, Bracket)] or ([Number(1)] if divisors else [])
    quotient = _chained("*", values) if values else None
    for divisor in divisors:
        quotient = Binary("/", quotient or Number(1), divisor)
    if divisors:
        values = [quotient or Number(1)]
    return _chained("*", [*brackets, *values])


def _chained(op: str, parts: Sequence[Node]) -> Node:
    total = parts[0]
    for part in parts[1:]:
        total = Binary(op, total, part)
    return total


def _is_one(node: Node) -> bool:
    return isinstance(node, Number) and node.value == 1


class Slopes:
    """The paths of terms to the tensors that count."""

    def __init__(self, active: Collection[str], constant: Collection[Node | str] = ()) -> None:
        """Take the tensors that count, and the terms that are taken as constant."""
        self.active, self.constant = set(active), constant

    def any(self, node: Node) -> bool:
        """Whether a term has a slope by a tensor that counts."""
        return next(self.paths(node), None) is not None

    def paths(self, node: Node) -> Iterator[Path]:
        """Yield the paths of a term, in the order in which it reads."""
        match node:
            case Read(tensor) if tensor in self.active and tensor not in self.constant:
                yield Path(node)
            case Binary("*"):
                yield from self.product(list(factors(node)))
            case Binary("+" | "-" as op, left, right):
                yield from self.paths(left)
                yield from (p if op == "+" else p.negated() for p in self.paths(right))
            case Binary("/", left, right):
                yield from self.quotient(left, right)
            case Apply(function, argument):
                yield from self.function(function, node, argument)
            case Reduce("sum", axes, body):
                yield from (replace(p, bound=axes + p.bound) for p in self.paths(body))
            case Reduce(kind, axes, body) if canonical(node) not in self.constant:
                first = None
                for path in self.paths(body):
                    first = first or attaining(kind, axes, body)
                    yield replace(path.times(first), bound=axes + path.bound)

    def product(self, parts: list[Node]) -> Iterator[Path]:
        """Yield the paths of a product: of each factor times the others."""
        for i, part in enumerate(parts):
            for path in self.paths(part):
                yield path.times(*parts[:i], *parts[i + 1 :])

    def quotient(self, left: Node, right: Node) -> Iterator[Path]:
        """Yield the paths of a quotient: through what is divided, and through what it is divided by.

        One by ``1 + exp(-v)`` is a product with ``s``, the logistic function of ``v``, whose slope ``s * (1 - s)`` is what
        everybody computes: it loses what the subtraction rounds away.
        """
        curve = Binary("/", Number(1), right)
        exponent = logistic(right)
        if exponent is None:
            yield from (p.over(right) for p in self.paths(left))
            yield from (p.times(*factors(left)).over(right, right).negated() for p in self.paths(right))
        else:
            yield from (p.times(curve) for p in self.paths(left))
            rest = Binary("-", Number(1), curve)
            yield from (p.times(*factors(left), curve, rest) for p in self.paths(exponent))

    def function(self, name: str, node: Apply, argument: Node) -> Iterator[Path]:
        """Yield the paths of a function of one number."""
        for path in self.paths(argument):
            match name:
                case "exp":
                    yield path.times(node)
                case "log":
                    yield path.over(argument)
                case "sqrt":
                    yield path.over(Number(2), node)
                case "tanh":
                    yield path.times(Binary("-", Number(1), Binary("*", node, node)))
                case "erf":
                    square = Binary("*", argument, argument)
                    bell = Apply("exp", Binary("-", Number(0), square))
                    yield path.times(Number(2), bell).over(Apply("sqrt", PI))
                case "abs":
                    yield path.times(sign(argument))


def sign(node: Node) -> Node:
    """Return the slope of a magnitude: 1, -1, or at the corner 0."""
    corner = Bracket("==", node, Number(0))
    above, below = (Choice(op, node, Number(0), corner) for op in (">", "<"))
    return Binary("-", above, below)


def attaining(kind: str, axes: tuple[str, ...], body: Node) -> Choice:
    """Return the bracket of the first coordinates at which a maximum or minimum is attained.

    Where several tie, the slope may as well be shared among them.
    """
    taken = {n.name for n in walk(body) if isinstance(n, Axis)}
    taken |= {a for n in walk(body) if isinstance(n, Reduce) for a in n.axes} | set(axes)
    names: dict[str, str] = {}
    for axis in axes:
        names[axis] = fresh(axis, taken)
        taken.add(names[axis])
    others = tuple(names.values())
    other: Node = rename(body, names, taken)
    here: tuple[Node, ...] = tuple(Axis(a) for a in axes)
    there: tuple[Node, ...] = tuple(Axis(a) for a in others)
    if kind == "max":
        before = Bracket(">", Tuple((other, *here)), Tuple((body, *there)))
    else:
        before = Bracket("<", Tuple((other, *there)), Tuple((body, *here)))
    beyond = Bracket(before.op, other, body)
    none_beyond = Bracket("==", Reduce("sum", others, beyond), Number(0))
    several = Bracket(">", Reduce("sum", others, Bracket("==", other, body)), Number(1))
    corner = Binary("*", none_beyond, several)
    return Choice("==", Reduce("sum", others, before), Number(0), corner)


def logistic(divisor: Node) -> Node | None:
    """Return ``v`` of a divisor ``1 + exp(-v)``; None of any other."""
    match divisor:
        case Binary("+", Number(1), Apply("exp", Binary("-", Number(0), argument))):
            return argument
    return None


def shared(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the terms whose slope is made of themselves, each with what it is called: softmax and the logistic function."""
    for part in walk(node):
        match part:
            case Binary("/", Apply("exp", _), Reduce("sum", _, Apply("exp", _))):
                yield "softmax", part
            case Binary("/", _, right) if logistic(right) is not None:
                yield "sigmoid", Binary("/", Number(1), right)
