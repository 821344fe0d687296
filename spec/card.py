"""Cards: one TOML file an op, validated on load, and the compiled form in which everything else uses them."""

from __future__ import annotations

import ast
import functools
import numbers
import operator
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from einspec import folders
from einspec.dtypes import ALL as DTYPES
from einspec.dtypes import GROUPS, WIDE
from einspec.errors import CallError, CardError, FormulaError, ParameterError, ParameterTypeError
from einspec.inline import inline
from einspec.language.formula import (
    Axis,
    Binary,
    Bracket,
    Equation,
    Index,
    Node,
    Number,
    OpCall,
    Read,
    Reduce,
    Rest,
    Size,
    axes_of,
    base,
    interned,
    parse,
    parse_term,
    repeated,
    walk,
)
from einspec.language.formula import (
    Param as ParamNode,
)
from einspec.language.linear import OpClass, classify
from einspec.language.tables import KINDS, PROMISES, Card, Laws, Param, SameAs, Variant
from einspec.orders import Order, inverse
from einspec.solve import Signature, integer, parse_signature

if TYPE_CHECKING:
    from einspec.calls.domain import Domain

OPS = Path(__file__).parent / "ops"
Compute = Callable[[Mapping[str, int], Mapping[str, int | float]], Any]
"""What gives a number from the sizes of axes and the numbers of parameters."""
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
"""What sizes are computed with: all operators but the division that gives no whole number."""
KEPT_IN = "float32"
"""The choice of a parameter that keeps tensors in at least this dtype, in which everything is computed at least."""
TARGETS = {
    "size": "size",
    "int": "names",
    "axis": "axis",
    "rank": "rank",
    "order": "order",
    "sizes": "sizes",
    "choices": "choices",
}
"""The keys of a parameter that say what it sets, with the fields that hold them."""
LAW_HELPERS: dict[str, Callable[..., Any]] = {"len": len, "ones_like": lambda x: x * 0 + 1, "inverse_order": inverse}
"""What a law may call besides ops."""


@dataclass(frozen=True)
class Term:
    """An expression over sizes and parameters, compiled."""

    text: str
    node: Node
    needs: frozenset[str]
    """The axes whose sizes it reads."""
    value: Callable[[Mapping[str, int], Mapping[str, int | float]], int]
    """Return its value from the sizes of axes and the numbers of parameters."""


@dataclass(frozen=True, eq=False)
class Form:
    """A card compiled for one value of its string parameter."""

    signature: Signature
    stated: tuple[Equation | OpCall, ...]
    """The definition as the card writes it."""
    equations: tuple[Equation, ...]
    """The same with the definitions of other cards that it uses."""
    dtype: dict[str, str]
    """The rule of every tensor of the signature."""
    values: dict[str, tuple[str, Term]]
    """What an input holds, and the number that goes with it."""
    selects: dict[str, tuple[str, str]]
    """For an output that selects, the tensor of which it holds positions, and the one that says which may be taken."""
    sizes: dict[str, Term]
    require: dict[str, Term]
    laws: Laws
    same_as: tuple[SameAs, ...]
    choice: dict[str, str]
    orders: dict[str, Order] = field(default_factory=dict)
    """The orders of axes that parameters give, by name."""
    assume: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """What a caller promises, by name: the kind, and the inputs that it is about."""

    @functools.cached_property
    def kind(self) -> OpClass:
        """The class of the op, derived from its tree."""
        return classify(self.signature, self.equations, frozenset(self.data))

    @functools.cached_property
    def repeated(self) -> frozenset[int]:
        """The identities of the terms that stand in the definition more than once."""
        return repeated(self.equations)

    @functools.cached_property
    def data(self) -> tuple[str, ...]:
        """The inputs that hold values, not indices or truth values."""
        return tuple(s.name for s in self.signature.inputs if self.group(s.name) not in ("index", "bool"))

    def group(self, tensor: str) -> str:
        """Return the group of dtypes that an input takes."""
        rule = self.dtype[tensor]
        return self.group(rule.removeprefix("same as ")) if rule.startswith("same as ") else rule

    @property
    def lead(self) -> str:
        """The input whose dtype the others follow: the first that holds values, ``""`` where all are indices."""
        return self.data[0] if self.data else ""

    def equation(self, tensor: str) -> Equation:
        """Return the equation that defines a tensor."""
        return next(e for e in self.equations if e.tensor == tensor)


