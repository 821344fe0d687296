"""What a framework can do with a function: compile, trace and map it. Every result equals the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from einspec.calls.blocks import blocks
from einspec.calls.inputs import filled
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.checks.batches import batched, fixed_maps, several
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import EAGER, ordinary, plain_trial
from einspec.conformance.protocol import Way
from einspec.conformance.trial import Trial

PAST_BLOCK, MOST_SECOND = 33, 5000
"""The size that shows what a kernel does behind its first block of 32, and how many elements a second call has at most."""
SEEDS = 12
"""How many inputs that hold special values a compiled or mapped function is given, where that costs no compilation."""


def ask_transform(scene: Scene, name: str, _: str) -> Asked:
    """Ask for ``transform.<name>``: the transformed function gives what the plain one gives."""
    few = [c for c in scene.bank if not c.options][:2] or sorted(scene.bank, key=_axes)[-2:]
    return Asked(list(_transformed(scene, name, few)))


def _axes(case: Case) -> int:
    """Return how many axes the inputs of a call have: an order of axes shows best where there are many."""
    return sum(map(len, case.shapes))


def impossible(op: Op, name: str) -> str:
    """Return why no target can be asked for a transform of an op, or nothing."""
    if name == "eager":
        return ""
    if "int" in {f.dtype[s.name] for f in op.forms.values() for s in f.signature.outputs}:
        return "the op gives a Python number"
    if name == "vmap" and not any(f.signature.inputs for f in op.forms.values()):
        return "the op takes no tensors"
    return ""


def _transformed(scene: Scene, name: str, few: list[Case]) -> Iterator[Trial]:
    if name == "eager":
        case = min(few, key=lambda c: c.elements)
        yield plain_trial(case, ordinary(case), EAGER, "without jit")
        return
    special = 0 if scene.compiles else SEEDS
    for case in few[:1] if name == "compile" or scene.compiles else few:
        if name == "vmap":
            yield from _mapped(scene, case, special)
        else:
            yield from _compiled(scene, case, "jit" if name == "jit" else "compile", special)


def _mapped(scene: Scene, case: Case, special: int) -> Iterator[Trial]:
    maps = fixed_maps(case)
    found = [batched(case, several(case, 3, "small", 2), maps, "vmap")]
    if special:
        rows = several(case, special, "special", 2, scene.subnormals)
        found.append(batched(case, rows, maps, "vmap"))
    for trial in found:
        if trial is not None:
            trial.how = "on a batch of inputs under vmap"
            yield trial


def _second(case: Case) -> Case | None:
    """Return a call of the same function of another shape, two of whose axes are just past a block where there is one."""
    others = [c for c in blocks(case.op) if c.params == case.params and c.elements <= MOST_SECOND and c.shapes != case.shapes]
    return max(others, key=lambda c: list(c.solution.sizes.values()).count(PAST_BLOCK), default=None)


def _compiled(scene: Scene, case: Case, kind: Literal["jit", "compile"], special: int) -> Iterator[Trial]:
    way = Way(kind)
    yield plain_trial(case, ordinary(case), way, f"under {kind}")
    if kind == "compile" and case.shapes:
        yield plain_trial(case, ordinary(case), Way(kind, layout="transposed"), f"under {kind}, then in other memory")
    other = _second(case)
    if other is not None:
        yield plain_trial(other, ordinary(other), way, f"under {kind}, then of another shape")
    for seed in range(special):
        arrays = filled(case, "float32", "special", seed, scene.subnormals)
        yield plain_trial(case, arrays, way, f"under {kind}")
