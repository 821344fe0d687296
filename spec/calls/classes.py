"""Classes of sizes: the ranges of the longest axis of a call between which kernels, and the integers in them, change."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from einspec.calls.blocks import ALONE, MOST_TENSORS, blocks, combinations, first_legal, tensors
from einspec.calls.covering import full_spaces
from einspec.calls.inputs import filled
from einspec.calls.routes import routes
from einspec.calls.space import Case
from einspec.card import Op
from einspec.language.linear import EXACT, OpClass

Array = np.ndarray[Any, Any]
CLASSES = {
    "empty": 0,
    "1 to 8": 1,
    "9 to 64": 9,
    "65 to 1,024": 65,
    "1,025 to 2^16": 1025,
    "past 2^16": 2**16 + 1,
}
"""The classes of sizes, by the least length of the longest axis in each: below a tile, a warp or two, a block of threads, what
16 bits hold."""
LONG, MOST_LONG, MOST_PAIRS = 65_539, 140_000, 200_000
"""How long the axis of a call of the last class is, a prime; how many elements such a call has at most, and at how many
combinations of coordinates any of these is evaluated: there is one for each dtype."""


def size_class(case: Case) -> str:
    """Return the class of sizes of a call."""
    tensors = [*case.shapes, *map(case.solution.shape, case.form.signature.outputs)]
    if any(0 in shape for shape in tensors):
        return "empty"
    longest = max((max(shape, default=1) for shape in tensors), default=1)
    return next(name for name, least in reversed(CLASSES.items()) if longest >= least)


def of_each_class(op: Op, turn: int) -> list[Case]:
    """Return a call of the first form of each class of sizes that the small scope does not have, others for each turn.

    One dtype, or one layout, is asked at one call of a class, the next at another one, so that no axis is left to one of them.
    """
    return [cases[turn % len(cases)] for cases in _classes(op).values()]


def sized_inputs(case: Case, dtype: str, turn: int, subnormals: bool = True) -> dict[str, Array]:
    """Return the inputs of such a call: all that a dtype holds where elements are moved, else numbers that round little.

    In 16 bits ordinary numbers, so that a sum shows that is kept in them.
    """
    rounds = case.form.kind is OpClass.NONLINEAR or dtype in ("float16", "bfloat16")
    kind = "bits" if case.form.kind in EXACT else "gauss" if rounds else "small"
    return filled(case, dtype, kind, turn, subnormals, known=routes(case, "mixed", turn))


@functools.lru_cache(maxsize=256)
def _classes(op: Op) -> dict[str, tuple[Case, ...]]:
    """Return calls of the first form by their class, of the last one those with an axis behind 16 bits and nothing beside."""
    form = next(iter(op.forms.values()))
    found: dict[str, list[Case]] = {}
    for case in blocks(op):
        if case.form is form and combinations(case) <= MOST_PAIRS and tensors(case) <= MOST_TENSORS:
            found.setdefault(size_class(case), []).append(case)
    for space in full_spaces(op)[:1] if not form.values else ():  # right code may hold an element for each token and expert
        for axis in space.axes:
            long = first_legal(space, {axis: LONG}, 0, ALONE, math.inf, MOST_LONG, MOST_PAIRS)
            if long is not None and tensors(long) <= MOST_TENSORS:
                found.setdefault(size_class(long), []).append(long)
    return {name: tuple(found[name]) for name in CLASSES if name in found and CLASSES[name] > CLASSES["1 to 8"]}
