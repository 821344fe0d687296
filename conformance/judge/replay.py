"""A plain call as data: what a stored witness holds, so that it can be made again bit for bit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.checks.trials import plain_trial
from einspec.dtypes import GROUPS, numpy_dtype
from einspec.solve import solve

if TYPE_CHECKING:
    from einspec.conformance.trial import Trial

Array = np.ndarray[Any, Any]
MOST_BYTES = 1 << 16
"""Above this size the inputs of a call are not stored."""


def record(trial: Trial) -> dict[str, Any] | None:
    """Return a trial as data; None where it is not a plain call, or too large to be kept."""
    known = not any(e.at is not None for e in trial.expected.values())
    plain = trial.plain and known and not trial.way.layout and trial.way.expand < 0
    if not plain or sum(a.nbytes for a in trial.arrays.values()) > MOST_BYTES:
        return None
    return {
        "params": {name: _written(value) for name, value in trial.case.params.items()},
        "inputs": {name: _bits(array) for name, array in trial.arrays.items()},
    }


class NotReplayableError(ValueError):
    """A stored call can no longer be made; the message says why."""


def rebuild(op: Op, data: Mapping[str, Any]) -> Trial:
    """Return the trial that was recorded.

    Raises:
        NotReplayableError: it is damaged, or the card does not allow such a call any more.
    """
    try:
        arrays = {str(name): _array(entry) for name, entry in data["inputs"].items()}
        params = {str(name): _read(value) for name, value in data["params"].items()}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise NotReplayableError(f"it does not read: {type(error).__name__}: {error}") from error
    try:
        form = op.form(op.bind(params))
        names = [s.name for s in form.signature.inputs]
        if set(arrays) != set(names):
            raise NotReplayableError(f"it has the inputs {', '.join(arrays) or 'none'}, the card has {', '.join(names)}")
        for name, array in arrays.items():
            if array.dtype.name not in GROUPS[form.group(name)]:
                raise NotReplayableError(f"{name} is of dtype {array.dtype.name}, which the card does not take")
        shapes = tuple(arrays[name].shape for name in names)
        case = Case(op, params, shapes, solve(op, shapes, params))
    except (ValueError, TypeError, ArithmeticError) as error:
        raise NotReplayableError(str(error).partition("\n")[0]) from error
    return plain_trial(case, arrays, how="as stored")


def _bits(array: Array) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "bits": data}


def _array(entry: Mapping[str, Any]) -> Array:
    return np.frombuffer(base64.b64decode(entry["bits"]), numpy_dtype(entry["dtype"])).reshape(entry["shape"]).copy()


def _written(value: Any) -> Any:
    """Return a parameter as JSON: a fraction as text in an object, an infinity too."""
    if isinstance(value, Fraction):
        return {"fraction": str(value)}
    if isinstance(value, float):
        return {"float": value.hex()}
    return list(value) if isinstance(value, tuple) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return Fraction(value["fraction"]) if "fraction" in value else float.fromhex(value["float"])
    return tuple(value) if isinstance(value, list) else value
