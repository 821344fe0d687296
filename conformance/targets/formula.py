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
from einspec.conformance import protocol
from einspec.conformance.protocol import (
    Call,
    Function,
    Input,
    Item,
    Outcome,
    Raised,
    Target,
    parameters,
    tensor,
)
from einspec.conformance.targets.session import Session
from einspec.conformance.trial import Outcome as TrialOutcome
from einspec.conformance.trial import Trial
from einspec.dtypes import ALL, numpy_dtype
from einspec.impls.checked import op as checked
from einspec.language.formula import Equation, Read
from einspec.language.linear import EXACT
from einspec.semantics import oracle
from einspec.solve import TensorSpec, solve

Array = np.ndarray[Any, Any]
Computes = Callable[..., Any]
"""NumPy arrays in and out, parameters by name."""
BROKEN = (NameError, RecursionError, MemoryError)
"""Exceptions that no function refuses a call with."""
MOST_TEXT = 2000
"""Characters of the text of an exception that are told."""


class FormulaSession(Session):
    """The ops as their cards define them, some of them changed.

    It is as a backend of NumPy that has no layouts and no transforms.
    """

    def __init__(self, changed: Mapping[str, Computes], name: str = "formula") -> None:
        """Take the functions that stand for ops, instead of the definitions of these."""
        functions = tuple(Function(op, op) for op in paths())
        target = Target(name=name, framework="numpy", functions=functions, dtypes=ALL, offers=("is_array",))
        super().__init__(None, target, "cpu")
        self.changed = changed
        self.stopped = False

    def function(self, op: str) -> Computes:
        """Return the function that stands for an op."""
        return self.changed[op] if op in self.changed else definition(op)

    def stop(self) -> None:
        """Say that what is still to come of the calls at hand is not wanted."""
        self.stopped = True

    def stream(self, op: str, calls: bytes, careful: bool = False) -> Iterator[Outcome]:
        """Yield what comes of calls of an op, in order."""
        self.stopped = False
        for number, call in enumerate(protocol.calls.decode(calls)):
            if self.stopped:
                return
            yield self.answer(op, call, number)

    def run(self, trials: Sequence[Trial]) -> Iterator[TrialOutcome]:
        """Yield the outcome of every trial of an op, in order."""
        for trial in trials:
            yield self.outcome(trial, self.answer(trial.case.op.name, trial.call()))

    def answer(self, op: str, call: Call, number: int = 0) -> Outcome:
        """Return what comes of one call."""
        function = functools.partial(self.function(op), **parameters(call))
        kind, args = call.way.kind, _arguments(call.inputs)
        try:
            with np.errstate(all="ignore"):
                if kind == "twice":
                    return _twice(function, call, number)
                if kind == "rows":
                    return Outcome(number, _by_rows(function, args))
                if kind not in ("plain", "eager") or call.way.layout or call.way.expand >= 0:
                    raise NotImplementedError(f"a formula is not called in the way {call.way}")
                return Outcome(number, _item(function(*args)))
        except Exception as error:
            return Outcome(number, error=_raised(error))


def _arguments(given: Sequence[Input]) -> list[Any]:
    """Return the arguments of a call, a list where the card has one."""
    parts = [[t.array() for t in each.parts] for each in given]
    return [own if each.listed else own[0] for each, own in zip(given, parts, strict=True)]


def _item(value: Any) -> Item:
    """Return what a function gave, as data."""
    if isinstance(value, tuple | list):
        return Item("list", parts=tuple(map(_item, value)))
    if isinstance(value, int):
        return Item("int", value=value)
    return Item("array", tensor(np.asarray(value)))


def _by_rows(function: Computes, args: Sequence[Any]) -> Item:
    """Return the results of calls along a new first axis, which each tensor of a list has."""
    first = args[0][0] if isinstance(args[0], list) else args[0]
    rows = [function(*([part[i] for part in a] if isinstance(a, list) else a[i] for a in args)) for i in range(len(first))]
    return _item(_stacked_rows(rows))


def _stacked_rows(rows: Sequence[Any]) -> Any:
    if isinstance(rows[0], tuple | list):
        return tuple(_stacked_rows(part) for part in zip(*rows, strict=True))
    return np.stack(rows)


def _twice(function: Computes, call: Call, number: int) -> Outcome:
    """Return what a call gave, what this held after another call, and what repetitions gave."""
    args = _arguments(call.inputs)
    result = function(*args)
    runs = {"first": _item(result), "other": _item(function(*_arguments(call.extra)))}
    runs["kept"] = _item(result)
    runs |= {f"again {i}": _item(function(*args)) for i in range(2)}
    runs |= {f"input {g.name}": _item(a) for g, a in zip(call.inputs, args, strict=True)}
    return Outcome(number, _item(result), runs=runs, devices=("cpu",))


def _raised(error: Exception) -> Raised:
    text = str(error).strip()[:MOST_TEXT]
    memory = isinstance(error, MemoryError)
    return Raised(type(error).__name__, text, "", isinstance(error, BROKEN), memory)


# What a formula computes


@functools.cache
def definition(op: str) -> Computes:
    """Return an op as its card defines it."""
    return as_function(load(op), {})


def as_function(op: Op, changed: Mapping[int, Sequence[Equation]]) -> Computes:
    """Return an op as a NumPy function that the oracle computes, under the checks of a backend.

    Args:
        op: the op.
        changed: by ``id`` of a form, the equations to evaluate instead of its own.
    """

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
    with np.errstate(all="ignore"):
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
