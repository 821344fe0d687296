"""A tree as the text of the formula language: parsing it gives the same tree."""

from __future__ import annotations

import math
from collections.abc import Iterator

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
    base,
    factors,
)

ATOM, NEGATION, PRODUCT, SUM, COMPARISON = 5, 4, 3, 2, 1
"""How tightly a term binds, as in Python."""
PRECEDENCE = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT}


def text(equation: Equation) -> str:
    """Return an equation as one line of the formula language; parsing it gives the same tree."""
    left = f"{equation.tensor}[{_index_text(equation.index)}]" if equation.index else equation.tensor
    return f"{left} = {term_text(equation.body)}"


def term_text(node: Node) -> str:
    """Return a term as one line of the formula language; parsing it gives the same tree."""
    return _text(node)[0]


def _text(node: Node) -> tuple[str, int]:
    """Return a term and how tightly it binds."""
    links = chain(node)
    if links:
        operands = (links[0].left, *(b.right for b in links))
        shown = [_operand_text(o) for o in operands]
        return shown[0] + "".join(f" {b.op} {s}" for b, s in zip(links, shown[1:], strict=True)), COMPARISON
    average = mean(node)
    if average:
        return f"mean[{', '.join(average.axes)}]({term_text(average.body)})", ATOM
    match node:
        case Axis(name) | Param(name):
            return name, ATOM
        case Number(value):
            return ("1e999" if value == math.inf else repr(value)), ATOM
        case Size(axis):
            return axis.upper(), ATOM
        case Read(tensor, index):
            return f"{tensor}[{_index_text(index) or '()'}]", ATOM
        case Apply(function, argument):
            return f"{function}({term_text(argument)})", ATOM
        case Reduce(kind, axes, body):
            return f"{kind}[{', '.join(axes)}]({term_text(body)})", ATOM
        case Binary("-", zero, right) if is_integer_zero(zero):
            return f"-{_within(right, NEGATION)}", NEGATION
        case Binary(op, left, right):
            level = PRECEDENCE[op]
            return f"{_within(left, level)} {op} {_within(right, level + 1)}", level
    raise AssertionError(node)


def is_integer_zero(node: Node) -> bool:
    """Whether a term is the integer 0; 0.0 is another term."""
    return isinstance(node, Number) and type(node.value) is int and node.value == 0


def _within(node: Node, level: int) -> str:
    """Return a term, in parentheses where it binds more loosely than its place asks for."""
    shown, own = _text(node)
    return shown if own >= level else f"({shown})"


def _operand_text(node: Node) -> str:
    if isinstance(node, Tuple):
        return f"({', '.join(term_text(p) for p in node.parts)}{',' * (len(node.parts) == 1)})"
    return _within(node, SUM)


def _index_text(index: tuple[Index, ...]) -> str:
    shown = ", ".join(_position_text(p) for p in index)
    return f"{shown}," if len(index) == 1 and isinstance(index[0], Group) else shown


def _position_text(position: Index) -> str:
    match position:
        case Axis(name):
            return name
        case Rest(name, order):
            return name if name == "..." else f"*{name}[{order}]" if order else f"*{name}"
        case Group(parts):
            return f"({','.join(_position_text(p) for p in parts)}{',' * (len(parts) == 1)})"


def chain(node: Node) -> list[Bracket]:
    """Return the brackets of ``a < b <= c``, which is a product of two, or of a single bracket; else nothing."""
    if isinstance(node, Bracket):
        return [node]
    if isinstance(node, Binary) and node.op == "*" and isinstance(node.right, Bracket):
        before = chain(node.left)
        return [*before, node.right] if before and before[-1].right == node.right.left else []
    return []


def mean(node: Node) -> Reduce | None:
    """Return the sum of a mean: one that is divided by the sizes of its axes, in their order."""
    if isinstance(node, Binary) and node.op == "/" and isinstance(node.left, Reduce) and node.left.kind == "sum":
        sizes = [Size(base(a)) for a in node.left.axes]
        flat = all(not isinstance(n, Binary) for n in _spine(node.right))
        return node.left if flat and list(factors(node.right)) == sizes else None
    return None


def _spine(product: Node) -> Iterator[Node]:
    """Yield the right operands of a product that is written without parentheses."""
    while isinstance(product, Binary) and product.op == "*":
        yield product.right
        product = product.left
