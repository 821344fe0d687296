"""A definition at many points of an output at once, where whole tensors would be too much: the tiers big and large.

The meaning is that of :mod:`einspec.semantics.pointwise`, which takes one point at a time. What differs is the order of work:
in a sum over brackets an axis that a bracket fixes is solved for, and the terms that a false bracket annihilates are dropped
before the rest is looked at. Only what is read is evaluated, a tensor on the way too, so that neither outputs nor inputs are
gone through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Index,
    Node,
    Read,
    Reduce,
    Tuple,
    applied,
    factors,
    free_axes,
)
from einspec.semantics.elementwise import Elementwise
from einspec.semantics.oracle import is_constant, open_rests, operands
from einspec.semantics.pointwise import number
from einspec.solve import Solution, atoms, expand

Array = np.ndarray[Any, Any]
CHUNK = 2_000_000
"""How many terms are looked at together."""


@dataclass
class _Rows:
    """The coordinates of many terms, a row each; those of axes opened earlier are taken from the rows that they came from."""

    count: int
    axes: dict[str, Array] = field(default_factory=dict)
    source: _Rows | None = None
    places: Any = None

    def __getitem__(self, axis: str) -> Array:
        if axis not in self.axes:
            assert self.source is not None
            self.axes[axis] = self.source[axis][self.places]
        return self.axes[axis]

    def take(self, places: Array, **more: Array) -> _Rows:
        """Return some of the rows, with the coordinates of one axis more."""
        return _Rows(len(places), dict(more), self, places)


class Points:
    """A definition that is evaluated at points of its outputs."""

    def __init__(self, solution: Solution, inputs: Mapping[str, Any], most: float) -> None:
        """Take a call.

        Args:
            solution: the sizes of the call.
            inputs: the inputs by name: anything with a ``shape`` that a tuple of integer arrays indexes.
            most: how many terms may be looked at in all.
        """
        self.solution, self.inputs, self.left = solution, inputs, most
        self.numbers = Elementwise(np)

    def at(self, output: str, coordinates: Array) -> Array:
        """Return an output at some coordinates, as int64, float64 or complex128.

        Args:
            output: the name of the output.
            coordinates: one row a point, one column a dimension of the output.

        Raises:
            OverflowError: more terms would have to be looked at.
        """
        with self.numbers.quiet():
            found = self.element(output, tuple(coordinates.astype(np.int64).T))
        return np.broadcast_to(found, (len(coordinates),))

    def element(self, tensor: str, coordinates: Sequence[Array]) -> Array:
        """Return a tensor at some coordinates; one on the way once for each that differs."""
        if tensor in self.inputs:
            return _wide(np.asarray(self.inputs[tensor][tuple(coordinates)]))
        equation = self.solution.form.equation(tensor)
        dims = expand(equation.index, self.solution.ranks)
        if not dims:
            return np.broadcast_to(self.term(equation.body, _Rows(1)), (1,))
        shape = tuple(math.prod(self.solution.size(a) for a in atoms(d)) for d in dims)
        once, back = _different(np.ravel_multi_index(tuple(coordinates), shape), math.prod(shape))
        axes = split(self.solution, dims, np.unravel_index(once, shape))
        return self.term(equation.body, _Rows(len(once), axes))[back]

    def term(self, node: Node, rows: _Rows) -> Array:
        """Return the value of a term in every row."""
        if is_constant(node):
            return np.full(rows.count, number(self.solution, node))
        match node:
            case Axis(name):
                return rows[name]
            case Read(tensor, index):
                dims = expand(index, self.solution.ranks)
                found = self.element(tensor, [joined(self.solution, atoms(d), rows, rows.count) for d in dims])
                return found if dims else np.repeat(found, rows.count)
            case Bracket():
                return self.holds(node, rows).astype(np.int64)
            case Binary("*"):
                return self.total((), list(factors(node)), rows)
            case Binary(op, left, right):
                return np.asarray(self.numbers.arithmetic(op, self.term(left, rows), self.term(right, rows)))
            case Apply():
                function, argument = applied(node)
                return np.asarray(self.numbers.function(function, self.term(argument, rows)))
            case Reduce("sum", names, body):
                return self.total(open_rests(self.solution, names), list(factors(body)), rows)
            case Reduce(kind, names, body):
                return self.best(kind, open_rests(self.solution, names), body, rows)
        raise AssertionError(node)

    def holds(self, bracket: Bracket, rows: _Rows) -> Array:
        """Return where a bracket is true."""
        sides = zip(operands(bracket.left), operands(bracket.right), strict=True)
        return np.asarray(self.numbers.holds(bracket.op, [(self.term(a, rows), self.term(b, rows)) for a, b in sides]), bool)

    def total(self, names: Sequence[str], parts: Sequence[Node], rows: _Rows) -> Array:
        """Return the sum over axes of a product, in every row."""
        brackets = [p for p in parts if isinstance(p, Bracket)]
        others = [p for p in parts if not isinstance(p, Bracket)]
        found: Array = np.zeros(rows.count, np.int64)
        for owner, survivors in self.survivors(tuple(names), brackets, rows, np.arange(rows.count)):
            product: Any = np.ones(len(owner), np.int64)
            for part in others:
                product = product * self.term(part, survivors)
            if found.dtype != product.dtype:
                found = found.astype(np.promote_types(found.dtype, product.dtype))
            np.add.at(found, owner, product)
        return found

    def survivors(
        self, names: tuple[str, ...], brackets: Sequence[Bracket], rows: _Rows, owner: Array
    ) -> Iterator[tuple[Array, _Rows]]:
        """Yield the terms whose brackets hold, with the row that each belongs to."""
        for i, bracket in enumerate(brackets):
            open_axes = self.free(bracket) & set(names)
            rest = [*brackets[:i], *brackets[i + 1 :]]
            if not open_axes:
                places = np.flatnonzero(self.holds(bracket, rows))
                yield from self.survivors(names, rest, rows.take(places), owner[places]) if len(places) else ()
                return
            axis = next(iter(open_axes))
            if len(open_axes) == 1 and bracket.op == "==" and (solved := self.solved(bracket, axis, rows)) is not None:
                places, values = solved
                left = tuple(a for a in names if a != axis)
                yield from self.survivors(left, rest, rows.take(places, **{axis: values}), owner[places])
                return
        if not names:
            yield owner, rows
            return
        axis = min(names, key=self.solution.size)
        for part in self.opened(axis, rows):
            yield from self.survivors(tuple(a for a in names if a != axis), brackets, part, owner[part.places])

    def free(self, node: Node) -> set[str]:
        """Return the axes that a term depends on, every rest opened."""
        return set(open_rests(self.solution, sorted(free_axes(node))))

    def solved(self, bracket: Bracket, axis: str, rows: _Rows) -> tuple[Array, Array] | None:
        """Return the rows in which an equation has a solution and the coordinate that it is; None where it is not affine."""
        if isinstance(bracket.left, Tuple) or not all(self.affine(side, axis) for side in (bracket.left, bracket.right)):
            return None
        every = np.arange(rows.count)
        at = [rows.take(every, **{axis: np.full(rows.count, n)}) for n in (0, 1)]
        first, second = (np.asarray(self.term(bracket.left, r) - self.term(bracket.right, r)) for r in at)
        slope = second - first
        if first.dtype.kind != "i" or not slope.all():
            return None
        values, off = np.divmod(-first, slope)
        places = np.flatnonzero((off == 0) & (values >= 0) & (values < self.solution.size(axis)))
        return places, values[places]

    def affine(self, node: Node, axis: str) -> bool:
        """Whether a term is affine in an axis."""
        if axis not in self.free(node) or node == Axis(axis):
            return True
        if not isinstance(node, Binary) or node.op not in ("+", "-", "*"):
            return False
        once = node.op != "*" or (axis in self.free(node.left)) != (axis in self.free(node.right))
        return once and self.affine(node.left, axis) and self.affine(node.right, axis)

    def opened(self, axis: str, rows: _Rows) -> Iterator[_Rows]:
        """Yield every row with every coordinate of an axis, some at a time."""
        size = self.solution.size(axis)
        self.spend(rows.count * size)
        step, block = max(1, CHUNK // max(size, 1)), min(size, CHUNK)
        for start in range(0, rows.count, step):
            places = np.arange(start, min(start + step, rows.count))
            for low in range(0, size, block):
                values = np.arange(low, min(low + block, size))
                yield rows.take(np.repeat(places, len(values)), **{axis: np.tile(values, len(places))})

    def best(self, kind: str, names: Sequence[str], body: Node, rows: _Rows) -> Array:
        """Return the greatest or least term over axes, in every row."""
        sizes = tuple(self.solution.size(a) for a in names)
        size = math.prod(sizes)
        if not size:
            return np.full(rows.count, -math.inf if kind == "max" else math.inf)
        self.spend(rows.count * size)
        found, step = [], max(1, CHUNK // size)
        for start in range(0, rows.count, step):
            places = np.arange(start, min(start + step, rows.count))
            terms = rows.take(np.repeat(places, size))
            for axis, column in zip(names, np.unravel_index(np.arange(size), sizes), strict=True):
                terms.axes[axis] = np.tile(column, len(places))
            found.append(self.numbers.best(kind, self.term(body, terms).reshape(len(places), size), (1,)))
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def spend(self, terms: int) -> None:
        """Count terms.

        Raises:
            OverflowError: there are more than were allowed.
        """
        self.left -= terms
        if self.left < 0:
            raise OverflowError("too many terms are summed at these points")


def split(solution: Solution, dimensions: Sequence[Index], columns: Sequence[Array]) -> dict[str, Array]:
    """Return the coordinates of the axes that dimensions are composed of."""
    found: dict[str, Array] = {}
    for dimension, column in zip(dimensions, columns, strict=True):
        names = atoms(dimension)
        found |= dict(zip(names, np.unravel_index(column, tuple(solution.size(a) for a in names)), strict=True))
    return found


def joined(solution: Solution, names: Sequence[str], axes: Mapping[str, Array] | _Rows, count: int) -> Array:
    """Return the coordinates, so many, of a dimension that is composed of axes."""
    found = axes[names[0]] if names else np.zeros(count, np.int64)
    for axis in names[1:]:
        found = found * solution.size(axis) + axes[axis]
    return found


def _different(places: Array, size: int) -> tuple[Array, Array]:
    """Return the places below a size that occur, in order, and which of them each is; sorted only where a table is larger."""
    if size > 4 * len(places):
        return np.unique(places, return_inverse=True)
    there = np.zeros(size, bool)
    there[places] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[places]


def _wide(array: Array) -> Array:
    """Return the array as int64, float64 or complex128."""
    return array.astype({"c": np.complex128, "b": np.int64, "i": np.int64, "u": np.int64}.get(array.dtype.kind, np.float64))
