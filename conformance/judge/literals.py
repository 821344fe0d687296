"""Arrays as Python that rebuilds them, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.answers.rules import Expected
from einspec.calls.hashed import Hashed
from einspec.dtypes import COMPLEX, FLOAT8

Array = np.ndarray[Any, Any]
LITERAL_LIMIT = 128
"""Above this number of elements an array is described, not written out."""
NARROW = ("bfloat16", *FLOAT8)
"""Dtypes that NumPy has from ml_dtypes."""


def literal(array: Array | Hashed) -> str:
    """Return an array as Python that rebuilds it, or as a description where it is large."""
    name = array.dtype.name
    if short := _short(array):
        return short
    if array.size > LITERAL_LIMIT or isinstance(array, Hashed):
        return f"a tensor of shape {list(array.shape)}, dtype {name}"
    if name in COMPLEX or name == "bool" or array.dtype.kind in "iu":
        return f"np.array({array.tolist()!r}, dtype={dtype_text(name)})"
    wide = array.astype(np.float64)
    if np.isfinite(wide).all():
        return f"np.array({wide.tolist()!r}, dtype={dtype_text(name)})"
    if _usual_nan(array):
        values = repr(wide.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
        return f"np.array({values}, dtype={dtype_text(name)})"
    carrier = np.dtype(f"u{array.dtype.itemsize}")
    bits = np.ascontiguousarray(array).reshape(-1).view(carrier).tolist()
    made = f"np.array({bits}, np.{carrier.name}).view({dtype_text(name)}).reshape({array.shape})"
    return f"{made}  # {array.tolist()}"


def can_be_written(array: Array | Hashed) -> bool:
    """Whether :func:`literal` gives Python for an array, not a description."""
    return not isinstance(array, Hashed) and bool(array.size <= LITERAL_LIMIT or _short(array))


def _short(array: Array | Hashed) -> str:
    """Return a ramp, or zeros that are many, as an expression; nothing for other arrays."""
    name, long = dtype_text(array.dtype.name), array.size > LITERAL_LIMIT
    if isinstance(array, Hashed):
        return ""
    if array.size == 0 or (long and not any(array.tobytes())):
        return f"np.zeros({array.shape}, dtype={name})"
    ramp = np.arange(1, array.size + 1).reshape(array.shape)
    if (array.ndim > 1 or long) and name != "bool" and np.array_equal(array, ramp.astype(array.dtype)):
        return f"np.arange(1, {array.size + 1}).reshape({array.shape}).astype({name})"
    return ""


def _usual_nan(array: Array) -> bool:
    """Whether every NaN of an array has the bits that ``np.nan`` has in its dtype."""
    usual = np.array(np.nan).astype(array.dtype).tobytes()
    found = array[array != array]
    return bool(found.tobytes() == usual * found.size)


def dtype_text(name: str) -> str:
    """Return a dtype as a script writes it."""
    if name in NARROW:
        return f"ml_dtypes.{name}"
    return f"np.{name}" if name != "bool" else "bool"


def bits_text(value: Any) -> str:
    """Return the bits of a number."""
    return "0x" + np.asarray(value).tobytes()[::-1].hex()


def expected_text(expected: Expected) -> str:
    """Return an expected output as a literal, in the words that fit how exactly it must be met."""
    text = literal(np.asarray(expected.array))
    return text if expected.how != "bound" else f"{text}, to be met within rounding ({expected.dtype_name})"