@dataclass(frozen=True, eq=False)
class Op:
    """A loaded card: what every other part of einspec works with."""

    name: str
    family: str
    card: Card
    forms: dict[str, Form]
    """By value of the string parameter; the one form of a card without has the key ``""``."""
    domain: Domain | None = None
    """Which of the calls are asked; None for all."""

    @property
    def choice(self) -> str:
        """The string parameter that selects the form, or ``""``."""
        return next(iter(self.card.when), "")

    def form(self, params: Mapping[str, Any]) -> Form:
        """Return the form that bound parameters select.

        Raises:
            ParameterError: it is none of those that are asked.
        """
        value = params[self.choice] if self.choice else ""
        if value not in self.forms:
            raise ParameterError(f"{self.name}: {self.choice}={value!r} is none of the calls that are asked", "asked")
        return self.forms[value]

    def ranked(self, form: Form) -> list[str]:
        """Return the tensors of a form of which each rank has an entry of its own."""
        tensors = (*form.signature.inputs, *form.signature.outputs)
        return [s.name for s in tensors if set(axes_of(s.index[:1])) & set(self.card.ranks.axes)]

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters, defaults filled in, in the order of the card.

        Raises:
            ParameterError: one is unknown, missing or out of range.
            ParameterTypeError: one is of the wrong type.
        """
        unknown = [name for name in params if name not in self.card.params]
        if unknown:
            known = ", ".join(self.card.params) or "none"
            raise ParameterError(f"{self.name}: no parameter {unknown[0]!r}; the parameters are: {known}", "keyword")
        return {name: self.value(name, params) for name in self.card.params}

    def value(self, name: str, params: Mapping[str, Any]) -> Any:
        """Return one parameter, its default where it is absent.

        Raises:
            ParameterError: it is missing or out of range.
            ParameterTypeError: it is of the wrong type.
        """
        param = self.card.params[name]
        outside, mistyped = f"param.{name}", f"type.{name}"
        if name not in params and param.required:
            raise ParameterError(f"{self.name}: missing parameter {name!r}: {param.doc}", outside)
        value = params.get(name, param.default)
        label = f"{self.name}: {name}"
        if param.choices:
            if value not in param.choices:
                raise ParameterError(f"{label} must be one of {', '.join(param.choices)}, not {value!r}", outside)
            return value
        if param.number and isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
            return float(value)
        if param.rational:
            return _rational(label, value, param, outside, mistyped)
        if isinstance(value, (tuple, list)) and (param.sizes or param.several):
            value = tuple(integer(label, v, mistyped) for v in value)
            if param.several and not param.order and len(value) != len(param.targets(name)):
                wanted = f"an integer or a tuple of {len(param.targets(name))}"
                raise ParameterError(f"{label} must be {wanted}, not {value!r}", outside)
        elif param.sizes:
            raise ParameterTypeError(f"{label} must be a tuple of integers, not {value!r}", mistyped)
        else:
            value = integer(label, value, mistyped, "an integer or a tuple of integers" if param.several else "an integer")
        if param.sizes and not value:
            raise ParameterError(f"{label} must list at least one size", outside)
        least = -1 if param.sizes else param.min
        if isinstance(least, int) and any(v < least for v in (value if isinstance(value, tuple) else (value,))):
            raise ParameterError(f"{label} must be at least {least}, not {value!r}", outside)
        return value


def _rational(label: str, value: Any, param: Param, outside: str, mistyped: str) -> Fraction:
    """Return a parameter as an exact fraction: of a float the decimal that it prints as, which is what its caller wrote."""
    try:
        exact = Fraction(float.__repr__(value)) if isinstance(value, float) else Fraction(value)
        if isinstance(value, bool):
            raise TypeError
    except (TypeError, ValueError, ZeroDivisionError):
        wanted = "an integer, a Fraction, a decimal string or a finite float"
        raise ParameterTypeError(f"{label} must be {wanted}, not {value!r}", mistyped) from None
    if isinstance(param.min, int) and exact < param.min:
        raise ParameterError(f"{label} must be at least {param.min}, not {value!r}", outside)
    return exact


def compile_card(name: str, family: str, card: Card, find: Callable[[str], Op] | None = None) -> Op:
    """Check a card and compile its forms.

    Args:
        name: the name of the op.
        family: its family.
        card: what its file holds.
        find: gives the ops that the definition uses, by name; those that einspec ships when absent.

    Raises:
        CardError: the card contradicts itself; FormulaError: a definition cannot be read.
    """
    where = f"{family}/{name}.toml"
    if len(card.when) > 1:
        raise CardError(f"{where}: when: only one parameter can select a form, not {', '.join(card.when)}")
    for param, variants in card.when.items():
        if param not in card.params or card.params[param].choices != tuple(variants):
            raise CardError(f"{where}: when.{param}: params.{param}.choices must be {list(variants)}")
    variants = next(iter(card.when.values()), {"": Variant()})
    choice = next(iter(card.when), "")
    forms = {
        value: _form(where, card, variant, {choice: value} if choice else {}, find or load)
        for value, variant in variants.items()
    }
    tensors = {s.name for f in forms.values() for s in (*f.signature.inputs, *f.signature.outputs)}
    for table, names in {"dtype": card.dtype, "values": card.values}.items():
        for tensor in names.keys() - tensors:
            raise CardError(f"{where}: {table}.{tensor}: no such tensor")
    _check_kept(where, card, forms.values())
    op = Op(name, family, card, forms)
    _check_params(where, op, tensors)
    _check_ranks(where, op)
    return op


def _check_params(where: str, op: Op, tensors: Collection[str]) -> None:
    """Check that parameters have names of their own, set one thing that there is, and take what the card gives them."""
    specs = [s for f in op.forms.values() for s in (*f.signature.inputs, *f.signature.outputs)]
    rests = {rest for s in specs for rest in s.rests}
    for name, param in op.card.params.items():
        place = f"{where}: params.{name}"
        if name in tensors:
            raise CardError(f"{place}: {name} is a tensor of the signature: give the parameter another name")
        if not name.isidentifier():
            raise CardError(f"{place}: {name} is no name that a keyword argument can have")
        targets = {key: getattr(param, field) for key, field in TARGETS.items()}
        given = [key for key, value in targets.items() if value]
        if len(given) > 1:
            raise CardError(f"{place}: a parameter sets one thing, not {' and '.join(given)}")
        for key in {"rank", "order", "sizes"} & set(given):
            if targets[key] not in rests:
                raise CardError(f"{place}.{key}: no rest *{targets[key]} in the signature")
        axis, _, tensor = param.axis.partition(" in ")
        if param.axis and not any(s.rests and Axis(axis) in s.index for s in specs if s.name == tensor):
            raise CardError(f"{place}.axis: expected 'n in x', an axis beside a rest of tensor x, not {param.axis!r}")
        for key, value in (("default", param.default), *(("values", value) for value in param.values)):
            _check_given(f"{place}.{key}", op, name, value)


def _check_ranks(where: str, op: Op) -> None:
    """Check that axes of ranks stand first in tensors, and with no others there."""
    ranks = set(op.card.ranks.axes)
    tensors = [s for f in op.forms.values() for s in (*f.signature.inputs, *f.signature.outputs)]
    for axis in op.card.ranks.axes:
        if not any(axis in axes_of(s.index[:1]) for s in tensors):
            raise CardError(f"{where}: ranks.axes: no tensor has axis {axis} in its first dimension")
    for axis in set(op.card.ranks.reduces) - ranks:
        raise CardError(f"{where}: ranks.reduces: {axis} is not among ranks.axes")
    for spec in tensors:
        first = axes_of(spec.index[:1])
        others = [a for a in first if a not in ranks]
        if ranks & set(first) and others:
            mixed = f"{spec.name} has axis {others[0]}, which is none of them, in one dimension with ranks"
            raise CardError(f"{where}: ranks.axes: {mixed}")


def _check_given(where: str, op: Op, name: str, value: Any) -> None:
    """Check that a parameter may have a value that its card gives it."""
    if value is not msgspec.UNSET:
        try:
            op.value(name, {name: value})
        except CallError as error:
            raise CardError(f"{where}: {str(error).removeprefix(f'{op.name}: ')}") from error


def _check_kept(where: str, card: Card, forms: Iterable[Form]) -> None:
    """Check that what a parameter keeps is on the way, and that it says in which dtype."""
    known = {name for f in forms for e in f.equations for name in (e.tensor, e.tensor.partition(".")[0])}
    for name, param in card.params.items():
        for kept in param.keeps.split():
            if kept not in known:
                raise CardError(f"{where}: params.{name}.keeps: {kept} is no tensor of the definition and no op that it uses")
        if param.keeps and not (KEPT_IN in param.choices and param.default in param.choices and card.stores):
            raise CardError(f"{where}: params.{name}.keeps: needs stores, {KEPT_IN} among the choices, and a default")


def _form(where: str, card: Card, variant: Variant, choice: dict[str, str], find: Callable[[str], Op]) -> Form:
    signature = parse_signature(variant.signature or card.signature, where)
    names = frozenset(t for n, p in card.params.items() if p.is_number for t in p.targets(n))
    stated = parse(variant.definition or card.definition, where, names, frozenset(paths()))
    inlined, selects = inline(where, stated, find)
    sizes = {a: term(text, where, names) for a, text in {**card.sizes, **variant.sizes}.items()}
    require = {k: term(text, where, names) for k, text in {**card.require, **variant.require}.items()}
    own = {k: v for k, v in msgspec.structs.asdict(variant.laws).items() if v}
    own["equation"] = {**card.laws.equation, **variant.laws.equation}
    laws = msgspec.structs.replace(card.laws, **own)
    _check_dtypes(where, card, signature)
    dtype = _dtypes(card, signature)
    values = {s.name: _values(where, card.values[s.name], names) for s in signature.inputs if s.name in card.values}
    for name, text in card.selects.items():
        source, _, mask = text.partition(" where ")
        selects[name] = source, mask
    outputs = {s.name for s in signature.outputs}
    selects = {k: v for k, v in selects.items() if k in outputs}
    form = Form(
        signature, stated, interned(inlined), dtype, values, selects, sizes, require, laws, card.same_as + variant.same_as,
        choice, {name: _order(where, name, text, card) for name, text in card.orders.items()},
        {name: _assumption(where, name, text, signature) for name, text in {**card.assume, **variant.assume}.items()},
    )  # fmt: skip
    _check(where, card, form)
    return form


def _dtypes(card: Card, signature: Signature) -> dict[str, str]:
    """Return the dtype rule of every tensor: what the card says, else that of the first input that holds values."""
    rules = {s.name: card.dtype[s.name] for s in (*signature.inputs, *signature.outputs) if s.name in card.dtype}
    lead = next((s.name for s in signature.inputs if rules.get(s.name) not in ("index", "bool")), "")
    first = lead or next((s.name for s in signature.inputs), "")
    rest = {s.name: f"same as {first}" for s in (*signature.inputs, *signature.outputs) if s.name not in rules}
    return {**rest, **({lead: "any"} if lead and lead not in rules else {}), **rules}


def _values(where: str, text: str, names: frozenset[str]) -> tuple[str, Term]:
    kind, _, size = text.partition(" ")
    if kind not in KINDS:
        raise CardError(f"{where}: values: {kind!r} is none of {', '.join(KINDS)}")
    return kind, term(size or "0", where, names)


def _order(where: str, name: str, text: str, card: Card) -> Order:
    places, _, axes = text.partition("from")
    params = (*places.split(), *axes.split())
    named = {card.params[p].order for p in params if p in card.params}
    if not axes.split() or not set(params) <= card.params.keys() or len(named) != 1 or "" in named:
        raise CardError(f"{where}: orders.{name}: expected 'places from axes', which name axes of one rest, not {text!r}")
    several = tuple(p for p in params if card.params[p].several)
    return Order(name, named.pop(), tuple(places.split()), tuple(axes.split()), several)


def _assumption(where: str, name: str, text: str, signature: Signature) -> tuple[str, tuple[str, ...]]:
    kind, *tensors = text.split()
    inputs = {s.name for s in signature.inputs}
    if kind not in PROMISES or not tensors or not set(tensors) <= inputs:
        kinds = ", ".join(PROMISES)
        raise CardError(f"{where}: assume.{name}: expected one of {kinds} and inputs, not {text!r}")
    return kind, tuple(tensors)


def term(text: str, where: str, params: frozenset[str] = frozenset()) -> Term:
    """Compile an expression over sizes and parameters.

    Raises:
        FormulaError: the text is no such expression.
    """
    node = parse_term(text, where, params)
    try:
        compute = _computed(node)
    except FormulaError as error:
        raise FormulaError(f"{where}: {text!r} {error}") from None
    needs = frozenset(n.axis for n in walk(node) if isinstance(n, Size))
    return Term(text, node, needs, lambda sizes, values: int(compute(sizes, values)))


def _computed(node: Node) -> Compute:
    """Return what computes a parsed expression."""
    match node:
        case Number(number):
            return lambda _sizes, _values: number
        case Size(axis):
            return lambda sizes, _values: sizes[axis]
        case ParamNode(name):
            return lambda _sizes, values: values[name]
        case Binary(op, left, right) | Bracket(op, left, right) if op in OPERATIONS:
            operation, one, other = OPERATIONS[op], _computed(left), _computed(right)
            if op in ("//", "%") and not any(isinstance(n, Size | ParamNode) for n in walk(right)) and other({}, {}) == 0:
                raise FormulaError("divides by zero")
            return lambda sizes, values: operation(one(sizes, values), other(sizes, values))
    raise FormulaError(f"is made of sizes, parameters and + - * // %, not of {type(node).__name__.lower()}")


def _check(where: str, card: Card, form: Form) -> None:
    outputs = {spec.name: spec.index for spec in form.signature.outputs}
    declared = {spec.name: spec.index for spec in form.signature.inputs}
    inputs = list(declared)
    known = {base(a) for index in (*declared.values(), *outputs.values()) for a in axes_of(index)}
    known |= {base(a) for e in form.equations for a in axes_of(e.index)} & set(sized_axes(card))
    for rest in (n for index in (*declared.values(), *outputs.values()) for part in index for n in walk(part)):
        if isinstance(rest, Rest) and rest.order and getattr(form.orders.get(rest.order), "rest", "") != rest.name:
            raise CardError(f"{where}: orders.{rest.order}: *{rest.name} has no order of that name")
    if len({order.rest for order in form.orders.values()}) < len(form.orders):
        raise CardError(f"{where}: orders: a rest has one order, not several")
    for equation in form.equations:
        if equation.tensor in declared:
            what = "is an input and cannot be defined" if equation.tensor in inputs else "is defined twice"
            raise CardError(f"{where}: {equation.tensor} {what}: {equation.text}")
        if outputs.get(equation.tensor, equation.index) != equation.index:
            raise CardError(f"{where}: the axes of {equation.tensor} differ between signature and definition")
        for node in walk(equation):
            unknown = [a for a in _axes(node) if base(a) not in known | set(form.sizes)]
            if unknown:
                raise FormulaError(f"{where}: axis {unknown[0]} stands in no tensor of the signature: {equation.text}")
            if isinstance(node, Read):
                _check_read(where, node, equation, declared)
        declared[equation.tensor] = equation.index
    for name in outputs.keys() - declared.keys():
        raise CardError(f"{where}: output {name} has no equation")
    for axis in (*card.axes, *sized_axes(card)):
        if axis not in known and not card.when:
            raise CardError(f"{where}: axis {axis} stands in no tensor of the signature")
    _check_terms(where, form, known)
    for name, sources in form.selects.items():
        if name not in outputs or not {t for t in sources if t} <= declared.keys():
            raise CardError(f"{where}: selects.{name}: expected an output and tensors of the definition, 'x where mask'")
    _check_laws(where, form, known)


def _check_terms(where: str, form: Form, known: set[str]) -> None:
    """Check that what is computed from sizes reads those of axes that there are."""
    values = {name: number for name, (_, number) in form.values.items()}
    laws = {"order": term(form.laws.order, where)} if form.laws.order else {}
    for table, terms in {"sizes": form.sizes, "require": form.require, "values": values, "laws": laws}.items():
        for name, each in terms.items():
            for axis in each.needs:
                if base(axis) not in known | form.sizes.keys():
                    raise CardError(f"{where}: {table}.{name}: no axis has the size {axis.upper()} in {each.text!r}")


def sized_axes(card: Card) -> list[str]:
    """Return the axes whose size a parameter gives, also those that only tensors on the way have."""
    return [a for p in card.params.values() if p.size for a in re.findall("[a-z]+", p.size)]


def _axes(node: Any) -> tuple[str, ...]:
    """Return the axes that a node itself names."""
    match node:
        case Axis(name) | Rest(name) | Size(name):
            return (name,)
        case Reduce():
            return node.axes
    return ()


def _check_read(where: str, read: Read, equation: Equation, declared: Mapping[str, tuple[Index, ...]]) -> None:
    """Check that a tensor that is read stands before, and has the dimensions with which it is read."""
    if read.tensor not in declared:
        raise FormulaError(f"{where}: {read.tensor} is neither an input nor defined before: {equation.text}")
    index = declared[read.tensor]
    if len(index) != len(read.index):
        counts = f"{len(index)} dimensions, not {len(read.index)}"
        raise FormulaError(f"{where}: {read.tensor} has {counts}: {equation.text}")
    for want, got in zip(index, read.index, strict=True):
        same = type(want) is type(got) and [base(a) for a in axes_of((want,))] == [base(a) for a in axes_of((got,))]
        if not same:
            raise FormulaError(f"{where}: {read.tensor} is read with other dimensions than it has: {equation.text}")


def _check_dtypes(where: str, card: Card, signature: Signature) -> None:
    inputs, outputs = ([s.name for s in side] for side in (signature.inputs, signature.outputs))
    for tensor, rule in card.dtype.items():
        same = rule.removeprefix(WIDE).removeprefix("same as ")
        if tensor in inputs:
            allowed = rule in GROUPS or (rule.startswith("same as ") and same in inputs)
            expected = f"'same as' and an input, or one of {', '.join(GROUPS)}"
        elif tensor in outputs:
            allowed = rule in (*DTYPES, "int") or (rule != same and same in inputs)
            expected = f"'same as' or {WIDE.strip()!r} and an input, a dtype, or int"
        else:
            continue
        if not allowed:
            raise CardError(f"{where}: dtype.{tensor}: expected {expected}, not {rule!r}")


def _check_laws(where: str, form: Form, known: set[str]) -> None:
    """Check that laws are calls of ops that there are, about axes that there are."""
    laws = form.laws
    texts = {"inverse": laws.inverse, "adjoint": laws.adjoint, **{f"equation.{k}": v for k, v in laws.equation.items()}}
    for law, text in texts.items():
        try:
            nodes = list(ast.walk(ast.parse(f"({text.strip() or 0})", mode="eval")))
        except SyntaxError as error:
            raise CardError(f"{where}: laws.{law}: {error.msg}: {text!r}") from None
        if law.startswith("equation.") and sum(isinstance(n, ast.Eq) for n in nodes) != 1:
            raise CardError(f"{where}: laws.{law}: expected 'left == right', not {text!r}")
        called = {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        unknown = called - paths().keys() - LAW_HELPERS.keys() - {where.rpartition("/")[2].removesuffix(".toml")}
        if unknown:
            raise CardError(f"{where}: laws.{law}: no op {sorted(unknown)[0]!r}: {text!r}")
    for kind in ("distinct", "bijection"):
        if getattr(laws, kind) and getattr(laws, kind) not in {s.name for s in form.signature.outputs}:
            raise CardError(f"{where}: laws.{kind}: no output {getattr(laws, kind)!r}")
    for kind in ("equivariant", "invariant", "prefix"):
        for axis in getattr(laws, kind).split():
            if axis not in known:
                raise CardError(f"{where}: laws.{kind}: axis {axis} stands in no tensor of the signature")


@functools.cache
def shipped() -> dict[str, Path]:
    """Return the file of every op that einspec ships, by name, sorted by family and name."""
    return {path.stem: path for path in sorted(OPS.glob("*/*.toml"))}


def paths() -> dict[str, Path]:
    """Return the file of every op by name: of those that einspec ships, then of those in folders of one's own.

    Raises:
        CardError: such a folder cannot be used, or an op in it has the name of another.
    """
    return _paths(folders.listed())


@functools.cache
def _paths(listed: str) -> dict[str, Path]:
    own = folders.files(listed)
    for name, path in own.items():
        if name in shipped():
            raise CardError(f"{path}: einspec ships an op {name}: give the file another name")
    return {**shipped(), **own}


def parse_card(text: str) -> Card:
    """Return the card of a text.

    Raises:
        tomllib.TOMLDecodeError: the text is not TOML; msgspec.ValidationError: a key is unknown, missing or of the wrong type.
    """
    return msgspec.convert(tomllib.loads(text), Card)


def read_card(path: Path) -> Card:
    """Read one card file.

    Raises:
        CardError: the file is not TOML, or a key is unknown, missing or of the wrong type.
    """
    try:
        return parse_card(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CardError(f"{path.parent.name}/{path.name}: {error}") from error


def load(name: str) -> Op:
    """Return the op of a name or alias, or that of a pattern such as ``b (h w) c -> b c h w``.

    Raises:
        PatternError: a pattern cannot be read; the message shows where.
        CardError: a card of one's own cannot be used; the message says where.
        KeyError: no card has that name or alias; the message suggests close ones.
    """
    there = paths()
    if "->" in name:
        from einspec.patterns import op_of  # here, because a pattern becomes a card

        return op_of(name)
    if name not in there:
        return load(resolve(name))
    return _loaded(name, there[name], "" if name in shipped() else folders.listed())


@functools.cache
def _loaded(name: str, path: Path, listed: str) -> Op:
    """Return the op of a card; one of one's own may use others, so that it is another where other folders are used."""
    if not listed:
        return compile_card(name, path.parent.name, read_card(path))
    if name in _loading:
        raise FormulaError(f"{path}: {name} uses itself: {' -> '.join([*_loading[_loading.index(name) :], name])}")
    _loading.append(name)
    try:
        return compile_card(name, path.parent.name, read_card(path))
    except (CardError, FormulaError) as error:
        if any(str(error).startswith(f"{other}:") for other in paths().values()):
            raise  # of a card that this one uses
        raise type(error)(folders.located(path, error)) from error
    finally:
        _loading.remove(name)


