"""Independent inputs of one call judged as a batch, and one of them picked out again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.expect import Map, index_maps
from einspec.answers.rules import Expected
from einspec.calls.assumptions import broken
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case
from einspec.calls.values import fill
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.mapping import place
from einspec.conformance.protocol import Mapped, Way, WayKind
from einspec.conformance.trial import Trial
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]
SEEDS, STEP = 8, 16
"""How many inputs of mapped calls are looked at for some of which one result is right, and how far apart their seeds are."""


def fixed_maps(case: Case) -> dict[str, Map] | None:
    """Return the index maps of a call that do not depend on what it is given."""
    plain = case.form.kind in EXACT and set(case.form.data) == {s.name for s in case.form.signature.inputs}
    return index_maps(case, ramps(case)) if plain else None


def several(case: Case, size: int, stratum: str, seed: int, subnormals: bool = True) -> dict[str, Array]:
    """Return so many independent inputs of a stratum along a new first axis."""
    if fixed_maps(case) is not None:
        rng = np.random.default_rng(seed)
        inputs = zip(case.form.signature.inputs, case.shapes, strict=True)
        return {s.name: fill((size, *shape), "float32", stratum, rng, subnormals) for s, shape in inputs}
    rows = [filled(case, "float32", stratum, seed + i, subnormals) for i in range(size)]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def batched(case: Case, arrays: Mapping[str, Array], maps: Mapping[str, Map] | None, kind: WayKind) -> Trial | None:
    """Return a call on independent inputs along a new first axis, which in a list of tensors each tensor has.

    Those of which more than one result is right are left out; None where no other is left.
    """
    if maps is not None:
        flat = np.concatenate([a.reshape(len(a), -1) for a in arrays.values()], axis=1)
        wants = {name: Expected(m.apply(flat)) for name, m in maps.items()}
    else:
        count = len(next(iter(arrays.values())))
        rows = [{name: a[i] for name, a in arrays.items()} for i in range(count)]
        tried = [plain_trial(case, row) for row in rows]
        closed = [i for i, t in enumerate(tried) if t.relation is None]
        if not closed:
            return None
        trials = [tried[i] for i in closed]
        arrays = {name: a[closed] for name, a in arrays.items()}
        wants = {name: _stack([t.expected[name] for t in trials]) for name in trials[0].expected}
    signature = case.form.signature
    given = {s.name: np.swapaxes(arrays[s.name], 0, 1) if s.listed else arrays[s.name] for s in signature.inputs}
    for spec in signature.outputs:
        if spec.listed:
            array = np.swapaxes(wants[spec.name].array, 0, 1)
            wants[spec.name] = replace(wants[spec.name], array=array)
    return Trial(case, given, wants, Way(kind), "on a batch of inputs")


def mapped(case: Case, maps: Sequence[Mapped], size: int) -> Trial | None:
    """Return a call on independent inputs along the axes that maps take them from.

    None where of no inputs that were tried just one result is right.

    Args:
        case: one call.
        maps: what is mapped, the outermost first.
        size: how many calls there are along each axis.
    """
    for seed in range(0, SEEDS * STEP, STEP):
        inputs, rows = _shared(case, maps, size, seed)
        tried = [plain_trial(case, row) for row in rows]
        if all(t.relation is None for t in tried) and not any(broken(case, row) for row in rows):
            wants = {}
            for spec in case.form.signature.outputs:
                want = _stack([t.expected[spec.name] for t in tried])
                parts = (_along(part, maps, size, spec.listed) for part in (want.array, want.bound))
                array, bound = parts
                assert array is not None
                wants[spec.name] = replace(want, array=array, bound=bound)
            return Trial(case, inputs, wants, Way("vmap", maps=tuple(maps)), f"under {_words(case, maps)}")
    return None


def _along(rows: Array | None, maps: Sequence[Mapped], size: int, listed: bool) -> Array | None:
    """Return an output of all calls with the axes of the maps where they are to lie."""
    if rows is None:
        return None
    return place(rows.reshape(*[size] * len(maps), *rows.shape[1:]), [m.out for m in maps], listed)


def _shared(case: Case, maps: Sequence[Mapped], size: int, seed: int) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    """Return inputs of mapped calls, as they are given and call by call: those that a map leaves alone are in several."""
    specs = case.form.signature.inputs
    taken = {s.name: [level for level, m in enumerate(maps) if m.axes[i] is not None] for i, s in enumerate(specs)}
    made: dict[tuple[str, tuple[int, ...]], Array] = {}
    rows = []
    for number, at in enumerate(itertools.product(range(size), repeat=len(maps))):
        keys = {name: (name, tuple(at[level] for level in levels)) for name, levels in taken.items()}
        known = {name: made[key] for name, key in keys.items() if key in made}
        row = filled(case, "float32", "small", seed + number, known=known)
        made.update({keys[name]: array for name, array in row.items()})
        rows.append(row)
    inputs = {}
    for i, spec in enumerate(specs):
        count = len(taken[spec.name])
        each = [made[spec.name, at] for at in itertools.product(range(size), repeat=count)]
        stacked = np.stack(each).reshape(*[size] * count, *each[0].shape)
        inputs[spec.name] = place(stacked, [m.axes[i] for m in maps], spec.listed)
    return inputs, rows


def _words(case: Case, maps: Sequence[Mapped]) -> str:
    """Return what is mapped, in words."""
    names = [s.name for s in case.form.signature.inputs]
    texts = []
    for each in maps:
        axes = ", ".join(f"{n}: {a}" for n, a in zip(names, each.axes, strict=True))
        texts.append(f"vmap with in_axes ({axes}), out_axes {each.out}")
    return " of a function under ".join(texts)


def _stack(rows: Sequence[Expected]) -> Expected:
    how = "bound" if any(r.how == "bound" for r in rows) else rows[0].how
    bound = np.stack([np.zeros(r.array.shape) if r.bound is None else r.bound for r in rows]) if how == "bound" else None
    return Expected(np.stack([r.array for r in rows]), how, bound, rows[0].dtype_name)
