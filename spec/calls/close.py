"""Selections among many candidates that are nearly equal: where kernels look at some bits first, or at a few of each block."""

from __future__ import annotations

import functools
import zlib
from typing import Any, Literal, get_args

import numpy as np

from einspec.calls.covering import full_spaces
from einspec.calls.inputs import filled
from einspec.calls.space import Case, Space, usual_values
from einspec.card import Form, Op
from einspec.language.formula import Bracket, Reduce, walk

Array = np.ndarray[Any, Any]
Closeness = Literal["rising", "falling", "block", "seam", "bucket", "neighbours"]
"""Each a little greater than the one before, or less; the greatest next to each other in one block of 64; about a multiple of
256; beside a power of two, at which radix buckets end; consecutive floating-point numbers in some order."""
CLOSENESS: tuple[Closeness, ...] = get_args(Closeness)
SIZES = ((4097, 1), (1025, 8), (300, 64), (513, 130))
"""How many candidates there are, and how many of them are chosen."""
STEP = 1e-5
"""How far candidates that rise are apart: more than rounding in float32, less than it in float16."""
MOST_WORK = 70_000
"""How many elements a call has at most."""
BLOCK, SEAM = 64, 256


@functools.lru_cache(maxsize=256)
def close(op: Op) -> tuple[tuple[Case, str, Closeness], ...]:
    """Return calls of every form that selects, with the axis of candidates and how close these are.

    Of a form that is not the first, some at one size.
    """
    found = []
    for number, space in enumerate(full_spaces(op)):
        axis = candidates_axis(space.form)
        masked = any(mask or compares(space.form, source) for source, mask in space.form.selects.values())
        for i, closeness in enumerate(CLOSENESS) if axis else ():
            few = SIZES[2:3] if i % 3 == number % 3 else ()
            for size in few if number else SIZES[1:] if masked else SIZES:
                case = _sized(space, axis, *size)
                if case is not None:
                    found.append((case, axis, closeness))
    return tuple(sorted(found, key=lambda each: each[0].elements))


def candidates_axis(form: Form) -> str:
    """Return the axis of the leading input of which a form selects some coordinates, ``""`` where it selects nothing."""
    name = next(iter(form.selects), "")
    tensors = {s.name: s for s in (*form.signature.inputs, *form.signature.outputs)}
    if name not in tensors or form.lead not in tensors:
        return ""
    own = {a for names in tensors[name].axes({}) for a in names}
    return next((names[0] for names in tensors[form.lead].axes({}) if not set(names) & own), "")


def compares(form: Form, source: str) -> bool:
    """Whether candidates are compared with each other already to make what is selected from: all with all, as it is defined."""
    ends = next((i for i, e in enumerate(form.equations) if e.tensor == source), -1)
    sums = (n for e in form.equations[: ends + 1] for n in walk(e.body) if isinstance(n, Reduce))
    return any(isinstance(n, Bracket) for each in sums for n in walk(each.body))


def _sized(space: Space, axis: str, candidates: int, chosen: int) -> Case | None:
    """Return a call of two rows with so many candidates, of which so many are chosen; None where there is none."""
    name = next(iter(space.form.selects))
    last = next(s for s in space.form.signature.outputs if s.name == name).axes({})[-1][0]
    asked: dict[tuple[str, ...], int] = {(last,): chosen, (axis,): candidates}
    values = [asked.get(names, value) for names, value in zip(space.variables, usual_values(space), strict=True)]
    case = space.case(values, 0)
    return case if case is not None and case.work <= MOST_WORK else None


def close_inputs(case: Case, axis: str, closeness: Closeness) -> dict[str, Array]:
    """Return the inputs of a call whose candidates are close to each other, all different; nothing else decides."""
    seed = zlib.crc32(f"{case}{closeness}".encode())
    found, lead = filled(case, "float32", "gauss", seed), case.form.lead
    for name, array in found.items():
        if name in case.form.data and name != lead:
            found[name] = np.zeros_like(array)
        elif array.dtype.kind == "b" or case.form.group(name) == "bool":
            found[name] = np.ones_like(array)
    spec = next(s for s in case.form.signature.inputs if s.name == lead)
    place = spec.axes(case.solution.ranks).index((axis,))
    rows = np.moveaxis(found[lead], place, -1)
    rng = np.random.default_rng(seed)
    for row in rows.reshape(-1, rows.shape[-1]) if rows.flags.c_contiguous else [rows[i] for i in np.ndindex(rows.shape[:-1])]:
        row[...] = values(closeness, len(row), rng)
    return found


def values(closeness: Closeness, count: int, rng: np.random.Generator) -> Array:
    """Return so many different numbers that are close to each other."""
    place = np.arange(count)
    low = -1 - rng.permutation(count) * STEP
    match closeness:
        case "rising":
            return np.asarray(1 + place * STEP, np.float32)
        case "falling":
            return np.asarray(1 - place * STEP, np.float32)
        case "block":
            start = rng.integers(0, max(1, count // BLOCK)) * BLOCK
            own = (place >= start) & (place < start + BLOCK)
        case "seam":
            start = rng.integers(1, max(2, count // SEAM + 1)) * SEAM
            own = np.abs(place - start + 0.5) < BLOCK / 2
        case "bucket":
            bits = np.array(2.0, np.float32).view(np.int32) + (rng.permutation(count) - count // 2)
            return np.asarray(bits.astype(np.int32).view(np.float32))
        case "neighbours":
            bits = np.array(1.25, np.float32).view(np.int32) + rng.permutation(count)
            return np.asarray(bits.astype(np.int32).view(np.float32))
    return np.asarray(np.where(own, 1 + rng.permutation(count) * STEP, low), np.float32)
