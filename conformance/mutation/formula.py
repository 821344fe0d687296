"""A target that answers by formulas, in this process: those of the cards, or changed ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from einspec.answers.expect import Map, output_dtype, widen
from einspec.calls.space import Case
from einspec.card import Form, Op, load, paths
from einspec.conformance.protocol import Function, Outcome, Target
from einspec.conformance.run.inside import InsideSession
from einspec.conformance.runner.loading import Candidate
from einspec.dtypes import ALL, numpy_dtype
from einspec.impls.adapters import numpy as adapter
from einspec.impls.checked import op as checked
from einspec.language.formula import Equation, Read
from einspec.language.linear import EXACT
from einspec.semantics import oracle
from einspec.solve import TensorSpec, solve

Array = np.ndarray[Any, Any]
Computes = Callable[..., Any]
"""NumPy arrays in and out, parameters by name."""


class FormulaSession(InsideSession):
    """The ops as their cards define them, some of them changed: a backend of NumPy.

    It offers no layouts and no transforms, so that the judge asks for none.
    """

    def __init__(self, changed: Mapping[str, Computes], name: str = "formula") -> None:
        """Take the functions that stand for ops, instead of the definitions of these."""
        functions = tuple(Function(op, op) for op in paths())
        target = Target(name=name, framework="numpy", functions=functions, dtypes=ALL, offers=("is_array",))
        super().__init__(Candidate(name, adapter, "", functions=dict(changed)), target)

    def stream(self, op: str, calls: bytes, careful: bool = False) -> Iterator[Outcome]:
        """Yield what comes of calls of an op, in order."""
        if op not in self.candidate.functions:
            self.candidate.functions[op] = definition(op)
        return super().stream(op, calls, careful)


# What a formula computes


def definition(op: str) -> Computes:
    """Return an op as its card defines it."""
    return _defined(load(op))


@functools.cache
def _defined(op: Op) -> Computes:
    return as_function(op, {})


def as_function(op: Op, changed: Mapping[int, Sequence[Equation]]) -> Computes:
    """Return an op as a NumPy function that the oracle computes, under the checks of a backend.

    Args:
        op: the op.
        changed: by ``id`` of a form, the equations to evaluate instead of its own.
    """

    @np.errstate(all="ignore")
    def function(*inputs: Any, **params: Any) -> Any:
        names = [s.name for s in _form(op, params).signature.inputs]
        arrays = {n: _stacked(x) for n, x in zip(names, inputs, strict=True)}
        shapes = tuple(a.shape for a in arrays.values())
        case = Case(op, params, shapes, solve(op, shapes, params))
        equations = changed.get(id(case.form), case.form.equations)
        outputs = evaluated(case, arrays, equations)
        results = tuple(_result(outputs[s.name], s, output_dtype(case, s.name, arrays)) for s in case.form.signature.outputs)
        return results if len(results) > 1 else results[0]

    inputs = max((f.signature.inputs for f in op.forms.values()), key=len)
    kind = inspect.Parameter.POSITIONAL_ONLY
    slots = [inspect.Parameter(s.name, kind, annotation="Sequence" if s.listed else "Array") for s in inputs]
    function.__name__ = op.name
    function.__signature__ = inspect.Signature(slots)  # type: ignore[attr-defined]
    return checked(function)


def _form(op: Op, params: Mapping[str, Any]) -> Form:
    return op.form(op.bind(params))


def _stacked(x: Any) -> Array:
    return np.stack(x) if isinstance(x, list | tuple) else np.asarray(x)


def _result(array: Array, spec: TensorSpec, dtype: str) -> Any:
    if dtype == "int":
        return int(array)
    array = array.astype(numpy_dtype(dtype), copy=False)
    return tuple(array) if spec.listed else array


def evaluated(case: Case, inputs: Mapping[str, Array], equations: Sequence[Equation]) -> dict[str, Array]:
    """Return the outputs of a call by other equations than those of its card.

    An op that moves elements goes on to move them bit for bit, so that what is found is the
    mistake and not the arithmetic of the oracle.
    """
    if case.form.kind in EXACT:
        if all(isinstance(e.body, Read) for e in equations):
            return oracle.evaluate(case.solution, inputs, equations=equations)
        moved = _moved(case, inputs, equations)
        if moved is not None:
            return moved
    wide = {k: widen(v) for k, v in inputs.items()}
    return oracle.evaluate(case.solution, wide, equations=equations)


def _moved(case: Case, inputs: Mapping[str, Array], equations: Sequence[Equation]) -> dict[str, Array] | None:
    """Return the outputs of equations that move and fill in elements; None if they do more."""
    form, start = case.form, 1
    ramps = dict(inputs)
    for name in form.data:
        size = inputs[name].size
        ramps[name] = np.arange(start, start + size, dtype=np.float64).reshape(inputs[name].shape)
        start += size
    scaled = ({k: v * factor if k in form.data else v for k, v in ramps.items()} for factor in (1, -1, 0))
    places, negated, fills = (oracle.evaluate(case.solution, x, equations=equations) for x in scaled)
    flat = np.concatenate([np.asarray(inputs[name]).reshape(-1) for name in form.data])
    found = {}
    for spec in form.signature.outputs:
        fill = np.asarray(fills[spec.name], dtype=np.float64)
        filled = places[spec.name] == fill
        place = np.where(filled, 0, places[spec.name])
        unmoved = (negated[spec.name] == -place) & (fill == 0)
        moves = np.where(filled, negated[spec.name] == fill, unmoved)
        if not (moves & (place >= 0) & (place < start) & (place == np.rint(place))).all():
            return None
        found[spec.name] = Map(place.astype(np.int64), fill).apply(flat)
    return found
