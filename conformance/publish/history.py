"""What versions of the spec changed: the formulas as they were and are, and the smallest calls on which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from einspec import SPEC_VERSION, released
from einspec.card import Op, load, paths
from einspec.conformance.publish.forms import default_of, marked, targets
from einspec.pages.example import nested
from einspec.released.differences import Difference, differences

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shown:
    """A call on which two versions differ."""

    kind: str
    call: str
    given: str
    before: str
    after: str


@dataclass(frozen=True)
class Changed:
    """An op that means something else."""

    op: str
    said: list[tuple[str, str]]
    """What changed, by version."""
    formulas: list[tuple[str, Markup, Markup]]
    """The form, the equation as it was and as it is, with what differs marked."""
    call: Shown | None
    """None where no call without new parameters shows it."""


@dataclass(frozen=True)
class Step:
    """What came between two versions."""

    since: str
    version: str
    changed: list[Changed]
    new: list[str]


def steps() -> list[Step]:
    """Return what changed since each earlier version, the newest first."""
    found = []
    for since in reversed(released.versions()):
        there = released.digests(since)
        own = [n for n in paths() if n in there]
        changed = [_changed(released.load_as_of(since, n), load(n)) for n in own]
        found.append(Step(since, SPEC_VERSION, [c for c in changed if c], [n for n in paths() if n not in there]))
    return found


def _changed(before: Op, after: Op) -> Changed | None:
    """Return how an op differs, with the smallest call that shows it; None where it means what it meant."""
    found = next(differences(before, after), None)
    if found is None and not after.card.changed:
        return None
    return Changed(
        after.name, list(after.card.changed.items()), list(_formulas(before, after)), _shown(found) if found else None
    )


def _formulas(before: Op, after: Op) -> Iterator[tuple[str, Markup, Markup]]:
    """Yield the equations that are not as they were; the forms that all say it are named together."""
    texts: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys([default_of(after)[0], *after.forms]):
        old = {targets(e): e.text for e in before.forms[name].stated} if name in before.forms else {}
        new = {targets(e): e.text for e in after.forms[name].stated}
        for target in dict.fromkeys([*old, *new]):
            was, now = old.get(target, ""), new.get(target, "")
            if was != now:
                texts.setdefault((was, now), []).append(name)
    for (was, now), names in texts.items():
        where = "" if len(names) == len(after.forms) else ", ".join(names)
        yield where, marked(now, was), marked(was, now)


def _shown(difference: Difference) -> Shown:
    case = difference.case
    names = ", ".join([*difference.arrays, *(f"{k}={v!r}" for k, v in case.params.items())])
    given, before, after = (_arrays(a) for a in (difference.arrays, difference.before, difference.after))
    return Shown(difference.kind, f"{case.op.name}({names})", given, before, after)


def _arrays(arrays: Mapping[str, Array]) -> str:
    lines = []
    for name, array in arrays.items():
        shown = nested(name, array) if array.size else [f"  {name} is empty, of shape {array.shape}"]
        lines += [line[2:] for line in shown]
    return "\n".join(lines)
