"""Inputs of independent calls as functions that are mapped by ``vmap`` take them: along any axis, or the same for all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from einspec.conformance.protocol import Mapped, Way

Array = np.ndarray[Any, Any]


def levels_of(way: Way, inputs: int) -> tuple[Mapped, ...]:
    """Return the maps of a way, the outermost first: those that it names, or one over the first axes."""
    return way.maps or (Mapped((0,) * inputs),)


def place(rows: Array, axes: Sequence[int | None], listed: bool) -> Array:
    """Return an input of independent calls with its axes where maps take them from.

    Args:
        rows: the input of every call, behind one axis a map that there is an axis for, the outermost first.
        axes: for every map, the outermost first, the axis that it takes away; None where it takes none.
        listed: whether a call takes a list, of whose tensors each has the axes.
    """
    taken = [a for a in axes if a is not None]
    count = len(taken)
    if listed:
        rows = np.moveaxis(rows, count, 0)
    for outer, axis in reversed(list(enumerate(taken))):
        start = outer + listed
        rows = np.moveaxis(rows, start, start + axis)
    return rows


def unplace(array: Array, axes: Sequence[int | None], listed: bool) -> Array:
    """Return an input as :func:`place` was given it."""
    taken = [a for a in axes if a is not None]
    for outer, axis in enumerate(taken):
        start = outer + listed
        array = np.moveaxis(array, start + axis, start)
    return np.moveaxis(array, 0, len(taken)) if listed else array


def own_shape(shape: tuple[int, ...], axes: Sequence[int | None], listed: bool) -> tuple[int, ...]:
    """Return the shape of one call's input, given that of all."""
    left = list(shape)
    for axis in axes:
        if axis is not None:
            left.pop(axis + listed)
    return tuple(left)


def rows_of(arrays: Sequence[Array], maps: Sequence[Mapped], listed: Sequence[bool]) -> Iterator[list[Array]]:
    """Yield the inputs of every call, in the order of the axes of the results."""
    flat, mapped = [], []
    sizes = [1] * len(maps)
    for i, array in enumerate(arrays):
        axes = [m.axes[i] for m in maps]
        taken = [level for level, axis in enumerate(axes) if axis is not None]
        rows = unplace(array, axes, listed[i])
        for level, size in zip(taken, rows.shape, strict=False):
            sizes[level] = size
        flat.append(rows)
        mapped.append(taken)
    for at in itertools.product(*map(range, sizes)):
        yield [rows[tuple(at[level] for level in taken)] for rows, taken in zip(flat, mapped, strict=True)]
