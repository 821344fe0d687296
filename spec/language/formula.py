"""The formula language: Einstein notation with Iverson brackets, parsed into a small typed tree.

A definition is one or more equations such as ``y[b, c, (h,i), (w,j)] = x[b, (c,i,j), h, w]``. The text is valid Python
syntax and is parsed with :mod:`ast`; everything that the language does not have is an error at its column. The meaning
of a tree is given by :mod:`einspec.semantics.pointwise`; nothing here evaluates anything.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from einspec.errors import FormulaError

REDUCTIONS = ("sum", "max", "min", "mean", "softmax")
FUNCTIONS = ("exp", "log", "sqrt", "tanh", "erf", "abs", "floor", "ceil")
MACROS = {
    "relu": "(u > 0) * u",
    "sigmoid": "1 / (1 + exp(-u))",
    "silu": "u / (1 + exp(-u))",
    "softplus": "(u > 0) * u + log(1 + exp(-abs(u)))",
    "gelu": "u * (1 + erf(u / sqrt(2))) / 2",
}
"""Functions that the language defines in itself, of one argument ``u``."""

COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis name: its coordinate as a number, or one position of an index."""

    name: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Any number of axes: ``...`` or ``*a``; ``*a[order]`` are those of ``*a`` in an order, ``*a[-order]`` in its inverse."""

    name: str
    order: str = ""

    def __repr__(self) -> str:
        return f"Rest(name={self.name!r}, order={self.order!r})" if self.order else f"Rest(name={self.name!r})"


@dataclass(frozen=True, slots=True)
class Group:
    """Axes composed into one, row-major: the last varies fastest."""

    parts: tuple[Index, ...]


Index = Axis | Rest | Group


@dataclass(frozen=True, slots=True)
class Number:
    """A literal integer or float."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Size:
    """An upper-case axis name: the size of that axis."""

    axis: str


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the card, used as a number."""

    name: str


@dataclass(frozen=True, slots=True)
class Read:
    """One element of a tensor."""

    tensor: str
    index: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    """Operands of a comparison that is made lexicographically."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bracket:
    """An Iverson bracket: 1 where the comparison holds; where it does not, a zero that annihilates even NaN."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """``+ - * / // %`` of two terms."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of one number."""

    function: str
    argument: Node


@dataclass(frozen=True, slots=True)
class Reduce:
    """``sum``, ``max`` or ``min`` of the body over all coordinates of the axes."""

    kind: str
    axes: tuple[str, ...]
    body: Node


Node = Axis | Number | Size | Param | Read | Tuple | Bracket | Binary | Apply | Reduce
AnyNode = TypeVar("AnyNode")


@dataclass(frozen=True, slots=True)
class Equation:
    """``tensor[index] = body``."""

    tensor: str
    index: tuple[Index, ...]
    body: Node
    text: str


@dataclass(frozen=True, slots=True)
class OpCall:
    """``y[axes], z[axes] = op(x[axes], name=value)``: a definition that uses that of another card."""

    targets: tuple[Read, ...]
    op: str
    inputs: tuple[Read, ...]
    choices: tuple[tuple[str, str], ...]
    """Parameters that are strings."""
    numbers: tuple[tuple[str, Node], ...]
    text: str


def base(axis: str) -> str:
    """Return the axis without the digits that only distinguish: ``e1`` is an axis of the size of ``e``."""
    return axis if "." in axis else axis.rstrip("0123456789")


def walk(node: Any) -> Iterator[Any]:
    """Yield the node and everything below it."""
    left = [node]
    while left:
        node = left.pop()
        yield node
        left += reversed(children(node))


def children(node: Any) -> list[Any]:
    """Return the parts of a node that are nodes themselves, in the order of its fields; nothing else has any."""
    found: list[Any] = []
    for name in _parts(node.__class__):
        value = getattr(node, name)
        found += [c for c in (value if isinstance(value, tuple) else (value,)) if _parts(c.__class__)]
    return found


