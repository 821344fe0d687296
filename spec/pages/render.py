"""A definition as readers want it: LaTeX for a paper, one line of text, an einops pattern to copy.

All three are made from the tree, so that they cannot differ from what is judged.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

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
    axes_of,
    base,
)
from einspec.language.text import ATOM, PRECEDENCE, PRODUCT, SUM, chain, is_integer_zero, mean
from einspec.orders import Ordered

if TYPE_CHECKING:
    from einspec.card import Form
    from einspec.language.tables import Card

LATEX_COMPARISONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
LATEX_FUNCTIONS: dict[str, Callable[[str], str]] = {
    "sqrt": lambda a: rf"\sqrt{{{a}}}",
    "abs": lambda a: rf"\left|{a}\right|",
    "floor": lambda a: rf"\left\lfloor {a} \right\rfloor",
    "ceil": lambda a: rf"\left\lceil {a} \right\rceil",
    "erf": lambda a: rf"\operatorname{{erf}}\left({a}\right)",
}
"""Functions that are not written as their name before parentheses."""


def latex_definition(form: Form) -> str:
    """Return a definition as LaTeX for math mode."""
    return latex_lines(form.stated)


def latex_lines(equations: Sequence[Equation | OpCall]) -> str:
    """Return equations as LaTeX for math mode, several aligned at their equals signs."""
    shown = [latex(e) for e in equations]
    if len(shown) < 2:
        return "".join(shown)
    lines = (line.replace(" = ", " &= ", 1) for line in shown)
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def latex(equation: Equation | OpCall) -> str:
    """Return an equation as LaTeX for math mode: brackets are Iverson brackets, compositions are tuples in an index."""
    if isinstance(equation, OpCall):
        return _use_latex(equation)
    left = _name_latex(equation.tensor) + _index_latex(equation.index)
    return f"{left} = {_latex(equation.body)[0]}"


def _use_latex(call: OpCall) -> str:
    """Return the use of another card: its name upright, its tensors with their axes."""
    targets, inputs = ([_name_latex(r.tensor) + _index_latex(r.index) for r in side] for side in (call.targets, call.inputs))
    given = [f"\\text{{{_escape(name)}}} = \\text{{{_escape(value)}}}" for name, value in call.choices]
    given += [f"\\text{{{_escape(name)}}} = {_latex(value)[0]}" for name, value in call.numbers]
    return f"{', '.join(targets)} = \\operatorname{{{_escape(call.op)}}}({', '.join([*inputs, *given])})"


def _latex(node: Node) -> tuple[str, int]:
    """Return a term as LaTeX and how tightly it binds."""
    links = chain(node)
    if links:
        operands = [_operand_latex(o) for o in (links[0].left, *(b.right for b in links))]
        rest = (f" {LATEX_COMPARISONS[b.op]} {o}" for b, o in zip(links, operands[1:], strict=True))
        return rf"[\,{operands[0]}{''.join(rest)}\,]", ATOM
    average = mean(node)
    if average and isinstance(node, Binary):
        return rf"\frac{{1}}{{{_latex(node.right)[0]}}} {_reduce_latex(average)}", SUM
    match node:
        case Axis(name):
            return _axis_latex(name), ATOM
        case Param(name):
            return rf"\mathrm{{{_escape(name)}}}", ATOM
        case Number(value):
            return _number_latex(value), ATOM
        case Size(axis):
            return _axis_latex(axis.upper()), ATOM
        case Read(tensor, index):
            return _name_latex(tensor) + _index_latex(index), ATOM
        case Apply(function, argument):
            inner = _latex(argument)[0]
            written = LATEX_FUNCTIONS.get(function)
            return written(inner) if written else rf"\{function}\left({inner}\right)", ATOM
        case Reduce():
            return _reduce_latex(node), SUM
        case Binary():
            return _binary_latex(node)
    raise AssertionError(node)


def _reduce_latex(node: Reduce) -> str:
    axes = r",\,".join(_axis_latex(a) for a in node.axes)
    return rf"\{node.kind}\limits_{{{axes}}} {_latex_within(node.body, PRODUCT, inside=Reduce)}"


def _binary_latex(node: Binary) -> tuple[str, int]:
    level = PRECEDENCE[node.op]
    match node.op:
        case "/":
            return rf"\frac{{{_latex(node.left)[0]}}}{{{_latex(node.right)[0]}}}", PRODUCT
        case "//":
            fraction = rf"\frac{{{_latex(node.left)[0]}}}{{{_latex(node.right)[0]}}}"
            return rf"\left\lfloor {fraction} \right\rfloor", ATOM
        case "-" if is_integer_zero(node.left):
            return f"-{_latex_within(node.right, PRODUCT)}", SUM
    left, right = _latex_within(node.left, level), _latex_within(node.right, level + 1)
    if node.op == "*":
        return f"{left}{_times(right)}{right}", PRODUCT
    sign = r"\bmod" if node.op == "%" else node.op
    return f"{left} {sign} {right}", level


def _times(right: str) -> str:
    """Return what stands between two factors: a dot where a number could be taken for part of the first."""
    return r" \cdot " if right.lstrip("(")[0].isdigit() else r"\, "


def _latex_within(node: Node, level: int, inside: type | None = None) -> str:
    """Return a term in parentheses where it binds more loosely than its place asks for, or is a reduction not last."""
    shown, own = _latex(node)
    reduction = isinstance(node, Reduce) or mean(node) is not None
    if (reduction and inside is Reduce) or (own >= level and not reduction):
        return shown
    return rf"\left({shown}\right)"


def _operand_latex(node: Node) -> str:
    if isinstance(node, Tuple):
        return "(" + r",\, ".join(_latex(p)[0] for p in node.parts) + ")"
    return _latex_within(node, SUM)


def _number_latex(value: float) -> str:
    if value == math.inf:
        return r"\infty"
    mantissa, exponent, power = repr(value).partition("e")
    return rf"({mantissa} \cdot 10^{{{int(power)}}})" if exponent else mantissa


def _index_latex(index: tuple[Index, ...]) -> str:
    return "_{" + r",\,".join(_position_latex(p) for p in index) + "}" if index else ""


def _position_latex(position: Index) -> str:
    match position:
        case Axis(name):
            return _axis_latex(name)
        case Rest(name, order):
            shown = r"\ldots" if name == "..." else rf"\mathbf{{{name}}}"
            return rf"{shown}_{{\mathrm{{{order}}}}}" if order else shown
        case Group(parts):
            return f"({','.join(_position_latex(p) for p in parts)})"


def _axis_latex(name: str) -> str:
    letters, digits = base(name), name[len(base(name)) :]
    shown = letters if len(letters) == 1 else rf"\mathit{{{letters}}}"
    return f"{shown}_{{{digits}}}" if digits else shown


def _name_latex(name: str) -> str:
    return name if len(name) == 1 else rf"\mathit{{{_escape(name)}}}"


def _escape(name: str) -> str:
    return name.replace("_", r"\_")


def einops_pattern(form: Form, ranks: Mapping[str, int] | None = None) -> str | None:
    """Return the einops pattern of a definition that only moves or repeats axes.

    Args:
        form: the form of a card. A listed tensor has the axis of the list first, as einops has it.
        ranks: how many axes each rest stands for; they get names of their own. Without it a single ``...`` may stay.

    Returns:
        A pattern for ``einops.rearrange`` or, where an axis is new, ``einops.repeat``; None where the definition has
        no pattern: several inputs or outputs, something other than a read, or a rest that einops cannot write.
    """
    found = _read(form)
    if found is None:
        return None
    equation, read = found
    names = axes_of(read.index)
    if len(set(names)) < len(names):
        return None
    left, right = (_pattern_side(index, ranks, _taken(form)) for index in (read.index, equation.index))
    return None if left is None or right is None else f"{left} -> {right}".strip()


def _read(form: Form) -> tuple[Equation, Read] | None:
    """Return the one equation of a plain read of the one input, and the read."""
    if len(form.signature.inputs) != 1 or len(form.equations) != 1:
        return None
    equation, body = form.equations[0], form.equations[0].body
    return (equation, body) if isinstance(body, Read) else None


def _taken(form: Form) -> frozenset[str]:
    return frozenset(n for e in form.equations for n in axes_of(e.index))


def _pattern_side(
    index: tuple[Index, ...], ranks: Mapping[str, int] | None, taken: frozenset[str], top: bool = True
) -> str | None:
    parts: list[str] = []
    for position in index:
        part = _pattern_part(position, ranks, taken, top)
        if part is None:
            return None
        parts += [part] if part else []
    return " ".join(parts)


def _pattern_part(position: Index, ranks: Mapping[str, int] | None, taken: frozenset[str], top: bool) -> str | None:
    match position:
        case Axis(name):
            return name
        case Rest(name, order):
            if ranks is not None:
                names, rank = rest_names(name, ranks[name], taken), ranks[name]
                return " ".join([names[i] for i in rank.axes(order)] if isinstance(rank, Ordered) and order else names)
            return name if name == "..." and top else None
        case Group(parts):
            inner = _pattern_side(parts, ranks, taken, top=False)
            return inner if inner is None else f"({inner})"


def rest_names(rest: str, rank: int, taken: frozenset[str] = frozenset()) -> list[str]:
    """Return names that einops takes for the axes that a rest stands for: ``a0 a1``, or ``dots0`` for ``...``."""
    stem = "dots" if rest == "..." else rest
    while any(f"{stem}{i}" in taken for i in range(rank)):
        stem += stem[-1]
    return [f"{stem}{i}" for i in range(rank)]


def einops_call(card: Card, form: Form, ranks: Mapping[str, int] | None = None) -> str | None:
    """Return the einops call that computes a plain read, such as ``rearrange(x, 'b n (h d) -> b h n d', h=num_heads)``.

    It is written in the inputs and parameters of the card. None where the form has no pattern.

    Args:
        card: the card, for what its parameters set.
        form: the form of the card.
        ranks: as in :func:`einops_pattern`.
    """
    pattern, found = einops_pattern(form, ranks), _read(form)
    if pattern is None or found is None:
        return None
    read, made = set(axes_of(found[1].index)), set(axes_of(found[0].index))
    function = "rearrange" if made <= read else "repeat"
    spec, output = form.signature.inputs[0], form.signature.outputs[0]
    first = f"list({spec.name})" if spec.listed else spec.name
    whole = re.sub(r"\([^)]*\)", "", pattern.partition("->")[0]).split()
    hidden = set(re.findall(r"\w+", pattern)) - set(whole)
    lengths = "".join(f", {axis}={size}" for axis, size in _lengths(card, form, ranks).items() if axis in hidden)
    call = f"{function}({first}, '{pattern}'{lengths})"
    return f"list({call})" if output.listed else call


def _lengths(card: Card, form: Form, ranks: Mapping[str, int] | None) -> dict[str, str]:
    """Return what the sizes of axes are in the parameters of the card."""
    known = {axis: term.text for axis, term in form.sizes.items() if not term.needs}
    first = form.signature.inputs[0]
    fixed: tuple[Index, ...] = (
        () if first.listed else tuple(itertools.takewhile(lambda d: not isinstance(d, Rest), first.index))
    )
    merged: list[tuple[list[str], str]] = []
    for name, param in card.params.items():
        if param.sizes and ranks is not None:
            opened = rest_names(param.sizes, ranks[param.sizes], _taken(form))
            known |= {axis: f"{name}[{i}]" for i, axis in enumerate(opened)}
        if param.size:
            targets = param.targets(name)
            written = [f"{name}[{i}]" if param.several else name for i in range(len(targets))]
            groups = [re.findall(r"\w+", t) for t in targets]
            known |= {g[0]: w for g, w in zip(groups, written, strict=True) if len(g) == 1}
            merged += [(g, w) for g, w in zip(groups, written, strict=True) if len(g) > 1]
    for axes, total in merged:
        unknown = [a for a in axes if a not in known]
        if len(unknown) == 1:
            known[unknown[0]] = " // ".join([total, *(known[a] for a in axes if a in known)])
    for axis, term in form.sizes.items():
        size = term.text.lower()
        for i, inside in enumerate(axes_of((d,)) for d in fixed):
            others = [known[a] for a in inside if a != size and a in known]
            if size in inside and len(others) == len(inside) - 1:
                known.setdefault(axis, " // ".join([f"{first.name}.shape[{i}]", *others]))
        if size in known:
            known.setdefault(axis, known[size])
    return known
