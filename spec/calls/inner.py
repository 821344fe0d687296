"""Calls on which it shows in how many bits an op computes on the way: long sums, and choices that a rounded product turns."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from einspec.calls.cases import coordinates
from einspec.calls.covering import full_spaces
from einspec.calls.inputs import filled
from einspec.calls.routes import routes
from einspec.calls.space import Case, Space, make_case, usual_values
from einspec.card import KEPT_IN, Form, Op
from einspec.language.formula import Read, Reduce, axes_of, base, walk
from einspec.language.linear import OpClass

Array = np.ndarray[Any, Any]
TERMS = 640
"""How many terms a long sum has: one in bfloat16 stands still after 256 of one size."""
TOKENS, BESIDE = 16, 8
"""The sizes of the first axis of a call in which products are close, and of the others that no parameter gives."""
SMALL, NEAR = 2.0**-8, 2.0**-2
"""What the leading input of a long sum is multiplied by, and what the factors of close products are."""
MOST_WORK = 70_000
"""How many elements a call has at most."""


@functools.lru_cache(maxsize=256)
def long_sums(op: Op) -> tuple[Case, ...]:
    """Return calls of forms that round on the way in which one sum is long and every other axis has one coordinate.

    What is rounded on the way hides a sum of few terms that is made in 16 bits, and shows one of many.
    """
    found: list[Case] = []
    for space in full_spaces(op) if op.card.stores else ():
        summed = _summed(space.form)
        for i in space.axes if space.form.kind is OpClass.NONLINEAR else ():
            if summed & set(space.variables[i]):
                case = _sized(space, [TERMS if j == i else 1 for j in range(len(space.variables))])
                found += [case] if case is not None else []
    return tuple(sorted(found, key=lambda c: (c.elements, str(c))))


def _summed(form: Form) -> set[str]:
    """Return the axes of sums that add up as many terms as there are coordinates: no comparison takes some of them."""
    bodies = [e.body for e in form.equations]
    sums = (n for body in bodies for n in walk(body) if isinstance(n, Reduce) and n.kind == "sum")
    return {base(a) for each in sums for a in each.axes} - {base(a) for body in bodies for a in coordinates(body)}


def _sized(space: Space, sizes: Sequence[int]) -> Case | None:
    """Return a call with these sizes of axes and the usual numbers; None where there is none, or it is too much work."""
    values = usual_values(space)
    for i in space.axes:
        values[i] = max(sizes[i], space.least[i])
    case = space.case(values, 0)
    return case if case is not None and case.work <= MOST_WORK else None


def level(case: Case, dtype: str) -> dict[str, Array]:
    """Return the inputs of a call with a long sum: terms of about one size; all routes are legal."""
    seed = zlib.crc32(str(case).encode())
    found = filled(case, dtype, "level", seed, known=routes(case, "balanced", seed))
    return {k: v * v.dtype.type(SMALL) if k == case.form.lead else v for k, v in found.items()}


def keeping(case: Case) -> Iterator[Case]:
    """Yield the call in which a parameter keeps tensors on the way in at least float32, for each that can."""
    for name, param in case.op.card.params.items():
        other = make_case(case.op, {**case.params, name: KEPT_IN}, case.shapes) if param.keeps else None
        if other is not None:
            yield other


@functools.lru_cache(maxsize=256)
def twins(op: Op) -> tuple[tuple[Case, str], ...]:
    """Return calls of every form that keep a tensor on the way in at least float32, with the name of the first such tensor."""
    found = []
    for space in full_spaces(op):
        for name, param in op.card.params.items():
            kept = next((e for e in space.form.equations if param.keeps and e.tensor == param.keeps.split()[0]), None)
            case = _crowd(space, name) if kept is not None else None
            if case is not None and kept is not None:
                found.append((case, kept.tensor))
    return tuple(found)


def _crowd(space: Space, name: str) -> Case | None:
    """Return a call with many tokens, of which one parameter keeps what is on the way; one choice a token."""
    told = {t for param in space.op.card.params.values() for t in param.targets("") if param.size}
    first = space.form.signature.inputs[0].axes(space.ranks)[0][0]
    sizes = [TOKENS if first in names else 1 if told & set(names) else BESIDE for names in space.variables]
    plain = _sized(space, sizes)
    return make_case(plain.op, {**plain.params, name: KEPT_IN}, plain.shapes) if plain is not None else None


def twin_inputs(case: Case, tensor: str, dtype: str, seed: int) -> dict[str, Array]:
    """Return inputs of a call in which a tensor on the way holds pairs of nearly equal numbers along each of its axes.

    Every other line of what it is made of is the one before it but for one number, which is the next one of the dtype. What is
    added to it afterwards is zero.
    """
    found = filled(case, dtype, "gauss", seed)
    equation = case.form.equation(tensor)
    own = {base(a) for a in axes_of(equation.index)}
    made_of = {n.tensor for n in walk(equation.body) if isinstance(n, Read)}
    for spec in case.form.signature.inputs:
        axes = spec.axes(case.solution.ranks)
        if spec.name in made_of:
            found[spec.name] *= found[spec.name].dtype.type(NEAR)
            for place, names in enumerate(axes):
                if own & set(names):
                    _pair(np.moveaxis(found[spec.name], place, 0))
        elif spec.name in case.form.data and spec.name not in case.form.values and {a for n in axes for a in n} <= own:
            found[spec.name] = np.zeros_like(found[spec.name])
    return found


def _pair(lines: Array) -> None:
    """Make every other line the one before it but for one number, another one in each line."""
    for i in range(1, len(lines), 2):
        lines[i] = lines[i - 1]
        row = lines[i].reshape(-1)
        at = i // 2 % max(row.size, 1)
        row[at : at + 1] = np.nextafter(row[at : at + 1], row.dtype.type(np.inf))
        lines[i] = row.reshape(lines[i].shape)