_loading: list[str] = []
"""The cards of one's own that are being loaded, each by the one before it."""


def add_cards(folder: str | Path) -> list[str]:
    """Have the cards of a folder beside those that einspec ships, in this process and in those that it starts.

    A card is a file ``OP.toml``, in the folder or in one in it. It may use every op, those of other cards of one's own too.

    Args:
        folder: the folder.

    Returns:
        The names of the ops.

    Raises:
        CardError: a card cannot be used; the message says where, and why. None of the folder is used then.
    """
    before = folders.listed()
    path = str(Path(folder).resolve())
    os.environ[folders.CARDS] = os.pathsep.join(dict.fromkeys([*folders.folders(), path]))
    try:
        own = folders.files(path)
        aliases()
        for name in own:
            load(name)
    except (CardError, FormulaError) as error:
        os.environ[folders.CARDS] = before
        raise CardError(str(error)) from error
    return list(own)


def used(op: Op) -> list[str]:
    """Return the ops whose definitions are part of that of an op, also through others."""
    found: dict[str, None] = {}
    for form in op.forms.values():
        for entry in form.stated:
            if isinstance(entry, OpCall):
                found |= dict.fromkeys([entry.op, *used(load(entry.op))])
    return list(found)


def aliases() -> dict[str, str]:
    """Return the op of every alias.

    Raises:
        CardError: one of a card of one's own is the name or an alias of another op.
    """
    return _aliases(folders.listed())


