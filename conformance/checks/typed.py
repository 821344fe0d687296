"""Does an op match its definition in every dtype of values and of indices that its card allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from einspec.answers.expect import analysed
from einspec.calls import cases, contended, inner
from einspec.calls.classes import of_each_class, sized_inputs
from einspec.calls.inputs import filled, makes_up, ramps, strata
from einspec.calls.space import Case, make_case
from einspec.clauses import dtypes_of
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.trial import Trial
from einspec.dtypes import numpy_dtype
from einspec.language.linear import EXACT, OpClass

Array = np.ndarray[Any, Any]
MOST_INDEXED = 5000
"""How many elements a big call has at most that is judged in every dtype of indices."""
BEYOND_FLOATS = 2**53 + 1
"""The least natural number that float64 does not hold."""
HALVES = ("float16", "bfloat16")
SEEDS, ENOUGH = 16, 0.2
"""How many calls on nearly equal numbers are looked at for one of whose outputs so much changes where they are rounded."""


def ask_dtype(scene: Scene, dtype: str, _: str) -> Asked:
    """Ask for ``dtype.<name>``: values of a dtype that the card allows."""
    vast = [c for c in cases.vast(scene.op) if dtype == "float16" and c.form.kind in EXACT and not scene.compiles]
    found = [*_values_in(scene, _few(scene), dtype), *_beyond_floats(scene, dtype), *_in_each_size(scene, dtype)]
    return Asked(found + [plain_trial(c, ramps(c, dtype), how=f"{dtype} input of very many") for c in vast])


def _in_each_size(scene: Scene, dtype: str) -> Iterator[Trial]:
    """Yield a call of each class of sizes: kernels for few bits take more elements together. And one of each other form."""
    turn = dtypes_of(scene.op).index(dtype)
    for i, case in enumerate(scene.other_forms):
        yield plain_trial(case, sized_inputs(case, dtype, turn + i, scene.subnormals), how=f"{dtype} input")
    sized = of_each_class(scene.op, turn) if dtype != "float32" else []  # which all other calls are in
    for i, case in enumerate(sized[turn % len(sized) :][:1] if scene.compiles and sized else sized):
        yield plain_trial(case, sized_inputs(case, dtype, turn + i, scene.subnormals), how=f"{dtype} input of many")


def _beyond_floats(scene: Scene, dtype: str) -> Iterator[Trial]:
    """Yield calls of forms that move elements with numbers which float64 does not hold, where the dtype does."""
    if dtype not in ("int64", "uint64"):
        return
    for case in _few(scene):
        numbers = {n for n, p in scene.op.card.params.items() if p.number and not isinstance(p.min, int)}
        params = {**case.params, **dict.fromkeys(numbers, BEYOND_FLOATS)}
        other = make_case(scene.op, params, case.shapes) if numbers and case.form.kind in EXACT else None
        if other is not None:
            yield plain_trial(other, filled(other, dtype, "special", 0), how=f"{dtype} input, a number beyond float64")


def ask_index(scene: Scene, dtype: str, _: str) -> Asked:
    """Ask for ``index.<name>``: indices of a dtype that the card allows."""
    few = _few(scene)
    if not scene.compiles:
        big = (c for c in cases.big(scene.op) if makes_up(c) and c.elements <= MOST_INDEXED)
        few = [*few, *(c for c in big if holds(c, dtype))]
    found = [filled(c, "float32", "small", i, index=dtype) for i, c in enumerate(few)]
    if dtype == "int64":
        found = [beyond(c, arrays) for c, arrays in zip(few, found, strict=True)]
    pairs = zip(few, found, strict=True)
    return Asked([plain_trial(c, a, how=f"{dtype} indices") for c, a in pairs])


def _few(scene: Scene) -> list[Case]:
    return scene.bank[: 1 if scene.compiles else 3]


def holds(case: Case, dtype: str) -> bool:
    """Whether a dtype holds every number that an index of a call may be, and every size where a result has to be of it."""
    form, solution = case.form, case.solution
    numbers = [term.value(solution.sizes, solution.values) for _, term in form.values.values()]
    if any(form.dtype[s.name].startswith("same as") for s in form.signature.outputs):
        numbers += solution.sizes.values()
    return max(numbers, default=0) <= np.iinfo(dtype).max


def beyond(case: Case, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs with ids that are none made so large that their lower 32 bits are those of the first expert."""
    ids = {name for name, (kind, _) in case.form.values.items() if kind in ("id", "place")}
    return {k: np.where(v < -1, 2**32, v) if k in ids else v for k, v in arrays.items()}


