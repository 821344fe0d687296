"""Whole arrays by einsum: the same meaning as :mod:`einspec.semantics.pointwise`, fast enough to judge with.

Runs in NumPy, PyTorch or JAX on whatever device the inputs are on. Brackets become 0/1 tensors over their axes and a sum
of products becomes one einsum. Integers are summed in int64, floats in the dtype in which they come: give float64 for the
exact value. A term that holds NaN or infinity is summed by ``where`` instead, because a false bracket annihilates them.
Where whole arrays would be too much, :mod:`einspec.semantics.points` evaluates some of their elements.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
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
from einspec.semantics.elementwise import Array, Elementwise
from einspec.semantics.pointwise import number
from einspec.solve import Solution, atoms, expand, opened, rest_axis

STEPS = 20_000
"""Above this number of multiplications an einsum is broken into pairs."""
PASSES = 4
"""Above this number of multiplications for each element of the largest array, too: else the pairs cost more than they save."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An array whose axes have names; ``mask`` says that it holds brackets, whose zeros are strong."""

    array: Array
    axes: tuple[str, ...]
    mask: bool = False
    infinite: bool = False
    """Whether it is an infinite number of the card, which a false bracket annihilates as well."""


def evaluate(
    solution: Solution,
    inputs: Mapping[str, Array],
    xp: Any = None,
    equations: Sequence[Equation] | None = None,
    device: Any = None,
    finite: bool = False,
    brackets: dict[int, Labelled] | None = None,
) -> dict[str, Array]:
    """Return every tensor that a definition defines.

    Args:
        solution: the sizes of the call.
        inputs: the input arrays by name, a listed input as its stack; all of one framework.
        xp: ``numpy``, ``torch`` or ``jax.numpy``; NumPy when absent.
        equations: what to evaluate; the definition of the card when absent.
        device: where PyTorch puts what the oracle makes itself.
        finite: the inputs hold no NaN or infinity, so that values need not be looked at (under a trace they cannot be).
        brackets: the comparisons of the definition, by their identity, as far as they are known: what is evaluated here is
            added, for other inputs of the same sizes on which no comparison comes out otherwise.

    Returns:
        One array a tensor, integers where all that it is made of are integers.
    """
    if xp is None:
        import numpy as xp  # noqa: ICN001  # the framework is an argument
    machine = Machine(solution, dict(inputs), xp, device, finite)
    machine.brackets = brackets
    with machine.quiet():
        for equation in equations or solution.form.equations:
            machine.define(equation)
    return {e.tensor: machine.tensors[e.tensor] for e in equations or solution.form.equations}


