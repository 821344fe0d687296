"""What two versions of the spec say of an op, told apart by the smallest calls on which they differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from einspec.answers.exact import results
from einspec.calls.cases import scope
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case, make_case, spaces
from einspec.card import Form, Op
from einspec.language import text

Array = np.ndarray[Any, Any]
Kind = Literal["another result", "legal no longer", "legal now"]
MOST, TRIES = 128, 64
"""How many calls are tried of each part, and how many assignments are looked at for each: many are not allowed."""
STRATA = ("small", "gauss", "special")
"""The values that are tried besides 1, 2, 3, ..., which tell most apart and are read best."""


@dataclass(frozen=True, eq=False)
class Difference:
    """A call that two versions do not answer alike."""

    kind: Kind
    case: Case
    """The call, in the version that allows it; in the later one where both do."""
    arrays: dict[str, Array]
    before: dict[str, Array]
    """What the outputs were by the earlier version; nothing where the call was not legal."""
    after: dict[str, Array]


def differences(before: Op, after: Op) -> Iterator[Difference]:
    """Yield for every value of the string parameter the smallest call of each kind on which two versions of an op differ."""
    for choice in dict.fromkeys([*after.forms, *before.forms]):
        old, new = before.forms.get(choice), after.forms.get(choice)
        if old is None or new is None or _said(old) != _said(new):
            yield from _of_form(before, after, new)
            yield from itertools.islice(_gone(before, after, old), 1)


def _said(form: Form) -> tuple[Any, ...]:
    """Return what a form says of calls and results, as text."""
    terms = [{name: term.text for name, term in table.items()} for table in (form.sizes, form.require)]
    return str(form.signature), form.dtype, [text.text(e) for e in form.equations], terms


def _of_form(before: Op, after: Op, form: Form | None) -> Iterator[Difference]:
    """Yield the smallest call of a form that is legal now and was not, and the smallest that gave something else."""
    seen: set[Kind] = set()
    for case in _calls(after, form):
        old = make_case(before, case.params, case.shapes)
        kind: Kind = "legal now" if old is None else "another result"
        if kind in seen:
            continue
        if old is None:
            arrays = ramps(case)
            seen.add(kind)
            yield Difference(kind, case, arrays, {}, _outputs(case, arrays))
            continue
        for arrays in _inputs(case):
            was, now = _outputs(old, arrays), _outputs(case, arrays)
            if not _equal(was, now):
                seen.add(kind)
                yield Difference(kind, case, arrays, was, now)
                break


def _gone(before: Op, after: Op, form: Form | None) -> Iterator[Difference]:
    """Yield calls of a form that are legal no longer, the smallest first."""
    for case in _calls(before, form):
        if make_case(after, case.params, case.shapes) is None:
            arrays = ramps(case)
            yield Difference("legal no longer", case, arrays, _outputs(case, arrays), {})


def _calls(op: Op, form: Form | None) -> Iterator[Case]:
    """Yield calls of a form: all of sizes 1, then of sizes up to 2, then the small scope, each part with the smallest first."""
    for sizes in ((1,), (1, 2)):
        own = [s for s in spaces(op, most_rank=1, sizes=sizes) if s.form is form]
        if sum(s.count for s in own) <= MOST * TRIES:
            cases = (s.case(s.assignment(n)) for s in own for n in range(s.count))
            found = sorted((c for c in cases if c is not None), key=lambda c: (c.elements, len(c.params)))
            yield from found[:MOST]
    yield from sorted((c for c in scope(op, MOST)[0] if c.form is form), key=lambda c: c.empty)


def _inputs(case: Case) -> Iterator[dict[str, Array]]:
    yield ramps(case)
    yield from (filled(case, "float32", stratum, seed) for seed, stratum in enumerate(STRATA))


def _outputs(case: Case, arrays: Mapping[str, Array]) -> dict[str, Array]:
    found = results(case, arrays)
    outputs = case.form.signature.outputs
    return {s.name: np.asarray(a) for s, a in zip(outputs, found if len(outputs) > 1 else (found,), strict=True)}


def _equal(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    if one.keys() != other.keys() or any(one[k].dtype != other[k].dtype for k in one):
        return False
    return all(np.array_equal(one[k], other[k], one[k].dtype.kind in "fc") for k in one)
