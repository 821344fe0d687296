"""The small scope: every size tuple up to its limits, every assignment of a few tokens, every ranking of special values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from einspec.calls import cases, contended
from einspec.calls.covering import covering
from einspec.calls.inputs import filled, makes_up, ramps, strata
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.checks.exhaustive import Block, assignments, levels, rankings
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.protocol import Way
from einspec.conformance.trial import Trial
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
Each = TypeVar("Each")

COMPILED_SCOPE = 24
"""How many size tuples a framework is given that compiles each one."""
COMPILED_NODES = 100
"""The length of a definition, in terms, up to which it gets all of them."""
COMPILED_PAIRS = 12
"""How many of the calls that meet pairs of sizes and numbers it is given."""
COMPILED_LIMIT = 160
"""From how many size tuples those are chosen."""
ROUNDED_WORK, ROUNDED_LEAST = 6_000, 24
"""How many terms are analysed in the scope of a form whose results round, and for how many calls at least."""
ROUNDS = 7
"""On how many kinds of values the calls of distinct sizes are tried, where results round twice: every stratum, and a ramp."""
MADE_UP = 256
"""Up to how many calls of a small scope are repeated on other indices."""
NUMBERS_LIMIT = 8192
"""How many calls of an op are tried that takes numbers alone: they cost little."""
ASSIGNMENTS = 1000
"""How many assignments of tokens to experts are tried where all of them would be more."""
COMPILED_ASSIGNMENTS, COMPILED_BLOCKS = 1024, 4
"""The same for a framework that compiles, and of how many sizes."""


def scope(scene: Scene, empty: bool) -> Asked:
    """Ask for the scope's calls, those with an empty axis or those without."""
    chosen, sampled = scope_cases(scene, empty)
    if not chosen:
        return Asked([], not_run="the card allows no such sizes")
    trials = [scope_trial(c, i, scene.subnormals) for i, c in enumerate(chosen)]
    return Asked(trials + ([] if empty else list(_signed(scene.op))), sampled)


def _signed(op: Op) -> Iterator[Trial]:
    """Yield calls of moves that are written as sums, on numbers of both signs: on a ramp a maximum would give the same."""
    for i, case in enumerate(cases.bank(op)):
        if case.form.kind in EXACT and traits_of(case.form).sums:
            yield plain_trial(case, filled(case, "float32", "small", i))


def scope_cases(scene: Scene, empty: bool) -> tuple[list[Case], str]:
    """Return the scope's cases, those with an empty axis or those without, and what is to be said where they are a sample."""
    limit = cases.SCOPE_LIMIT
    if any(f.kind is OpClass.NONLINEAR for f in scene.op.forms.values()):
        each = max(ROUNDED_LEAST, ROUNDED_WORK // max(traits_of(f).nodes for f in scene.op.forms.values()))
        limit = each * len(scene.op.forms)
    if not any(f.signature.inputs for f in scene.op.forms.values()):
        limit = NUMBERS_LIMIT
    found, total = cases.scope(scene.op, COMPILED_LIMIT if scene.compiles else limit)
    chosen = [c for c in found if c.empty == empty]
    legal = len(chosen)
    if not empty:
        chosen += spread(cases.telling(scene.op), limit)
    if scene.compiles:
        chosen = compiled_scope(scene.op, chosen, empty)
        chosen += spread(covering(scene.op), COMPILED_PAIRS) if not empty else []
    elif not empty:
        chosen += [c for c in cases.bank(scene.op) for _ in range(ROUNDS * (2 if c.form.kind is OpClass.NONLINEAR else 1))]
        chosen += [c for c in chosen if makes_up(c)] * min(ROUNDS, MADE_UP // max(len(chosen), 1))
        chosen += covering(scene.op)
    partial = len(chosen) < legal or total > limit
    return chosen, f"{len(chosen)} of the calls of the scope ({total} assignments of sizes and parameters)" if partial else ""


def scope_trial(case: Case, number: int, subnormals: bool = True) -> Trial:
    """Return the call of a case of the scope, on values that tell."""
    return plain_trial(case, telling_values(case, number, subnormals))


def telling_values(case: Case, number: int, subnormals: bool = True) -> dict[str, Array]:
    """Return a ramp; where the definition is no sum, in turn a ramp and values of every stratum."""
    kinds = strata(case)
    if case.form.kind is OpClass.NONLINEAR and number % ROUNDS < len(kinds):
        return filled(case, "float32", kinds[number % ROUNDS], number, subnormals)
    return filled(case, "float32", "small", number) if makes_up(case) and number % 2 else ramps(case)


def routed(scene: Scene) -> Asked:
    """Ask for every assignment of a few tokens to experts, every ranking of special values, and many that compete."""
    limit, most = (ASSIGNMENTS, ASSIGNMENTS)
    if scene.compiles:
        limit, most = COMPILED_ASSIGNMENTS, COMPILED_BLOCKS
    blocks, count, total = assignments(scene.op, limit, most)
    found = rankings(scene.op, scene.subnormals)
    found += levels(scene.op, scene.subnormals, scene.profile.keeps_nan)
    instances = len(found) + count
    if not scene.compiles:
        tied = [c for c in contended.wide(scene.op) if c.form.kind is OpClass.NONLINEAR]
        for i, case in enumerate(tied):
            for stratum in ("small", "gauss", "special"):
                found.append(plain_trial(case, filled(case, "float32", stratum, i, scene.subnormals)))
                instances += contended.WIDE
        competing = contended.crowded(scene.op, scene.subnormals)
        found += (more := [plain_trial(case, arrays) for case, arrays in competing])
        instances += len(more)
    for block in blocks:
        found += [mapped(block)] if scene.compiles else block.trials()
    sampled = f"{count} of {total} assignments of up to 4 tokens" if count < total else ""
    return Asked(found, sampled, instances)


def mapped(block: Block) -> Trial:
    """Return the calls of a block as one, along its first axis."""
    return Trial(block.case, block.inputs, block.outputs, Way("rows"), "on a batch of inputs")


def compiled_scope(op: Op, chosen: Sequence[Case], empty: bool) -> list[Case]:
    """Return the calls that a framework which compiles each is given: fewer the longer the definition.

    There are some of every form, and every number that a card has tried is in one of them.
    """
    nodes = max(traits_of(f).nodes for f in op.forms.values())
    count = min(COMPILED_SCOPE, COMPILED_SCOPE * COMPILED_NODES // nodes) // (4 if empty else 1)
    each = max(1, count // len(op.forms))
    plainest = sorted(chosen, key=lambda c: len(c.options))  # first, because a file may offer no other
    found = [c for form in op.forms.values() for c in spread([c for c in plainest if c.form is form], each)]
    tried = {number for c in found for number in c.solution.values.items()}
    for case in plainest if not empty else ():
        new = set(case.solution.values.items()) - tried
        if new:
            found, tried = [*found, case], tried | new
    return found


def spread(chosen: Sequence[Each], count: int) -> list[Each]:
    """Return so many of what there is, evenly over its order."""
    if len(chosen) <= count:
        return list(chosen)
    step = len(chosen) / count
    return [chosen[int(i * step)] for i in range(count)]