def _values_in(scene: Scene, few: Sequence[Case], dtype: str) -> Iterator[Trial]:
    """Yield calls on values of a dtype; where another input may differ from the first, also with that in float32."""
    kinds = _kinds(scene, few[0], dtype)
    for case in few:
        free = any(not case.form.dtype[n].startswith("same as") for n in case.form.data[1:])
        for i, stratum in enumerate(kinds):
            for mixed in (False, True) if free and dtype != "float32" else (False,):
                arrays = filled(case, dtype, stratum, i, scene.subnormals, mixed=mixed)
                others = ", the other values float32" * mixed
                yield plain_trial(case, arrays, how=f"{dtype} input{others}")
    if dtype in HALVES and not scene.compiles:
        wide = (c for c in contended.wide(scene.op) if c.form.kind is OpClass.NONLINEAR)
        for i, case in enumerate(wide):
            for stratum in ("gauss", "uneven"):
                arrays = filled(case, dtype, stratum, i)
                yield plain_trial(case, arrays, how=f"{dtype} input, many at once")
    yield from _inside(scene, few, dtype)


def _inside(scene: Scene, few: Sequence[Case], dtype: str) -> Iterator[Trial]:
    """Yield calls on which it shows in how many bits an op computes on the way, and those of a parameter that says so."""
    for i, case in enumerate(other for each in few for other in inner.keeping(each)):
        yield plain_trial(case, filled(case, dtype, "gauss", i, scene.subnormals), how=f"{dtype} input")
    if scene.compiles or dtype not in HALVES:
        return
    for case, tensor in inner.twins(scene.op):
        yield _telling(case, tensor, dtype)
    for case in inner.long_sums(scene.op) if dtype == "bfloat16" else ():
        yield plain_trial(case, inner.level(case, dtype), how=f"{dtype} input, a long sum")


def _telling(case: Case, tensor: str, dtype: str) -> Trial:
    """Return a call in which a tensor holds nearly equal numbers, of some the one where most changes if it is rounded."""
    found: list[tuple[float, Trial]] = []
    while len(found) < SEEDS and not (found and found[-1][0] >= ENOUGH):
        arrays = inner.twin_inputs(case, tensor, dtype, len(found))
        trial = plain_trial(case, arrays, how=f"{dtype} input, {tensor} nearly equal in pairs")
        found.append((_changed(trial, tensor, dtype), trial))
    return max(found, key=lambda each: each[0])[1]


def _changed(trial: Trial, tensor: str, dtype: str) -> float:
    """Return how much of the outputs is wrong where a tensor on the way is rounded and all else is exact."""
    exact = analysed(trial.case, trial.arrays, last=tensor)[tensor].array
    rounded = exact.astype(numpy_dtype(dtype)).astype(exact.dtype)
    other = analysed(trial.case, trial.arrays, {tensor: rounded})
    shares = [0.0]
    for name, want in trial.expected.items():
        bound = np.zeros(want.array.shape) if want.bound is None else want.bound
        shares.append(float(np.mean(np.abs(other[name].array - want.array) > bound)))
    return max(shares)


def _kinds(scene: Scene, case: Case, dtype: str) -> tuple[str, ...]:
    """Return the kinds of values on which a dtype is judged."""
    kinds = strata(case, dtype)
    exact = case.form.kind in EXACT
    if scene.compiles and dtype in HALVES and not exact:
        kinds = ("small", "gauss")  # what is added up in so few bits shows in the second
    elif scene.compiles:
        kinds = kinds[: 2 if case.form.kind is OpClass.NONLINEAR else 1]
    if dtype == "float16" and not exact and "low" not in kinds:
        kinds = (*kinds, "low")  # of which some overflow when they are added up in so few bits
    return kinds
