"""The clauses of an op: every promise of its card, each with a stable id, and what it demands in a sentence.

Ids and sentences follow from the card alone; how a clause is asked is no matter of this module.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from einspec.card import Form, Op, load
from einspec.dtypes import ALL, COMPLEX, FLOAT8, FLOATS, GROUPS, INTEGERS, USUAL, WIDE
from einspec.language.linear import OpClass
from einspec.language.tables import PROMISES
from einspec.solve import dimension_text

KINDS = {
    "def": "The outputs are what the definition gives, on all legal calls with at least one coordinate an axis.",
    "values": "So they are where inputs hold these values.",
    "total": "So they are where callers do not keep this promise.",
    "empty": "So they are on legal calls with an axis of size 0.",
    "result": "The outputs are of the dtypes that the card names.",
    "dtype": "So they are in this dtype, and of the dtypes that the card names.",
    "index": "So they are with indices of this dtype.",
    "nan": "NaN comes out where the definition reads it, and nowhere else.",
    "pure": "A call leaves its inputs as they are.",
    "repeat": "The same call gives the same bits whatever was called between, and leaves earlier results alone.",
    "device": "Results are on the device of the inputs.",
    "layout": "The results do not depend on the memory in which the same values come.",
    "err": "A call that violates this constraint raises.",
    "law": "The law holds for the functions themselves.",
    "grad": "The gradient with respect to this input is that of the definition.",
    "grad64": "So it is in float64.",
    "transform": "The transformed function gives what the plain one gives.",
    "state": "A call changes nothing around it: no default, random state or setting.",
}
"""What every clause of a kind promises, by what its id begins with."""
VALUES = {
    "values.signed_zero": "negative zeros",
    "values.infinity": "infinities",
    "values.nan": "NaN",
}
"""The clauses about calls that hold special values, the least special first."""
LAWS = {
    "inverse": "{laws.inverse} == {first}",
    "involution": "applied twice with the same parameters, it gives {first} back",
    "order": "applied {laws.order} times, it gives {first} back",
    "adjoint": "the transpose, and so the gradient, is {laws.adjoint}",
    "equivariant": "permuting {about} of the input permutes the output likewise",
    "invariant": "permuting {about} of the input changes nothing",
    "conserves": "{conserved}",
    "idempotent": "applied to its own output, it changes nothing",
    "distinct": "no number comes twice along the last axis of {about}, those below 0 left out",
    "bijection": "{about} holds each number below its count once",
    "prefix": "a smaller {about} gives the first part of what a larger one gives",
    "equation": "{equation}",
}
"""What a law says, by its kind, in the order of a page."""
CONSERVED = {"multiset": "every element", "sum": "the sum of all elements"}
"""What inputs and outputs have in common."""
NAMED = ("inverse", "bijection", "equation")
"""The laws whose words begin with the name of an op or a tensor."""
CONDUCT = ("pure", "repeat", "device")
"""What is seen by calling twice and looking at the inputs afterwards."""
LAYOUTS = {
    "transposed": "all axes in reverse order",
    "permuted": "the first axis innermost",
    "strided": "other values between their elements",
    "padded": "a gap behind each row",
    "reversed": "negative strides",
    "offset": "a start behind that of their memory",
    "read_only": "no right to write",
    "expanded": "one slice that stands for all, of stride 0",
}
"""Memory in which the same values may come."""
TRANSFORMS = {
    "jit": "under jit",
    "eager": "called without jit",
    "compile": "under compile",
    "vmap": "mapped over a batch by vmap",
}
"""What a framework may do with a function."""
VIOLATIONS = {
    "keyword": "it gives a parameter that the card does not have",
    "count": "it gives more or fewer tensors than the signature has",
    "param": "it gives a value of {0} outside its range",
    "type": "it gives a value of {0} of another type",
    "rank": "it gives too few or too many axes of {0}",
    "dtype": "it gives {0} in a dtype that the card does not allow there",
    "list": "the tensors in {0} are of unequal shapes",
    "broadcast": "the tensors in {0} are of one shape only after broadcasting",
    "divides": "{0} is not a multiple of what must divide it",
    "match": "{0} is not what the other sizes make it",
    "open": "{0} leaves a size open",
    "axes": "the axis {0} is shorter than {1}",
    "require": "it does not fulfil {0}",
}
"""How a call violates a constraint, by the kind of the constraint."""


def clauses(op: str) -> dict[str, str]:
    """Return the ids of the clauses of an op within it, each with what it demands.

    Raises:
        KeyError: there is no such op; the message suggests close ones.
    """
    found = load(op)
    return {clause: demand(found, clause) for clause in clause_ids(found)}


@functools.lru_cache(maxsize=256)
def clause_ids(op: Op) -> tuple[str, ...]:
    """Return the ids of the clauses of an op within it, such as ``def`` and ``law.inverse``."""
    from einspec.constraints import constraints  # here, so that `import einspec` stays light

    inputs = any(f.data for f in op.forms.values())
    return (
        "def",
        *(VALUES if inputs else ()),
        *totals_of(op),
        "empty",
        "result.dtype",
        *dtype_clauses(op),
        "nan",
        *CONDUCT,
        *(f"layout.{layout}" for layout in LAYOUTS),
        *(f"err.{constraint}" for constraint in constraints(op)),
        *(f"law.{law}" for law in laws_of(op)),
        *(f"grad.{name}" for name in gradients_of(op)),
        *(f"grad64.{name}" for name in wide_gradients_of(op)),
        *(f"transform.{name}" for name in TRANSFORMS),
        "state",
    )


def totals_of(op: Op) -> list[str]:
    """Return the ids of the clauses about calls that break a promise of the caller."""
    return list(dict.fromkeys(f"total.{name}" for form in op.forms.values() for name in form.assume))


def dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that the values of an op may have, float32 first; none where all its inputs are indices."""
    groups = [GROUPS[f.group(f.lead)] for f in op.forms.values() if f.lead]
    return [d for d in ALL if groups and all(d in g for g in groups)]


