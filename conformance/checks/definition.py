"""Does an op match its definition: in the small scope, on empty axes, on drawn calls and on long axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from einspec.calls import cases
from einspec.calls.blocks import blocks, large_outputs
from einspec.calls.close import close, close_inputs
from einspec.calls.inputs import filled, makes_up, ramps
from einspec.calls.routes import routes
from einspec.calls.skewed import far_ids, skewed, skewed_inputs
from einspec.calls.space import Case
from einspec.conformance.checks.drawn import drawn
from einspec.conformance.checks.long_axes import close_trial, past_15_bits, past_16_bits, spikes
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.scope import routed, scope, spread
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.trial import Trial
from einspec.language.linear import OpClass
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
COMPILED_CLOSE = 4
"""How many selections among close candidates it is given."""
COMPILED_BLOCKS = 8
"""How many calls at the edges of blocks a framework is given that compiles each."""


def ask_definition(scene: Scene, _: str, tier: str) -> Asked:
    """Ask for ``def`` and ``values.*`` in a tier; all axes at least 1."""
    if tier == "scope":
        return _joined(Asked(_opening(scene)), _joined(scope(scene, empty=False), routed(scene)))
    if tier == "property":
        return drawn(scene)
    return _long(scene)


def _joined(first: Asked, second: Asked) -> Asked:
    if first.not_run or second.not_run:
        return first if first.not_run else second
    count = len(first.trials) + (len(second.trials) if second.instances is None else second.instances)
    reason = "; ".join(filter(None, (first.reason, second.reason)))
    return Asked([*first.trials, *second.trials], reason, count)


def _opening(scene: Scene) -> list[Trial]:
    """Return the call that comes first of all: one that tells much, as what is wrong at first alone shows in no other.

    Behind it come those on ids far from 0.
    """
    case = cases.bank(scene.op)[0]
    found = [plain_trial(case, ordinary(case))]
    for seed, other in enumerate(cases.bank(scene.op)):
        ids = far_ids(other, seed)
        found += [plain_trial(other, filled(other, "float32", "small", seed, known=ids))] if ids else []
    return found


def _long(scene: Scene) -> Asked:
    """Ask for calls with long axes, one after the other and all at once."""
    broad = cases.broad(scene.op)
    chosen = [*cases.big(scene.op), *(broad[:1] if scene.compiles else broad)]
    found = [plain_trial(c, ordinary(c)) for c in chosen]
    found += past_16_bits(scene.op, scene.compiles) + past_15_bits(scene.op)
    edges = blocks(scene.op)
    found += [plain_trial(c, many(c)) for c in (spread(edges, COMPILED_BLOCKS) if scene.compiles else edges)]
    found += [plain_trial(c, filled(c, "float32", "small", 4, known=routes(c, "mixed"))) for c in large_outputs(scene.op)]
    skew = skewed(scene.op)
    found += [plain_trial(c, skewed_inputs(c, p)) for c, p in (spread(skew, COMPILED_BLOCKS) if scene.compiles else skew)]
    near = close(scene.op)
    near = tuple(spread(near, COMPILED_CLOSE)) if scene.compiles else near
    found += [close_trial(c, close_inputs(c, axis, how)) for c, axis, how in near]
    extreme = [c for c in (*chosen, *edges) if traits_of(c.form).extreme]
    found += [plain_trial(c, ramps(c)) for c in (spread(extreme, COMPILED_CLOSE) if scene.compiles else extreme)]
    found += [plain_trial(c, spikes(c)) for c in chosen if c.form.kind is OpClass.LINEAR and traits_of(c.form).sums]
    kinds = (OpClass.SELECTION, OpClass.NONLINEAR)
    deciding = [c for c in chosen if c.form.kind in kinds and c.form.data]
    found += [plain_trial(c, filled(c, "float32", "small", 1)) for c in deciding]
    special = [c for c in deciding if c in broad]
    found += [plain_trial(c, filled(c, "float32", "special", 1, scene.subnormals)) for c in special]
    return Asked(found, not_run="" if found else "no axis can grow")


def many(case: Case) -> dict[str, Array]:
    """Return ordinary values of a call of many: a ramp, or normal numbers, on which rounding decides little; all rows count."""
    if not case.form.data or case.form.kind is OpClass.NONLINEAR or makes_up(case):
        exact = case.form.kind is OpClass.LINEAR and case.elements % 2 == 0  # the others show what 16 bits do not hold
        kind = "small" if exact else "gauss"
        return filled(case, "float32", kind, case.elements, known=routes(case, "mixed", case.elements))
    return ramps(case)


def ask_empty(scene: Scene, _: str, tier: str) -> Asked:
    """Ask for ``empty``: every size tuple of the scope that holds a zero."""
    return scope(scene, empty=True)
