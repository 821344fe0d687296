"""Signatures in named axes, and the sizes that follow from the shapes and parameters of a call.

A signature reads ``x: b (c i j) h w -> y: b c (h i) (w j)``. A dimension is an axis, a composition in parentheses, or any
number of axes: ``...`` or ``*a``. A first dimension in brackets, ``xs: [n] a b``, is a list or tuple of tensors.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from einspec.errors import CardError, ParameterTypeError, ShapeError, clause_line
from einspec.language.formula import Axis, Group, Index, Rest, base, walk
from einspec.orders import Order, Ordered, OrderError

if TYPE_CHECKING:
    from einspec.card import Form, Op
    from einspec.language.tables import Param

TOKEN = re.compile(r"\s*(\.\.\.|->|\*[a-z]+\[-?[a-z]+\]|\*?[a-z]+\d*(?![A-Za-z_])|[A-Za-z_][A-Za-z_0-9]*|[()\[\],:])")


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a signature; ``listed`` says that the first axis is a list of tensors."""

    name: str
    index: tuple[Index, ...]
    listed: bool = False

    @functools.cached_property
    def rests(self) -> tuple[str, ...]:
        """The names of ``...`` and ``*a`` among the dimensions, also inside a composition."""
        return tuple(n.name for n in walk(Group(self.index)) if isinstance(n, Rest))

    def axes(self, ranks: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
        """Return the axes of every dimension, slowest first, every rest opened."""
        key = tuple([ranks[r] for r in self.rests])
        if key not in self._opened:
            self._opened[key] = tuple(atoms(d) for d in expand(self.index, ranks))
        return self._opened[key]

    @functools.cached_property
    def _opened(self) -> dict[tuple[int, ...], tuple[tuple[str, ...], ...]]:
        return {}

    def __str__(self) -> str:
        parts = [dimension_text(d) for d in self.index]
        if self.listed:
            parts[0] = f"[{parts[0]}]"
        return f"{self.name}: {' '.join(parts)}".rstrip()


@dataclass(frozen=True, slots=True)
class Signature:
    """The tensors that an op takes and returns."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __str__(self) -> str:
        sides = (", ".join(map(str, side)) for side in (self.inputs, self.outputs))
        return " -> ".join(sides).strip()


def dimension_text(dimension: Index) -> str:
    """Return a dimension as a signature writes it."""
    match dimension:
        case Axis(name):
            return name
        case Rest(name, order):
            return name if name == "..." else f"*{name}[{order}]" if order else f"*{name}"
        case Group(parts):
            return f"({' '.join(dimension_text(p) for p in parts)})"


def parse_signature(text: str, card: str = "signature") -> Signature:
    """Parse a signature.

    Raises:
        CardError: the text is no signature, or gives two tensors one name; the message names the card and the place.
    """
    tokens: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise CardError(f"{card}: signature, column {position + 1}: unexpected {text[position]!r} in {text!r}")
        tokens.append(match[1])
        position = match.end()
    if tokens.count("->") != 1:
        raise CardError(f"{card}: signature: expected 'inputs -> outputs' in {text!r}")
    arrow = tokens.index("->")
    inputs, outputs = (_tensors(side, card, text) for side in (tokens[:arrow], tokens[arrow + 1 :]))
    if not outputs:
        raise CardError(f"{card}: signature: expected at least one output in {text!r}")
    names = [s.name for s in (*inputs, *outputs)]
    for name in names:
        if names.count(name) > 1:
            raise CardError(f"{card}: signature: {name} is the name of two tensors in {text!r}")
    return Signature(inputs, outputs)


def _tensors(tokens: list[str], card: str, text: str) -> tuple[TensorSpec, ...]:
    specs, tokens = [], list(tokens)
    while tokens:
        if len(tokens) < 2 or tokens[1] != ":":
            raise CardError(f"{card}: signature: expected 'name:' before {' '.join(tokens)!r} in {text!r}")
        name, tokens = tokens[0], tokens[2:]
        end = tokens.index(",") if "," in tokens else len(tokens)
        dims, tokens = tokens[:end], tokens[end + 1 :]
        listed = dims[:1] == ["["]
        if listed and dims[2:3] != ["]"]:
            raise CardError(f"{card}: signature: expected a list axis like [n] in {text!r}")
        if listed:
            dims = [dims[1], *dims[3:]]
        specs.append(TensorSpec(name, _dimensions(dims, card, text), listed))
    return tuple(specs)


def _dimensions(tokens: list[str], card: str, text: str) -> tuple[Index, ...]:
    stack: list[list[Index]] = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")" and len(stack) > 1 and stack[-1]:
            group = Group(tuple(stack.pop()))
            stack[-1].append(group)
        elif token == "...":
            stack[-1].append(Rest("..."))
        elif token.startswith("*"):
            name, _, order = token[1:].partition("[")
            stack[-1].append(Rest(name, order.removesuffix("]")))
        elif token.isidentifier() and token.islower() and "_" not in token:
            stack[-1].append(Axis(token))
        else:
            raise CardError(f"{card}: signature: unexpected {token!r} in {text!r}")
    if len(stack) > 1:
        raise CardError(f"{card}: signature: a parenthesis is not closed in {text!r}")
    return tuple(stack[0])


def expand(index: tuple[Index, ...], ranks: Mapping[str, int]) -> tuple[Index, ...]:
    """Return the index with every rest replaced by as many single axes as it stands for."""
    return _expand(index, tuple(ranks.items())) if ranks else index


@functools.lru_cache(maxsize=4096)
def _expand(index: tuple[Index, ...], ranks: tuple[tuple[str, int], ...]) -> tuple[Index, ...]:
    out: list[Index] = []
    for part in index:
        if isinstance(part, Rest):
            rank = dict(ranks)[part.name]
            out += [Axis(rest_axis(part.name, i)) for i in (_ordered(rank, part.order) if part.order else range(rank))]
        elif isinstance(part, Group):
            out.append(Group(_expand(part.parts, ranks)))
        else:
            out.append(part)
    return tuple(out)


def _ordered(rank: int, order: str) -> tuple[int, ...]:
    """Return the axes of a rest in an order that parameters give."""
    assert isinstance(rank, Ordered), order
    return rank.axes(order)


def rest_axis(rest: str, i: int) -> str:
    """Return the name of the i-th axis that a rest stands for."""
    return f"{rest}.{i}"


def atoms(dimension: Index) -> tuple[str, ...]:
    """Return the axes of an expanded dimension, slowest first."""
    return _group_atoms(dimension) if isinstance(dimension, Group) else (dimension.name,)


def opened(index: tuple[Index, ...], ranks: Mapping[str, int]) -> tuple[str, ...]:
    """Return the axes of an index, slowest first, every rest and composition opened."""
    return tuple([a for dimension in expand(index, ranks) for a in atoms(dimension)])


@functools.lru_cache(maxsize=4096)
def _group_atoms(group: Group) -> tuple[str, ...]:
    return tuple(a for part in group.parts for a in atoms(part))


@dataclass(frozen=True, slots=True)
class Solution:
    """Everything that a call fixes: the form, the rank of each rest, the size of each axis, the number parameters."""

    form: Form
    ranks: dict[str, int]
    sizes: dict[str, int]
    values: dict[str, int | float]

    def shape(self, spec: TensorSpec) -> tuple[int, ...]:
        """Return the shape of a tensor of the signature; the first entry of a listed one is the length of the list."""
        return tuple([math.prod([self.size(a) for a in axes]) for axes in spec.axes(self.ranks)])

    def size(self, axis: str) -> int:
        """Return the size of an axis; ``e1`` has the size of ``e``."""
        return self.sizes[axis] if axis in self.sizes else self.sizes[base(axis)]


def solve(op: Op, shapes: Sequence[tuple[int, ...]], params: Mapping[str, Any]) -> Solution:
    """Return the sizes of a call.

    Args:
        op: the op that is called.
        shapes: the shape of each input, in the order of the signature; a listed input's is that of its stack.
        params: the parameters by name; those with a default may be absent.

    Raises:
        ShapeError: a shape does not fit the signature or another shape.
        ParameterError: a parameter is unknown, missing or out of range.
        ParameterTypeError: a parameter is of the wrong type (a bool or a float where an integer belongs).
    """
    given = op.bind(params)
    return _Solver(op, op.form(given), shapes, given).run()


_Product = tuple[tuple[str, ...], int, TensorSpec | str, int]
"""Axes whose product is a number, and where that stands: a dimension of a tensor, or a parameter."""


@functools.lru_cache(maxsize=1024)
def axes_of_target(text: str) -> tuple[str, ...]:
    """Return the axes of an axis or composition whose size a parameter gives."""
    return tuple(re.findall(r"[a-z]+", text))


class _Solver:
    """One call being solved: sizes found so far, and what is still unknown."""

    def __init__(self, op: Op, form: Form, shapes: Sequence[tuple[int, ...]], params: dict[str, Any]) -> None:
        self.op, self.form, self.shapes, self.params = op, form, shapes, params
        self.ranks: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.values: dict[str, int | float] = {}

    def fail(self, problem: str, constraint: str) -> ShapeError:
        shapes = zip(self.form.signature.inputs, self.shapes, strict=False)
        got = ", ".join(f"{spec.name}[{', '.join(map(str, shape))}]" for spec, shape in shapes)
        known = {**self.params, **{a: n for a, n in self.sizes.items() if "." not in a}}
        lines = [f"{self.op.name}: {problem}", f"  signature: {self.form.signature}", f"  got: {got or 'no tensor'}"]
        if known:
            lines.append(f"  with: {', '.join(f'{k}={v!r}' for k, v in known.items())}")
        if constraint not in self.op.card.unspecified:
            lines.append(clause_line(self.op.name, constraint))
        return ShapeError("\n".join(lines), constraint)

    def run(self) -> Solution:
        inputs = self.form.signature.inputs
        if len(self.shapes) != len(inputs):
            raise self.fail(f"takes {len(inputs)} tensors, not {len(self.shapes)}", "count")
        equations: list[_Product] = []
        for name, param in self.op.card.params.items():
            equations += self.take_parameter(name, param)
        self.check_lengths()
        self.solve_ranks()
        for spec, shape in zip(inputs, self.shapes, strict=True):
            pairs = zip(spec.axes(self.ranks), shape, strict=True)
            equations += [(axes, size, spec, i) for i, (axes, size) in enumerate(pairs)]
        self.solve_sizes(equations)
        self.finish()
        return Solution(self.form, self.ranks, self.sizes, self.values)

    def take_parameter(self, name: str, param: Param) -> list[_Product]:
        value = self.params[name]
        if param.choices:
            return []
        if param.sizes:
            return self.take_sizes(param.sizes, name, value)
        targets = param.targets(name)
        if param.rational:
            value = (value.numerator, value.denominator)
        each = value if isinstance(value, tuple) else (value,) * len(targets)
        if param.size:
            return [(axes_of_target(t), n, name, 0) for t, n in zip(targets, each, strict=True)]
        if param.rank:
            self.ranks[param.rank] = value
        elif not param.axis and not param.order:
            self.values.update(zip(targets, each, strict=True))
        return []

    def take_sizes(self, rest: str, name: str, value: tuple[int, ...]) -> list[_Product]:
        self.ranks[rest] = len(value)
        return [((rest_axis(rest, i),), n, f"{name}[{i}]", i) for i, n in enumerate(value) if n >= 0]

    def check_lengths(self) -> None:
        """Check that no list is shorter than it may be: the axes of what an empty one holds are not known."""
        for spec, shape in zip(self.form.signature.inputs, self.shapes, strict=True):
            if spec.listed:
                (axis,) = atoms(spec.index[0])
                rule = self.op.card.axes.get(axis)
                if rule and shape[0] < rule.min:
                    raise self.too_short(axis, rule.min, shape[0])

    def too_short(self, axis: str, least: int, size: int) -> ShapeError:
        """Return the error of an axis that is shorter than it may be."""
        return self.fail(f"{axis} must be at least {least}, not {size}", f"axes.{axis}")

    def solve_ranks(self) -> None:
        for name, param in self.op.card.params.items():
            if param.axis:
                self.place_axis(name, *param.axis.split(" in "))
        for spec, shape in zip(self.form.signature.inputs, self.shapes, strict=True):
            rests = [d.name for d in spec.index if isinstance(d, Rest)]
            spare = len(shape) - (len(spec.index) - len(rests)) - sum(self.ranks.get(r, 0) for r in rests)
            unknown = [r for r in rests if r not in self.ranks]
            if spare < 0 or (spare and not unknown):
                least = "at least " if rests else ""
                wanted = len(spec.index) - len(rests) + sum(self.ranks.get(r, 0) for r in rests)
                raise self.wrong_rank(spec, f"{least}{wanted - spec.listed}", shape)
            if unknown:
                self.ranks[unknown[0]] = spare
        for name, order in self.form.orders.items():
            self.put_in_order(name, order)

    def put_in_order(self, name: str, order: Order) -> None:
        """Fix in which order a rest stands for its axes, where parameters say it."""
        rank = self.ranks[order.rest]
        try:
            found = order.found(rank, self.params)
        except OrderError as error:
            raise self.fail(str(error), f"param.{error.param}") from None
        self.ranks[order.rest] = Ordered(rank, {name: found}, {n: self.params[n] for n in order.params})

    def wrong_rank(self, spec: TensorSpec, wanted: str, shape: tuple[int, ...]) -> ShapeError:
        """Return the error of an input that has too few or too many axes."""
        return self.fail(f"{spec.name} must have {wanted} axes, not {len(shape) - spec.listed}", f"rank.{spec.name}")

    def place_axis(self, name: str, axis: str, tensor: str) -> None:
        """Fix how many axes stand before the one whose position a parameter gives."""
        signature = self.form.signature
        spec = next(s for s in (*signature.inputs, *signature.outputs) if s.name == tensor)
        first, shape = signature.inputs[0], self.shapes[0]
        before = spec.index[[isinstance(d, Axis) and d.name == axis for d in spec.index].index(True) - 1]
        if not isinstance(before, Rest):
            before = next(d for d in spec.index if isinstance(d, Rest))
        single = sum(not isinstance(d, Rest) for d in spec.index) - spec.listed
        fixed = sum(not isinstance(d, Rest) for d in first.index)
        if len(shape) < fixed:
            raise self.wrong_rank(first, f"at least {fixed - first.listed}", shape)
        rank = len(shape) - fixed + single
        position = self.params[name]
        if not -rank <= position < rank:
            raise self.fail(f"{name} must lie in {-rank}..{rank - 1}, not {position}", f"param.{name}")
        self.ranks[before.name] = position % rank

    def solve_sizes(self, equations: list[_Product]) -> None:
        for axis, term in self.form.sizes.items():
            if not term.needs:
                self.sizes[axis] = term.value(self.sizes, self.values)
        while equations:
            waiting = [e for e in equations if not self.settle(*e)]
            if len(waiting) == len(equations) and not self.derive():
                names, _, where, i = waiting[0]
                unknown = dict.fromkeys(re.sub(r"\.\d+$", "", a) for a in names if a not in self.sizes)
                raise self.unsolved("open", f"leaves the sizes of {' and '.join(unknown)} open", where, i)
            equations = waiting

    def derive(self) -> bool:
        """Compute the sizes that the card derives from those that are known; whether there were any."""
        found = [a for a, t in self.form.sizes.items() if a not in self.sizes and t.needs <= self.sizes.keys()]
        self.check_axes()
        self.sizes |= {a: self.form.sizes[a].value(self.sizes, self.values) for a in found}
        return bool(found)

    def check_axes(self) -> None:
        """Check that no axis that is known is shorter than it may be."""
        for axis, rule in self.op.card.axes.items():
            if axis in self.sizes and self.sizes[axis] < rule.min:
                raise self.too_short(axis, rule.min, self.sizes[axis])

    def unsolved(self, kind: str, problem: str, where: TensorSpec | str, i: int) -> ShapeError:
        """Return the error of an equation that cannot hold."""
        if isinstance(where, str):
            return self.fail(f"{where} {problem}", f"{kind}.{where.partition('[')[0]}")
        if where.listed and i == 0:
            return self.fail(f"the length of {where.name} {problem}", f"{kind}.{where.name}.length")
        return self.fail(
            f"dimension {i - where.listed} of {where.name} {problem}", f"{kind}.{where.name}.{self.declared(where, i)}"
        )

    def declared(self, spec: TensorSpec, i: int) -> int:
        """Return the dimension of the signature that a dimension of a tensor belongs to: an id does not depend on ranks."""
        owners = [d for d, part in enumerate(spec.index) for _ in range(self.ranks[part.name] if isinstance(part, Rest) else 1)]
        return owners[i] - spec.listed

    def settle(self, names: tuple[str, ...], total: int, where: TensorSpec | str, i: int) -> bool:
        """Check an equation, or solve it for its one unknown axis; False when it has to wait for others."""
        known, unknown = 1, ""
        for axis in names:
            if axis in self.sizes:
                known *= self.sizes[axis]
            elif unknown and axis != unknown:
                return False
            else:
                unknown = axis
        if not unknown:
            if known != total:
                raise self.unsolved("match", f"must be {known}{self.reason(names)}, not {total}", where, i)
            return True
        if known == 0 or unknown in self.form.sizes:  # the card says what it is, and this has to agree
            return False
        if total % known:
            raise self.unsolved("divides", f"must be a multiple of {known}, not {total}", where, i)
        self.sizes[unknown] = total // known
        return True

    def reason(self, names: tuple[str, ...]) -> str:
        shown = [n for n in names if "." not in n]
        return f", the size of {' '.join(shown)}" if shown else ""

    def finish(self) -> None:
        self.check_axes()
        for axis, term in self.form.sizes.items():
            if axis not in self.sizes:
                self.sizes[axis] = term.value(self.sizes, self.values)
        for name, term in self.form.require.items():
            if not term.value(self.sizes, self.values):
                raise self.fail(f"needs {term.text}", f"require.{name}")
        self.check_axes()
        for axis, size in self.sizes.items():
            if size < 0:
                raise self.too_short(axis, 0, size)


def integer(name: str, value: Any, constraint: str, wanted: str = "an integer") -> int:
    """Return a parameter as a Python integer.

    Args:
        name: what the error calls it.
        value: what the caller gave.
        constraint: the id of the constraint that an error names.
        wanted: what the error says that it must be.

    Raises:
        ParameterTypeError: it is a bool or no integer.
    """
    if isinstance(value, bool):
        raise ParameterTypeError(f"{name} must be {wanted}, not {value!r}", constraint)
    try:
        return operator.index(value)
    except TypeError:
        raise ParameterTypeError(f"{name} must be {wanted}, not {value!r}", constraint) from None