@functools.cache
def _aliases(listed: str) -> dict[str, str]:
    there = _paths(listed)
    found = _aliases("") if listed else {a: n for n, path in shipped().items() for a in read_card(path).aliases}
    found = dict(found)
    for name, path in there.items():
        if name in shipped():
            continue
        if name in found:
            raise CardError(f"{path}: {name} is another name of {found[name]}: give the file another name")
        for alias in _own_aliases(path):
            if alias in there or alias in found:
                raise CardError(folders.located(path, f"aliases: {alias!r} is a name of {found.get(alias, alias)} already"))
            found[alias] = name
    return found


def _own_aliases(path: Path) -> tuple[str, ...]:
    try:
        return read_card(path).aliases
    except CardError as error:
        raise CardError(folders.located(path, error)) from error


def resolve(name: str) -> str:
    """Return the name of the op that a name or alias stands for; spaces, hyphens and case do not matter. A pattern is its own.

    Raises:
        KeyError: there is none; the message suggests close ones.
    """
    if "->" in name:
        return name
    if found := _named(name):
        return found
    raise KeyError(f"no op {name!r}{_hint(name)}")


def is_op(name: str) -> bool:
    """Whether a name or alias is that of an op; spaces, hyphens and case do not matter."""
    return bool(_named(name))


def _named(name: str) -> str:
    """Return the op of a name or alias, nothing where there is none."""
    plain = _plainly(name)
    return plain if plain in paths() else aliases().get(plain, "")


def _plainly(name: str) -> str:
    """Return a name as cards write it."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _hint(name: str) -> str:
    """Return what is said of a name that is none of an op."""
    import difflib

    from einspec import names  # here, because the table of names rests on the cards

    if names.find(name):
        return f"; einspec show {name} says what it is in ops"
    known = dict.fromkeys([*paths(), *aliases(), *names.words()])
    close = names.close(name) if "." in name else difflib.get_close_matches(_plainly(name), known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else "; einspec ops lists them all"
