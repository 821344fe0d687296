"""Definitions that use other cards: each use is replaced by the equations of the card, in the names of the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from einspec.errors import FormulaError
from einspec.language.formula import (
    Axis,
    Binary,
    Equation,
    Group,
    Index,
    Node,
    Number,
    OpCall,
    Param,
    Read,
    Reduce,
    Size,
    axes_of,
    base,
    transform,
    walk,
)

if TYPE_CHECKING:
    from einspec.card import Form, Op
    from einspec.language.tables import Param as Tabled


def inline(
    where: str, stated: Sequence[Equation | OpCall], find: Callable[[str], Op]
) -> tuple[tuple[Equation, ...], dict[str, tuple[str, str]]]:
    """Return the equations of a definition with every use of another card replaced, and what these select from.

    Args:
        where: the card that an error names.
        stated: the definition as it is written.
        find: gives the op of a name.

    Raises:
        FormulaError: a use does not fit the card that it names.
    """
    found: list[Equation] = []
    selects: dict[str, tuple[str, str]] = {}
    for entry in stated:
        if isinstance(entry, Equation):
            found.append(entry)
        else:
            use = _Use(where, entry, find, {e.tensor for e in found})
            found += use.equations()
            selects |= use.selects()
    return tuple(found), selects


class _Use:
    """One use of another card: how its names are to be read in those of the caller."""

    def __init__(self, where: str, call: OpCall, find: Callable[[str], Op], taken: set[str]) -> None:
        self.where, self.call = where, call
        try:
            self.op = find(call.op)
        except KeyError as error:
            raise self.error(str(error.args[0])) from None
        self.form = self.selected()
        self.axes: dict[str, str] = {}
        self.tensors: dict[str, str] = {}
        for specs, reads, side in (
            (self.form.signature.inputs, call.inputs, "takes"),
            (self.form.signature.outputs, call.targets, "gives"),
        ):
            if len(specs) != len(reads):
                raise self.error(f"{call.op} {side} {len(specs)} tensors, not {len(reads)}")
            for spec, read in zip(specs, reads, strict=True):
                self.tensors[spec.name] = read.tensor
                self.match(spec.index, read.index)
        inner = {e.tensor for e in self.form.equations} - self.tensors.keys()
        number = next(n for n in range(1, 100) if not any(_inner(call.op, n, t) in taken for t in inner))
        self.tensors |= {t: _inner(call.op, number, t) for t in inner}
        self.values = self.numbers()

    def error(self, problem: str) -> FormulaError:
        return FormulaError(f"{self.where}: {problem}: {self.call.text}")

    def selected(self) -> Form:
        choices = dict(self.call.choices)
        for name, value in choices.items():
            param = self.op.card.params.get(name)
            if param is None or value not in param.choices:
                raise self.error(f"{self.op.name} has no {name}={value!r}")
        if not self.op.choice:
            return self.op.forms[""]
        value = choices.get(self.op.choice, str(self.op.card.params[self.op.choice].default))
        if value not in self.op.forms:
            raise self.error(f"{self.op.name} needs {self.op.choice}")
        return self.op.forms[value]

    def match(self, wanted: tuple[Index, ...], given: tuple[Index, ...]) -> None:
        """Note which axis of the caller each axis of the card is."""
        if len(wanted) != len(given):
            raise self.error(f"{self.op.name} has {len(wanted)} dimensions where {len(given)} are given")
        for want, got in zip(wanted, given, strict=True):
            if isinstance(want, Group) and isinstance(got, Group):
                self.match(want.parts, got.parts)
            elif isinstance(want, Axis) and isinstance(got, Axis):
                if self.axes.setdefault(want.name, got.name) != got.name:
                    raise self.error(f"axis {want.name} of {self.op.name} is both {self.axes[want.name]} and {got.name}")
            else:
                raise self.error(f"a dimension of {self.op.name} is composed otherwise")

    def numbers(self) -> dict[str, Node]:
        """Return what stands for each number that the card reads."""
        given, params = dict(self.call.numbers), self.op.card.params
        for name in sorted(given):
            if name not in params:
                raise self.error(f"{self.op.name} has no parameter {name}")
            if not params[name].is_number:
                raise self.error(f"{name} of {self.op.name} is no number of its formulas, and {name}= would change nothing")
        found: dict[str, Node] = {}
        for name, param in params.items():
            if param.is_number:
                own = self.given(name, param, given[name]) if name in given else self.default(name, param)
                found |= zip(param.targets(name), own, strict=True)
        return found

    def given(self, name: str, param: Tabled, value: Node) -> list[Node]:
        """Return what stands for each name of a number that the use gives."""
        if not param.rational:
            return [value for _ in param.targets(name)]
        match value:
            case Number(int() as whole):
                return _parts(Fraction(whole))
            case Binary("/", Number(int() as above), Number(int() as below)) if below:
                return _parts(Fraction(above, below))
        raise self.error(f"{name} of {self.op.name} must be written as an integer or a quotient of two, such as 5/4")

    def default(self, name: str, param: Tabled) -> list[Node]:
        """Return what stands for each name of a number that the use leaves out."""
        targets, value = param.targets(name), param.default
        if param.rational and not param.required:
            return _parts(Fraction(str(value)))
        each = value if isinstance(value, tuple) else (value,) * len(targets)
        numbers: list[Node] = [Number(v) for v in each if isinstance(v, int | float)]
        if len(numbers) < len(targets):
            raise self.error(f"{self.op.name} needs {name}")
        return numbers

    def axis(self, name: str) -> str:
        """Return the caller's name of an axis; one that only distinguishes goes on doing so."""
        own = base(name)
        if own not in self.axes:
            raise self.error(f"axis {own} of {self.op.name} stands in no tensor of its signature")
        return self.axes[own] + name[len(own) :]

    def selects(self) -> dict[str, tuple[str, str]]:
        """Return what the selections of the card are made from, in the caller's names."""
        names = {**self.tensors, "": ""}
        return {names[out]: (names[source], names[mask]) for out, (source, mask) in self.form.selects.items()}

    def equations(self) -> list[Equation]:
        return [self.renamed(e) for e in self.form.equations]

    def renamed(self, equation: Equation) -> Equation:
        names = _bound(equation.body) | set(axes_of(equation.index))
        if len({self.axis(n) for n in names}) < len(names):
            raise self.error(f"two axes of {self.op.name} would have one name: {equation.text}")
        changed = transform(equation, self.change)
        return replace(changed, tensor=self.tensors[equation.tensor])

    def change(self, node: Any) -> Any:
        match node:
            case Axis(name):
                return Axis(self.axis(name))
            case Size(name):
                return Size(base(self.axis(name)))
            case Reduce(kind, axes, body):
                return Reduce(kind, tuple(self.axis(a) for a in axes), body)
            case Read(tensor, index):
                return Read(self.tensors[tensor], index)
            case Param(name):
                return self.values[name]
        return node


def _parts(exact: Fraction) -> list[Node]:
    """Return a fraction as formulas read it: its numerator and its denominator."""
    return [Number(exact.numerator), Number(exact.denominator)]


def _inner(op: str, number: int, tensor: str) -> str:
    """Return the caller's name of a tensor that a card defines on the way."""
    return f"{op}{number if number > 1 else ''}.{tensor}"


def _bound(node: Node) -> set[str]:
    return {a for n in walk(node) if isinstance(n, Reduce) for a in n.axes}
