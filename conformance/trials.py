"""The plain call of a case on a ramp or on a stratum of values, with what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from einspec.conformance.calls import Case
from einspec.conformance.expect import expected
from einspec.conformance.session import Trial
from einspec.conformance.values import fill, ramp

Array = np.ndarray[Any, Any]


def ramps(case: Case, dtype: str = "float32") -> dict[str, Array]:
    """Return inputs whose elements are all different: 1, 2, 3, ... across all inputs."""
    inputs, start = {}, 1
    for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True):
        inputs[spec.name] = ramp(shape, start, dtype)
        start += inputs[spec.name].size
    return inputs


def filled(case: Case, dtype: str, stratum: str, seed: int, subnormals: bool = True) -> dict[str, Array]:
    """Return inputs of a stratum."""
    rng = np.random.default_rng(seed)
    inputs = zip(case.form.signature.inputs, case.shapes, strict=True)
    return {spec.name: fill(shape, dtype, stratum, rng, subnormals) for spec, shape in inputs}


def plain_trial(case: Case, arrays: Mapping[str, Array], **more: Any) -> Trial:
    """Return the plain call of a case with what it must give."""
    return Trial(case, arrays, expected(case, arrays), **more)
