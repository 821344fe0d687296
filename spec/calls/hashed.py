"""Tensors too large to keep: a hash of the place of every element as input."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BLOCK = 2**20
"""How many elements are made together."""
WHOLE = 2**16
"""Up to how many elements a tensor is kept as it is."""


@functools.cache
def _pattern() -> Array:
    """Return the bytes that every block starts from."""
    return np.random.default_rng(0).integers(0, 256, BLOCK, np.uint8)


def _shift(block: Any) -> Any:
    """Return by how much the bytes of a block differ from those of the first."""
    return (block * 0x9E3779B1 >> 24) & 255


@dataclass(frozen=True)
class Hashed:
    """A row-major tensor that is computed where it is read; any wrong offset gives another value, but for one in 256.

    Integers are of 8 bits; real numbers are whole and below 9, so that short sums are exact, or ``fine``: 16ths below 9.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int = 0
    """The place of the first element."""
    fine: bool = False
    magnitude: bool = False
    """Signs are left out."""
    ramp: bool = False
    """The value is 1 + the place itself."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def __getitem__(self, index: Any) -> Any:
        """Return the elements at an array for each dimension, or at whole slices and one array; at an integer, a part."""
        if isinstance(index, int):
            each = math.prod(self.shape[1:])
            return Hashed(self.shape[1:], self.dtype, self.start + index * each, self.fine, self.magnitude, self.ramp)
        if len(index) == len(self.shape) and not any(isinstance(i, slice) for i in index):
            return self.at(np.ravel_multi_index(index, self.shape)) if index else self.at(np.zeros((), np.int64))
        axes = [i if isinstance(i, np.ndarray) else np.arange(n) for i, n in zip(index, self.shape, strict=False)]
        axes += [np.arange(n) for n in self.shape[len(axes) :]]
        flat: Any = 0
        for coordinate, n in zip(np.ix_(*axes), self.shape, strict=True):
            flat = flat * n + coordinate
        return self.at(flat)

    def at(self, places: Array) -> Array:
        """Return the elements at places of the tensor laid flat."""
        if self.ramp:
            return np.asarray(places + 1)
        flat = np.asarray(places + self.start, np.int64)
        return self.cast(_pattern()[flat % BLOCK] + _shift(flat // BLOCK).astype(np.uint8))

    def whole(self) -> Array:
        """Return the whole tensor, row-major."""
        found = np.empty(self.size, self.dtype)
        low = -(self.start % BLOCK)
        for begin in range(low, self.size, BLOCK):
            own = slice(max(begin, 0), min(begin + BLOCK, self.size))
            block = _pattern()[own.start - begin : own.stop - begin]
            found[own] = self.cast(block + np.uint8(_shift((begin + self.start) // BLOCK)))
        return found.reshape(self.shape)

    def cast(self, values: Array) -> Array:
        """Return random bytes as values of the dtype."""
        if self.dtype == np.uint8:
            return values
        if self.dtype.kind == "b":
            return (values & 1).astype(bool)
        signed: Array = values.view(np.int8)
        if self.dtype.kind not in "iu":
            signed = signed / np.float32(16) if self.fine else (values & 15).astype(np.int8) - np.int8(8)
        return np.asarray(np.abs(signed.astype(np.int64)) if self.magnitude else signed).astype(self.dtype, copy=False)


def queues(index: Array) -> Array:
    """Return for each id how many equal ones come before it, -1 for a negative one; for odd ids how many come after it.

    So early and late tokens are among those that a slot is left for.
    """
    flat = index.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ids, counts = np.unique(flat, return_counts=True)
    number = np.repeat(np.arange(len(ids)), counts)
    before = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.where(ids[number] % 2 == 1, counts[number] - 1 - before, before)
    found = np.empty(len(flat), np.int64)
    found[order] = np.where(ids[number] < 0, -1, place)
    return found.reshape(index.shape)
