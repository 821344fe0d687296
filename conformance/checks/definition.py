"""Does an op match its definition: in the small scope, on empty axes, on drawn calls and on long axes."""

from __future__ import annotations

from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.conformance.checks.drawn import drawn
from einspec.conformance.checks.long_axes import past_16_bits
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.scope import routed, scope
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.trial import Trial
from einspec.language.linear import OpClass


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
    """Return the call that comes first of all: one that tells much, as what is wrong at first alone shows in no other."""
    case = cases.bank(scene.op)[0]
    return [plain_trial(case, ordinary(case))]


def _long(scene: Scene) -> Asked:
    """Ask for calls with long axes, one after the other and all at once."""
    broad = cases.broad(scene.op)
    chosen = [*cases.big(scene.op), *(broad[:1] if scene.compiles else broad)]
    found = [plain_trial(c, ordinary(c)) for c in chosen] + past_16_bits(scene.op)
    kinds = (OpClass.SELECTION, OpClass.NONLINEAR)
    deciding = [c for c in chosen if c.form.kind in kinds and c.form.data]
    found += [plain_trial(c, filled(c, "float32", "small", 1)) for c in deciding]
    special = [c for c in deciding if c in broad]
    found += [plain_trial(c, filled(c, "float32", "special", 1, scene.subnormals)) for c in special]
    return Asked(found, not_run="" if found else "no axis can grow")


def ask_empty(scene: Scene, _: str, tier: str) -> Asked:
    """Ask for ``empty``: every size tuple of the scope that holds a zero."""
    return scope(scene, empty=True)
