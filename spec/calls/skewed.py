"""Calls of ops that take ids or counts, at sizes past every block: few rows for many experts, many rows for one of them."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from einspec.calls.covering import full_spaces
from einspec.calls.inputs import filled
from einspec.calls.routes import SKEWED, Pattern, routes
from einspec.calls.space import Case, Space, usual_numbers
from einspec.card import Form, Op
from einspec.language.linear import OpClass

SIZES = ((1, 65), (65, 65), (300, 8), (1104, 3), (70, 300), (3, 1024), (1040, 130))
"""How many rows and experts there are: an even share is far below a block, or far above, and past 64, 256 and 1,024."""
MOST_WORK, MOST_TERMS = 60_000, 5_000_000_000
"""How many elements a call has at most, and how many combinations of coordinates."""
FAR = (0, 1, 127, 128, 255, 256, 257, 511, 513, 2049, 32_767, 65_535, 65_537, 2**24 + 1, 2**31 - 1)
"""Ids that dtypes narrower than int32 do not hold, and those beside them."""


@functools.lru_cache(maxsize=256)
def skewed(op: Op) -> tuple[tuple[Case, Pattern], ...]:
    """Return calls of every form that takes ids or counts, each pattern of routes beside each size, smallest first.

    Of a form that is not the first, each pattern at one size.
    """
    found: dict[tuple[str, str], tuple[Case, Pattern]] = {}
    for number, space in enumerate(full_spaces(op)):
        places = _places(space)
        if places is None:
            continue
        for i, pattern in enumerate(SKEWED):
            for size in SIZES if not number else SIZES[(i + number) % len(SIZES) :][:1]:
                case = _sized(space, dict(zip(places, size, strict=True)), pattern)
                if case is not None:
                    found[str(case), pattern] = case, pattern
    return tuple(sorted(found.values(), key=lambda pair: (pair[0].elements, str(pair[0]), pair[1])))


def skewed_inputs(case: Case, pattern: Pattern) -> dict[str, np.ndarray]:
    """Return the inputs of a call with rows that go where a pattern says, the others exact where the form is."""
    seed = zlib.crc32(f"{case}{pattern}".encode())
    kind = "gauss" if case.form.kind is OpClass.NONLINEAR else "small"
    return filled(case, "float32", kind, seed, known=routes(case, pattern, seed))


def far_ids(case: Case, seed: int) -> Mapping[str, np.ndarray]:
    """Return the ids and counts of a call that no size bounds, among them those that narrow dtypes do not hold.

    All counts together are a number of 32 bits.
    """
    rng, shapes = np.random.default_rng(seed), dict(zip((s.name for s in case.form.signature.inputs), case.shapes, strict=True))
    found = {}
    for name, (kind, term) in case.form.values.items():
        if kind in ("id", "count") and term.text.isdigit():
            far = FAR if kind == "id" else FAR[:-1]
            found[name] = rng.choice(far, shapes[name]).astype(np.int32)
    return found


def _places(space: Space) -> tuple[int, int] | None:
    """Return the variables that are the number of rows and of experts, None where a form has none."""
    form, names = space.form, [v[0].removeprefix("=") for v in space.variables]
    for rows, experts in _axes(form):
        if rows in names and experts in names and rows != experts:
            return names.index(rows), names.index(experts)
    return None


def _axes(form: Form) -> Iterator[tuple[str, str]]:
    """Yield the axis of rows and the axis or number of experts of each input that says where rows go."""
    for spec in form.signature.inputs:
        kind, term = form.values.get(spec.name, ("", None))
        if kind not in ("id", "count") or term is None or not term.text.isidentifier():
            continue
        own, bound = spec.axes({}), next(iter(term.needs), term.text)
        yield (own[0][0], bound) if kind == "id" else (bound, own[-1][0])


def _sized(space: Space, fixed: Mapping[int, int], pattern: Pattern) -> Case | None:
    """Return a call with these sizes, the others short; slots as many as rows where that is not too much.

    A token has one choice where all are to go to one expert.
    """
    usual, rows = usual_numbers(space), max(fixed.values())
    given = {a for s in space.form.signature.inputs for names in s.axes(space.ranks) for a in names}
    for short in (1,) if pattern in ("first", "last") else (2, 1):
        for capacity in (rows, short):
            values = [
                fixed.get(i, (short if set(names) & given else capacity) if i in space.axes else usual.get(i, candidates[0]))
                for i, (names, candidates) in enumerate(zip(space.variables, space.candidates, strict=True))
            ]
            case = space.case([max(v, space.least[i]) if i in space.axes else v for i, v in enumerate(values)], 0)
            if case is None or case.empty or case.work > MOST_WORK:
                continue
            if math.prod(case.solution.sizes.values()) <= MOST_TERMS:
                return case
    return None
