"""One large call: its arrays are made just before it and given up just after, and of its result only some places are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from einspec.calls import hashed
from einspec.calls.hashed import Hashed, Sampled
from einspec.calls.space import Case
from einspec.conformance.judge.session import Outcome, Session, Trial, WrongKind
from einspec.solve import TensorSpec

Array = np.ndarray[Any, Any]
NO_ROOM = ("out of memory", "not enough memory", "can't allocate", "unable to allocate", "failed to allocate", "exhausted")
"""What messages say, in lower case, of the exceptions that mean that a call did not fit."""


def called(session: Session, trial: Trial, inputs: Mapping[str, Any], case: Case, asked: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a large call at the places asked for; the arrays live no longer than they must."""
    call = session.plain(case)
    with session.holding({str(x.dtype) for x in inputs.values()}):
        try:
            args = [_argument(session, spec, inputs[spec.name]) for spec in case.form.signature.inputs]
            result = session.adapter.many([call], [args])[0] if session.compiles else call(*args)
            del args
        except (Exception, SystemExit) as error:
            return Outcome(error=error)
        try:
            return Outcome(_read(session, trial, case, result, asked))
        except Exception as error:
            if isinstance(error, WrongKind) or no_room(error):
                return Outcome(error=error)
            raise


def no_room(error: BaseException) -> bool:
    """Whether an exception means that a call did not fit into memory."""
    return isinstance(error, MemoryError) or any(word in f"{type(error).__name__} {error}".lower() for word in NO_ROOM)


def _argument(session: Session, spec: TensorSpec, source: Any) -> Any:
    """Return an input as the framework's array on the device, a listed one as a list."""
    if spec.listed:
        return [session.adapter.asarray(whole(source[i]), session.device) for i in range(source.shape[0])]
    return session.adapter.asarray(whole(source), session.device)


def whole(source: Any) -> Array:
    """Return an input as a NumPy array, row-major."""
    return source.whole() if isinstance(source, Hashed) else np.ascontiguousarray(source)


def _read(session: Session, trial: Trial, case: Case, result: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call gave at the places asked for, by name.

    Raises:
        WrongKind: it gave something else than the card has.
    """
    specs = case.form.signature.outputs
    parts = [result] if len(specs) == 1 else list(result) if isinstance(result, tuple | list) else None
    if parts is None or len(parts) != len(specs):
        raise WrongKind(f"returned {type(result).__name__} where the card has {len(specs)} outputs")
    found = {}
    for spec, part in zip(specs, parts, strict=True):
        if spec.name in asked:
            shape, index = case.solution.shape(spec), asked[spec.name]
            parts = _parts(session, spec, part, shape)
            found[spec.name] = picked(session, part, index) if trial.call else _sampled(session, spec, parts, shape, index)
    return found


def _parts(session: Session, spec: TensorSpec, part: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return the arrays that an output is made of: one, or those of its list.

    Raises:
        WrongKind: it is no such thing, or of another shape.
    """
    parts = list(part) if spec.listed and isinstance(part, tuple | list) else [part]
    is_array = getattr(session.adapter, "is_array", lambda x: hasattr(x, "shape"))
    for each in parts:
        if not is_array(each):
            raise WrongKind(f"returned {type(each).__name__} for {spec.name}, not an array of {session.target.framework}")
    own = [tuple(p.shape) for p in parts]
    if own != ([shape[1:]] * shape[0] if spec.listed else [shape]):
        raise WrongKind(
            f"{spec.name}: shape {[list(s) for s in own] if spec.listed else list(own[0])} instead of {list(shape)}"
        )
    return parts


def _sampled(session: Session, spec: TensorSpec, parts: list[Any], shape: tuple[int, ...], index: tuple[Array, ...]) -> Any:
    """Return an output that is known at some coordinates; one that is small as it is."""
    if not spec.listed:
        small = math.prod(shape) <= hashed.WHOLE
        return _numpy(session, parts[0]) if small else Sampled(shape, picked(session, parts[0], index), index)
    found = [picked(session, p, tuple(column[index[0] == i] for column in index[1:])) for i, p in enumerate(parts)]
    values = np.empty(len(index[0]), found[0].dtype)
    for i, some in enumerate(found):
        values[index[0] == i] = some
    return Sampled(shape, values, index)


def picked(session: Session, part: Any, index: tuple[Any, ...]) -> Array:
    """Return some elements of an array, picked on its device where that spares a copy of the whole."""
    if session.device != "cpu":
        try:
            moved = tuple(i if isinstance(i, slice) else session.adapter.asarray(i, session.device) for i in index)
            return _numpy(session, part[moved])
        except Exception:  # noqa: S110  # what takes no arrays as an index is copied as a whole
            pass
    return np.asarray(_numpy(session, part)[index])


def _numpy(session: Session, part: Any) -> Array:
    return np.asarray(session.adapter.to_numpy(part))