class Machine(Elementwise):
    """Evaluates the terms of a definition as arrays with named axes."""

    def __init__(self, solution: Solution, tensors: dict[str, Array], xp: Any, device: Any, finite: bool) -> None:
        super().__init__(xp, device, finite)
        self.solution, self.tensors = solution, tensors
        self.known: dict[int, Labelled] = {}
        """The terms that are met again, by their identity."""
        self.brackets: dict[int, Labelled] | None = None
        """The comparisons that are known, by their identity, where they are kept."""

    def size(self, axis: str) -> int:
        """Return the size of an axis."""
        return self.solution.size(axis)

    def define(self, equation: Equation) -> None:
        """Evaluate an equation and keep its tensor."""
        dims = [atoms(d) for d in expand(equation.index, self.solution.ranks)]
        value = self.spread(self.term(equation.body), tuple(itertools.chain(*dims)))
        shape = tuple([math.prod(map(self.size, axes)) for axes in dims])
        self.tensors[equation.tensor] = value.array.reshape(shape)

    def term(self, node: Node) -> Labelled:
        """Return the value of a term; one that stands in the definition more than once is evaluated once."""
        if id(node) not in self.solution.form.repeated:
            return self.found(node)
        if id(node) not in self.known:
            self.known[id(node)] = self.found(node)
        return self.known[id(node)]

    def found(self, node: Node) -> Labelled:
        """Evaluate a term."""
        if is_constant(node):
            value = number(self.solution, node)
            return Labelled(self.constant(value), (), infinite=math.isinf(value))
        match node:
            case Axis(name):
                return Labelled(self.xp.arange(self.size(name), **self.options), (name,))
            case Read(tensor, index):
                names = opened(index, self.solution.ranks)
                return self.diagonal(self.tensors[tensor].reshape(tuple([self.size(a) for a in names])), names)
            case Bracket(op, left, right):
                if self.brackets is None:
                    return self.bracket(op, left, right)
                if id(node) not in self.brackets:
                    self.brackets[id(node)] = self.bracket(op, left, right)
                return self.brackets[id(node)]
            case Binary("*"):
                return self.contract([self.term(f) for f in factors(node)], None)
            case Binary(op, left, right):
                (a, b), axes = self.align(self.term(left), self.term(right))
                return Labelled(self.arithmetic(op, a, b), axes)
            case Apply():
                function, argument = applied(node)
                inner = self.term(argument)
                return Labelled(self.function(function, inner.array), inner.axes)
            case Reduce(kind, names, body):
                return self.reduce(kind, open_rests(self.solution, names), body)
        raise AssertionError(node)

    def diagonal(self, array: Array, names: tuple[str, ...]) -> Labelled:
        """Return an array with its axes, where those that have one name are made one."""
        once = tuple(dict.fromkeys(names))
        if once == names:
            return Labelled(array, names)
        letters = "".join(chr(ord("a") + once.index(n)) for n in names)
        return Labelled(self.xp.einsum(f"{letters}->{''.join(dict.fromkeys(letters))}", array), once)

    def reduce(self, kind: str, names: tuple[str, ...], body: Node) -> Labelled:
        """Return a sum, maximum or minimum over axes."""
        if kind == "sum":
            parts = list(factors(body))
            terms = [self.term(p) for p in parts]
            have = {a for t in terms for a in t.axes}
            missing = [a for a in names if a not in have]
            scale = math.prod(self.size(a) for a in missing)
            if missing:
                terms.append(Labelled(self.constant(scale), (), mask=scale == 0))
            return self.contract(terms, names)
        inner = self.term(body)
        missing = [a for a in names if a not in inner.axes]
        inner = self.spread(inner, (*inner.axes, *missing)) if missing else inner
        where = tuple(inner.axes.index(a) for a in names)
        if not math.prod(self.size(a) for a in names):
            axes = tuple(a for a in inner.axes if a not in names)
            return self.spread(Labelled(self.constant(-math.inf if kind == "max" else math.inf), ()), axes)
        best = self.best(kind, inner.array, where)
        return Labelled(best, tuple(a for a in inner.axes if a not in names))

    def contract(self, terms: list[Labelled], bound: Sequence[str] | None) -> Labelled:
        """Multiply terms and sum over the bound axes; ``None`` sums over nothing."""
        axes = merged(*[t.axes for t in terms])
        kept = tuple([a for a in axes if a not in bound]) if bound else axes
        mask = all(t.mask for t in terms)
        if len(terms) == 1 and kept == axes:
            return terms[0]
        values = [t for t in terms if not t.mask]
        if all(self.finite(t.array) and not t.infinite for t in values):
            return Labelled(self.einsum(terms, kept), kept, mask and not bound)
        aligned, value_axes = self.align(*values)
        product = functools.reduce(lambda a, b: a * b, aligned)
        masks = [Labelled(t.array != 0, t.axes) for t in terms if t.mask]
        if masks:
            (product, *truths), value_axes = self.align(Labelled(product, value_axes), *masks)
            strong = functools.reduce(lambda a, b: a & b, truths)
            product = self.xp.where(strong, product, self.xp.zeros((), dtype=product.dtype, **self.options))
        where = tuple(i for i, a in enumerate(value_axes) if a in (bound or ()))
        summed = product.sum(axis=where) if where else product
        return self.spread(Labelled(summed, tuple(a for a in value_axes if a not in (bound or ()))), kept)

    def einsum(self, terms: list[Labelled], kept: tuple[str, ...]) -> Array:
        """Return a sum of products of finite arrays."""
        arrays = self.common([t.array for t in terms])
        own = [t.axes for t in terms]
        text = subscripts(kept, *own)
        if self.torch:
            return self.xp.einsum(text, *arrays)
        steps = math.prod([self.size(a) for a in merged(*own)])
        counts = arrays[0].dtype.kind in "iu"  # which have one sum in any order
        least = PASSES * max(math.prod(a.shape) for a in arrays) if counts else 0
        return self.xp.einsum(text, *arrays, optimize=steps > max(STEPS, least))

    def common(self, arrays: list[Array]) -> list[Array]:
        """Return the arrays in one dtype: PyTorch's einsum does not promote, and NumPy's is fast on floats alone."""
        if not self.torch:
            floats = [a.dtype for a in arrays if a.dtype.kind in "fc"]
            narrow = "iub" if floats else "ib"
            unsigned = any(a.dtype == self.xp.uint64 for a in arrays)
            wide = floats[0] if floats else self.xp.uint64 if unsigned else self.xp.int64
            fits = [a.dtype == wide or (a.dtype.kind not in narrow and a.dtype.itemsize >= 4) for a in arrays]
            return [a if fit else a.astype(wide) for a, fit in zip(arrays, fits, strict=True)]
        dtype = functools.reduce(self.xp.promote_types, (a.dtype for a in arrays))
        dtype = self.xp.promote_types(dtype, self.xp.int64)
        return [a.to(dtype) for a in arrays]

    def align(self, *terms: Labelled) -> tuple[list[Array], tuple[str, ...]]:
        """Return the arrays with the same axes in the same order, size 1 where a term lacks one."""
        axes = merged(*[t.axes for t in terms])
        return [self.view(t, axes) for t in terms], axes

    def view(self, term: Labelled, axes: tuple[str, ...]) -> Array:
        """Return the array of a term with these axes in this order, of size 1 where it lacks one."""
        if term.axes == axes:
            return term.array
        order, places = placing(term.axes, axes)
        return self.permute(term.array, order)[places]

    def permute(self, array: Array, order: tuple[int, ...]) -> Array:
        """Return the array with its dimensions in another order."""
        if order == tuple(range(len(order))):
            return array
        return array.permute(order) if self.torch else self.xp.transpose(array, order)

    def spread(self, term: Labelled, axes: tuple[str, ...]) -> Labelled:
        """Return the term with exactly these axes, repeated along those that it lacks."""
        if term.axes == axes:
            return Labelled(term.array, axes)
        shape = tuple([self.size(a) for a in axes])
        return Labelled(self.xp.broadcast_to(self.view(term, axes), shape), axes)

    def bracket(self, op: str, left: Node, right: Node) -> Labelled:
        """Return 1 where a comparison holds in the total order, else 0."""
        return self.compare(op, [(self.term(a), self.term(b)) for a, b in zip(operands(left), operands(right), strict=True)])

    def compare(self, op: str, pairs: Sequence[tuple[Labelled, Labelled]]) -> Labelled:
        """Return 1 where a lexicographic comparison of pairs holds in the total order, else 0."""
        arrays, axes = self.align(*itertools.chain(*pairs))
        truth = self.holds(op, list(zip(arrays[::2], arrays[1::2], strict=True)))
        return Labelled(self.whole(truth), axes, mask=True)


