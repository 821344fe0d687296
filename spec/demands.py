"""What a clause demands of an op, in a sentence of its own: in the names of its tensors, axes and parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from einspec.card import Form, Op
from einspec.clauses import LAYOUTS, RANKS, TRANSFORMS, VALUES, bare_inputs, gradients_of, stated_laws
from einspec.dtypes import WIDE
from einspec.language.formula import axes_of
from einspec.language.tables import PROMISES
from einspec.violations import listed, violation

LAWS = {
    "inverse": "{laws.inverse} == {first}",
    "involution": "applied twice with the same parameters, {it} gives {first} back",
    "order": "applied {laws.order} times, {it} gives {first} back",
    "adjoint": "the transpose{of_it}, and so the gradient, is {laws.adjoint}",
    "equivariant": "permuting {about} of {input} permutes {output} likewise",
    "invariant": "permuting {about} of {input} changes nothing{in_output}",
    "conserves": "{conserved}",
    "idempotent": "applied to its own output, {it} changes nothing",
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


def demand(op: Op, clause: str) -> str:
    """Return what a clause demands of an op, in a sentence."""
    kind, _, detail = clause.partition(".")
    if kind == "err":
        return f"A call raises {_of_forms(op, lambda form: violation(op, form, detail))}."
    if kind == "law":
        return f"{_of_forms(op, lambda form: _law(op, form, detail))}."
    if kind == "ranks":
        return f"{_on_ranks(op, detail)}."
    return f"{_conduct(op, kind, detail) or _definition(op, kind, detail)}."


def law_words(form: Form, kind: str, detail: str = "", op: str = "") -> str:
    """Return a law of a form in words.

    Args:
        form: the form that states it.
        kind: its kind.
        detail: the axes or outputs that it is about, or the name of an equation.
        op: the op, where the words are to name it and its tensors; under its name they need not.
    """
    signature = form.signature
    read = [s.name for s in signature.inputs if detail in axes_of(s.index)]
    made = listed(s.name for s in signature.outputs)
    return LAWS[kind].format(
        about=detail,
        first=signature.inputs[0].name if signature.inputs else "",
        laws=form.laws,
        conserved=CONSERVED.get(form.laws.conserves, ""),
        equation=" ".join(form.laws.equation.get(detail, "").split()),
        it=op or "it",
        of_it=f" of {op}" if op else "",
        input=listed(read) if op else "the input",
        output=made if op else "the output",
        in_output=f" in {made}" if op else "",
    )


def by_form(op: Op, said: Callable[[Form], Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Yield what is said of the forms of an op, each text once, and the values of those that it is said of, ``""`` for all."""
    found: dict[str, list[str]] = {}
    for value, form in op.forms.items():
        for text in said(form):
            found.setdefault(text, []).append(value)
    for text, values in found.items():
        yield text, "" if len(values) == len(op.forms) else f"[{op.choice}: {', '.join(values)}]"


def _of_forms(op: Op, words: Callable[[Form], str]) -> str:
    """Return what is said of the forms of an op as one text."""
    said = by_form(op, lambda form: filter(None, [words(form)]))
    return "; ".join(f"{text} {where}".rstrip() for text, where in said)


def _inputs(op: Op) -> list[str]:
    """Return the names of the inputs of all forms."""
    return list(dict.fromkeys(s.name for f in op.forms.values() for s in f.signature.inputs))


def _outputs(op: Op) -> list[str]:
    """Return the names of the outputs of all forms."""
    return list(dict.fromkeys(s.name for f in op.forms.values() for s in f.signature.outputs))


def _data(op: Op) -> list[str]:
    """Return the inputs that hold values, of all forms."""
    return list(dict.fromkeys(name for f in op.forms.values() for name in f.data))


def _indices(op: Op) -> list[str]:
    """Return the inputs that hold indices, of all forms."""
    given = ((s.name, f.group(s.name)) for f in op.forms.values() for s in f.signature.inputs)
    return list(dict.fromkeys(name for name, group in given if group == "index"))


def _definition(op: Op, kind: str, detail: str) -> str:
    """Return where the outputs have to be what the definition gives, or what else is said of their values."""
    made = _outputs(op)
    given = f"{listed(made)} {'are' if len(made) > 1 else 'is'} what the definition of {op.name} gives"
    match kind:
        case "def":
            return f"On every legal call in which no axis is empty, {given}"
        case "values":
            return f"Where {listed(_data(op), 'or')} holds {VALUES[f'values.{detail}']}, {given}"
        case "total":
            promise, tensors = next(f.assume[detail] for f in op.forms.values() if detail in f.assume)
            return f"Where {listed(tensors)} {PROMISES[promise].broken}, {given} all the same"
        case "empty":
            return f"On legal calls with an axis of size 0, {given}"
        case "dtype":
            named = "dtypes" if len(made) > 1 else "dtype"
            return f"With {listed(_data(op))} in {detail}, {given}, and of the {named} that the card names"
        case "index":
            return f"With {listed(_indices(op))} in {detail}, {given}"
        case "grad":
            return f"The gradient with respect to {detail} is that of the definition of {op.name}"
    assert kind == "grad64", kind
    return f"In float64, the gradient with respect to {detail} is that of the definition of {op.name}"