@functools.cache
def _parts(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a kind of node."""
    return tuple(getattr(kind, "__dataclass_fields__", ()))


def transform(node: AnyNode, change: Callable[[Any], Any]) -> AnyNode:
    """Return the tree with ``change`` applied to every node, from the leaves up."""
    changed: AnyNode = change(mapped(node, lambda child: transform(child, change)))
    return changed


def mapped(node: AnyNode, change: Callable[[Any], Any]) -> AnyNode:
    """Return the node with ``change`` applied to its parts that are nodes themselves, and to nothing below them."""
    whole: Any = node
    updates: dict[str, Any] = {}
    for name in _parts(whole.__class__):
        value = getattr(whole, name)
        if isinstance(value, tuple):
            updates[name] = tuple([change(v) if _parts(v.__class__) else v for v in value])
        elif _parts(value.__class__):
            updates[name] = change(value)
    result: AnyNode = replace(whole, **updates) if updates else node
    return result


def interned(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """Return equations in which equal terms are one object, so that what was found for one is known for all."""
    found: dict[str, Any] = {}  # by all that is written: 1 and 1.0 are equal in Python, and different terms
    return tuple(transform(e, lambda n: found.setdefault(repr(n), n)) for e in equations)


def repeated(equations: Sequence[Equation]) -> frozenset[int]:
    """Return the identities of the terms that stand in equations more than once; see :func:`interned`."""
    counts = Counter(id(n) for e in equations for n in walk(e.body))
    return frozenset(i for i, count in counts.items() if count > 1)


def axes_of(index: tuple[Index, ...]) -> tuple[str, ...]:
    """Return the names of the axes and rests of an index, in order, compositions opened."""
    return tuple(n.name for part in index for n in walk(part) if isinstance(n, Axis | Rest))


def free_axes(node: Node) -> set[str]:
    """Return the axes and rests that a term depends on and does not bind itself."""
    if isinstance(node, Axis):
        return {node.name}
    if isinstance(node, Read):
        return set(axes_of(node.index))
    if isinstance(node, Reduce):
        return free_axes(node.body) - set(node.axes)
    return set[str]().union(*map(free_axes, children(node)))


def rename_axis(node: AnyNode, old: str, new: str) -> AnyNode:
    """Return the tree with one axis renamed everywhere."""

    def change(n: Any) -> Any:
        if isinstance(n, Axis) and n.name == old:
            return Axis(new)
        if isinstance(n, Reduce) and old in n.axes:
            return replace(n, axes=tuple(new if a == old else a for a in n.axes))
        return n

    return transform(node, change)


def factors(node: Node) -> Iterator[Node]:
    """Yield the factors of a product, left to right; a term that is no product is its own factor."""
    if isinstance(node, Binary) and node.op == "*":
        yield from factors(node.left)
        yield from factors(node.right)
    else:
        yield node


def applied(node: Apply) -> tuple[str, Node]:
    """Return the function that is computed and its argument: of ``log(1 + x)`` ``log1p`` and x, as x may be small."""
    match node:
        case Apply("log", Binary("+", Number(1), argument)):
            return "log1p", argument
    return node.function, node.argument


def terms(node: Node) -> Iterator[Node]:
    """Yield the terms of a sum, left to right (a difference is not opened)."""
    if isinstance(node, Binary) and node.op == "+":
        yield from terms(node.left)
        yield from terms(node.right)
    else:
        yield node


class _Parser:
    """Turns one card's definition into equations; knows the card's parameters, so that names can be told apart."""

    def __init__(self, card: str, text: str, params: frozenset[str], ops: frozenset[str] = frozenset()) -> None:
        self.card, self.text, self.params, self.ops = card, text, params, ops
        self.scalars: set[str] = set()
        """Tensors without axes that earlier equations define: read by their name alone."""

    def error(self, node: ast.AST | None, expected: str) -> FormulaError:
        lines = self.text.splitlines() or [""]
        line, column = min(getattr(node, "lineno", 1), len(lines)), getattr(node, "col_offset", 0)
        place = f"{self.card}: equation {self.number(lines[: line - 1])}, column {column + 1}"
        return FormulaError(f"{place}: {expected}\n  {lines[line - 1]}\n  {' ' * column}^")

    def number(self, before: list[str]) -> int:
        """Return the number of the equation that the lines before it leave off at; one may go on over several lines."""
        for end in range(len(before), 0, -1):
            try:
                return len(ast.parse("\n".join(before[:end])).body) + 1
            except SyntaxError:
                continue
        return 1

    def module(self) -> tuple[Equation | OpCall, ...]:
        try:
            tree = ast.parse(self.text)
        except SyntaxError as error:
            spot = ast.Name("?", lineno=error.lineno or 1, col_offset=max((error.offset or 1) - 1, 0))
            raise self.error(spot, f"expected an equation: {error.msg}") from None
        if not tree.body:
            raise self.error(None, "expected at least one equation")
        return tuple(self.equation(statement) for statement in tree.body)

    def equation(self, statement: ast.stmt) -> Equation | OpCall:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise self.error(statement, "expected an equation, name[axes] = expression")
        target = statement.targets[0]
        match statement.value:
            case ast.Call(func=ast.Name(id=name)) as call if name in self.ops:
                return self.op_call(statement, target, call, name)
        index: tuple[Index, ...] = ()
        if isinstance(target, ast.Subscript):
            index = self.index(target.slice)
            target = target.value
        if not isinstance(target, ast.Name):
            raise self.error(target, "expected the name of a tensor on the left")
        names = axes_of(index)
        if len(set(names)) < len(names):
            raise self.error(statement, "an axis may stand only once on the left")
        text = ast.get_source_segment(self.text, statement) or ""
        equation = Equation(target.id, index, self.term(statement.value), " ".join(text.split()))
        free = free_axes(equation.body) - set(names)
        if free:
            raise self.error(
                statement.value,
                f"axis {sorted(free)[0]} stands only on the right: bind it with a reduction, as in sum[{sorted(free)[0]}](...)",
            )
        if not index:
            self.scalars.add(target.id)
        return equation

    def op_call(self, statement: ast.stmt, target: ast.expr, call: ast.Call, name: str) -> OpCall:
        """Return the use of another card; its parameters are strings, or terms over sizes and parameters."""
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        choices: list[tuple[str, str]] = []
        numbers: list[tuple[str, Node]] = []
        for keyword in call.keywords:
            match keyword.value:
                case ast.Constant(value=str() as value):
                    choices.append((str(keyword.arg), value))
                case _:
                    numbers.append((str(keyword.arg), self.term(keyword.value)))
        text = " ".join((ast.get_source_segment(self.text, statement) or "").split())
        return OpCall(
            tuple(self.tensor(t) for t in targets),
            name,
            tuple(self.tensor(a) for a in call.args),
            tuple(choices),
            tuple(numbers),
            text,
        )

    def tensor(self, node: ast.expr) -> Read:
        """Return a tensor with its axes, the only thing that another card takes and gives."""
        match node:
            case ast.Subscript(value=ast.Name(id=name)):
                return Read(name, self.index(node.slice))
            case ast.Name(id=name):
                return Read(name, ())
        raise self.error(node, "expected a tensor with its axes, as in x[t, e]; give what is computed a name first")

    def index(self, node: ast.expr) -> tuple[Index, ...]:
        if not isinstance(node, ast.Tuple) or (node.elts and self.in_parentheses(node)):
            return (self.position(node),)
        return tuple(self.position(item) for item in node.elts)

    def in_parentheses(self, node: ast.Tuple) -> bool:
        """Whether an index has parentheses of its own: ``y[(h,w)]`` is one dimension, ``y[(h),(w)]`` two."""
        shown, depth = ast.get_source_segment(self.text, node) or "", 0
        for i, character in enumerate(shown):
            depth += (character == "(") - (character == ")")
            if depth == 0:
                return i == len(shown) - 1
        return False

    def position(self, node: ast.expr) -> Index:
        match node:
            case ast.Name(id=name) if self.is_axis(name):
                return Axis(name)
            case ast.Constant(value=value) if value is ...:
                return Rest("...")
            case ast.Starred(value=ast.Name(id=name)):
                return Rest(name)
            case ast.Starred(value=ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id=order))):
                return Rest(name, order)
            case ast.Starred(
                value=ast.Subscript(value=ast.Name(id=name), slice=ast.UnaryOp(op=ast.USub(), operand=ast.Name(id=order)))
            ):
                return Rest(name, f"-{order}")
            case ast.Tuple(elts=elements) if elements:
                return Group(tuple(self.position(e) for e in elements))
        raise self.error(
            node, "an index is an axis, a composition (h,i), or ...; write a shift or a gather as a sum over a bracket"
        )

    def is_axis(self, name: str) -> bool:
        return name.isidentifier() and name.islower() and "_" not in name and name not in self.params

    def term(self, node: ast.expr) -> Node:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as value):
                return Number(value)
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.Subscript(value=ast.Name(id=name)) if name not in REDUCTIONS:
                return Read(name, self.index(node.slice))
            case ast.BinOp(op=op) if type(op) in OPERATORS:
                return Binary(OPERATORS[type(op)], self.term(node.left), self.term(node.right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Binary("-", Number(0), self.term(operand))
            case ast.Compare():
                return self.compare(node)
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
                return self.function(node, name, self.term(argument))
            case ast.Call(func=ast.Subscript(value=ast.Name(id=name)) as head, args=[body], keywords=[]):
                return self.reduction(head, name, body)
            case ast.BoolOp():
                raise self.error(node, "expected a product of brackets, (a < b) * (b < c), not 'and' or 'or'")
        raise self.error(node, "expected a number, an axis, a size, a read, a bracket, a reduction or a function")

    def name(self, node: ast.expr, name: str) -> Node:
        if name in self.params:
            return Param(name)
        if name in self.scalars:
            return Read(name, ())
        if name.isupper():
            return Size(name.lower())
        if self.is_axis(name):
            return Axis(name)
        raise self.error(node, f"{name} is no axis (lower case), no size (upper case) and no parameter of the card")

    def compare(self, node: ast.Compare) -> Node:
        operands = [self.operand(n) for n in (node.left, *node.comparators)]
        result: Node | None = None
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            if type(op) not in COMPARISONS:
                raise self.error(node, "expected one of < <= > >= == !=")
            sizes = [len(side.parts) if isinstance(side, Tuple) else 0 for side in (left, right)]
            if sizes[0] != sizes[1]:
                raise self.error(node, "both sides of a comparison of tuples need the same number of parts")
            bracket = Bracket(COMPARISONS[type(op)], left, right)
            result = bracket if result is None else Binary("*", result, bracket)
        assert result is not None
        return result

    def operand(self, node: ast.expr) -> Node:
        if isinstance(node, ast.Tuple) and not node.elts:
            raise self.error(node, "expected at least one part in a tuple")
        return Tuple(tuple(self.term(e) for e in node.elts)) if isinstance(node, ast.Tuple) else self.term(node)

    def function(self, node: ast.expr, name: str, argument: Node) -> Node:
        if name in FUNCTIONS:
            return Apply(name, argument)
        if name in MACROS:
            return transform(_macro(name), lambda n: argument if n == Axis("u") else n)
        known = ", ".join((*FUNCTIONS, *MACROS))
        raise self.error(node, f"{name} is no function of the language; it has {known}")

    def reduction(self, head: ast.Subscript, name: str, body: ast.expr) -> Node:
        if name not in REDUCTIONS:
            raise self.error(head, f"{name} is no reduction; the language has {', '.join(REDUCTIONS)}")
        axes = self.index(head.slice)
        if not all(isinstance(a, Axis) for a in axes):
            raise self.error(head, "a reduction binds single axes, as in sum[h, w](...)")
        names, term = axes_of(axes), self.term(body)
        if not names or len(set(names)) < len(names):
            raise self.error(head, "a reduction binds at least one axis, and each only once")
        if name == "mean":
            sizes: list[Node] = [Size(base(n)) for n in names]
            count = functools.reduce(lambda left, right: Binary("*", left, right), sizes)
            return Binary("/", Reduce("sum", names, term), count)
        if name == "softmax":
            return softmax(names, term)
        return Reduce(name, names, term)


@functools.cache
def _macro(name: str) -> Node:
    return parse("y = sum[u](" + MACROS[name] + ")", name)[0].body.body  # type: ignore[union-attr]  # a Reduce


def softmax(names: tuple[str, ...], term: Node) -> Node:
    """Return the softmax of a term over axes, written out."""
    used = {n.name for n in walk(term) if isinstance(n, Axis)}
    used |= {a for n in walk(term) if isinstance(n, Reduce) for a in n.axes}
    other, fresh = _apart(term, names, used)
    top = Reduce("max", fresh, other)
    inner, _ = _apart(top, fresh, used)  # the same maximum in other names, so that it can stand inside the sum
    total = Reduce("sum", fresh, Apply("exp", Binary("-", other, inner)))
    return Binary("/", Apply("exp", Binary("-", term, top)), total)


def _apart(term: Node, names: tuple[str, ...], used: set[str]) -> tuple[Node, tuple[str, ...]]:
    """Return a term with other names for some axes, and these names, which are noted as used."""
    fresh: list[str] = []
    for name in names:
        new = next(f"{base(name)}{i}" for i in range(1, 1000) if f"{base(name)}{i}" not in used)
        used.add(new)
        fresh.append(new)
        term = rename_axis(term, name, new)
    return term, tuple(fresh)


def parse(
    text: str, card: str = "formula", params: frozenset[str] = frozenset(), ops: frozenset[str] = frozenset()
) -> tuple[Equation | OpCall, ...]:
    """Parse a definition.

    Args:
        text: one or more equations, one a line or continued inside brackets.
        card: the name that an error shows.
        params: names that are numbers given by the caller, not axes.
        ops: names of cards that the definition may use.

    Raises:
        FormulaError: the text is not in the language; the message names the card, the equation and the column.
    """
    return _Parser(card, text.strip(), params, ops).module()


def parse_term(text: str, card: str = "formula", params: frozenset[str] = frozenset()) -> Node:
    """Parse a single expression over sizes and parameters, as in a card's ``[sizes]`` and ``[require]``.

    Raises:
        FormulaError: as :func:`parse`, and when the expression reads an axis or a tensor.
    """
    parser = _Parser(card, text.strip(), params)
    try:
        node = ast.parse(parser.text, mode="eval").body
    except SyntaxError as error:
        raise parser.error(None, f"expected an expression: {error.msg}") from None
    term = parser.term(node)
    if any(isinstance(n, Axis | Read) for n in walk(term)):
        raise parser.error(node, "expected sizes (upper case) and parameters alone")
    return term
