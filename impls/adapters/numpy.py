"""The adapter of NumPy: arrays in and out, devices, layouts, transforms; no op."""

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.dtypes import ALL

framework = "numpy"
dtypes = ALL
known_devices = ("cpu",)

Array = np.ndarray[Any, Any]


def devices() -> list[str]:
    """Return every device that is usable here."""
    return ["cpu"]


def asarray(x: Array, device: str) -> Array:
    """Return the array itself: NumPy has one device."""
    return x


def to_numpy(x: Array) -> Array:
    """Return the array itself."""
    return x


def is_array(x: object) -> bool:
    """Whether an op returned one of this framework's arrays."""
    return isinstance(x, np.ndarray | np.generic)


def device_of(x: Array) -> str:
    """Return the device that an array is on."""
    return "cpu"


def layouts(x: Array) -> dict[str, Array]:
    """Return the same values in other memory: what an op must not depend on."""
    reverse, order = tuple(range(x.ndim))[::-1], _rotated(x.ndim)
    wide = np.repeat(x, 2, axis=-1) if x.ndim else x
    pitched = np.concatenate([x, x[..., :1]], axis=-1) if x.ndim else x
    padded = np.empty(x.size + 3, x.dtype)
    padded[3:] = x.reshape(-1)
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "transposed": x.transpose(reverse).copy().transpose(reverse),
        "permuted": x.transpose(order).copy().transpose(np.argsort(order).tolist()),
        "channels_last": np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if x.ndim > 2 else x,
        "strided": wide[..., ::2] if x.ndim else x,
        "padded": pitched[..., : x.shape[-1]] if x.ndim else x,
        "reversed": np.ascontiguousarray(x[::-1])[::-1] if x.ndim else x,
        "offset": padded[3:].reshape(x.shape),
        "read_only": frozen,
    }


def _rotated(rank: int) -> tuple[int, ...]:
    """Return the order of axes in which the last comes first: neither row-major nor column-major."""
    return (*range(1, rank), 0) if rank else ()


def expanded(x: Array, axis: int, size: int) -> Array:
    """Return the first slice along an axis, repeated without memory of its own (stride 0)."""
    first = x[(slice(None),) * axis + (slice(0, 1),)]
    return np.broadcast_to(first, (*x.shape[:axis], size, *x.shape[axis + 1 :]))
