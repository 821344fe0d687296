"""The memory of arrays: in which layout one is, and what is read where strides are ignored."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def in_memory(array: Array) -> Array:
    """Return an array with its elements as they are in memory from its lowest address on, again from there at its end."""
    upright = array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in array.strides)]
    low, high = np.lib.array_utils.byte_bounds(array)
    span = (high - low) // array.itemsize
    memory = np.lib.stride_tricks.as_strided(upright, (span,), (array.itemsize,))
    return memory[np.arange(array.size) % span].reshape(array.shape)


def has_layout(array: Array, layout: str) -> bool:
    """Whether an array is in a memory layout, of those that judges ask for."""
    strides, size = array.strides, array.itemsize
    if array.ndim == 0 or array.size < 2:
        return False
    match layout:
        case "transposed":
            return array.flags.f_contiguous and not array.flags.c_contiguous
        case "permuted":
            return array.ndim > 2 and _in_order(np.moveaxis(array, 0, -1)) and not array.flags.c_contiguous
        case "channels_last":
            return array.ndim > 2 and _in_order(np.moveaxis(array, 1, -1)) and not array.flags.c_contiguous
        case "strided":
            return abs(strides[-1]) > size and strides[-1] == min(abs(s) for s in strides)
        case "padded":
            return array.ndim > 1 and strides[-1] == size and strides[-2] == size * (array.shape[-1] + 1)
        case "reversed":
            return any(s < 0 for s in strides)
        case "offset":
            return array.flags.c_contiguous and array.ctypes.data % 16 != 0
        case "read_only":
            return not array.flags.writeable
        case "expanded":
            return any(s == 0 and n > 1 for s, n in zip(strides, array.shape, strict=True))
    raise AssertionError(layout)


def _in_order(array: Array) -> bool:
    return bool(array.flags.c_contiguous)
