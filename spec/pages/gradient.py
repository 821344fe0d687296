"""The gradients of a form for readers: the equations that are derived from its definition, and what has none."""

from __future__ import annotations

from collections.abc import Iterator

from einspec.card import Form
from einspec.language.formula import Equation, walk
from einspec.pages.render import latex_lines
from einspec.semantics.gradient import prefix, vjp
from einspec.semantics.slopes import Choice
from einspec.violations import listed


def equations(form: Form) -> list[Equation]:
    """Return the equations of the gradients of all inputs, but for those of the definition itself."""
    if not form.data:
        return []
    return [e for e in vjp(form).equations if e not in form.equations]


def remarks(form: Form) -> Iterator[str]:
    """Yield what a reader has to know besides: what the cotangents are, and which tensors have none."""
    inputs, outputs = form.signature.inputs, form.signature.outputs
    given = vjp(form).signature.inputs[len(inputs) :] if form.data else ()
    moving = {spec.name.removeprefix(prefix(form)): spec.name for spec in given}
    for output, cotangent in moving.items():
        yield f"{cotangent} is the cotangent of {output}"
    if any(isinstance(n, Choice) for e in equations(form) for n in walk(e.body)):
        yield "where several slopes are as good, at a corner or where a maximum ties, any is right"
    still = [s.name for s in inputs if s.name not in form.data]
    if still:
        yield f"{listed(still)} {'have' if len(still) > 1 else 'has'} no gradient: indices or truth values"
    flat = [s.name for s in outputs if s.name not in moving]
    if flat:
        yield f"{listed(flat)} {'have' if len(flat) > 1 else 'has'} no cotangent: nothing changes by a little there"


def latex_gradient(form: Form) -> str:
    """Return the gradients as LaTeX for math mode."""
    return latex_lines(equations(form))
