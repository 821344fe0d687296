"""The ids of the constraints that a card puts on its calls, found from the card alone.

Each check of :mod:`einspec.solve` and each of the arguments by themselves gives an id, unless a
rule proves that no call can fail it; the rules stand where they are applied.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from einspec.card import Form, Op
from einspec.dtypes import ALL, GROUPS
from einspec.language.formula import Axis, Rest
from einspec.language.tables import Param
from einspec.solve import TensorSpec
from einspec.symbolic import size_constraints


class Axes(NamedTuple):
    """What a form says of the number of axes of an input."""

    spec: TensorSpec
    single: int
    """How many axes are there in every call."""
    fixed: tuple[str, ...]
    """The rests for which the rest of the call says how many axes they stand for, and which may not fit."""
    open: tuple[str, ...]
    """The rests that stand for as many axes as there are."""


@functools.lru_cache(maxsize=256)
def constraints(op: Op) -> dict[str, Form]:
    """Return the ids of all constraints that a call can violate, each with its first form.

    What the card leaves unspecified is not among them. The order is that of the forms and, in each,
    that of the checks.
    """
    return {constraint: forms[0] for constraint, forms in constrained(op).items()}


@functools.lru_cache(maxsize=256)
def constrained(op: Op) -> dict[str, tuple[Form, ...]]:
    """Return the ids of all constraints that a call can violate, each with the forms that have it."""
    found: dict[str, list[Form]] = {}
    for form in op.forms.values():
        for constraint in dict.fromkeys(form_constraints(op, form)):
            if constraint not in op.card.unspecified:
                found.setdefault(constraint, []).append(form)
    return {constraint: tuple(forms) for constraint, forms in found.items()}


def form_constraints(op: Op, form: Form) -> Iterator[str]:
    """Yield the ids of the constraints of one form, some of them more than once."""
    yield "keyword"
    for name, param in op.card.params.items():
        yield from _of_parameter(name, param)
    yield "count"
    yield from _of_ranks(op, form)
    yield from size_constraints(op, form)
    yield from _of_dtypes(form)
    yield from _of_lists(form)


def _of_parameter(name: str, param: Param) -> Iterator[str]:
    """Yield what can be wrong with the value of a parameter by itself."""
    # A number with a default and no least value takes every number: none is outside its range.
    # Of several targets there may be too many, of a list of sizes none, and an axis too far.
    bounded = param.choices or isinstance(param.min, int)
    if param.required or bounded or param.axis or param.order or param.sizes or param.several:
        yield f"param.{name}"
    # A choice of another type is none of the choices, and that is all that is said of it.
    if not param.choices:
        yield f"type.{name}"


def _of_ranks(op: Op, form: Form) -> Iterator[str]:
    """Yield what can be wrong with the number of axes of an input."""
    for axes in axes_of_inputs(op, form):
        # An input without an axis that has to be there never has too few, one with an open rest
        # never too many.
        if axes.single or axes.fixed or not axes.open:
            yield f"rank.{axes.spec.name}"


def axes_of_inputs(op: Op, form: Form) -> Iterator[Axes]:
    """Yield what a form says of the number of axes of each input."""
    placed = _placed(op, form)
    given = {p.rank or p.sizes for p in op.card.params.values()} | placed.keys()
    for i, spec in enumerate(form.signature.inputs):
        rests = [d.name for d in spec.index if isinstance(d, Rest)]
        # The first axis of a list of tensors is its length, and there always is one.
        single = len(spec.index) - len(rests) - spec.listed
        # The axes before a position fit into the first input, which says how many positions there
        # are, unless some single axis has to follow it as well.
        fit = {rest for rest, others in placed.items() if i == 0 and not others}
        fixed = tuple(r for r in rests if r in given - fit)
        yield Axes(spec, single, fixed, tuple(r for r in rests if r not in given))
        given |= set(rests)


def _placed(op: Op, form: Form) -> dict[str, int]:
    """Return the rests before axes that parameters place, and how many other axes there are."""
    tensors = {s.name: s for s in (*form.signature.inputs, *form.signature.outputs)}
    found = {}
    for param in op.card.params.values():
        if param.axis:
            axis, tensor = param.axis.split(" in ")
            index = tensors[tensor].index
            rests = [d for d in index if isinstance(d, Rest)]
            before = index[index.index(Axis(axis)) - 1]
            rest = before if isinstance(before, Rest) else rests[0]
            found[rest.name] = len(index) - len(rests) - tensors[tensor].listed - 1
    return found


def _of_dtypes(form: Form) -> Iterator[str]:
    """Yield the inputs that take not every dtype, or only that of others."""
    for spec in form.signature.inputs:
        restricted = GROUPS[form.group(spec.name)] != frozenset(ALL)
        if restricted or form.dtype[spec.name].startswith("same as ") or spec.listed:
            yield f"dtype.{spec.name}"


def _of_lists(form: Form) -> Iterator[str]:
    """Yield the lists whose tensors can differ in shape, and be stretched to fit each other."""
    for spec in form.signature.inputs:
        if spec.listed:
            yield f"list.{spec.name}"
            # Without axes there is nothing to stretch.
            if len(spec.index) > 1:
                yield f"broadcast.{spec.name}"
