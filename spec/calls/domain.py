"""For which calls of an op somebody promises anything: sizes, forms, and conditions that sizes and parameters decide.

What is written is solved as far as that goes: an equation of two sizes makes them one, a bound or a multiple says which
numbers are tried. What is left of it is looked at call by call.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from einspec.calls.space import Case
    from einspec.card import Op
    from einspec.solve import Solution

RULE = re.compile(r"(multiple of|<=|>=|==|<|>)\s*(-?\d+)")
"""One rule of a size."""
RULES = "'multiple of N', '<= N', '< N', '>= N', '> N' or '== N', several with commas"
MANY = 8
"""Up to this size every multiple is tried; larger sizes are rounded up to the next one."""
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.Div: operator.truediv,
}  # fmt: skip
CALLS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs}
TURNED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq}


class UndecidedError(ValueError):
    """A condition is not one that sizes and parameters decide."""


@dataclass(frozen=True)
class Fit:
    """Which numbers a size may be."""

    multiple: int = 1
    least: int = 0
    most: int | None = None
    among: tuple[int, ...] = ()
    """The sizes that there are, in their order, where they are given one by one."""

    def __and__(self, other: Fit) -> Fit:
        """Return what fits both; of two multiples the larger, which the other has to divide to fit at all."""
        most = min((n for n in (self.most, other.most) if n is not None), default=None)
        among = tuple(n for n in self.among or other.among if n in (other.among or self.among))
        return Fit(max(self.multiple, other.multiple), max(self.least, other.least), most, among)

    def __call__(self, size: int) -> int:
        """Return the size that is asked where another would be: the n-th of those that fit, larger ones rounded up."""
        if self.among:
            return next((n for n in self.among if n >= size), self.among[-1])
        if size == 0 and self.least == 0:
            return 0
        first = -(-max(self.least, 1) // self.multiple)
        place = first + size - 1 if size <= MANY else max(first + MANY, -(-size // self.multiple))
        found = place * self.multiple
        return found if self.most is None else min(found, self.most // self.multiple * self.multiple)

    def fits(self, number: Any) -> bool:
        """Whether a number is one of those."""
        if self.among:
            return number in self.among
        within = self.least <= number and (self.most is None or number <= self.most)
        return bool(within and number % self.multiple == 0)


@dataclass(frozen=True)
class Domain:
    """For which calls something is promised."""

    fits: tuple[tuple[str, Fit], ...] = ()
    """By axis, or name of a number."""
    equal: tuple[tuple[str, str], ...] = ()
    """Axes of one size."""
    reads: frozenset[str] = frozenset()
    """The inputs of which something is said as well."""
    text: str = ""
    """What tells it from others."""
    trees: tuple[ast.expr, ...] = field(default=(), compare=False)
    """What else sizes and parameters decide."""
    ranks: tuple[int, ...] = ()
    """On how many ranks calls may run, if those are said."""

    def fit(self, names: Sequence[str]) -> Fit | None:
        """Return which numbers a variable may be, by its axes or the name of its number."""
        found = None
        for name, fit in self.fits:
            if name in names or f"={name}" in names:
                found = fit if found is None else found & fit
        return found

    def allows(self, case: Case) -> bool:
        """Whether sizes and parameters of a call are as they have to be."""
        names = numbers_of(case.op, case.solution, case.params)
        if any(name in names and not fit.fits(names[name]) for name, fit in self._named):
            return False
        if self.ranks and not {n[0] for n in _of_ranks(case)} <= set(self.ranks):
            return False
        return all(_holds(tree, names) for tree in self.trees)

    @property
    def _named(self) -> Iterator[tuple[str, Fit]]:
        for name, fit in self.fits:
            yield (name.upper(), fit)
            yield (name, fit)


def numbers_of(op: Op, solution: Solution, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an expression may name besides tensors: parameters, the numbers that formulas read, sizes in upper case."""
    sizes = {axis.upper(): n for axis, n in solution.sizes.items()}
    return {**solution.values, **op.bind(params), **sizes}


