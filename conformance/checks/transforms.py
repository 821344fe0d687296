"""What a framework can do with a function: compile, trace and map it. Every result equals the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from einspec.calls.blocks import blocks
from einspec.calls.cases import SCOPE_LIMIT, scope
from einspec.calls.inputs import filled
from einspec.calls.space import Case, make_case
from einspec.card import Op
from einspec.clauses import DERIVATIVES
from einspec.conformance.checks.batches import batched, fixed_maps, mapped, several
from einspec.conformance.checks.derivatives import ask_derivative
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import EAGER, ordinary, plain_trial
from einspec.conformance.protocol import Mapped, Way
from einspec.conformance.tiers import COMPILE
from einspec.conformance.trial import Trial

PAST_BLOCK, MOST_SECOND = 33, 5000
"""The size that shows what a kernel does behind its first block of 32, and how many elements a second call has at most."""
BATCH = 2
"""How many calls lie along an axis that is mapped over, where there are several or it is not the first."""
STRIDES = ("transposed", "strided")
"""The memory in which what is compiled already is called again."""
SEEDS = 12
"""How many inputs that hold special values a compiled or mapped function is given, where that costs no compilation."""


def ask_transform(scene: Scene, name: str, tier: str) -> Asked:
    """Ask for ``transform.<name>``: the transformed function gives what the plain one gives."""
    if f"transform.{name}" in DERIVATIVES:
        return ask_derivative(scene, name)
    few = [c for c in scene.bank if not c.options][:2] or sorted(scene.bank, key=_axes)[-2:]
    if tier == COMPILE:
        return Asked(list(_generated(few[0])))
    return Asked(list(_transformed(scene, name, few)))


def _generated(case: Case) -> Iterator[Trial]:
    """Yield calls of one function that a code generator compiles for any sizes: in other memory, and of another shape."""
    how = "compiled with symbols for sizes"
    yield plain_trial(case, ordinary(case), Way("codegen"), how)
    for layout in STRIDES if case.shapes else ():
        yield plain_trial(case, ordinary(case), Way("codegen", layout=layout), f"{how}, then {layout} in memory")
    other = _second(case)
    if other is not None:
        yield plain_trial(other, ordinary(other), Way("codegen"), f"{how}, then of another shape")


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
            yield from _elsewhere(scene, case)
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
    plain = found[0]
    for layout in STRIDES if not scene.compiles else ():
        if plain is not None:
            yield replace(plain, way=Way("vmap", layout=layout), how=f"on a batch of inputs under vmap, {layout} in memory")


def _elsewhere(scene: Scene, case: Case) -> Iterator[Trial]:
    """Yield calls mapped over other axes than the first, by one map around another, with inputs that are the same for all.

    What takes an axis for another raises where their sizes differ, so that there is a call too in which as many as can be are
    those of the batch.
    """
    alike = _alike(case)
    for each in (alike,) if scene.compiles else (alike, case):
        ranks = [len(shape) - spec.listed for spec, shape in zip(each.form.signature.inputs, each.shapes, strict=True)]
        least = min(len(each.solution.shape(s)) - s.listed for s in each.form.signature.outputs)
        for maps in _maps(ranks, least, few=scene.compiles):
            trial = mapped(each, maps, BATCH)
            if trial is not None:
                yield trial


def _alike(case: Case) -> Case:
    """Return a call of the same parameters and ranks whose axes are as far as can be as long as a batch."""
    even = make_case(case.op, case.params, [(BATCH,) * len(shape) for shape in case.shapes])
    if even is not None:
        return even
    small, _ = scope(case.op, SCOPE_LIMIT)
    same = [c for c in small if not c.empty and c.features == case.features and c.form is case.form]
    able = [c for c in same if _ranks(c) == _ranks(case)]
    return min(able, key=lambda c: (sum(n != BATCH for shape in c.shapes for n in shape), c.elements), default=case)


def _ranks(case: Case) -> list[int]:
    """Return the number of axes of every input, of a list with that of its tensors."""
    return list(map(len, case.shapes))


def _maps(ranks: list[int], least: int, few: bool) -> Iterator[tuple[Mapped, ...]]:
    """Yield what is mapped around a function.

    Args:
        ranks: the rank of every input.
        least: the least rank of an output.
        few: whether each costs a compilation, so that one call shows several things.
    """
    one, last = tuple(min(1, rank) for rank in ranks), tuple(ranks)
    out = min(1, least)
    even, odd = ([i % 2 == part for i in range(len(ranks))] for part in (0, 1))
    several = len(ranks) > 1
    if few:
        yield (Mapped(_only(one, even), out),)
        yield Mapped(last), Mapped(_only(one, odd) if several else one, out)  # a rule for vmap meets the inner map first
        return
    yield (Mapped(one),)
    yield (Mapped(last, out),)
    yield Mapped(last, out), Mapped(one)
    if several:
        for i in range(len(ranks)):
            yield (Mapped(_only(one, [k != i for k in range(len(ranks))])),)
        yield Mapped(_only(one, even)), Mapped(_only(last, odd), out)


def _only(axes: tuple[int, ...], chosen: list[bool]) -> tuple[int | None, ...]:
    return tuple(axis if own else None for axis, own in zip(axes, chosen, strict=True))


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
