"""What a derivative must be, and how far a rounded one may be from it: the derived definition, evaluated with its errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.expect import output_dtype, precision, widen
from einspec.answers.rules import Expected
from einspec.calls.space import Case
from einspec.card import Form
from einspec.dtypes import numpy_dtype
from einspec.language.formula import Equation, Node
from einspec.semantics.bounds import Quantity, Tensor, storing
from einspec.semantics.gradient import differential, jvp, prefix, vjp
from einspec.semantics.rounding import Analysis
from einspec.semantics.slopes import Choice

Array = np.ndarray[Any, Any]


def gradient(case: Case, inputs: Mapping[str, Array], cotangents: Mapping[str, Array], wrt: str) -> Tensor:
    """Return the gradient of an input by its derived definition, with a bound on the error of every right way to compute it.

    The error is infinite where nothing is known: where a maximum is attained more than once, where rounding may decide a
    comparison, and where the definition passes through a function without a slope, as log at 0.

    Args:
        case: the call.
        inputs: the inputs.
        cotangents: the gradients of the outputs, of those that hold values.
        wrt: the input whose gradient is asked for.
    """
    start = prefix(case.form)
    outer = {differential(start, k): v for k, v in cotangents.items()}
    return _evaluated(case, vjp(case.form, (wrt,)), inputs, outer)[differential(start, wrt)]


def expected_gradient(case: Case, inputs: Mapping[str, Array], cotangents: Mapping[str, Array], wrt: str) -> Expected:
    """Return what the gradient of an input must be, exactly where nothing rounds.

    Args:
        case: the call.
        inputs: the inputs.
        cotangents: the gradients of the outputs, of those that hold values.
        wrt: the input whose gradient is asked for, which it has the dtype of.
    """
    return _rounded(gradient(case, inputs, cotangents, wrt), inputs[wrt].dtype)


def expected_tangents(case: Case, inputs: Mapping[str, Array], tangents: Mapping[str, Array]) -> dict[str, Expected]:
    """Return what the tangent of every output must be that has a slope.

    Args:
        case: the call.
        inputs: the inputs.
        tangents: those of all inputs that hold values.
    """
    start, form = prefix(case.form), jvp(case.form)
    found = _evaluated(case, form, inputs, {differential(start, k): v for k, v in tangents.items()})
    outputs = {s.name: found.get(differential(start, s.name)) for s in case.form.signature.outputs}
    return {k: _rounded(v, numpy_dtype(output_dtype(case, k, inputs))) for k, v in outputs.items() if v is not None}


def expected_second(
    case: Case, inputs: Mapping[str, Array], cotangents: Mapping[str, Array], outer: Mapping[str, Array]
) -> dict[str, Expected]:
    """Return what the gradients of the gradients of all inputs must be, by the inputs and by the cotangents of the outputs.

    Args:
        case: the call.
        inputs: the inputs.
        cotangents: the gradients of the outputs, of those that hold values.
        outer: the gradients of the gradients of all inputs that hold values.
    """
    form = vjp(case.form)
    first, second = prefix(case.form), prefix(form)
    names = {differential(first, k): k for k in cotangents}
    given = {differential(first, k): v for k, v in cotangents.items()}
    given |= {differential(second, differential(first, k)): v for k, v in outer.items()}
    found = _evaluated(case, vjp(form), inputs, given)
    kinds = {**{k: inputs[k].dtype for k in case.form.data}, **{name: cotangents[k].dtype for name, k in names.items()}}
    wants = {}
    for name, dtype in kinds.items():
        tensor = found.get(differential(second, name))
        shape = (inputs if name in inputs else given)[name].shape
        wants[names.get(name, name)] = Expected(np.zeros(shape, dtype), "values") if tensor is None else _rounded(tensor, dtype)
    return wants


def _evaluated(case: Case, form: Form, inputs: Mapping[str, Array], outer: Mapping[str, Array]) -> dict[str, Tensor]:
    """Return the tensors of a derived definition with their errors.

    Args:
        case: the call.
        form: the derived definition.
        inputs: the inputs.
        outer: what it takes besides, as far as anything depends on it.
    """
    used = {s.name for s in form.signature.inputs}
    given = {k: widen(v) for k, v in inputs.items()} | {k: widen(v) for k, v in outer.items() if k in used}
    run = _Slopes(case, form, given, *precision(case, inputs))
    with np.errstate(all="ignore"):
        for equation in form.equations:
            run.define(equation)
    return {k: replace(t, error=np.where(np.isfinite(t.array), t.error, np.inf)) for k, t in run.tensors.items()}


def _rounded(found: Tensor, dtype: np.dtype[Any]) -> Expected:
    """Return what a derivative must be in a dtype, exactly where nothing rounds."""
    bound = found.error + storing(found, numpy_dtype(dtype.name))
    if bound.any():
        return Expected(found.array, "bound", bound, dtype.name)
    return Expected(found.array.astype(dtype), "values", dtype=dtype.name)


class _Slopes(Analysis):
    """The error analysis of a derived definition.

    Backward passes associate as they like: ``y * g - y * s`` is ``y * (g - s)`` to one and several sums to another. A sum of
    two is therefore off by a rounding of each, ``eps * (|a| + |b|)``, not of what is left of them. Whole numbers are exact
    in every order.
    """

    def __init__(
        self,
        case: Case,
        form: Form,
        given: Mapping[str, Array],
        working: str,
        stored: str,
        kept: Collection[str],
        along: Mapping[str, str],
    ) -> None:
        super().__init__(replace(case.solution, form=form), given, working, stored, kept, along, {})
        self.stated = {e.tensor for e in case.form.equations}
        self.backward = False

    def define(self, equation: Equation) -> None:
        """Define a tensor; those of the definition itself are computed as it says."""
        backward = equation.tensor not in self.stated
        if backward != self.backward:
            self.known.clear()  # the same term is further off here
        self.backward = backward
        super().define(equation)

    def term(self, node: Node) -> Quantity:
        """Return the value of a term; a bracket that chooses a slope is in doubt at a corner."""
        found = super().term(node)
        if not isinstance(node, Choice):
            return found
        corner = self.spread(self.term(node.corner), found.value.axes)
        doubt = (corner.value.array != 0) | (corner.error > 0)
        return replace(found, error=np.where(doubt, np.inf, found.error))

    def contract(self, terms: list[Quantity], bound: Sequence[str] | None) -> Quantity:
        """Return a product of terms, summed over the bound axes."""
        found = super().contract(terms, bound)
        if not found.whole or any(t.inexact for t in terms if not t.value.mask):
            return found
        return replace(found, error=np.where(np.isinf(found.error), np.inf, 0.0))

    def arithmetic(self, op: str, left: Quantity, right: Quantity, varies: bool = False) -> Quantity:
        """Return the result of an operation."""
        found = super().arithmetic(op, left, right, varies)
        if op not in ("+", "-"):
            return found
        (a, b), _, _ = self.aligned(left, right)
        sizes = np.abs(a) + np.abs(b)
        sure = left.whole and right.whole and not left.inexact and not right.inexact
        if sure and np.max(sizes, initial=0) <= 2.0**self.digits:
            return replace(found, whole=True)
        step = self.eps * sizes
        return replace(found, error=found.error + np.where(np.isfinite(step), step, 0.0)) if self.backward else found