def domain_of(op: Op, where: str, sizes: Mapping[str, str], forms: Sequence[str]) -> Domain:
    """Return the calls that are meant.

    Args:
        op: the op.
        where: a condition as Python writes it, of sizes, parameters and inputs.
        sizes: by size, in upper case, or parameter, which numbers it may be.
        forms: the values of the string parameter.

    Raises:
        ValueError: a rule of a size cannot be read.
    """
    axes, numbers = _axes(op), _numbers(op)
    fits = [(axis, fit_of(text)) for name, text in sizes.items() for axis in _meant(op, name, axes)]
    equal: list[tuple[str, str]] = []
    trees: list[ast.expr] = []
    reads: set[str] = set()
    inputs = {s.name for f in op.forms.values() for s in f.signature.inputs}
    for tree in _conjuncts(where):
        names = _names(tree)
        if not _decidable(tree, {*(a.upper() for a in axes), *numbers, *op.card.params}):
            reads |= names & inputs
            continue
        trees.append(tree)
        pair = _equation(tree)
        if pair and all(n.lower() in axes and n.isupper() for n in pair):
            equal.append((pair[0].lower(), pair[1].lower()))
        fits += [(axis, fit) for name, fit in _bounds(tree) for axis in _meant(op, name, axes)]
    text = "; ".join(filter(None, (where.strip(), *(f"{k} {v}" for k, v in sizes.items()), ",".join(forms))))
    return Domain(tuple(fits), tuple(equal), frozenset(reads), text, tuple(trees))


def on_ranks(op: Op, worlds: Sequence[int]) -> Domain:
    """Return the calls that run on some numbers of ranks."""
    sizes = tuple(sorted(set(worlds)))
    single = len({axis for form in op.forms.values() for axis in op.card.ranks.axes if axis not in form.sizes}) == 1
    found = tuple((axis, Fit(among=sizes)) for axis in op.card.ranks.axes if single)
    return Domain(found, text=f"on {', '.join(map(str, sizes))} ranks", ranks=sizes)


def _of_ranks(case: Case) -> list[tuple[int, ...]]:
    """Return the shapes of the tensors of which each rank has a part."""
    own = case.op.ranked(case.form)
    specs = (*case.form.signature.inputs, *case.form.signature.outputs)
    return [case.solution.shape(s) for s in specs if s.name in own]


@lru_cache(maxsize=256)
def within(op: Op, domain: Domain, forms: tuple[str, ...] = ()) -> Op:
    """Return an op of which only these calls are asked."""
    kept = {value: form for value, form in op.forms.items() if not forms or value in forms}
    kept = {value: form for value, form in kept.items() if _may_be(op, domain, value)}
    return replace(op, forms=kept or op.forms, domain=domain)


def _may_be(op: Op, domain: Domain, value: str) -> bool:
    """Whether the conditions that the string parameter alone decides hold for a value of it."""
    if not op.choice:
        return True
    return all(_holds(tree, {op.choice: value}) for tree in domain.trees if _names(tree) <= {op.choice})


def fit_of(text: str) -> Fit:
    """Return which numbers a rule allows.

    Raises:
        ValueError: it cannot be read.
    """
    found = Fit()
    for part in text.split(","):
        match = RULE.fullmatch(part.strip())
        if match is None or (match[1] == "multiple of" and int(match[2]) < 1):
            raise ValueError(f"expected {RULES}, not {part.strip()!r}")
        found &= _rule(match[1], int(match[2]))
    return found


def _rule(sign: str, number: int) -> Fit:
    match sign:
        case "multiple of":
            return Fit(number)
        case "<=" | "<":
            return Fit(most=number - (sign == "<"))
        case ">=" | ">":
            return Fit(least=number + (sign == ">"))
    return Fit(least=number, most=number)


def _axes(op: Op) -> set[str]:
    """Return the axes of an op that have names of their own."""
    from einspec.calls.space import spaces

    found = {names for space in spaces(op, most_rank=1, sizes=(2,)) for names in space.variables}
    derived = {axis for form in op.forms.values() for axis in form.sizes}
    return {a for names in found for a in names if not a.startswith("=") and "." not in a} | derived


def _numbers(op: Op) -> set[str]:
    return {t for n, p in op.card.params.items() if p.is_number for t in p.targets(n)}


