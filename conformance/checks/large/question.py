"""What is asked of a large call: inputs as recipes, where it is looked at, what must be there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from einspec.answers.expect import output_dtype
from einspec.answers.rules import Expected
from einspec.calls.hashed import Hashed
from einspec.calls.space import Case, make_case
from einspec.conformance.checks.large.places import coordinates, dimension, rows_of
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.protocol import Item, Raised, Way
from einspec.conformance.trial import WRONG_KIND, Outcome, Trial
from einspec.dtypes import ALL, finfo, numpy_dtype
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.points import Points
from einspec.solve import TensorSpec

Array = np.ndarray[Any, Any]
GROUP, TERMS = 8, 1.2e8
"""How many coordinates are evaluated together, and how many terms are looked at for them all: about
a second of work."""


class NotExactError(Exception):
    """Sums of the call are too long to be exact in its dtype: nothing is known of them."""


@dataclass(frozen=True)
class Question:
    """A large call, and what must be at the coordinates at which it is looked at."""

    large: Trial
    """What is asked; it holds no answer."""
    trial: Trial
    """What is judged: the large call at some coordinates, or the same call on a few rows."""

    def outcome(self, result: Item | None, error: Raised | None) -> Outcome:
        """Return what came as the outputs that are judged."""
        specs = self.large.case.form.signature.outputs
        if error is not None or result is None:
            return Outcome(error=error or Raised("Error", "nothing came"))
        parts = [result] if len(specs) == 1 else result.parts
        if len(parts) != len(specs):
            got = f"{len(parts)} results" if parts else result.text or result.kind
            return _strange(f"returned {got} where the card has {len(specs)} outputs")
        outputs = {}
        for spec, part in zip(specs, parts, strict=True):
            if spec.name in self.trial.expected:
                problem = _problem(spec, part, self.large.case.solution.shape(spec))
                if problem or part.tensor is None:
                    return _strange(problem or f"returned no element of {spec.name}")
                outputs[spec.name] = part.tensor.array()
        for name, want in self.trial.expected.items():
            if outputs[name].size != want.array.size:
                return _strange(f"returned {outputs[name].size} elements of {name} where others were asked")
            outputs[name] = outputs[name].reshape(want.array.shape)
        return Outcome(outputs)


def _strange(text: str) -> Outcome:
    return Outcome(error=Raised(WRONG_KIND, text, broken=True))


def _problem(spec: TensorSpec, part: Item, shape: tuple[int, ...]) -> str:
    """Return why an output is not what the card names, whatever its elements are, or nothing."""
    if part.kind == "other" or (part.kind == "list") != spec.listed:
        return f"returned {part.text or part.kind} for {spec.name}, not {_named(spec)}"
    own = [list(s) for s in part.shapes]
    if own != ([list(shape[1:])] * shape[0] if spec.listed else [list(shape)]):
        return f"{spec.name}: shape {own if spec.listed else own[0]} instead of {list(shape)}"
    if part.tensor is not None and not (part.tensor.dtype in ALL and part.tensor.is_whole):
        return f"returned an array of dtype {part.tensor.dtype} for {spec.name}"
    return ""


def _named(spec: TensorSpec) -> str:
    return "a list of arrays" if spec.listed else "an array"


def ask_rows(case: Case, inputs: Mapping[str, Any], axis: str) -> Question:
    """Ask for some rows of an axis along which calls are independent: those of a small call.

    Raises:
        OverflowError: there is no such call.
    """
    rows = rows_of(case, axis)
    small = {}
    for spec in case.form.signature.inputs:
        place = dimension(case, spec, axis)
        source = inputs[spec.name]
        picked = source if place is None else source[(slice(None),) * place + (rows,)]
        small[spec.name] = picked.whole() if isinstance(picked, Hashed) else np.asarray(picked)
    shapes = [small[s.name].shape for s in case.form.signature.inputs]
    part = make_case(case.op, case.params, shapes)
    if part is None:
        raise OverflowError
    looked: dict[str, Array] = {}
    for spec in case.form.signature.outputs:
        place = dimension(case, spec, axis)
        at = np.indices(part.solution.shape(spec)).reshape(len(spec.index), -1)
        if place is not None:
            at[place] = rows[at[place]]
        looked[spec.name] = at.T
    how = f"at {len(rows)} coordinates of axis {axis} of the call {case}"
    way = _way(case, looked)
    return Question(Trial(case, inputs, {}, way), plain_trial(part, small, way, how))


def ask_points(case: Case, inputs: Mapping[str, Any]) -> Question:
    """Ask for some elements of every output.

    Raises:
        OverflowError: they take too many terms for every output.
        NotExactError: their sums may round.
    """
    wants: dict[str, Expected] = {}
    rng = np.random.default_rng(3)
    for spec in case.form.signature.outputs:
        points = coordinates(case, spec, inputs, rng)
        dtype = output_dtype(case, spec.name, inputs)
        values = _evaluated(case, inputs, spec, points)
        if not len(values):
            continue
        points = points[: len(values)]
        if not _is_exact(case, inputs, spec, points, dtype):
            raise NotExactError
        how = "bits" if case.form.kind in EXACT else "values"
        with np.errstate(all="ignore"):
            array = values.astype(numpy_dtype(dtype))
        wants[spec.name] = Expected(array, how, at=points)
    if not wants:
        raise OverflowError
    count = "; ".join(f"{name} at {len(w.array)} coordinates" for name, w in wants.items())
    left = [s.name for s in case.form.signature.outputs if s.name not in wants]
    how = count + (f"; not {', '.join(left)}: too many terms" if left else "")
    way = _way(case, {name: w.at for name, w in wants.items() if w.at is not None})
    return Question(Trial(case, inputs, {}, way), Trial(case, inputs, wants, way, how))


def _way(case: Case, looked: Mapping[str, Array]) -> Way:
    """Return the way of a call whose outputs are looked at at coordinates, a row each."""
    names = [s.name for s in case.form.signature.outputs]
    columns = [tuple(c.astype(np.int64).tobytes() for c in looked[n].T) if n in looked else None for n in names]
    return Way(at=tuple(columns))


def _evaluated(case: Case, inputs: Mapping[str, Any], spec: TensorSpec, points: Array) -> Array:
    """Return the definition at the points, as many of them as the work allows."""
    found: list[Array] = []
    definition = Points(case.solution, inputs, TERMS)
    for start in range(0, len(points), GROUP):
        try:
            found.append(definition.at(spec.name, points[start : start + GROUP]))
        except OverflowError:
            break
    return np.concatenate(found) if found else np.zeros(0)


def _is_exact(case: Case, inputs: Mapping[str, Any], spec: TensorSpec, points: Array, dtype: str) -> bool:
    """Whether no order of summation rounds: a mantissa holds the sum of all magnitudes."""
    if case.form.kind in (*EXACT, OpClass.SELECTION) or numpy_dtype(dtype).kind in "iub":
        return True
    sizes = {k: _magnitude(v) if k in case.form.data else v for k, v in inputs.items()}
    most = _evaluated(case, sizes, spec, points)
    exact = math.ldexp(1.0, finfo(numpy_dtype(dtype)).nmant)
    return len(most) == len(points) and float(most.max(initial=0)) <= exact


def _magnitude(source: Any) -> Any:
    return replace(source, magnitude=True) if isinstance(source, Hashed) else np.abs(source)
