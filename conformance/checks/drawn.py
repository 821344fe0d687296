"""The property tier: calls that Hypothesis draws, many independent inputs in each."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

from einspec.calls import cases
from einspec.calls.inputs import INDEX, filled, ramps, strata
from einspec.calls.space import Case, Space, spaces
from einspec.conformance.checks.batches import batched, fixed_maps, several, single
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.checks.typed import dtypes_of, native
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Outcome, Trial
from einspec.conformance.judge.witness import witness

Array = np.ndarray[Any, Any]

EXAMPLES = 16
COMPILED_EXAMPLES = 8
BATCH = 256
"""Independent inputs that one example of the property tier judges; through vmap in a framework that compiles."""


def property_result(context: Context) -> Result:
    """Return the verdict over cases that Hypothesis draws; a failing one is narrowed by its shrinker."""
    if not context.op.forms or not any(f.signature.inputs for f in context.op.forms.values()):
        return context.not_run("def", "property", "the op takes no tensors: the scope tier draws its parameters")
    search = _Search(context)
    search.run()
    if search.failure is not None:
        found, outcome = search.narrowed()
        return Result(
            context.id("def"),
            "property",
            "wrong",
            search.instances,
            context.summary(found, outcome),
            witness(context, "def", found, outcome),
        )
    if not search.instances:
        return Result(context.id("def"), "property", "refused", 0, "every drawn call was refused")
    return Result(context.id("def"), "property", "holds", search.instances)


class _Found(Exception):
    """A drawn call gave a wrong result."""


class _Search:
    """One run of Hypothesis over the calls of an op."""

    def __init__(self, context: Context) -> None:
        self.context, self.instances = context, 0
        self.failure: tuple[Trial, Outcome] | None = None
        names = [d for d in dtypes_of(context.op) or [INDEX] if d in context.dtypes and native(context, d)]
        self.dtypes = names[:1] if context.session.compiles else names

    def run(self) -> None:
        draw = self.fixed() if self.context.session.compiles else self.drawn()
        settings = hypothesis.settings(
            max_examples=COMPILED_EXAMPLES if self.context.session.compiles else EXAMPLES,
            database=None,
            deadline=None,
            derandomize=True,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
            phases=(hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if self.context.shrinks else [])),
        )

        @settings
        @hypothesis.given(draw)
        def judge(example: tuple[Trial, int]) -> None:
            found, instances = example
            outcome = next(iter(self.context.session.run([found])))
            if outcome.error is not None and self.context.refuses(found, outcome):
                return
            self.instances += instances
            if outcome.error is not None or outcome.difference(found) is not None:
                self.failure = found, outcome
                raise _Found

        with contextlib.suppress(_Found):
            judge()

    def drawn(self) -> st.SearchStrategy[tuple[Trial, int]]:
        """Draw sizes, parameters, a dtype, a stratum and a seed; one axis is a batch of independent inputs."""
        found = spaces(self.context.op, most_rank=2, sizes=(1, 2, 3, 4, 5, *cases.sizes_of(self.context.op)[5:]))

        @st.composite
        def example(draw: st.DrawFn) -> tuple[Trial, int]:
            space = found[draw(st.integers(0, len(found) - 1))]
            case = self.case(space, [draw(st.integers(0, len(c) - 1)) for c in space.candidates], draw(st.integers(0, 3)))
            hypothesis.assume(case is not None)
            assert case is not None
            dtype = self.dtypes[draw(st.integers(0, len(self.dtypes) - 1))]
            stratum = draw(st.sampled_from(strata(case, dtype)))
            arrays = filled(case, dtype, stratum, draw(st.integers(0, 2**32 - 1)), self.context.subnormals)
            axis = cases.batch_axis(case.form, case.solution.ranks)
            return plain_trial(case, arrays), case.solution.sizes[axis] if axis else 1

        return example()

    def case(self, space: Space, picks: Sequence[int], large: int) -> Case | None:
        values = [c[i] for c, i in zip(space.candidates, picks, strict=True)]
        axis = cases.batch_axis(space.form, space.ranks)
        for i, names in enumerate(space.variables):
            if large and names == (axis,):
                values[i] = BATCH
        return space.case(values, sum(picks))

    def fixed(self) -> st.SearchStrategy[tuple[Trial, int]]:
        """Draw a stratum and a seed for one compiled call: a framework that compiles cannot afford fresh shapes."""
        case = self.context.bank[0]
        mapped = self.context.session.adapter.transforms["vmap"](self.context.session.plain(case))
        maps = fixed_maps(case)
        kinds = strata(case) if maps is not None else [s for s in strata(case) if s in ("small", "gauss", "special")]
        size = BATCH if maps is not None else BATCH // 16

        @st.composite
        def example(draw: st.DrawFn) -> tuple[Trial, int]:
            seed, stratum = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(kinds))
            return batched(case, several(case, size, stratum, seed, self.context.subnormals), maps, mapped), size

        return example()

    def narrowed(self) -> tuple[Trial, Outcome]:
        """Return the failure on the plainest values that still show it: one of the batch, then a ramp."""
        assert self.failure is not None
        best = self.failure
        for make in (single, _plain_values):
            smaller = make(*best)
            if smaller is None:
                continue
            outcome = next(iter(self.context.session.run([smaller])))
            if outcome.error is not None or outcome.difference(smaller) is not None:
                best = smaller, outcome
        return best


def _plain_values(found: Trial, _: Outcome) -> Trial | None:
    """Return the same call on a ramp."""
    return plain_trial(found.case, ramps(found.case)) if found.call is None else None
