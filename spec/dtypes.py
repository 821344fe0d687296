"""Names of dtypes, the groups that a card may restrict an input to, and the NumPy dtype of each name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64", "float16", "bfloat16")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
COMPLEX = ("complex64", "complex128")
ALL = (*FLOATS, *INTEGERS, "bool", *COMPLEX, *FLOAT8)
"""Every dtype that the suite knows, the one that everything must support first."""

WIDE = "at least float32 as "
"""Before the name of an input: float32, or the dtype of the input where that is wider."""

GROUPS = {
    "any": frozenset(ALL),
    "ordered": frozenset(ALL) - frozenset(COMPLEX),
    "number": frozenset((*FLOATS, *INTEGERS, *COMPLEX)),
    "inexact": frozenset((*FLOATS, *COMPLEX)),
    "float": frozenset(FLOATS),
    "index": frozenset(INTEGERS) - {"uint64"},
    "bool": frozenset(("bool",)),
}
"""``ordered``: has a maximum; ``number``: can be summed; ``inexact``: has a mean; ``index``: counts or points to something."""


USUAL = {"index": "int32", "bool": "bool"}
"""The dtype that everything must take, by group, where it is not float32."""


@functools.cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a name, from ml_dtypes where NumPy has none."""
    import ml_dtypes  # here, because cards are read without NumPy
    import numpy as np

    return np.dtype(getattr(ml_dtypes, name)) if name == "bfloat16" or name in FLOAT8 else np.dtype(name)


@functools.cache
def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of NumPy, PyTorch or JAX."""
    import numpy as np

    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).removeprefix("torch.")


def finfo(dtype: np.dtype[Any]) -> Any:
    """Return the limits of a floating dtype, those of ml_dtypes among them."""
    import ml_dtypes

    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]  # ml_dtypes has no types here