def _meant(op: Op, name: str, axes: set[str]) -> list[str]:
    """Return the axes or numbers that a name of a rule stands for: a parameter that gives a size stands for that size."""
    if name.isupper() and name.lower() in axes:
        return [name.lower()]
    if name in op.card.params:
        return op.card.params[name].targets(name)
    return [name]


def _conjuncts(text: str) -> Iterator[ast.expr]:
    """Yield the conditions that all have to hold."""
    if text.strip():
        pending: list[ast.expr] = [ast.parse(f"({text}\n)", mode="eval").body]
        while pending:
            tree = pending.pop(0)
            if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
                pending = [*tree.values, *pending]
            else:
                yield tree


DECIDABLE = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, *COMPARE, ast.BinOp, *ARITHMETIC, ast.Name,
    ast.Load, ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Call,
)  # fmt: skip
"""What a condition may be made of that is decided here."""


def _decidable(tree: ast.expr, known: set[str]) -> bool:
    """Whether sizes and parameters decide a condition, and it is of a kind that is decided here."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    plain = all(isinstance(n.func, ast.Name) and n.func.id in CALLS and not n.keywords for n in calls)
    functions = set().union(*(_names(n.func) for n in calls))
    return plain and _names(tree) <= known | functions and all(isinstance(n, DECIDABLE) for n in ast.walk(tree))


def _names(tree: ast.expr) -> set[str]:
    """Return the names in a condition."""
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def _holds(tree: ast.expr, names: Mapping[str, Any]) -> bool:
    """Whether a condition holds; one that numbers do not decide does not."""
    try:
        return bool(decided(tree, names))
    except (UndecidedError, ArithmeticError, TypeError, LookupError):
        return False


def decided(tree: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of a condition, or of a part of it.

    Raises:
        UndecidedError: it is made of something else.
    """
    match tree:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return names[name]
        case ast.Tuple(parts) | ast.List(parts) | ast.Set(parts):
            return tuple(decided(p, names) for p in parts)
        case ast.UnaryOp(ast.Not(), operand):
            return not decided(operand, names)
        case ast.UnaryOp(ast.USub(), operand):
            return -_number(decided(operand, names))
        case ast.BoolOp(ast.And(), values):
            return all(decided(v, names) for v in values)
        case ast.BoolOp(ast.Or(), values):
            return any(decided(v, names) for v in values)
        case ast.BinOp(left, sign, right):
            return ARITHMETIC[type(sign)](_number(decided(left, names)), _number(decided(right, names)))
        case ast.Compare(left, signs, rights):
            values = [decided(v, names) for v in (left, *rights)]
            return all(COMPARE[type(s)](a, b) for s, a, b in zip(signs, values, values[1:], strict=False))
        case ast.Call(ast.Name(name), parts):
            return CALLS[name](*(_number(decided(p, names)) for p in parts))
    raise UndecidedError(ast.unparse(tree))


def _number(value: Any) -> Any:
    if not isinstance(value, int | float | Fraction):
        raise UndecidedError(f"{value!r} is no number")
    return value


def _equation(tree: ast.expr) -> tuple[str, str] | None:
    """Return the two names that a condition says are the same."""
    match tree:
        case ast.Compare(ast.Name(one), [ast.Eq()], [ast.Name(other)]):
            return one, other
    return None


def _bounds(tree: ast.expr) -> Iterator[tuple[str, Fit]]:
    """Yield what a condition says of one name: a bound, or what divides it."""
    signs = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "=="}
    match tree:
        case ast.Compare(ast.BinOp(ast.Name(name), ast.Mod(), ast.Constant(int(n))), [ast.Eq()], [ast.Constant(0)]) if n > 0:
            yield name, Fit(n)
        case ast.Compare(ast.Name(name), [sign], [ast.Constant(int(n))]) if type(sign) in signs:
            yield name, _rule(signs[type(sign)], n)
        case ast.Compare(ast.Constant(int(n)), [sign], [ast.Name(name)]) if type(sign) in TURNED:
            yield name, _rule(signs[TURNED[type(sign)]], n)
        case ast.Compare(ast.Call(ast.Name("min"), parts), [ast.Gt() | ast.GtE() as sign], [ast.Constant(int(n))]):
            yield from ((p.id, _rule(signs[type(sign)], n)) for p in parts if isinstance(p, ast.Name))