def index_dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that indices may have besides the usual one."""
    given = any(f.group(s.name) == "index" for f in op.forms.values() for s in f.signature.inputs)
    return [d for d in INTEGERS if given and d in GROUPS["index"] and d != USUAL["index"]]


def dtype_clauses(op: Op) -> list[str]:
    """Return the ids of the clauses about dtypes: of values, and of indices."""
    return [*(f"dtype.{d}" for d in dtypes_of(op)), *(f"index.{d}" for d in index_dtypes_of(op))]


def laws_of(op: Op) -> list[str]:
    """Return the ids of the laws of an op, those of all its forms."""
    found: dict[str, None] = {}
    for form in op.forms.values():
        for kind, details in stated_laws(form):
            found.update({f"{kind}.{detail}" if detail else kind: None for detail in details})
    return list(found)


def stated_laws(form: Form) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the laws of a form: their kind, and the axes, outputs or names that there is one each for, ``""`` where none is."""
    for kind in ("inverse", "involution", "order", "adjoint", "idempotent", "conserves"):
        if getattr(form.laws, kind):
            yield kind, ("",)
    for kind in ("equivariant", "invariant", "distinct", "bijection", "prefix"):
        if getattr(form.laws, kind):
            yield kind, tuple(getattr(form.laws, kind).split())
    if form.laws.equation:
        yield "equation", tuple(form.laws.equation)


def law_words(form: Form, kind: str, detail: str = "") -> str:
    """Return a law of a form in words.

    Args:
        form: the form that states it.
        kind: its kind.
        detail: the axes or outputs that it is about, or the name of an equation.
    """
    first = form.signature.inputs[0].name if form.signature.inputs else ""
    equation = " ".join(form.laws.equation.get(detail, "").split())
    conserved = CONSERVED.get(form.laws.conserves, "")
    return LAWS[kind].format(about=detail, first=first, laws=form.laws, conserved=conserved, equation=equation)


def differentiable(dtype: str) -> bool:
    """Whether an output of this dtype has a gradient."""
    return dtype in (*FLOATS, *FLOAT8, *COMPLEX)