def _on_ranks(op: Op, detail: str) -> str:
    """Return what is demanded of a function that runs on ranks."""
    made = _outputs(op)
    given = f"{listed(made)} {'are' if len(made) > 1 else 'is'} what the definition of {op.name} gives"
    if detail == "bare_gradient":
        given = f"the gradients of {listed(gradients_of(op))} are those of the definition of {op.name}"
    if detail == "error":
        return f"A rank of {op.name} {RANKS[detail]} raises, whatever the others wait for"
    bare = dict.fromkeys(name for form in op.forms.values() for name in bare_inputs(op, form))
    about = RANKS[detail].format(op=op.name, bare=listed(bare, "or"))
    return f"On ranks, {given} {about}" if detail not in ("kept", "step") else f"On ranks, {given}, {about}"


def _conduct(op: Op, kind: str, detail: str) -> str:
    """Return what a call has to do besides giving the right values; nothing for another kind of clause."""
    taken, made = _inputs(op), _outputs(op)
    be, hold = ("are", "hold") if len(made) > 1 else ("is", "holds")
    outputs, inputs = listed(made), listed(taken)
    match kind:
        case "result":
            return _dtypes_of_outputs(op)
        case "nan":
            read = f" in {listed(_data(op), 'or')}" if _data(op) else ""
            return f"{outputs} {hold} NaN where the definition reads one{read}, and nowhere else"
        case "pure":
            kept = inputs or "its arguments"
            return f"A call of {op.name} leaves {kept} as {'it is' if len(taken) == 1 else 'they are'}"
        case "repeat":
            same = f"The same call of {op.name} gives the same bits whatever was called between"
            return f"{same}, and leaves earlier results alone"
        case "device":
            return f"{outputs} {be} on the device of {inputs or f'the inputs, of which {op.name} has none'}"
        case "memory" if detail == "own":
            kept = f"leaves {inputs} as {'it is' if len(taken) == 1 else 'they are'}"
            return f"Where a definition of {op.name} does more than name places anew, writing to {outputs} {kept}"
        case "memory":
            return f"{outputs} may be written to, and writing to one element of {outputs} changes no other"
        case "layout" if taken:
            come = "comes" if len(taken) == 1 else "come"
            return f"{outputs} {be} the same where {inputs} {come} {LAYOUTS[detail]}"
        case "layout":
            return f"{op.name} takes no tensors that could come {LAYOUTS[detail]}"
        case "transform" if detail not in TRANSFORMS:
            return _derivative(op, detail)
        case "transform":
            return f"{op.name} {TRANSFORMS[detail]} gives what the plain function gives"
        case "state":
            return f"A call of {op.name} changes nothing around it: no default, random state or setting"
    return ""


def _derivative(op: Op, detail: str) -> str:
    """Return what is demanded of a derivative besides the gradients."""
    given, made = listed(_data(op)), listed(_outputs(op))
    if detail == "jvp":
        return f"The tangents of {made} along those of {given}, by forward mode, are those of the definition"
    return f"The gradients of the gradients of {given}, by {given} and by the cotangents of {made}, are those of the definition"


def _dtypes_of_outputs(op: Op) -> str:
    """Return of which dtypes the outputs are."""
    rules: dict[str, list[str]] = {}
    for form in op.forms.values():
        for spec in form.signature.outputs:
            rules.setdefault(form.dtype[spec.name], []).append(spec.name)
    return "; ".join(f"{listed(names)} {_dtype_of_output(rule, len(set(names)) > 1)}" for rule, names in rules.items())


def _dtype_of_output(rule: str, several: bool) -> str:
    """Return what the rule for the dtype of outputs says of them."""
    be, have = ("are", "have") if several else ("is", "has")
    if rule == "int":
        return f"{be} {'Python integers' if several else 'a Python integer'}"
    if rule.startswith(WIDE):
        return f"{have} the dtype of {rule.removeprefix(WIDE)}, but at least float32"
    return f"{have} the dtype of {rule.removeprefix('same as ')}" if rule.startswith("same as ") else f"{be} of dtype {rule}"


def _law(op: Op, form: Form, law: str) -> str:
    """Return a law of a form in words; nothing where the form does not state it."""
    kind, _, detail = law.partition(".")
    if (kind, detail) not in ((k, d) for k, details in stated_laws(form) for d in details):
        return ""
    if kind == "conserves":
        made, taken = listed(_outputs(op)), listed(_inputs(op))
        if form.laws.conserves == "sum":
            return f"The sum of all elements of {made} is that of {taken}"
        return f"The elements of {made} are those of {taken}, each as often"
    if kind == "prefix":
        name = next(n for n, p in op.card.params.items() if detail in p.targets(n) and p.size)
        return f"A smaller {name} gives the first part, along {detail}, of what a larger one gives"
    words = law_words(form, kind, detail, op.name)
    return words if kind in NAMED else words[:1].upper() + words[1:]
