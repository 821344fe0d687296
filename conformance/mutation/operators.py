"""What an implementer gets wrong, as operators on the tree of a definition: each gives formulas with one mistake in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import combinations
from typing import Any

from einspec.card import Form, load
from einspec.conformance.mutation.uses import other_uses
from einspec.errors import FormulaError
from einspec.inline import inline
from einspec.language import text
from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
    Group,
    Index,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Rest,
    Size,
    Tuple,
    axes_of,
    base,
    free_axes,
    rename_axis,
    softmax,
    transform,
    walk,
)

Change = tuple[str, str, Any]
"""The operator, what it was applied to in words, and the node that came out."""
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
EDGES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
SIGNS = {"+": "-", "-": "+", "/": "*", "//": "%", "%": "//"}
KINDS = {"sum": ("max",), "max": ("min", "sum"), "min": ("max", "sum")}


@dataclass(frozen=True)
class Mistake:
    """A definition with one mistake in it."""

    operator: str
    where: str
    """What was changed and to what, in short."""
    formula: str
    """The equation that holds the mistake, as text."""
    equations: tuple[Equation, ...]
    """The whole definition, other cards inlined."""
    inlined: bool
    """Whether the mistake is in an equation that another card brings."""


def mistakes(form: Form) -> Iterator[Mistake]:
    """Yield every definition of a form with one mistake in it."""
    own = {e.tensor for e in form.stated if isinstance(e, Equation)}
    for i, equation in enumerate(form.equations):
        for operator, detail, new in Site(form, form.equations[:i], equation).changes():
            made = replace(new, text=text.text(new))
            where = detail if len(form.equations) == 1 else f"{equation.tensor}: {detail}"
            changed = (*form.equations[:i], made, *form.equations[i + 1 :])
            yield Mistake(operator, where, made.text, changed, equation.tensor not in own)
    for i, use in enumerate(form.stated):
        if isinstance(use, Equation):
            continue
        for operator, detail, other in other_uses(form, i, use):
            try:
                changed, _ = inline("mutant", (*form.stated[:i], other, *form.stated[i + 1 :]), load)
            except FormulaError:
                continue
            yield Mistake(operator, f"{use.op}: {detail}", other.text, changed, False)


class Site:
    """One equation of a definition, with what else it could have been made of."""

    def __init__(self, form: Form, before: Sequence[Equation], equation: Equation) -> None:
        self.form, self.equation = form, equation
        self.tensors: dict[str, tuple[Index, ...]] = {s.name: s.index for s in form.signature.inputs}
        self.tensors |= {e.tensor: e.index for e in before}
        self.params = sorted({n.name for e in form.equations for n in walk(e.body) if isinstance(n, Param)})
        self.bound = [a for n in walk(equation.body) if isinstance(n, Reduce) for a in n.axes]
        rests = {n.name for part in (*equation.index, equation.body) for n in walk(part) if isinstance(n, Rest)}
        self.axes = [a for a in dict.fromkeys((*axes_of(equation.index), *self.bound)) if a not in rests]
        self.sizes = sorted({base(a) for a in self.axes})

    def changes(self) -> Iterator[tuple[str, str, Equation]]:
        """Yield the equation with one mistake."""
        for detail, index in (*_orders(self.equation.index), *_disordered(self.equation.index)):
            yield "permute", detail, replace(self.equation, index=index)
        for operator, detail, body in self.inside(self.equation.body):
            if free_axes(body) <= set(axes_of(self.equation.index)):
                yield operator, detail, replace(self.equation, body=body)

    def inside(self, node: Any) -> Iterator[Change]:
        """Yield a term with one mistake, made in it or in anything below it."""
        yield from self.change(node)
        found = as_softmax(node)
        if found is not None:
            yield from ((operator, detail, softmax(found[0], term)) for operator, detail, term in self.inside(found[1]))
            return
        for field in fields(node):
            value = getattr(node, field.name)
            several = isinstance(value, tuple)
            for i, child in enumerate(value if several else (value,)):
                if is_dataclass(child) and not isinstance(child, Group | Rest):
                    for operator, detail, new in self.inside(child):
                        made = (*value[:i], new, *value[i + 1 :]) if several else new
                        yield operator, detail, replace(node, **{field.name: made})

    def change(self, node: Any) -> Iterator[Change]:
        """Yield what a node could be mistaken for."""
        match node:
            case Read():
                yield from self.reads(node)
            case Bracket():
                yield from self.brackets(node)
            case Binary():
                yield from self.binaries(node)
            case Reduce():
                yield from self.reductions(node)
            case Apply(function, argument):
                yield "function", f"no {function}", argument
            case Number(value) if isinstance(value, int):
                yield "constant", f"{value} is {value + 1}", Number(value + 1)
                yield "constant", f"{value} is {value - 1}", Number(value - 1)
            case Number(value):
                yield "constant", f"{value} is {2 * value + 1}", Number(2 * value + 1)
            case Param(name):
                for other in self.params:
                    if other != name:
                        yield "parameter", f"{name} is {other}", Param(other)
            case Size(axis):
                for other in self.sizes:
                    if other != axis:
                        yield "size", f"{axis.upper()} is {other.upper()}", Size(other)

    def reads(self, node: Read) -> Iterator[Change]:
        """Yield other reads: axes in another order, another axis of the same size, another tensor of the same shape."""
        for detail, index in _orders(node.index):
            yield "order", f"{node.tensor}: {detail}", replace(node, index=index)
        for axis in axes_of(node.index):
            for other in self.axes:
                if other != axis and base(other) == base(axis):
                    index = tuple(rename_axis(part, axis, other) for part in node.index)
                    yield "axis", f"{node.tensor}: {axis} is {other}", replace(node, index=index)
        own = _bases(node.index)
        for name, index in self.tensors.items():
            if name != node.tensor and _bases(index) == own:
                yield "input", f"{node.tensor} is {name}", replace(node, tensor=name)

    def brackets(self, node: Bracket) -> Iterator[Change]:
        """Yield other comparisons: the border, the direction, the tie, the priority, the partner, one next to it, or none."""
        shown = text.term_text(node)
        yield "drop", shown, Number(1)
        if node.op in EDGES:
            yield "edge", shown, replace(node, op=EDGES[node.op])
            yield "mirror", shown, replace(node, op=MIRRORED[node.op])
        if node.op in ("==", "!="):
            yield "compare", f"{shown}, <=", replace(node, op="<=")
            yield "compare", f"{shown}, >=", replace(node, op=">=")
        match node.left, node.right:
            case Tuple(left), Tuple(right):
                yield from _ties(node, left, right, shown)
            case _:
                for other in self.axes:
                    if isinstance(node.left, Axis) and node.left.name != other:
                        yield "partner", f"{shown}, {other}", replace(node, left=Axis(other))
                    if isinstance(node.right, Axis) and node.right.name != other:
                        yield "partner", f"{shown}, {other}", replace(node, right=Axis(other))
                yield "shift", f"{shown}, + 1", replace(node, right=Binary("+", node.right, Number(1)))
                yield "shift", f"{shown}, - 1", replace(node, right=Binary("-", node.right, Number(1)))

    def binaries(self, node: Binary) -> Iterator[Change]:
        """Yield other operations: another sign, one operand left out, the operands the other way round, no normalisation."""
        found = as_softmax(node)
        if found is not None:
            yield from self.softmaxes(node, *found)
            return
        shown = text.term_text(node)
        if node.op in SIGNS:
            yield "sign", f"{shown}, {SIGNS[node.op]}", replace(node, op=SIGNS[node.op])
        if node.op in ("-", "/", "//", "%"):
            yield "sign", f"{shown}, reversed", replace(node, left=node.right, right=node.left)
        if node.op in ("/", "//", "%"):
            yield "normalise", f"no {node.op} in {shown}", node.left
        if node.op == "//":
            up = Binary("-", Binary("+", node.left, node.right), Number(1))
            yield "normalise", f"{shown} rounded up", replace(node, left=up)
        if node.op in ("+", "-", "*"):
            for kept, left_out in ((node.left, node.right), (node.right, node.left)):
                if not isinstance(left_out, Bracket):
                    yield "omit", text.term_text(left_out), kept
        if node.op == "*" and not any(isinstance(f, Bracket) for f in (node.left, node.right)):
            yield "sign", f"{shown}, +", replace(node, op="+")

    def softmaxes(self, node: Binary, names: tuple[str, ...], term: Node) -> Iterator[Change]:
        """Yield a softmax over other axes, without its sum, without its maximum, or none at all."""
        shown = f"softmax[{', '.join(names)}]"
        yield "normalise", f"no sum in {shown}", node.left
        yield "normalise", f"no maximum in {shown}", _without_maximum(node)
        yield "normalise", f"no {shown}", term
        others = [a for a in axes_of(self.equation.index) if a in self.axes]
        for size in range(1, len(others) + 1):
            for axes in combinations(others, size):
                if set(axes) != set(names) and set(axes) <= free_axes(term):
                    yield "normalise", f"{shown} over {', '.join(axes)}", softmax(axes, term)

    def reductions(self, node: Reduce) -> Iterator[Change]:
        """Yield other reductions: another kind, over part of the axes, or of the first coordinate alone."""
        shown = f"{node.kind}[{', '.join(node.axes)}]"
        for kind in KINDS[node.kind]:
            yield "reduce", f"{shown} is {kind}", replace(node, kind=kind)
        for axis in node.axes if node.kind == "sum" else ():
            first = Bracket("==", Axis(axis), Number(0))
            yield "reduce", f"{shown}, first {axis} only", replace(node, body=Binary("*", first, node.body))
            last = Bracket("<", Axis(axis), Binary("-", Size(base(axis)), Number(1)))
            yield "reduce", f"{shown}, all but the last {axis}", replace(node, body=Binary("*", last, node.body))


def _ties(node: Bracket, left: tuple[Node, ...], right: tuple[Node, ...], shown: str) -> Iterator[Change]:
    """Yield a lexicographic comparison with another priority or another rule for ties."""
    flipped = (Tuple((*left[:-1], right[-1])), Tuple((*right[:-1], left[-1])))
    yield "tie", f"{shown}, the other way", replace(node, left=flipped[0], right=flipped[1])
    for i in range(len(left)):
        fewer = [Tuple((*side[:i], *side[i + 1 :])) for side in (left, right)]
        yield "tie", f"{shown}, part {i + 1} left out", replace(node, left=fewer[0], right=fewer[1])
    for i, j in combinations(range(len(left)), 2):
        swapped = [Tuple(_swapped(side, i, j)) for side in (left, right)]
        yield "priority", f"{shown}, parts {i + 1} and {j + 1}", replace(node, left=swapped[0], right=swapped[1])


def _swapped(parts: Sequence[Any], i: int, j: int) -> tuple[Any, ...]:
    changed_parts = list(parts)
    changed_parts[i], changed_parts[j] = changed_parts[j], changed_parts[i]
    return tuple(changed_parts)


def _bases(index: tuple[Index, ...]) -> list[list[str]]:
    """Return the axes of every dimension without what only distinguishes them."""
    return [[base(a) for a in axes_of((part,))] for part in index]


def _orders(index: tuple[Index, ...]) -> Iterator[tuple[str, tuple[Index, ...]]]:
    """Yield an index with two of its axes exchanged, or the axes of a composition rotated."""
    nodes = {n.name: n for part in index for n in walk(part) if isinstance(n, Axis | Rest)}
    for one, other in combinations(nodes, 2):
        exchange = {nodes[one]: nodes[other], nodes[other]: nodes[one]}
        yield f"{one}, {other}", tuple(_exchanged(part, exchange) for part in index)
    for i, part in enumerate(index):
        if isinstance(part, Group) and len(part.parts) > 2:
            for turned in (Group((*part.parts[1:], part.parts[0])), Group((part.parts[-1], *part.parts[:-1]))):
                yield f"({', '.join(axes_of((turned,)))})", (*index[:i], turned, *index[i + 1 :])


def _disordered(index: tuple[Index, ...]) -> Iterator[tuple[str, tuple[Index, ...]]]:
    """Yield an index with the axes of a rest as they were, whatever order a parameter asks for, or in the inverse one."""
    for i, part in enumerate(index):
        if isinstance(part, Rest) and part.order:
            for other in ("", f"-{part.order}"):
                yield f"{part.order} is {other or 'left out'}", (*index[:i], Rest(part.name, other), *index[i + 1 :])


def _exchanged(part: Index, exchange: dict[Axis | Rest, Axis | Rest]) -> Index:
    return transform(part, lambda n: exchange.get(n, n))


def _without_maximum(node: Binary) -> Node:
    """Return a softmax that does not subtract the maximum first."""
    match node:
        case Binary("/", Apply(exp, Binary(_, term, _)), Reduce(_, names, Apply(_, Binary(_, other, _)))):
            return Binary("/", Apply(exp, term), Reduce("sum", names, Apply(exp, other)))
    raise AssertionError(node)


def as_softmax(node: Node) -> tuple[tuple[str, ...], Node] | None:
    """Return the axes and the term of a softmax, None where a term is none."""
    match node:
        case Binary("/", Apply("exp", Binary("-", term, Reduce("max") as top)), Reduce("sum", _, Apply("exp"))):
            names = tuple(a for a in axes_of_term(term) if a not in free_axes(top))
            if names and softmax(names, term) == node:
                return names, term
    return None


def axes_of_term(term: Node) -> tuple[str, ...]:
    """Return the free axes of a term in the order in which they first stand in it."""
    free = free_axes(term)
    order = [
        a for n in walk(term) for a in (axes_of(n.index) if isinstance(n, Read) else [n.name] if isinstance(n, Axis) else [])
    ]
    return tuple(a for a in dict.fromkeys(order) if a in free)
