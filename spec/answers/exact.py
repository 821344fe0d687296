"""The one right result of a call: every element exact, and rounded once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from einspec.answers.expect import expected, output_dtype
from einspec.calls.space import Case
from einspec.dtypes import numpy_dtype
from einspec.solve import TensorSpec

Array = np.ndarray[Any, Any]


def results(case: Case, arrays: Mapping[str, Array]) -> Any:
    """Return what a call gives, as its caller gets it: one output or a tuple of them, a list where the card has one."""
    with np.errstate(all="ignore"):
        wants = expected(case, arrays)
    found = []
    for spec in case.form.signature.outputs:
        dtype = output_dtype(case, spec.name, arrays)
        found.append(_returned(spec, wants[spec.name].array, dtype))
    return found[0] if len(found) == 1 else tuple(found)


def _returned(spec: TensorSpec, exact: Array, dtype: str) -> Any:
    if dtype == "int":
        return int(exact)
    array = round_once(exact, numpy_dtype(dtype))
    return list(array) if spec.listed else array


def round_once(exact: Array, dtype: np.dtype[Any]) -> Array:
    """Return numbers in a dtype, each the nearest that it holds.

    From float64 ml_dtypes goes by way of float32, and two roundings to the nearest may end beside it. The first of them is
    therefore to odd, which keeps on which side of a tie a number lies (Boldo and Melquiond 2008).
    """
    with np.errstate(all="ignore"):
        if exact.dtype != np.float64 or dtype.isbuiltin == 1:
            return exact.astype(dtype)
        single = exact.astype(np.float32)
        away = np.abs(single) > np.abs(exact)
        single = np.where(away, np.nextafter(single, np.float32(0)), single)
        inexact = np.isfinite(exact) & (single != exact)
        odd = single.view(np.uint32) | np.uint32(1)
        return np.where(inexact, odd.view(np.float32), single).astype(dtype)