def gradients_of(op: Op) -> list[str]:
    """Return the inputs of an op that have a gradient."""
    forms = _with_slopes(op)
    names = dict.fromkeys(name for f in forms for name in f.data)
    return [n for n in names if any("float32" in GROUPS[f.group(n)] for f in forms if n in f.dtype)]


def wide_gradients_of(op: Op) -> list[str]:
    """Return the inputs of an op that have a gradient in float64."""
    able = {name for f in _with_slopes(op) if _takes_float64(f) for name in f.data}
    return [name for name in gradients_of(op) if name in able]


def _takes_float64(form: Form) -> bool:
    """Whether all values that a form reads may be float64."""
    return all("float64" in GROUPS[form.group(n)] for n in form.data)


def _with_slopes(op: Op) -> list[Form]:
    """Return the forms some output of which has a gradient."""
    return [f for f in op.forms.values() if f.kind is not OpClass.SELECTION and _has_values(f)]


def _has_values(form: Form) -> bool:
    """Whether some output has a gradient."""
    named = [form.dtype[s.name] for s in form.signature.outputs]
    rules = [rule.removeprefix(WIDE).removeprefix("same as ") for rule in named]
    return any(rule in form.data or differentiable(rule) for rule in rules)


def demand(op: Op, clause: str) -> str:
    """Return what a clause demands of an op, in a sentence."""
    kind, _, detail = clause.partition(".")
    match kind:
        case "values":
            return f"The outputs are what the definition gives where inputs hold {VALUES[clause]}."
        case "total":
            kind, tensors = next(f.assume[detail] for f in op.forms.values() if detail in f.assume)
            return f"The outputs are what the definition gives where {' and '.join(tensors)} {PROMISES[kind].broken}."
        case "result":
            outputs = [(s.name, f) for f in op.forms.values() for s in f.signature.outputs]
            named = dict.fromkeys(f"{name} {form.dtype[name]}" for name, form in outputs)
            return f"The outputs are of the dtypes that the card names: {', '.join(named)}."
        case "empty":
            return "The outputs are what the definition gives where an axis is of size 0."
        case "dtype":
            return f"The outputs are what the definition gives in {detail}."
        case "index":
            return f"The outputs are what the definition gives with indices of {detail}."
        case "layout":
            return f"The results are the same for inputs in memory with {LAYOUTS[detail]}."
        case "err":
            return f"A call raises if {_violation(op, detail)}."
        case "law":
            return "; ".join(dict.fromkeys(_law(op, detail))) + "."
        case "grad":
            return f"The gradient with respect to {detail} is that of the definition."
        case "grad64":
            return f"The gradient with respect to {detail} in float64 is that of the definition."
        case "transform":
            return f"The function {TRANSFORMS[detail]} gives what the plain one gives."
    return KINDS[kind]


def _violation(op: Op, constraint: str) -> str:
    """Return how a call violates a constraint, in words."""
    from einspec.constraints import constraints

    kind, _, detail = constraint.partition(".")
    form = constraints(op)[constraint]
    least = ""
    if kind == "axes":
        least = str(op.card.axes[detail].min)
    elif kind == "require":
        detail = form.require[detail].text
    elif kind in ("divides", "match", "open"):
        detail = _place(form, detail)
    required = kind == "param" and op.card.params[detail].required
    return VIOLATIONS[kind].format(detail, least) + ", or none" * required


def _place(form: Form, where: str) -> str:
    """Return a dimension of an input in words, with what the signature calls it; a parameter as it is."""
    name, _, place = where.partition(".")
    if not place:
        return name
    if place == "length":
        return f"the length of {name}"
    spec = next(s for s in form.signature.inputs if s.name == name)
    return f"dimension {place} of {name}, which is {dimension_text(spec.index[int(place) + spec.listed])},"


def _law(op: Op, law: str) -> Iterator[str]:
    """Yield what the forms of an op state of a law, as a sentence without its full stop."""
    kind, _, detail = law.partition(".")
    for form in op.forms.values():
        if (kind, detail) in ((k, d) for k, details in stated_laws(form) for d in details):
            words = law_words(form, kind, detail)
            words = f"outputs hold {words} of the inputs" if kind == "conserves" else words
            yield words if kind in NAMED else words[:1].upper() + words[1:]
