"""A call as a caller makes it: arrays of any framework, checked by the card."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from einspec.arguments import check_arguments
from einspec.calls.space import Case
from einspec.card import Op
from einspec.dtypes import dtype_name, numpy_dtype
from einspec.lists import stacked_shape

Array = np.ndarray[Any, Any]
CARRIERS = {1: ("uint8", np.uint8), 2: ("int16", np.int16)}
"""Integers, by width, that carry the bits of a dtype of PyTorch which NumPy has not."""


Given = Array | list[Array]
"""An input, or the tensors of a listed one."""


def given_call(
    op: Op,
    inputs: Sequence[Any],
    params: Mapping[str, Any],
) -> tuple[Case, dict[str, Array]]:
    """Return a call and its inputs by name, listed ones stacked.

    Raises:
        CallError: the card does not allow it; the message says what to mend.
    """
    listed = takes_list(op)
    arrays = [list(map(array_of, given)) if listed else array_of(given) for given in inputs]
    dtypes = [part.dtype for a in arrays for part in (a if isinstance(a, list) else [a])]
    shapes = [_shape(op, a) for a in arrays]
    solution = check_arguments(op, shapes, dtypes, params)
    names = [s.name for s in solution.form.signature.inputs]
    whole = {n: _stack(a, s) for n, a, s in zip(names, arrays, shapes, strict=True)}
    return Case(op, dict(params), tuple(shapes), solution), whole


def takes_list(op: Op) -> bool:
    """Whether an op takes a list of tensors."""
    return any(spec.listed for form in op.forms.values() for spec in form.signature.inputs)


def array_of(value: Any) -> Array:
    """Return the NumPy array of what a caller gives; a tensor of PyTorch by its bits where NumPy has not its dtype."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    tensor = value.detach().cpu().resolve_conj().resolve_neg()
    dtype = numpy_dtype(dtype_name(tensor.dtype))
    if dtype.isbuiltin == 1:
        return np.asarray(tensor.numpy())
    name, carrier = CARRIERS[dtype.itemsize]
    bits = tensor.contiguous().view(getattr(sys.modules["torch"], name)).numpy()
    return np.asarray(bits.view(carrier).view(dtype))


def _shape(op: Op, array: Given) -> tuple[int, ...]:
    if isinstance(array, list):
        return stacked_shape(op, [part.shape for part in array])
    return tuple(array.shape)


def _stack(array: Given, shape: tuple[int, ...]) -> Array:
    if not isinstance(array, list):
        return array
    return np.stack(array) if array else np.zeros(shape, np.float32)
