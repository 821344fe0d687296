"""A definition as MathML, from its tree: of MathML Core alone, each name one identifier, axes and tensors marked as such."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from einspec.language.formula import (
    Apply,
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
    Rest,
    Size,
    Tuple,
    base,
)
from einspec.language.text import ATOM, PRECEDENCE, PRODUCT, SUM, chain, is_integer_zero, mean
from einspec.pages.render import latex

COMPARISONS = {"<": "&lt;", "<=": "≤", ">": "&gt;", ">=": "≥", "==": "=", "!=": "≠"}
FENCES = {"abs": "||", "floor": "⌊⌋", "ceil": "⌈⌉"}
"""Functions that are written as a fence around their argument."""
THIN = '<mspace width="0.17em"/>'
APPLIED, TIMES = "<mo>&#x2061;</mo>", "<mo>&#x2062;</mo>"
"""What stands between a function and its argument, and between two factors: nothing that is seen."""


def mathml(equation: Equation | OpCall) -> str:
    """Return an equation as a block of MathML, with its TeX as an annotation."""
    left, right = _use(equation) if isinstance(equation, OpCall) else _sides(equation)
    annotation = f'<annotation encoding="application/x-tex">{escape(latex(equation))}</annotation>'
    content = f"{_row(left, '<mo>=</mo>', right)}{annotation}"
    return f'<math display="block"><semantics>{content}</semantics></math>'


def term(node: Node) -> str:
    """Return a term as MathML without the ``math`` around it."""
    return _term(node)[0]


def _sides(equation: Equation) -> tuple[str, str]:
    return _indexed(equation.tensor, equation.index), term(equation.body)


def _use(call: OpCall) -> tuple[str, str]:
    """Return the use of another card: its name upright, its tensors with their axes."""
    given = [_row(_mi(n, "param"), "<mo>=</mo>", f"<mtext>{escape(v)}</mtext>") for n, v in call.choices]
    given += [_row(_mi(n, "param"), "<mo>=</mo>", term(v)) for n, v in call.numbers]
    arguments = _listed([*(_indexed(r.tensor, r.index) for r in call.inputs), *given])
    return _listed([_indexed(r.tensor, r.index) for r in call.targets]), _row(
        _mi(call.op, "op"), APPLIED, _within_fence(arguments)
    )


def _mi(text: str, kind: str = "") -> str:
    """Return an identifier; one of several letters is upright in MathML, so that its style is left to its class."""
    return f"<mi class={quoteattr(kind)}>{escape(text)}</mi>" if kind else f"<mi>{escape(text)}</mi>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else _row('<mo separator="true">,</mo>'.join(parts))


def _within_fence(inner: str, fence: str = "()") -> str:
    return _row(f'<mo fence="true">{fence[0]}</mo>', inner, f'<mo fence="true">{fence[1]}</mo>')


def _axis(name: str, kind: str = "axis") -> str:
    letters, digits = base(name), name[len(base(name)) :]
    shown = _mi(letters.upper() if kind == "size" else letters, kind)
    return f"<msub>{shown}<mn>{digits}</mn></msub>" if digits else shown


def _position(position: Index) -> str:
    match position:
        case Axis(name):
            return _axis(name)
        case Rest(name, order):
            shown = _mi("…" if name == "..." else name, "rest")
            return f"<msub>{shown}{_mi(order, 'param')}</msub>" if order else shown
        case Group(parts):
            return _within_fence(_listed([_position(p) for p in parts]))


def _indexed(name: str, index: tuple[Index, ...]) -> str:
    tensor = _mi(name, "tensor")
    return f"<msub>{tensor}{_row(_listed([_position(p) for p in index]))}</msub>" if index else tensor


def _term(node: Node) -> tuple[str, int]:
    """Return a term and how tightly it binds."""
    links = chain(node)
    if links:
        operands = [_operand(o) for o in (links[0].left, *(b.right for b in links))]
        rest = (f"<mo>{COMPARISONS[b.op]}</mo>{o}" for b, o in zip(links, operands[1:], strict=True))
        return _within_fence(_row(operands[0], *rest), "[]"), ATOM
    average = mean(node)
    if average and isinstance(node, Binary):
        return _row(f"<mfrac><mn>1</mn>{term(node.right)}</mfrac>", THIN, _reduce(average)), SUM
    match node:
        case Axis(name):
            return _axis(name), ATOM
        case Param(name):
            return _mi(name, "param"), ATOM
        case Number(value):
            return _number(value), ATOM
        case Size(axis):
            return _axis(axis, "size"), ATOM
        case Read(tensor, index):
            return _indexed(tensor, index), ATOM
        case Apply(function, argument):
            return _apply(function, term(argument)), ATOM
        case Reduce():
            return _reduce(node), SUM
        case Binary():
            return _binary(node)
    raise AssertionError(node)


def _apply(function: str, inner: str) -> str:
    if function == "sqrt":
        return f"<msqrt>{inner}</msqrt>"
    if function in FENCES:
        return _within_fence(inner, FENCES[function])
    return _row(_mi(function, "function"), APPLIED, _within_fence(inner))


def _reduce(node: Reduce) -> str:
    sign = "∑" if node.kind == "sum" else node.kind
    large = ' largeop="true"' if node.kind == "sum" else ""
    under = _row(_listed([_axis(a) for a in node.axes]))
    operator = f'<munder><mo movablelimits="false"{large}>{sign}</mo>{under}</munder>'
    return _row(operator, THIN, _within(node.body, PRODUCT, inside=Reduce))


def _binary(node: Binary) -> tuple[str, int]:
    level = PRECEDENCE[node.op]
    match node.op:
        case "/" | "//":
            fraction = f"<mfrac>{_row(term(node.left))}{_row(term(node.right))}</mfrac>"
            return (fraction, PRODUCT) if node.op == "/" else (_within_fence(fraction, "⌊⌋"), ATOM)
        case "-" if is_integer_zero(node.left):
            return _row('<mo form="prefix">−</mo>', _within(node.right, PRODUCT)), SUM
    left, right = _within(node.left, level), _within(node.right, level + 1)
    if node.op == "*":
        return _row(left, "<mo>·</mo>" if isinstance(node.right, Number) else TIMES + THIN, right), PRODUCT
    sign = {"%": "mod", "-": "−"}.get(node.op, node.op)
    return _row(left, f"<mo>{sign}</mo>", right), level


def _within(node: Node, level: int, inside: type | None = None) -> str:
    """Return a term in parentheses where it binds more loosely than its place asks for, or is a reduction not last."""
    shown, own = _term(node)
    reduction = isinstance(node, Reduce) or mean(node) is not None
    if (reduction and inside is Reduce) or (own >= level and not reduction):
        return shown
    return _within_fence(shown)


def _operand(node: Node) -> str:
    if isinstance(node, Tuple):
        return _within_fence(_listed([term(p) for p in node.parts]))
    return _within(node, SUM)


def _number(value: float) -> str:
    if value == math.inf:
        return _mi("∞")
    mantissa, exponent, power = repr(value).partition("e")
    if not exponent:
        return f"<mn>{mantissa}</mn>"
    return _row(f"<mn>{mantissa}</mn>", "<mo>·</mo>", f"<msup><mn>10</mn><mn>{int(power)}</mn></msup>")
