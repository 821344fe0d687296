"""Calls as strategies of Hypothesis, and a search among them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from einspec.calls import cases
from einspec.calls.inputs import INDEX, filled, strata
from einspec.calls.space import Case, Space, spaces
from einspec.clauses import dtypes_of
from einspec.conformance.checks.batches import batched, fixed_maps, several
from einspec.conformance.checks.drawn import Example, FoundError
from einspec.conformance.checks.scene import Scene
from einspec.conformance.checks.trials import plain_trial

Array = np.ndarray[Any, Any]
BATCH = 256
"""Independent inputs that one example judges; mapped in a framework that compiles."""
COMPILED_BATCH = BATCH // 16
"""The same where what they must give is found one by one."""


def search(scene: Scene, look: Callable[[Example], object], count: int, seed: int | None, shrink: bool) -> None:
    """Draw calls and have each looked at, as :func:`einspec.conformance.checks.drawn.search` does.

    Without a seed Hypothesis takes one from the text of ``judge``: it is to stay as it is, so that the calls do.
    """
    look = _counted(look)
    phases = [hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])]
    settings = hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=seed is None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
        phases=phases,
    )

    def judge(example: Example) -> None:
        look(example)

    test = settings(hypothesis.given(_mapped(scene) if scene.compiles else calls(scene))(judge))
    if seed is not None:
        test = hypothesis.seed(seed)(test)
    with _own_numbers(), contextlib.suppress(FoundError):
        test()


def _counted(look: Callable[[Example], object]) -> Callable[[Example], object]:
    """Return what is told each call, where one that it gives False for does not count."""

    def told(example: Example) -> None:
        if look(example) is False:
            hypothesis.reject()

    return told


@contextlib.contextmanager
def _own_numbers() -> Iterator[None]:
    """Have Hypothesis draw without the numbers that stand in modules imported here, so that a seed says it all."""
    cache = type(providers.CONSTANTS_CACHE)(1024)
    pool = mock.patch.object(providers, "_get_local_constants", Constants)
    with pool, mock.patch.object(providers, "CONSTANTS_CACHE", cache):
        yield


def calls(scene: Scene) -> st.SearchStrategy[Example]:
    """Draw sizes, parameters, a dtype, a kind of values and a seed; one axis is a batch of independent inputs."""
    sizes = (1, 2, 3, 4, 5, *cases.sizes_of(scene.op)[5:])
    found = spaces(scene.op, most_rank=2, sizes=sizes)
    dtypes = dtypes_of(scene.op) or [INDEX]

    @st.composite
    def example(draw: st.DrawFn) -> Example:
        space = found[draw(st.integers(0, len(found) - 1))]
        picks = [draw(st.integers(0, len(c) - 1)) for c in space.candidates]
        case = _case(space, picks, draw(st.integers(0, 3)))
        hypothesis.assume(case is not None)
        assert case is not None
        dtype = dtypes[draw(st.integers(0, len(dtypes) - 1))]
        kind = draw(st.sampled_from(strata(case, dtype)))
        arrays = filled(case, dtype, kind, draw(st.integers(0, 2**32 - 1)), scene.subnormals)
        axis = cases.batch_axis(case.form, case.solution.ranks)
        return plain_trial(case, arrays), case.solution.sizes[axis] if axis else 1

    return example()


def _case(space: Space, picks: Sequence[int], large: int) -> Case | None:
    values = [c[i] for c, i in zip(space.candidates, picks, strict=True)]
    axis = cases.batch_axis(space.form, space.ranks)
    for i, names in enumerate(space.variables):
        if large and names == (axis,):
            values[i] = BATCH
    return space.case(values, sum(picks))


def _mapped(scene: Scene) -> st.SearchStrategy[Example]:
    """Draw a kind of values and a seed for one compiled call: a framework that compiles cannot afford fresh shapes."""
    case = scene.bank[0]
    maps = fixed_maps(case)
    kinds = tuple(dict.fromkeys((*strata(case), "small")))  # of many bits some are those of NaN
    if maps is None:
        kinds = tuple(s for s in kinds if s in ("small", "gauss", "special"))
    size = BATCH if maps is not None else COMPILED_BATCH

    @st.composite
    def example(draw: st.DrawFn) -> Example:
        seed, kind = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(kinds))
        trial = batched(case, several(case, size, kind, seed, scene.subnormals), maps, "rows")
        hypothesis.assume(trial is not None)
        assert trial is not None
        return trial, size

    return example()
