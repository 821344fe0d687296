"""NumPy: what ranks send to each other, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, n rows of a block

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.checked import op

__all__ = ["all_to_all"]

Array = np.ndarray[Any, Any]


@op
def all_to_all(x: Array) -> Array:
    """Compute all_to_all (see its card)."""
    p, rows, *rest = x.shape
    return x.reshape(p, p, rows // p, *rest).swapaxes(0, 1).reshape(x.shape)
