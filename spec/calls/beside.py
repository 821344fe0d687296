"""Calls beside a legal one: with one argument changed, or with some sizes and numbers changed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from einspec.calls.space import Case, Space
from einspec.language.tables import Param
from einspec.solve import TensorSpec

Shape = tuple[int, ...]
Arguments = tuple[dict[str, Any], tuple[Shape, ...]]
"""The parameters and the shapes of a call."""
NOT_A_NUMBER = "no number"
"""A text that is no decimal."""
NOT_A_CHOICE, NO_PARAMETER = "no such choice", "no_such_parameter"
FAR = 99
"""A position that no tensor here has an axis at."""
BESIDE = 4
"""How many numbers are tried from the least that a parameter may be on: 0 to 3 where that is 0."""


def other_shapes(case: Case) -> Iterator[tuple[str, tuple[Shape, ...]]]:
    """Yield the shapes with one changed, each with its input, and with one tensor more."""
    for i, (spec, shape) in enumerate(zip(case.form.signature.inputs, case.shapes, strict=True)):
        for other in (*_other_sizes(shape), *_other_ranks(spec, shape)):
            yield spec.name, (*case.shapes[:i], other, *case.shapes[i + 1 :])
    yield "", (*case.shapes, case.shapes[-1] if case.shapes else (2,))


def _other_sizes(shape: Shape) -> Iterator[Shape]:
    """Yield the shape with one dimension longer by one, shorter by one, or empty."""
    for d, size in enumerate(shape):
        for other in dict.fromkeys((size + 1, max(size - 1, 1), 0)):
            yield (*shape[:d], other, *shape[d + 1 :])


def _other_ranks(spec: TensorSpec, shape: Shape) -> Iterator[Shape]:
    """Yield the shape with dimensions missing, one anywhere or the last ones, and with one more."""
    for d in range(spec.listed, len(shape)):
        yield (*shape[:d], *shape[d + 1 :])
    for kept in range(spec.listed, len(shape)):
        yield shape[:kept]
    yield (*shape, 2)


def other_params(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parameters with one changed or missing, each with its name, and with one more."""
    for name, param in case.op.card.params.items():
        value = case.params.get(name, param.default)
        for other in (*_other_values(param, value), *_other_types(param, value)):
            yield name, {**case.params, name: other}
        if param.required:
            yield name, {k: v for k, v in case.params.items() if k != name}
    yield "", {**case.params, NO_PARAMETER: 1}


def _other_values(param: Param, value: Any) -> Iterator[Any]:
    """Yield values of the right type: out of range, then numbers beside the one of the call."""
    if param.choices:
        yield NOT_A_CHOICE
        return
    if isinstance(param.min, int):
        yield param.min - 1
    if param.axis or param.order:
        yield FAR
    if isinstance(value, tuple):
        yield from (tuple(-1 for _ in value), (), *_one_changed(value))
    elif isinstance(value, int | float | Fraction):
        yield from (value + 1, value - 1, 0 * value)
    if param.several:
        yield (1,) * (len(param.targets("")) + 1)


def _one_changed(values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield tuples with one entry by one more, one less or inferred, and with a 0 beside it."""
    for i, value in enumerate(values):
        for other in (3 if value == -1 else value + 1, value - 1, -1):
            yield (*values[:i], other, *values[i + 1 :])
    if len(values) > 1:
        yield (-1, 0, *values[2:])


def _other_types(param: Param, value: Any) -> Iterator[Any]:
    """Yield values of another type: a float for an integer, a text for a number, 1 for a tuple, a word for a fraction."""
    if param.choices:
        return
    if param.sizes:
        yield 1
    elif param.number:
        yield str(value)
    elif param.rational:
        yield NOT_A_NUMBER
    elif param.order:
        yield 1.0
    elif isinstance(value, int):
        yield float(value)


def varied(space: Space, count: int, tuples: bool) -> Iterator[Arguments]:
    """Yield the calls of a space in which so many variables do not have the first of their values.

    Args:
        space: the calls.
        count: how many variables change.
        tuples: a parameter may have one number for each of its targets; else they change as one.
    """
    values = [_values(space, i) for i in range(len(space.variables))]
    plain = [v[0] for v in values]
    together = [(i,) for i in range(len(values))] if tuples else _together(space)
    for places in itertools.combinations(together, count):
        for changed in itertools.product(*(values[group[0]][1:] for group in places)):
            chosen = list(plain)
            for group, value in zip(places, changed, strict=True):
                for i in group:
                    chosen[i] = value
            with contextlib.suppress(ZeroDivisionError):  # a size that divides by an axis of none has no call
                yield space.call(chosen)


def _together(space: Space) -> list[tuple[int, ...]]:
    """Return the variables in groups: those of one parameter together, each other alone."""
    places = {name: i for i, names in enumerate(space.variables) for name in names}
    groups: dict[int, tuple[int, ...]] = {i: (i,) for i in range(len(space.variables))}
    for name, param in space.op.card.params.items():
        if param.several:
            targets = [t if param.size else f"={t}" for t in param.targets(name)]
            tied = tuple(places[t] for t in targets if t in places)
            groups.update(dict.fromkeys(tied, tied))
    return list(dict.fromkeys(groups.values()))


def _values(space: Space, i: int) -> list[Any]:
    """Return the values of a variable, the plainest first; of a number also small ones, of an axis also those too small."""
    own = list(space.candidates[i])
    name = space.variables[i][0]
    if name.startswith("=") and all(isinstance(v, int) for v in own):
        params = space.op.card.params.items()
        param = next(p for n, p in params if p.is_number and name[1:] in p.targets(n))
        least = param.min if isinstance(param.min, int) else 0
        own += range(least, least + BESIDE)
    if name in space.op.card.axes:
        own += range(space.op.card.axes[name].min)
    return list(dict.fromkeys(own))
