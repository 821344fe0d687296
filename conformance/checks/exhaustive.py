"""The small scope of routing: every assignment of tokens to experts, and every ranking of the values that go wrong."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from einspec.answers.expect import output_dtype, widen
from einspec.answers.rules import Expected
from einspec.calls.cases import bank, batch_axis
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case, make_case, spaces
from einspec.calls.values import flushed, specials
from einspec.card import Form, Op
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.trial import Trial
from einspec.dtypes import numpy_dtype
from einspec.language.formula import Axis, Equation, Read, transform
from einspec.language.linear import OpClass
from einspec.semantics import oracle
from einspec.semantics.traits import traits_of
from einspec.solve import Solution

Array = np.ndarray[Any, Any]
MOST_TOKENS, MOST_EXPERTS, MOST_CHOICES = 4, 3, 2
MOST_ROWS = 3
"""How many rows an expert is given at most where an input counts them."""
BATCH = "zz"
"""The axis along which independent calls are stacked for the oracle; no card may use it."""


def assignable(form: Form) -> str:
    """Return the input that assigns experts or rows to them, where outputs are exact whatever it holds; else ``""``."""
    exact = form.kind is OpClass.SELECTION or traits_of(form).multilinear
    return next((name for name, (kind, _) in form.values.items() if exact and kind in ("id", "place", "count")), "")


def _numbers(case: Case) -> tuple[int, int]:
    """Return the least number that the input which assigns may hold here, and how many there are to be tried."""
    kind, term = case.form.values[assignable(case.form)]
    return (0, MOST_ROWS + 1) if kind == "count" else (-1, 1 + term.value(case.solution.sizes, case.solution.values))


@dataclass(frozen=True)
class Block:
    """Many independent calls of one case: inputs and outputs stacked along a new first axis."""

    case: Case
    inputs: dict[str, Array]
    outputs: dict[str, Expected]

    def trials(self) -> Iterator[Trial]:
        """Yield the calls one by one."""
        for i in range(len(next(iter(self.inputs.values())))):
            wants = {name: replace(w, array=w.array[i]) for name, w in self.outputs.items()}
            yield Trial(self.case, {name: array[i] for name, array in self.inputs.items()}, wants)


def assignments(op: Op, limit: int, most: int) -> tuple[list[Block], int, int]:
    """Return calls on every assignment of a few tokens, smallest first, how many they are, and how many there would be.

    Up to 4 tokens, 3 experts, 2 choices, or every number of rows up to 3 for each of 3 experts; other inputs are made up to go
    with each assignment.

    Args:
        op: the op.
        limit: the number of calls above which they are a sample, even over the sizes.
        most: the number of sizes above which these are a sample.
    """
    found = [c for c in _small(op) if assignable(c.form)]
    total = sum(map(_count, found))
    found = found[:: max(1, -(-len(found) // most))]
    rng = np.random.default_rng(1)
    blocks, left = [], limit
    for place, case in enumerate(found):
        count = _count(case)
        share = min(count, max(left // (len(found) - place), 1))
        numbers = np.arange(count) if share == count else np.sort(rng.choice(count, share, replace=False))
        blocks.append(_block(case, numbers))
        left -= share
    return blocks, limit - left, total


def _small(op: Op) -> list[Case]:
    """Return the smallest calls of every form: its tokens, experts and choices in all numbers, all other axes short."""
    found: dict[str, Case] = {}
    for space in spaces(op, most_rank=1, sizes=range(1, MOST_TOKENS + 1)):
        name = assignable(space.form)
        if not name:
            continue
        spec = next(s for s in space.form.signature.inputs if s.name == name)
        own = {a for axes in spec.axes(space.ranks) for a in axes}
        kind, term = space.form.values[name]
        rows = term.needs if kind == "count" else frozenset()
        choices = []
        for names, values in zip(space.variables, space.candidates, strict=True):
            routed = own & set(names) or names[0].startswith("=") or _is_capacity(space.form, names)
            short = tuple(v for v in values if v == MOST_ROWS) if rows & set(names) else values[1:2]
            choices.append(values if routed else short or values[:1])
        for values in itertools.product(*choices):
            case = space.case(values)
            if case is not None and not case.empty and _within(case, name):
                found[str(case)] = case
    return sorted(found.values(), key=lambda c: (c.elements, str(c)))


def _is_capacity(form: Form, names: tuple[str, ...]) -> bool:
    """Whether axes are in outputs alone: experts and their slots."""
    return not any(set(names) & {a for axes in s.axes({}) for a in axes} for s in form.signature.inputs if not s.rests)


def _within(case: Case, name: str) -> bool:
    shape = dict(zip((s.name for s in case.form.signature.inputs), case.shapes, strict=True))[name]
    if case.form.values[name][0] == "count":
        return shape[-1] <= MOST_EXPERTS
    few = math.prod(shape) <= MOST_TOKENS * MOST_CHOICES and max(shape[:1], default=1) <= MOST_TOKENS
    return sum(_numbers(case)) <= MOST_EXPERTS and few and (len(shape) < 2 or shape[-1] <= MOST_CHOICES)


def _count(case: Case) -> int:
    name = assignable(case.form)
    shape = dict(zip((s.name for s in case.form.signature.inputs), case.shapes, strict=True))[name]
    return int(_numbers(case)[1] ** int(np.prod(shape)))


def _block(case: Case, numbers: Array) -> Block:
    """Return the calls on the assignments of these numbers, their results found at once."""
    name = assignable(case.form)
    least, many = _numbers(case)
    shape = dict(zip((s.name for s in case.form.signature.inputs), case.shapes, strict=True))[name]
    places = many ** np.arange(int(np.prod(shape)))
    plain, rows = ramps(case), []
    for number in numbers.tolist():
        index = ((number // places) % many + least).reshape(shape).astype(np.int32)
        arrays = filled(case, "float32", "small", number, known={name: index})
        rows.append({k: plain[k] if k in case.form.data and k not in case.form.values else v for k, v in arrays.items()})
    stacked = {k: np.stack([r[k] for r in rows]) for k in rows[0]}
    found = evaluate_stacked(case, stacked)
    how = "bits" if case.form.kind is OpClass.SELECTION else "values"
    kinds = {s.name: output_dtype(case, s.name, rows[0]) for s in case.form.signature.outputs}
    return Block(case, stacked, {k: Expected(found[k].astype(numpy_dtype(d)), how) for k, d in kinds.items()})


def evaluate_stacked(case: Case, stacked: Mapping[str, Array]) -> dict[str, Array]:
    """Return the definition's tensors for many independent calls of one case, along a new first axis."""
    count = len(next(iter(stacked.values())))
    sizes = {**case.solution.sizes, BATCH: count}
    solution = Solution(case.form, case.solution.ranks, sizes, case.solution.values)
    equations = tuple(_stack(e) for e in case.form.equations)
    return oracle.evaluate(solution, {k: widen(v) for k, v in stacked.items()}, equations=equations)


