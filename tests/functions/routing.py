"""A backend of a few wrong selections and positions, and of the right ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.impls.adapters.numpy import asarray, device_of, devices, dtypes, framework, is_array, to_numpy
from einspec.impls.numpy import position, top_k

__all__ = ["asarray", "device_of", "devices", "dtypes", "framework", "is_array", "position", "to_numpy", "top_k"]
Array = np.ndarray[Any, Any]


def last_of_equals(x: Array, *, k: int) -> tuple[Array, Array]:
    """Choose the last of equal values first."""
    values, index = top_k(np.ascontiguousarray(x[:, ::-1]), k=k)
    return values, (x.shape[1] - 1 - index).astype(np.int32)


def nan_last(x: Array, *, k: int) -> tuple[Array, Array]:
    """Choose NaN after everything else."""
    index = np.argsort(-x, axis=1, kind="stable")[:, :k].astype(np.int32)
    return np.take_along_axis(x, index, 1), index


def far_ids_lost(x: Array, *, k: int) -> tuple[Array, Array]:
    """Return positions through 16 bits."""
    values, index = top_k(x, k=k)
    return values, index.astype(np.uint16).astype(np.int32)


def other_values(x: Array, *, k: int) -> tuple[Array, Array]:
    """Return the values of others than are chosen."""
    values, index = last_of_equals(x, k=k)
    return values[:, ::-1], index


def later_routes_first(index: Array, *, experts: int, order: str = "token") -> Array:
    """Count the equal routes that come after, not before."""
    flipped = position(np.ascontiguousarray(index[::-1, ::-1]), experts=experts, order=order)
    return np.ascontiguousarray(flipped[::-1, ::-1])


def short_queue(index: Array, *args: Array, **params: Any) -> Array:
    """Count in 16 bits."""
    return position(index, *args, **params).astype(np.int16).astype(np.int32)
