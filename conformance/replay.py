"""A plain call as data: what a stored witness holds, so that it can be made again bit for bit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from einspec.card import Op
from einspec.conformance.calls import make_case
from einspec.conformance.trials import plain_trial
from einspec.dtypes import numpy_dtype

if TYPE_CHECKING:
    from einspec.conformance.session import Trial

Array = np.ndarray[Any, Any]
MOST_BYTES = 1 << 16
"""Above this size the inputs of a call are not stored."""


def record(trial: Trial) -> dict[str, Any] | None:
    """Return a trial as data; None where it is not a plain call, or too large to be kept."""
    plain = trial.call is None and trial.prepare is None and not any(e.at is not None for e in trial.expected.values())
    if not plain or sum(a.nbytes for a in trial.arrays.values()) > MOST_BYTES:
        return None
    return {
        "params": {name: _written(value) for name, value in trial.case.params.items()},
        "inputs": {name: _bits(array) for name, array in trial.arrays.items()},
    }


def rebuild(op: Op, data: Mapping[str, Any]) -> Trial | None:
    """Return the trial that was recorded; None where the card does not allow such a call any more."""
    try:
        arrays = {name: _array(entry) for name, entry in data["inputs"].items()}
        params = {name: _read(value) for name, value in data["params"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    case = make_case(op, params, [a.shape for a in arrays.values()])
    if case is None or set(arrays) != {s.name for s in case.form.signature.inputs}:
        return None
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
