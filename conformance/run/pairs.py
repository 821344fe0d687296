"""Which pairs of conditions the calls of an op meet, and why it does not meet the others.

Both are found in the calls that are asked, those of the sheets: nothing here says what they should be.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.calls.blocks import ALONE, MOST_PAIRS, combinations, first_legal
from einspec.calls.classes import CLASSES, size_class
from einspec.calls.covering import full_spaces
from einspec.calls.space import Case, Space
from einspec.calls.values import specials
from einspec.card import Form, Op, load
from einspec.clauses import LAYOUTS, TRANSFORMS, clause_ids, dtypes_of, gradients_of, index_dtypes_of
from einspec.conformance.checks.scene import Profile, Scene
from einspec.conformance.checks.special import ranks
from einspec.conformance.checks.transforms import impossible
from einspec.conformance.run.building import asked
from einspec.conformance.run.sheets import store
from einspec.conformance.trial import Trial
from einspec.dtypes import USUAL

Array = np.ndarray[Any, Any]
Condition = tuple[str, str]
"""A factor of a call and one of its levels, such as ``("dtype", "float16")``."""
Pair = tuple[Condition, Condition]
VALUES = ("finite", "signed zero", "infinite", "NaN")
"""The kinds of values that a call holds, as :func:`ranks` numbers them."""
IN_ORDER = "in order"
USUAL_NUMBERS, OTHERS = "usual", "others"
DERIVED = {"vjp": "vjp", "jvp": "transform.jvp", "double_backward": "transform.double_backward"}
"""The ways that ask for a derivative, each with the clause that is asked so."""
FORBIDDEN, TOO_LARGE, NOT_ASKED = "the card forbids it", "it would be too large", "no call is asked"
"""Why a pair is not met: there is no such call; the least one is evaluated at more combinations of coordinates than calls may
be; or there is one, and the judge asks none."""
REASONS = (FORBIDDEN, TOO_LARGE, NOT_ASKED)
COMPOSED = ("law", "err")
"""The kinds of clauses whose calls are not one legal call of the op: compositions, and calls that the card forbids."""


@dataclass(frozen=True)
class Pairs:
    """What the calls of an op meet."""

    op: str
    calls: int
    """In how many calls this was looked for."""
    met: frozenset[Pair]
    unmet: Mapping[Pair, str]
    """Why no call meets a pair."""


def factors(op: Op) -> dict[str, tuple[str, ...]]:
    """Return what calls of an op may differ in, each with all of its levels: what an op has one of is left out."""
    transforms = [t for t in TRANSFORMS if t != "eager" and not impossible(op, t)]
    derived = [way for way, clause in DERIVED.items() if gradients_of(op) and (way == "vjp" or clause in clause_ids(op))]
    tensors = any(f.signature.inputs for f in op.forms.values())
    found = {
        "form": tuple(map(_choice, op.forms.values())),
        "dtype": tuple(dtypes_of(op)),
        "indices": (USUAL["index"], *index_dtypes_of(op)) if index_dtypes_of(op) else (),
        "memory": (IN_ORDER, *LAYOUTS) if tensors else (),
        "way": ("plain", *(("twice", "write") if tensors else ()), *transforms, *derived),
        "size": tuple(CLASSES),
        "values": VALUES if dtypes_of(op) else (),
        "numbers": (USUAL_NUMBERS, OTHERS) if any(not p.required and not p.choices for p in op.card.params.values()) else (),
    }
    return {name: levels for name, levels in found.items() if len(levels) > 1}


def conditions(trial: Trial) -> dict[str, set[str]]:
    """Return the levels of each factor that a call has: one, but for the kinds of values."""
    case, form = trial.case, trial.case.form
    indices = [trial.arrays[s.name] for s in form.signature.inputs if form.group(s.name) == "index"]
    optional = {n for n, p in case.op.card.params.items() if not p.required and not p.choices}
    usual = all(case.params.get(n, case.op.card.params[n].default) == case.op.card.params[n].default for n in optional)
    found: dict[str, set[str]] = {
        "form": {_choice(form)},
        "memory": {"expanded" if trial.way.expand >= 0 else trial.way.layout or IN_ORDER},
        "way": {trial.way.kind},
        "size": {size_class(case)},
        "values": {VALUES[n] for a in trial.arrays.values() for n in np.unique(ranks(a)).tolist()},
        "numbers": {USUAL_NUMBERS if usual else OTHERS},
    }
    if form.lead:
        found["dtype"] = {trial.arrays[form.lead].dtype.name}
    if indices:
        found["indices"] = {indices[0].dtype.name}
    return found


def _choice(form: Form) -> str:
    return ", ".join(f"{name}={value}" for name, value in form.choice.items())


def pairs(name: str, profile: Profile | None = None) -> Pairs:
    """Return which pairs the calls of an op meet in the tiers that are judged by default.

    Args:
        name: the op.
        profile: how the framework runs; as NumPy and PyTorch do when absent.
    """
    with np.errstate(all="ignore"):
        return _found(load(name), profile or Profile())


def _found(op: Op, profile: Profile) -> Pairs:
    sheets, levels, met, count = store(), factors(op), set[Pair](), 0
    for clause, tier in asked(op, profile):
        if clause.partition(".")[0] in COMPOSED:
            continue
        block = sheets.block(Scene(op, profile), clause, tier)
        for number in range(block.count):
            own = conditions(block.trial(number))
            there = [[(f, level) for level in own.get(f, ())] for f in levels]
            for one, other in itertools.combinations(there, 2):
                met.update(itertools.product(one, other))
            count += 1
    every = _every(levels)
    unmet = {pair: _reason(op, pair, met) for pair in every if pair not in met}
    return Pairs(op.name, count, frozenset(pair for pair in every if pair in met), unmet)


def _every(levels: Mapping[str, tuple[str, ...]]) -> list[Pair]:
    """Return all pairs of levels of two factors."""
    return [
        ((one, a), (other, b))
        for one, other in itertools.combinations(levels, 2)
        for a, b in itertools.product(levels[one], levels[other])
    ]


def _reason(op: Op, pair: Pair, met: Set[Pair]) -> str:
    """Return why no call of an op meets a pair, given those that calls meet."""
    own = dict(pair)
    if "dtype" in own and "values" in own and own["values"] not in _held(own["dtype"]):
        return FORBIDDEN
    if own.get("way") in DERIVED and "dtype" in own and "NaN" not in _held(own["dtype"]):
        return FORBIDDEN  # only what is no integer has a derivative
    form = next((f for f in op.forms.values() if _choice(f) == own.get("form")), None)
    if form is not None and ({"dtype", "values"} & own.keys() and not form.lead):
        return FORBIDDEN
    if form is not None and "indices" in own and not any(form.group(s.name) == "index" for s in form.signature.inputs):
        return FORBIDDEN
    if "size" not in own or any(("size", own["size"]) in other and (form is None or pair[0] in other) for other in met):
        return NOT_ASKED  # such calls there are
    return _reach(op, _choice(form) if form else "", own["size"])


@functools.cache
def _held(dtype: str) -> frozenset[str]:
    """Return the kinds of values that a dtype holds."""
    if dtype == "bool":
        return frozenset(VALUES[:1])
    return frozenset(VALUES[n] for n in (0, *ranks(specials(dtype)).tolist()))


@functools.lru_cache(maxsize=1024)
def _reach(op: Op, form: str, size: str) -> str:
    """Return why there is no call of a class of sizes: none is legal, or the least one is too much; or none is asked."""
    spaces = [s for s in full_spaces(op) if form in ("", _choice(s.form))]
    least = list(itertools.chain.from_iterable(_least(space, size) for space in spaces))
    if not least:
        return NOT_ASKED if size == "empty" else FORBIDDEN
    return NOT_ASKED if min(map(combinations, least)) <= MOST_PAIRS else TOO_LARGE


def _least(space: Space, size: str) -> Iterator[Case]:
    """Yield calls of a space with one axis as long as a class begins at, the others as short as may be."""
    for axis, length in itertools.product(space.axes, (CLASSES[size], CLASSES[size] + 3)):
        case = first_legal(space, {axis: length}, 0, ALONE, math.inf, 1 << 40)
        if case is not None and size_class(case) == size:
            yield case


def text(found: Pairs) -> str:
    """Return what the calls of an op meet as lines: how many pairs, and those that are not met by their reason."""
    total = len(found.met) + len(found.unmet)
    lines = [f"{found.op}: {len(found.met):,} of {total:,} pairs of conditions met, in {found.calls:,} calls"]
    for reason in REASONS:
        own = [pair for pair, why in found.unmet.items() if why == reason]
        lines += [f"  {reason}: {len(own):,}"] if own else []
        for (one, other), group in itertools.groupby(own, key=lambda p: (p[0][0], p[1][0])):
            beside: dict[str, list[str]] = {}
            for (_, a), (_, b) in group:
                beside.setdefault(b, []).append(a)
            joined: dict[str, list[str]] = {}
            for b, names in beside.items():
                joined.setdefault(", ".join(names), []).append(b)
            parts = (f"{left} with {', '.join(right)}" for left, right in joined.items())
            lines.append(f"    {one} with {other}: {'; '.join(parts)}")
    return "\n".join(lines)