def _stack(equation: Equation) -> Equation:
    changed = transform(equation, lambda n: replace(n, index=(Axis(BATCH), *n.index)) if isinstance(n, Read) else n)
    return replace(changed, index=(Axis(BATCH), *changed.index))


def rankings(op: Op, subnormals: bool) -> list[Trial]:
    """Return calls in which each row holds one ranking of the special values: every row of up to 3 of them."""
    trials = []
    values = specials("float32") if subnormals else flushed(specials("float32"))
    for space in spaces(op, most_rank=0, sizes=(1, 2, 3)):
        axis = batch_axis(space.form, space.ranks)
        if not space.form.selects or axis is None:
            continue
        spec = next(s for s in space.form.signature.inputs if s.name == space.form.lead)
        if [a for axes in spec.axes(space.ranks) for a in axes][:1] != [axis] or len(spec.index) != 2:
            continue
        for assignment in itertools.product(*space.candidates):
            case = space.case(assignment)
            if case is None or case.solution.sizes[axis] != 1 or list(space.fitted(assignment)) != list(assignment):
                continue
            wide = [
                len(values) ** case.solution.shape(spec)[1] if axis in names else v for names, v in _pairs(space, assignment)
            ]
            grown = space.case(wide)
            if grown is not None:
                rows = np.array(list(itertools.product(values, repeat=case.solution.shape(spec)[1])), np.float32)
                arrays = filled(grown, "float32", "special", 1, subnormals)
                trials.append(plain_trial(grown, {**arrays, spec.name: rows}, how="each row one ranking of special values"))
    return sorted(trials, key=lambda t: t.case.elements)


def levels(op: Op, subnormals: bool, nan: bool) -> list[Trial]:
    """Return calls whose first input holds one special value throughout each of its slices: maxima of nothing but -infinity.

    Args:
        op: the op.
        subnormals: whether a value may be subnormal.
        nan: whether a value may be NaN.
    """
    values = specials("float32") if subnormals else flushed(specials("float32"))
    values = values[~np.isnan(values)] if not nan else values
    trials = []
    for form in op.forms.values():
        case = next((c for c in bank(op) if c.form is form), None)
        axis = batch_axis(form, case.solution.ranks) if case is not None and form.kind is OpClass.NONLINEAR else None
        if case is None or axis is None:
            continue
        along = {s.name: s.axes(case.solution.ranks).index((axis,)) for s in form.signature.inputs}
        shapes = [(*n[: (i := along[s.name])], len(values), *n[i + 1 :]) for s, n in _shapes(case)]
        grown = make_case(op, case.params, shapes)
        if grown is not None:
            arrays = filled(grown, "float32", "small", 1, subnormals)
            lead = np.moveaxis(arrays[form.lead], along[form.lead], -1)
            lead[...] = values
            trials.append(plain_trial(grown, arrays, how="one special value throughout each slice"))
    return trials


def _shapes(case: Case) -> Iterator[tuple[Any, tuple[int, ...]]]:
    return zip(case.form.signature.inputs, case.shapes, strict=True)


def _pairs(space: Any, assignment: tuple[Any, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    return zip(space.variables, assignment, strict=True)
