"""The judge on routing: ties, doubt, every assignment, huge indices. Each check is seen to fail on what it is there for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import einspec.impls.numpy as backend
from einspec.answers.choice import descends
from einspec.calls.values import specials
from einspec.card import load
from einspec.conformance.checks.big import POINTS, huge
from einspec.conformance.checks.exhaustive import assignments, evaluate_stacked, rankings
from einspec.conformance.clauses import judge
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Session
from einspec.conformance.targets import Target
from einspec.semantics.oracle import evaluate
from einspec.semantics.points import Points

Array = np.ndarray[Any, Any]


def wrong(op: str, function: Callable[..., Any], only: tuple[str, ...] = ("def",), **more: Any) -> list[Result]:
    """Return what is wrong with a function as the implementation of an op in an otherwise right backend."""
    functions = {name: getattr(backend, name) for name in ("top_k", "position", "dispatch", "combine", "expert_counts")}
    target = Target("numpy", backend, {**functions, op: function}, "")
    found = list(judge(Context(Session(target, "cpu"), load(op), **more), only))
    assert all(r.verdict != "errored" for r in found), found
    return [r for r in found if r.verdict == "wrong"]


def last_of_equals(x: Array, *, k: int) -> tuple[Array, Array]:
    """Choose the last of equal values first."""
    values, index = backend.top_k(np.ascontiguousarray(x[:, ::-1]), k=k)
    return values, (x.shape[1] - 1 - index).astype(np.int32)


def nan_last(x: Array, *, k: int) -> tuple[Array, Array]:
    """Choose NaN after everything else."""
    index = np.argsort(-x, axis=1, kind="stable")[:, :k].astype(np.int32)
    return np.take_along_axis(x, index, 1), index


def far_ids_lost(x: Array, *, k: int) -> tuple[Array, Array]:
    """Return positions through 16 bits."""
    values, index = backend.top_k(x, k=k)
    return values, index.astype(np.uint16).astype(np.int32)


@pytest.mark.parametrize("function", [last_of_equals, nan_last, far_ids_lost])
def test_wrong_selections_are_caught(function: Callable[..., Any]) -> None:
    """Ties, the place of NaN, and ids above 65535."""
    assert wrong("top_k", function)
    assert not wrong("top_k", backend.top_k)


def test_free_ties_allow_any_valid_choice_and_nothing_else() -> None:
    """With --ties any the last of equals is right; NaN last is still wrong, and so are values that do not belong."""
    assert not wrong("top_k", last_of_equals, ties="any")
    assert wrong("top_k", nan_last, ties="any")

    def other_values(x: Array, *, k: int) -> tuple[Array, Array]:
        values, index = last_of_equals(x, k=k)
        return values[:, ::-1], index

    assert wrong("top_k", other_values, ties="any")


def later_routes_first(index: Array, *, experts: int, order: str = "token") -> Array:
    """Count the equal routes that come after, not before."""
    flipped = backend.position(np.ascontiguousarray(index[::-1, ::-1]), experts=experts, order=order)
    return np.ascontiguousarray(flipped[::-1, ::-1])


def short_queue(index: Array, *args: Array, **params: Any) -> Array:
    """Count in 16 bits."""
    return backend.position(index, *args, **params).astype(np.int16).astype(np.int32)


@pytest.mark.parametrize("function", [later_routes_first, short_queue])
def test_wrong_positions_are_caught(function: Callable[..., Any]) -> None:
    """The order in a queue, and queues longer than 32767."""
    assert wrong("position", function)
    assert not wrong("position", backend.position)


def test_assignments_are_all_there_smallest_first() -> None:
    """Without a limit every assignment of up to 4 tokens and 3 experts or none is given once."""
    blocks, count, total = assignments(load("expert_counts"), 10**6, 10**6)
    assert count == total == sum(len(b.inputs["index"]) for b in blocks)
    for block in blocks:
        experts = block.case.solution.sizes["e"]
        index = block.inputs["index"].reshape(len(block.inputs["index"]), -1)
        assert len(np.unique(index, axis=0)) == len(index) == (experts + 1) ** index.shape[1]
        assert set(np.unique(index)) == set(range(-1, experts))
    sizes = [b.case.elements for b in blocks]
    assert sizes == sorted(sizes)
    assert max(b.case.shapes[0] for b in blocks) == (4, 2)


def test_results_found_at_once_are_those_of_the_definition() -> None:
    """What is stacked along a new axis is evaluated call by call."""
    blocks, _, _ = assignments(load("dispatch"), 300, 10)
    for block in blocks:
        found = evaluate_stacked(block.case, block.inputs)
        for i in (0, len(block.inputs["index"]) - 1):
            want = evaluate(block.case.solution, {k: v[i].astype(np.int64) for k, v in block.inputs.items()})
            assert found["y"][i].tolist() == want["y"].tolist()


def test_every_ranking_of_special_values_is_a_row() -> None:
    """Rows of up to three of them, each once."""
    trials = rankings(load("top_k"), subnormals=True)
    count = len(specials("float32"))
    assert {t.arrays["x"].shape for t in trials} >= {(count**n, n) for n in (1, 2, 3)}


def test_an_output_at_points_is_that_of_the_whole() -> None:
    """So it is for an op with tensors on the way, and at every coordinate."""
    blocks, _, _ = assignments(load("dispatch"), 60, 6)
    for block in blocks:
        inputs = {k: v[-1].astype(np.int64) for k, v in block.inputs.items()}
        whole = evaluate(block.case.solution, inputs)["y"]
        points = np.array(list(np.ndindex(whole.shape)))
        assert Points(block.case.solution, inputs, math.inf).at("y", points).tolist() == whole.reshape(-1).tolist()


def test_huge_calls_have_ids_and_queues_beyond_16_bits() -> None:
    """At least one call of position has more than 65535 experts, and one a queue of more than 32767."""
    trials = huge(load("position"))
    assert max(t.case.solution.values["experts"] for t in trials) > 2**16
    assert max(t.arrays["index"].size for t in trials) > 2**15


def test_huge_calls_of_dispatch_have_every_axis_beyond_16_bits() -> None:
    """Tokens, features, experts and slots each are huge in one call, and every output is known at some coordinates."""
    trials = huge(load("dispatch"))
    sizes = [t.case.solution.sizes for t in trials]
    assert all(max(s[a] for s in sizes) > 2**16 for a in "tdec")
    assert all(len(w.array) == POINTS for t in trials for w in t.expected.values())


def test_huge_calls_reach_the_last_token_row_and_slot() -> None:
    """Late tokens have slots where there are few, and among few ids, rows and slots some are beyond 16 bits."""
    slots = [t.arrays["position"] for t in huge(load("dispatch"))]
    late = next(p for p in slots if len(p) > 2**16)
    assert (late[2**16 :] < 2).any()
    assert (late[: 2**15] < 2).any()
    combined = [(t.arrays["index"].max(), t.arrays["position"].max()) for t in huge(load("combine"))]
    assert max(i for i, _ in combined) >= 2**16
    assert max(p for _, p in combined) >= 2**16
    rows = [t.arrays["row"] for t in huge(load("unpermute"))]
    assert max(r.max() for r in rows) >= 2**16
    assert max(np.argwhere(r >= 0).max() for r in rows) >= 2**16


def test_a_huge_call_is_judged_where_the_work_allows() -> None:
    """The order of very many tokens by expert is too much work at any coordinate, their rows and counts are not."""
    (trial,) = (t for t in huge(load("group")) if t.arrays["index"].size > 2**15)
    assert {name: len(want.array) for name, want in trial.expected.items()} == {"order": 0, "row": POINTS, "counts": POINTS}


@pytest.mark.parametrize(
    ("chosen", "good"),
    [([2, 0], True), ([0, 2], False), ([2, 2], False), ([2, 1], False), ([2, -1], False), ([2, 5], False)],
)
def test_a_selection_descends(chosen: list[int], good: bool) -> None:
    """In exact values there is one right selection."""
    values, errors = np.array([3.0, 1.0, 5.0]), np.zeros(3)
    assert (descends(np.array(chosen), values, errors, np.ones(3, bool), free_ties=False) == "") is good


@pytest.mark.parametrize(
    ("chosen", "free", "good"),
    [([0, 1], False, True), ([1, 0], False, False), ([1, 0], True, True), ([3, 2], True, False)],
)
def test_ties_go_to_the_lower_position_unless_they_are_free(chosen: list[int], free: bool, good: bool) -> None:
    """All of the first three are equal, the last is less."""
    values = np.array([2.0, 2.0, 2.0, 1.0])
    assert (descends(np.array(chosen), values, np.zeros(4), np.ones(4, bool), free) == "") is good


def test_rounding_excuses_what_it_may_decide_and_no_more() -> None:
    """Values within their errors of each other may come in any order; those further apart may not."""
    values, errors = np.array([1.0, 1.1, 3.0]), np.array([0.06, 0.06, 0.06])
    for chosen, good in (([2, 1], True), ([2, 0], True), ([1, 2], False), ([0, 1], False)):
        assert (descends(np.array(chosen), values, errors, np.ones(3, bool), free_ties=False) == "") is good