@functools.lru_cache(maxsize=4096)
def merged(*several: tuple[str, ...]) -> tuple[str, ...]:
    """Return the axes of several terms, each once, in the order in which they come."""
    return tuple(dict.fromkeys(itertools.chain(*several)))


@functools.lru_cache(maxsize=4096)
def placing(own: tuple[str, ...], axes: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[slice | None, ...]]:
    """Return the order of a term's dimensions among more axes, and the index that adds one of size 1 where it has none."""
    order = tuple(own.index(a) for a in axes if a in own)
    return order, tuple(slice(None) if a in own else None for a in axes)


@functools.lru_cache(maxsize=4096)
def subscripts(kept: tuple[str, ...], *several: tuple[str, ...]) -> str:
    """Return the equation of an einsum over terms with these axes, as it is written with a letter an axis."""
    letters = {a: chr(ord("a") + i) if i < 26 else chr(ord("A") + i - 26) for i, a in enumerate(merged(*several))}
    inputs, output = (["".join([letters[a] for a in axes]) for axes in side] for side in (several, [kept]))
    return f"{','.join(inputs)}->{output[0]}"


def open_rests(solution: Solution, names: Sequence[str]) -> tuple[str, ...]:
    """Return axes with every rest opened."""
    ranks = solution.ranks
    return tuple(itertools.chain(*(([rest_axis(n, i) for i in range(ranks[n])] if n in ranks else [n]) for n in names)))


def is_constant(node: Node) -> bool:
    """Whether a term is made of numbers, sizes and parameters alone."""
    match node:
        case Number() | Size() | Param():
            return True
        case Binary(_, left, right):
            return is_constant(left) and is_constant(right)
        case Apply(_, argument):
            return is_constant(argument)
    return False


def operands(node: Node) -> tuple[Node, ...]:
    """Return the parts of a side of a comparison."""
    return node.parts if isinstance(node, Tuple) else (node,)
