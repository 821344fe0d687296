"""A tensor in the plane: nested rulers show which axis is slowest, and blocks stand in the order of memory."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from einspec.pages.picture.scene import Tensor
from einspec.solve import rest_axis

CELL, RULER, LETTER = 26.0, 17.0, 15.0
"""The height of a cell, the width of a ruler, and the room for the letter at its end."""
GAP, INSIDE, BETWEEN = 2.0, 4.0, 12.0
"""The gap between two cells; what a faster axis of the same dimension adds, and what another dimension adds."""
DIGIT = 7.4
"""The width of a character of a cell."""
WIDEST = 430.0
"""A tensor that is wider is laid out otherwise, if it can be."""
SHAPE = 1.25
"""The width of a picture in its heights that reads best."""


class Level(NamedTuple):
    """An axis of a ruler, and the dimension that it belongs to."""

    axis: str
    dim: int


class Run(NamedTuple):
    """The cells of one coordinate of an axis, side by side."""

    coordinate: int
    start: float
    end: float


@dataclass(frozen=True)
class Line:
    """What stands along one direction: the place of each combination of coordinates, and the runs of each axis."""

    levels: tuple[Level, ...]
    places: dict[tuple[int, ...], float]
    runs: tuple[tuple[Run, ...], ...]
    length: float

    @property
    def ruled(self) -> float:
        """The room that its rulers take on the other side."""
        return RULER * len(self.levels) + (4 if self.levels else 0)


@dataclass(frozen=True)
class Grid:
    """Where the cells of a tensor are."""

    tensor: Tensor
    across: Line
    down: Line
    cell: float
    """The width of a cell."""
    texts: dict[tuple[int, ...], str]
    cells: dict[tuple[int, ...], tuple[float, float]]
    """The left upper corner of every cell."""
    frames: tuple[tuple[float, float, float, float], ...]
    """Around what one coordinate of the leading dimensions holds: left, top, width, height."""

    @property
    def width(self) -> float:
        """The width with rulers."""
        return self.down.ruled + self.across.length + (LETTER if self.across.levels else 0)

    @property
    def height(self) -> float:
        """The height with rulers."""
        return self.across.ruled + self.down.length + (LETTER if self.down.levels else 0)


def grid(tensor: Tensor, size: Callable[[str], int], shown: Callable[[object], str], upright: bool = False) -> Grid:
    """Lay a tensor out: the last dimension to the right, the one before downwards, the leading ones where there is room.

    Args:
        tensor: the tensor.
        size: the size of an axis.
        shown: how a value is written.
        upright: whether the leading dimensions all go down.
    """
    texts = {at: shown(tensor.values[at]) for _, at in tensor.places}
    cell = max(CELL, DIGIT * max(map(len, texts.values()), default=1) + 10)
    last = len(tensor.dims) - 1
    levels = [[Level(a, d) for a in axes if size(a) > 1] for d, axes in enumerate(tensor.dims)]
    leading = [level for own in levels[: max(last - 1, 0)] for level in own]
    right = levels[last] if levels else []
    below = levels[last - 1] if last > 0 else []
    cuts = [len(leading)] if upright else range(len(leading) + 1)
    choices = [(leading[:cut] + below, leading[cut:] + right) for cut in cuts]
    if last == 0 and tensor.shape[0] * (cell + 3) > WIDEST:
        choices = [(right, [])]
    lines = [(_line(down, size, CELL), _line(across, size, cell)) for down, across in choices]
    down, across = min(lines, key=lambda pair: _clumsy(*pair))
    strides = _strides(tensor, size)
    cells = {at: _corner(at, strides, size, across, down) for at in texts}
    return Grid(tensor, across, down, cell, texts, cells, _frames(across, down, last))


def _clumsy(down: Line, across: Line) -> float:
    """Return how far a layout is from a shape that reads well."""
    width, height = across.length + down.ruled, down.length + across.ruled
    return abs(math.log(width / height / SHAPE)) + (4 if width > WIDEST else 0)


def _line(levels: Sequence[Level], size: Callable[[str], int], cell: float) -> Line:
    """Return where cells stand along one direction: gaps say where another axis goes on."""
    places: dict[tuple[int, ...], float] = {}
    runs: list[list[Run]] = [[] for _ in levels]
    at, before = 0.0, None
    for coordinates in itertools.product(*(range(size(level.axis)) for level in levels)):
        if before is not None:
            at += _gap(levels, next(i for i, (a, b) in enumerate(zip(before, coordinates, strict=True)) if a != b))
        places[coordinates] = at
        for i, coordinate in enumerate(coordinates):
            if before is None or before[: i + 1] != coordinates[: i + 1]:
                runs[i].append(Run(coordinate, at, at + cell))
            else:
                runs[i][-1] = runs[i][-1]._replace(end=at + cell)
        at, before = at + cell, coordinates
    return Line(tuple(levels), places, tuple(map(tuple, runs)), at)


def _gap(levels: Sequence[Level], changed: int) -> float:
    """Return the gap before a cell at which the coordinate of this level is the slowest that changes."""
    if changed == len(levels) - 1:
        return GAP
    own = levels[changed].dim
    faster = sum(level.dim == own for level in levels[changed + 1 :])
    return GAP + INSIDE * min(faster, 3) + (BETWEEN if own != levels[-1].dim else 0)


def _strides(tensor: Tensor, size: Callable[[str], int]) -> dict[Level, int]:
    """Return how far apart neighbours along an axis are in its dimension."""
    found = {}
    for dim, axes in enumerate(tensor.dims):
        stride = 1
        for axis in reversed(axes):
            found[Level(axis, dim)] = stride
            stride *= size(axis)
    return found


def _corner(
    at: tuple[int, ...], strides: Mapping[Level, int], size: Callable[[str], int], across: Line, down: Line
) -> tuple[float, float]:
    def along(line: Line) -> float:
        return line.places[tuple(at[level.dim] // strides[level] % size(level.axis) for level in line.levels)]

    return down.ruled + along(across), across.ruled + along(down)


def _frames(across: Line, down: Line, last: int) -> tuple[tuple[float, float, float, float], ...]:
    leading = [[i for i, level in enumerate(line.levels) if level.dim < last - 1] for line in (across, down)]
    if not any(leading):
        return ()
    runs = [
        line.runs[own[-1]] if own else (Run(0, 0.0, line.length),) for line, own in zip((across, down), leading, strict=True)
    ]
    left, top = down.ruled, across.ruled
    return tuple(
        (left + x.start - 3, top + y.start - 3, x.end - x.start + 6, y.end - y.start + 6) for y in runs[1] for x in runs[0]
    )


@functools.cache
def letter(axis: str) -> str:
    """Return what a ruler calls an axis: one that a rest stands for has the name of the rest and its number."""
    rest, _, number = axis.rpartition(".")
    if not rest:
        return axis
    assert rest_axis(rest, int(number)) == axis
    return f"{'…' if rest == '...' else rest}{number.translate(SUBSCRIPTS)}"


SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
