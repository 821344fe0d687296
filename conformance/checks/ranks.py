"""What is asked of functions of ranks besides: other groups, empty and late ranks, results that are kept, a next call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.calls.cases import bank, scope
from einspec.calls.domain import on_ranks, within
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case, make_case
from einspec.clauses import bare_inputs, gradients_of, renames
from einspec.conformance.checks.gradients import gradient
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.scope import spread
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.protocol import Way
from einspec.conformance.trial import Trial

Array = np.ndarray[Any, Any]
FEW, MOST_WORLD = 9, 4
"""How many calls are asked for in a way, and of how many ranks where as many others stand beside them."""
STEPS = 40
"""After how many calls the ranks are to meet."""
HEAVY = 1 << 20
"""How many elements a rank has in a call whose messages do not fit into what a connection holds: small ones are gone before
anybody waits for them."""
LATE = "rank {rank} is late, and inputs are written to after the call"
FILLS = 3
"""On how many inputs ranks are emptied."""


def ask_ranks(scene: Scene, detail: str, _: str) -> Asked:
    """Ask for ``ranks.<detail>``."""
    found = list(ASKED[detail](scene))
    return Asked(found, not_run="" if found else "no call of these numbers of ranks can show it")


def _of_many(scene: Scene) -> list[Case]:
    """Return calls of distinct sizes on more than one rank."""
    return [case for case in scene.bank if ranks_of(case) > 1]


def ranks_of(case: Case) -> int:
    """Return on how many ranks a call runs."""
    own = case.op.ranked(case.form)
    specs = (*case.form.signature.inputs, *case.form.signature.outputs)
    return next(case.solution.shape(s)[0] for s in specs if s.name in own)


def _other(case: Case) -> dict[str, Array]:
    """Return other inputs of a call."""
    return filled(case, "float32", "small", 11)


def _group(scene: Scene) -> Iterator[Trial]:
    """Yield calls as the last ranks of a world whose first ones make the same call on other inputs."""
    for case in spread([c for c in _of_many(scene) if ranks_of(c) <= MOST_WORLD], FEW):
        size = ranks_of(case)
        how = f"as the last {size} of {2 * size} ranks, while the others make another call"
        yield replace(plain_trial(case, ordinary(case), Way("group"), how), extra=_other(case))


def _kept(scene: Scene) -> Iterator[Trial]:
    """Yield calls whose results are read after a call on other inputs."""
    for case in spread(_of_many(scene), FEW):
        how = "read after a call on other inputs"
        yield replace(plain_trial(case, ordinary(case), Way("kept"), how), extra=_other(case))


def _late(scene: Scene) -> Iterator[Trial]:
    """Yield calls to which one rank comes late, each in turn, with inputs that are written to behind the call."""
    for case in spread(_of_many(scene), FEW):
        arrays = filled(case, "float32", "small", 5)
        for rank in range(ranks_of(case)):
            yield plain_trial(case, arrays, Way("late", rank=rank), LATE.format(rank=rank))
    few = [c for c in _of_many(scene) if ranks_of(c) <= MOST_WORLD and renames(c.form)]
    for case in [heavy for heavy in map(_heavy, few) if heavy is not None][:1]:
        for rank in range(ranks_of(case)):
            yield plain_trial(case, ramps(case), Way("late", rank=rank), LATE.format(rank=rank))


def _heavy(case: Case) -> Case | None:
    """Return a call with a last axis so long that each rank has very many elements; None where it has none."""
    sizes, first = dict(case.solution.sizes), case.form.signature.inputs[0]
    last = first.axes(case.solution.ranks)[-1]
    if first.name not in case.op.ranked(case.form) or len(last) > 1 or last[0] in case.op.card.ranks.axes:
        return None
    sizes[last[0]] *= -(-HEAVY * ranks_of(case) // case.elements)
    draft = replace(case.solution, sizes=sizes)
    return make_case(case.op, case.params, [draft.shape(s) for s in case.form.signature.inputs])


def _step(scene: Scene) -> Iterator[Trial]:
    """Yield calls after which the ranks are to meet."""
    small = [c for c in scope(scene.op, STEPS * 4)[0] if ranks_of(c) > 1]
    for number, case in enumerate((*_of_many(scene)[:FEW], *spread(small, STEPS))):
        yield plain_trial(case, filled(case, "float32", "small", number), Way("step"), "a collective of all ranks follows")


def _alike(scene: Scene) -> Iterator[Trial]:
    """Yield calls of which all ranks have some output alike."""
    for case in spread(_of_many(scene), FEW):
        if len(case.op.ranked(case.form)) < len((*case.form.signature.inputs, *case.form.signature.outputs)):
            yield plain_trial(case, filled(case, "float32", "gauss", 3), Way("alike"), "compared over ranks")


def _one(scene: Scene) -> Iterator[Trial]:
    """Yield calls on a single rank."""
    alone = within(replace(scene.op, domain=None), on_ranks(scene.op, (1,)))
    small = [c for c in scope(alone, STEPS * 4)[0] if not c.empty]
    for case in (*bank(alone)[:FEW], *spread(small, STEPS)):
        yield plain_trial(case, ordinary(case), how="on one rank")


def _emptied(scene: Scene) -> Iterator[tuple[Case, dict[str, Array], str]]:
    """Yield calls with ranks that have nothing: each in turn, and all others."""
    for number, case in enumerate(spread([c for c in _of_many(scene) if bare_inputs(c.op, c.form)], FEW)):
        for seed in range(FILLS):
            arrays = filled(case, "float32", "small", seed + number)
            ranks = range(ranks_of(case))
            for rank in ranks:
                yield case, _without(case, arrays, [rank]), f"rank {rank} has nothing"
                yield case, _without(case, arrays, [r for r in ranks if r != rank]), f"rank {rank} alone has anything"


def _without(case: Case, arrays: Mapping[str, Array], ranks: list[int]) -> dict[str, Array]:
    """Return inputs of which some ranks have nothing: counts of 0, indices that are none."""
    found = dict(arrays)
    for name, nothing in bare_inputs(case.op, case.form).items():
        found[name] = np.array(arrays[name])
        found[name][ranks] = nothing
    return found


def _bare(scene: Scene) -> Iterator[Trial]:
    """Yield calls with ranks that have nothing."""
    for case, arrays, how in _emptied(scene):
        yield plain_trial(case, arrays, how=how)


def _bare_gradient(scene: Scene) -> Iterator[Trial]:
    """Yield the gradients of calls with ranks that have nothing."""
    for case, arrays, how in _emptied(scene):
        for wrt in gradients_of(case.op):
            if wrt in case.form.data:
                yield gradient(scene, case, wrt, arrays).trial(how)


ASKED: dict[str, Callable[[Scene], Iterator[Trial]]] = {
    "group": _group,
    "bare": _bare,
    "bare_gradient": _bare_gradient,
    "late": _late,
    "kept": _kept,
    "alike": _alike,
    "one": _one,
    "step": _step,
}
"""What makes the calls of a clause, by the part of its id behind the kind."""
