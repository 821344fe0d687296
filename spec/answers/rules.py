"""Does a result equal what was expected: by bits, by value, or within a derived bound. Bytes are compared first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Expected:
    """One output that a call must give, and how exactly.

    ``bits``: the same bits, except that any NaN stands for any other. ``values``: the same numbers, where -0 is 0 and every
    NaN is NaN. ``bound``: within ``bound`` of the exact ``array`` (float64) element by element, where an
    infinite bound says that nothing is known.
    """

    array: Array
    how: str = "bits"
    bound: Array | None = None
    dtype: str = ""
    at: Array | None = None
    """The coordinates, a row each, of the elements in ``array``, where they are not the whole output."""
    shape: tuple[int, ...] = ()
    """The shape of the whole output, from which these elements are still to be taken; absent where they alone come."""

    @property
    def dtype_name(self) -> str:
        """The dtype that the result must have, ``int`` for a Python integer."""
        return self.dtype or self.array.dtype.name


@dataclass(frozen=True)
class Difference:
    """Where a result is not what was expected: ``problem`` in words, and the first differing position if there is one."""

    problem: str
    position: tuple[int, ...] | None = None
    count: int = 0


def difference(got: Array, expected: Expected) -> Difference | None:
    """Return how a result differs from what was expected, None where it does not."""
    want, shape = expected.array, expected.shape or expected.array.shape
    if got.shape != shape:
        return Difference(f"shape {list(got.shape)} instead of {list(shape)}")
    if expected.dtype_name not in (got.dtype.name, "int"):
        if not same_kind(got.dtype.name, expected.dtype_name):
            return Difference(f"dtype {got.dtype.name} instead of {expected.dtype_name}")
        got = in_dtype(got, expected.dtype_name)
    if expected.shape and expected.at is not None:
        got = got[tuple(expected.at.T)]
    if expected.how == "bound":
        wrong = _outside(got, want, expected.bound)
    elif got.tobytes() == want.tobytes():
        return None
    elif expected.how == "bits":
        wrong = (_bytes(got) != _bytes(want)).any(-1) & ~(is_nan(got) & is_nan(want))
    else:
        wrong = ~((got == want) | (is_nan(got) & is_nan(want)))
    if not wrong.any():
        return None
    position = tuple(int(i) for i in np.argwhere(wrong)[0])
    count = int(np.count_nonzero(wrong))
    what = "differ"
    if expected.how == "bits" and not (wrong & (got != want)).any():
        what = "are a zero of the other sign"
    return Difference(f"{count} of {wrong.size} elements {what}", position, count)


KINDS = ("iu", "fV", "c", "b")
"""The kinds of dtypes within which a value is the same number; those of ml_dtypes are of kind V."""


def same_kind(one: str, other: str) -> bool:
    """Whether two dtypes hold numbers of one kind, so that values can be compared whatever their width."""
    kinds = [numpy_dtype(name).kind for name in (one, other)]
    return any(all(k in group for k in kinds) for group in KINDS)


def in_dtype(array: Array, dtype: str) -> Array:
    """Return an array in another dtype of its kind; a number that this does not hold becomes another one."""
    target = numpy_dtype(dtype)
    with np.errstate(all="ignore"):
        found = array.astype(target)
        lost = (found.astype(array.dtype) != array) & ~is_nan(array)
    if target.kind in "iu" and lost.any():
        found = np.where(lost, np.iinfo(target).max, found).astype(target)
    return found


def _bytes(array: Array) -> Array:
    return np.asarray(np.ascontiguousarray(array)[..., None].view(np.uint8))


def is_nan(array: Array) -> Array:
    """Return where numbers of any dtype are NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(array != array)


def _outside(got: Array, want: Array, bound: Any) -> Array:
    wide = got.astype(np.complex128 if got.dtype.kind == "c" else np.float64)
    with np.errstate(all="ignore"):
        near = (np.abs(wide - want) <= bound) | np.isinf(bound)
    return np.asarray(~(near | (wide == want) | (is_nan(wide) & is_nan(want))))
