"""The meaning of a definition: one output element at a time, in Python numbers.

A false bracket is a strong zero: what it multiplies is not read, so that a NaN there cannot come out. Comparisons are a
total order: every NaN equals every NaN and is above infinity, and -0 equals +0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Group,
    Index,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Size,
    Tuple,
    applied,
    factors,
)
from einspec.solve import Solution, atoms, expand

if TYPE_CHECKING:
    from einspec.language.formula import Equation

Value = Any
"""A Python int, float or complex."""


def evaluate(solution: Solution, inputs: Mapping[str, Any], output: str, coordinate: Sequence[int]) -> Value:
    """Return one element of an output.

    Args:
        solution: the sizes of the call.
        inputs: the input tensors by name, anything that is indexed by a tuple of integers; a listed input as its stack.
        output: the name of the output.
        coordinate: the position of the element.
    """
    return Point(solution, inputs).element(output, tuple(coordinate))


def number(solution: Solution, node: Node) -> Value:
    """Return the value of a term that reads no tensor and no coordinate."""
    return Point(solution, {}).term(node, {})


class Point:
    """What evaluates one element after another of a call; elements of the tensors that it defines are computed once."""

    def __init__(self, solution: Solution, inputs: Mapping[str, Any]) -> None:
        self.solution, self.inputs = solution, inputs
        self.cache: dict[tuple[str, tuple[int, ...]], Value] = {}

    def element(self, tensor: str, coordinate: tuple[int, ...]) -> Value:
        """Return one element of a tensor of the call."""
        if tensor in self.inputs:
            value = self.inputs[tensor][coordinate]
            return value.item() if hasattr(value, "item") else value
        key = tensor, coordinate
        if key not in self.cache:
            equation = self.solution.form.equation(tensor)
            self.cache[key] = self.term(equation.body, self.bind(equation, coordinate))
        return self.cache[key]

    def bind(self, equation: Equation, coordinate: tuple[int, ...]) -> dict[str, int]:
        """Return the coordinate of every axis of the left side, compositions opened from the fastest axis."""
        env: dict[str, int] = {}
        for dimension, value in zip(expand(equation.index, self.solution.ranks), coordinate, strict=True):
            for axis in reversed(atoms(dimension)):
                value, env[axis] = divmod(value, self.solution.size(axis))
        return env

    def term(self, node: Node, env: Mapping[str, int]) -> Value:
        """Return the value of a term at the coordinates of its axes."""
        match node:
            case Number(value):
                return value
            case Axis(name):
                return env[name]
            case Size(axis):
                return self.solution.size(axis)
            case Param(name):
                return self.solution.values[name]
            case Read(tensor, index):
                dims = expand(index, self.solution.ranks)
                return self.element(tensor, tuple(self.position(d, env) for d in dims))
            case Bracket(op, left, right):
                return int(COMPARE[op](key(self.operand(left, env)), key(self.operand(right, env))))
            case Binary("*"):
                return self.product(node, env)
            case Binary(op, left, right):
                return ARITHMETIC[op](self.term(left, env), self.term(right, env))
            case Apply():
                function, argument = applied(node)
                return FUNCTIONS[function](self.term(argument, env))
            case Reduce():
                return self.reduce(node, env)
        raise AssertionError(node)

    def operand(self, node: Node, env: Mapping[str, int]) -> tuple[Value, ...]:
        """Return one side of a comparison."""
        return tuple(self.term(p, env) for p in (node.parts if isinstance(node, Tuple) else (node,)))

    def position(self, dimension: Index, env: Mapping[str, int]) -> int:
        """Return the coordinate along a dimension, compositions row-major."""
        if isinstance(dimension, Group):
            total = 0
            for axis in atoms(dimension):
                total = total * self.solution.size(axis) + env[axis]
            return total
        return env[dimension.name]

    def product(self, node: Node, env: Mapping[str, int]) -> Value:
        """Return a product; a false bracket annihilates what stands beside it, which is not read."""
        parts = list(factors(node))
        for bracket in (p for p in parts if isinstance(p, Bracket)):
            if not self.term(bracket, env):
                return 0
        values = [self.term(p, env) for p in parts if not isinstance(p, Bracket)]
        result = values[0] if values else 1
        for value in values[1:]:
            result = result * value
        return result

    def reduce(self, node: Reduce, env: Mapping[str, int]) -> Value:
        """Return a sum, maximum or minimum over all coordinates of its axes."""
        ranges = (range(self.solution.size(axis)) for axis in node.axes)
        values = [self.term(node.body, {**env, **dict(zip(node.axes, c, strict=True))}) for c in itertools.product(*ranges)]
        if node.kind == "sum":
            total: Value = 0
            for value in values:
                total = total + value
            return total
        least = -math.inf if node.kind == "max" else math.inf
        return (max if node.kind == "max" else min)(values, key=lambda v: key((v,)), default=least)


def key(values: tuple[Value, ...]) -> tuple[tuple[bool, Value], ...]:
    """Return what the total order compares: NaN above everything and equal to itself, -0 equal to +0."""
    return tuple((True, 0) if v != v else (False, v) for v in values)


def _divide(left: Value, right: Value) -> Value:
    if right == 0:
        return math.nan if left == 0 or left != left else math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


def _log(value: float) -> float:
    return math.log(value) if value > 0 else (-math.inf if value == 0 else math.nan)


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "/": _divide,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": _exp,
    "log": _log,
    "log1p": lambda v: math.log1p(v) if v > -1 else _log(1 + v),
    "sqrt": lambda v: math.sqrt(v) if v >= 0 else math.nan,
    "tanh": math.tanh,
    "erf": math.erf,
    "abs": abs,
    "floor": lambda v: math.floor(v) if math.isfinite(v) else v,
    "ceil": lambda v: math.ceil(v) if math.isfinite(v) else v,
}
