"""How an op treats its arguments: inputs left alone, results repeatable, device kept, any memory layout."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from einspec.calls.assumptions import broken
from einspec.calls.cases import SCOPE_LIMIT, scope, telling
from einspec.calls.classes import of_each_class, sized_inputs
from einspec.calls.inputs import filled
from einspec.calls.space import Case
from einspec.clauses import LAYOUTS, dtypes_of
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.scope import spread
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.protocol import Way
from einspec.conformance.trial import Trial
from einspec.dtypes import INTEGERS
from einspec.language.linear import EXACT, OpClass

IMAGES = (4, 5)
"""How many axes an image and a volume have, of which frameworks know the memory with channels last."""

Array = np.ndarray[Any, Any]
WRITTEN = 12
"""The results of how many of the smallest calls are written to, and of how many that are spread over the scope."""
TAIL = 8
"""The least block of a kernel, behind which what is left of an output is a tail."""
SEEDS = 64
"""How many inputs of a call are looked at for two that keep what callers promise."""


def ask_conduct(scene: Scene, _: str, tier: str) -> Asked:
    """Ask for ``pure``, ``repeat`` and ``device``: the same call again, after one on other values."""
    case, arrays, others = _kept(scene)
    plain = plain_trial(case, arrays)
    return Asked([Trial(case, arrays, plain.expected, Way("twice"), relation=plain.relation, extra=others)])


def _kept(scene: Scene) -> tuple[Case, dict[str, Array], dict[str, Array]]:
    """Return a call on two inputs that keep what callers promise: of distinct sizes, or the largest of the small scope.

    One whose outputs leave a tail behind full blocks tells more: what is stale may be the tail alone.
    """
    small = [case for case in reversed(scope(scene.op, SCOPE_LIMIT)[0]) if not case.empty]
    plain = (case for case in small if not case.options and scene.taken is None)
    tailed = (case for case in itertools.chain(scene.bank, plain) if case.made % TAIL)
    for case in itertools.chain(tailed, scene.bank, small):
        made = (filled(case, "float32", "gauss", seed) for seed in range(7, 7 + SEEDS))
        kept = list(itertools.islice((arrays for arrays in made if not broken(case, arrays)), 2))
        if len(kept) == 2:
            return case, kept[0], kept[1]
    raise AssertionError("no call keeps what its card promises")


def ask_memory(scene: Scene, _: str, tier: str) -> Asked:
    """Ask for ``memory.own`` and ``memory.apart``: results that are written to, of plain calls and of the smallest ones.

    A function that copies as a rule may give its input back where there is nothing to do: where all axes have one place, for a
    shift by nothing.
    """
    small = [c for c in scope(scene.op, SCOPE_LIMIT)[0] if not c.empty]
    chosen = list({str(c): c for c in (*scene.bank[:2], *small[:WRITTEN], *spread(small, WRITTEN))}.values())
    return Asked([plain_trial(c, ordinary(c), Way("write"), "the result is written to") for c in chosen])


def ask_layout(scene: Scene, layout: str, _: str) -> Asked:
    """Ask for ``layout.<name>``: the same values in other memory."""
    few = [c for c in scene.bank[:3] if c.shapes and min(_ranks(c)) > 0]
    if not few:
        return Asked([], not_run="the op takes no tensors")
    if layout == "expanded":
        trials = [t for c in few for t in _expanded(c)]
        for i, dtype in enumerate(d for d in dtypes_of(scene.op) if d != "float32"):
            case = max(few, key=lambda c: max(_ranks(c)))
            trials += list(_expanded(case, filled(case, dtype, _kind(case, dtype), i, scene.subnormals)))[-1:]
        for i, case in enumerate(c for c in of_each_class(scene.op, len(LAYOUTS)) if min(_ranks(c)) > 0):
            trials += list(_expanded(case, sized_inputs(case, "float32", i, scene.subnormals)))[-1:]
        return Asked(trials, not_run="" if trials else "no call can show it")
    way = Way(layout=layout)
    found = [plain_trial(c, ordinary(c), way, f"{layout} input") for c in few]
    if layout == "channels_last":
        images = (next((c for c in (*scene.bank, *telling(scene.op)) if rank in _ranks(c)), None) for rank in IMAGES)
        found += [plain_trial(c, ordinary(c), way, f"{layout} input") for c in images if c is not None and c not in few]
    for i, dtype in enumerate(d for d in dtypes_of(scene.op) if d != "float32"):
        case = max(few, key=lambda c: max(_ranks(c)))
        arrays = filled(case, dtype, _kind(case, dtype), i, scene.subnormals)
        found.append(plain_trial(case, arrays, way, f"{layout} input of {dtype}"))
    turn = list(LAYOUTS).index(layout)
    others = [c for c in scene.other_forms if c.shapes and min(_ranks(c)) > 0]
    found += [plain_trial(c, ordinary(c), way, f"{layout} input") for c in others]
    for case in of_each_class(scene.op, turn):
        found.append(plain_trial(case, sized_inputs(case, "float32", turn, scene.subnormals), way, f"{layout} input of many"))
    return Asked(found)


def _kind(case: Case, dtype: str) -> str:
    """Return the kind of values on which a dtype shows in other memory: negative ones where a maximum may start from 0."""
    if case.form.kind in EXACT:
        return "special"
    if case.form.kind is OpClass.NONLINEAR:
        return "low" if dtype in INTEGERS and not dtype.startswith("u") else "gauss"
    return "small"


def _ranks(case: Case) -> list[int]:
    """Return the number of axes of every input tensor."""
    pairs = zip(case.form.signature.inputs, case.shapes, strict=True)
    return [len(shape) - spec.listed for spec, shape in pairs]


def _expanded(case: Case, given: Mapping[str, Array] | None = None) -> Iterator[Trial]:
    """Yield calls whose input is one slice repeated with stride 0 along an axis, of a list each tensor."""
    for axis in sorted({0, _ranks(case)[0] - 1}):
        arrays = dict(ordinary(case) if given is None else given)
        for spec, rank in zip(case.form.signature.inputs, _ranks(case), strict=True):
            array, along = arrays[spec.name], spec.listed + min(axis, rank - 1)
            first = np.take(array, [0], axis=along)
            arrays[spec.name] = np.repeat(first, array.shape[along], axis=along)
        yield plain_trial(case, arrays, Way(expand=axis), "expanded input")
