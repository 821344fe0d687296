"""When a call violates a constraint of its card, in words that follow ``a call raises``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from einspec.card import Form, Op
from einspec.constraints import axes_of_inputs, constrained
from einspec.language.formula import Index, Rest
from einspec.language.tables import Param
from einspec.solve import TensorSpec, dimension_text
from einspec.symbolic import divisors

ALLOWED = {
    "ordered": "of a dtype that is not complex",
    "number": "of an integer, floating or complex dtype",
    "inexact": "of a floating or complex dtype",
    "float": "of dtype float32, float64, float16 or bfloat16",
    "index": "of an integer dtype other than uint64",
    "bool": "of dtype bool",
}
"""Which dtypes a group allows, for the groups that do not allow all."""


def listed(names: Iterable[str], last: str = "and") -> str:
    """Return names as ``x, y and z``."""
    *rest, end = [*dict.fromkeys(names)] or [""]
    return f"{', '.join(rest)} {last} {end}" if rest else end


def violation(op: Op, form: Form, constraint: str) -> str:
    """Return when a call of a form violates a constraint, from ``if`` or ``unless`` on; nothing where the form has it not."""
    if form not in constrained(op)[constraint]:
        return ""
    kind, _, detail = constraint.partition(".")
    match kind:
        case "keyword":
            known = listed(op.card.params, "or")
            return f"if it gives a parameter other than {known}" if known else "if it gives any parameter"
        case "param":
            return f"if {detail} {listed(_outside(detail, op.card.params[detail]), 'or')}"
        case "type":
            return f"unless {detail} is {_type_of(op.card.params[detail])}"
        case "axes":
            size = f", which is {form.sizes[detail].text} long," if detail in form.sizes else ""
            return f"if the axis {detail}{size} is shorter than {op.card.axes[detail].min}"
        case "require":
            return f"unless {form.require[detail].text}"
    return _violation_of_tensors(op, form, kind, detail)


def _violation_of_tensors(op: Op, form: Form, kind: str, detail: str) -> str:
    """Return when the tensors of a call violate a constraint, from ``if`` or ``unless`` on."""
    match kind:
        case "count":
            return _count(form)
        case "rank":
            return _rank(op, form, detail)
        case "dtype":
            return f"unless {_dtype_of_input(form, detail)}"
        case "list":
            return f"if the tensors in {detail} are of unequal shapes"
        case "broadcast":
            return f"if the tensors in {detail} are of one shape only after broadcasting"
        case "divides":
            return f"unless {_place(form, detail)} is a multiple of {_divisor(op, form, detail)}"
        case "match":
            return f"unless {_place(form, detail)} is as large as the rest of the call makes it"
    assert kind == "open", kind
    return f"if {_place(form, detail)} leaves a size open"


def _outside(name: str, param: Param) -> Iterator[str]:
    """Yield what takes a parameter out of its range."""
    several = len(param.targets(name)) if param.several else 0
    if param.required:
        yield "is not given"
    if isinstance(param.min, int):
        yield f"{'is or holds a number' if several else 'is'} below {param.min}"
    if param.order:
        yield f"{'holds or is' if several else 'is'} no position of an axis of *{param.order}, counted from either end"
    if several and param.order:
        yield "holds one twice"
        yield "is of another length than the order of the axes asks for"
    elif several:
        yield f"is a tuple of another length than {several}"
    if param.sizes:
        yield "lists no size"
        yield "lists one below -1"
    if param.axis:
        yield f"is not the position of an axis of {param.axis.split(' in ')[1]}, counted from either end"
    if param.choices:
        yield f"is none of {', '.join(param.choices)}"


def _type_of(param: Param) -> str:
    """Return what the value of a parameter has to be, whatever its range."""
    if param.number:
        return "an integer or a float"
    if param.rational:
        return "an integer, a Fraction or a decimal string"
    if param.sizes:
        return "a tuple of integers"
    return "an integer or a tuple of integers" if param.several else "an integer"


def _count(form: Form) -> str:
    """Return how many tensors a call gives."""
    inputs = form.signature.inputs
    if not inputs:
        return "if it gives a tensor"
    given = listed(f"the list {s.name}" if s.listed else s.name for s in inputs)
    return f"unless it gives exactly {given}"


def _rank(op: Op, form: Form, name: str) -> str:
    """Return when an input has a wrong number of axes."""
    found = next(axes for axes in axes_of_inputs(op, form) if axes.spec.name == name)
    spec = found.spec
    dims = " ".join(dimension_text(d) for d in spec.index[spec.listed :])
    tensor = f"each tensor in {name}" if spec.listed else name
    rests = any(isinstance(d, Rest) for d in spec.index)
    if not rests:
        shown = f": {dims}" if dims else ""
        return f"unless {tensor} has {found.single or 'no'} {'axis' if found.single == 1 else 'axes'}{shown}"
    if not found.open:
        return f"unless {tensor} has the axes {dims}, as many as the rest of the call makes of them"
    if found.fixed:
        given = listed(dimension_text(Rest(name)) for name in found.fixed)
        return f"unless {tensor} has at least as many axes as the rest of the call makes of {given}"
    return f"unless {tensor} has at least {found.single} {'axis' if found.single == 1 else 'axes'}: {dims}"


def _dtype_of_input(form: Form, name: str) -> str:
    """Return of which dtypes an input has to be."""
    spec = next(s for s in form.signature.inputs if s.name == name)
    rule = form.dtype[name]
    if rule.startswith("same as "):
        return f"{name} is of the dtype of {rule.removeprefix('same as ')}"
    if not spec.listed:
        return f"{name} is {ALLOWED[rule]}"
    alike = f"the tensors in {name} are of one dtype"
    return f"{alike}, {ALLOWED[rule].removeprefix('of ')}" if rule in ALLOWED else alike


def _place(form: Form, where: str) -> str:
    """Return a dimension of an input in words, with what the signature calls it; a parameter as it is."""
    name, _, place = where.partition(".")
    if not place:
        return name
    if place == "length":
        return f"the length of {name}"
    return f"dimension {place} of {name}, which is {dimension_text(_dimension(form, name, int(place)))},"


def _dimension(form: Form, name: str, place: int) -> Index:
    """Return a dimension of an input, the length of a list not counted."""
    spec: TensorSpec = next(s for s in form.signature.inputs if s.name == name)
    return spec.index[place + spec.listed]


def _divisor(op: Op, form: Form, where: str) -> str:
    """Return what has to divide a dimension or a parameter: the sizes that are known when it is asked for the last."""
    known = divisor(op, form, where)
    return " * ".join(axis.upper() for axis in known) if known else "the product of the sizes that are given for it"


def divisor(op: Op, form: Form, where: str) -> tuple[str, ...]:
    """Return the axes whose sizes have to divide a dimension or a parameter; none where a call decides which these are.

    Args:
        op: the op.
        form: one of its forms.
        where: an input and the number of its dimension, as ``x.1``, or a parameter.
    """
    found = divisors(op, form)[where]
    return next(iter(found)) if len(found) == 1 else ()
