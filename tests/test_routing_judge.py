"""The judge on routing: ties, doubt, every assignment, huge indices. Each check is seen to fail on what it is there for."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judged import bad, session, worst

import einspec
from einspec.answers.choice import descends
from einspec.calls.values import specials
from einspec.card import load
from einspec.conformance.checks.exhaustive import assignments, evaluate_stacked, rankings
from einspec.conformance.checks.long_axes import POINTS, past_16_bits
from einspec.semantics.oracle import evaluate
from einspec.semantics.points import Points
from einspec.testing import assert_matches

Array = np.ndarray[Any, Any]
FUNCTIONS = Path(__file__).parent / "functions" / "routing.py"


def wrong(op: str, name: str, *only: str, **policy: Any) -> set[str]:
    """Return which clauses are wrong with a function as the implementation of an op in a backend."""
    return bad(worst(session(FUNCTIONS, {op: name}), op, only=only or ("def", "values.nan"), **policy))


@pytest.mark.parametrize(("name", "clause"), [("last_of_equals", "def"), ("nan_last", "values.nan"), ("far_ids_lost", "def")])
def test_wrong_selections_are_caught(name: str, clause: str) -> None:
    """Ties, the place of NaN, and ids above 65535."""
    assert f"top_k/{clause}" in wrong("top_k", name)
    assert not wrong("top_k", "top_k")


def test_free_ties_allow_any_valid_choice_and_nothing_else() -> None:
    """With --ties any the last of equals is right; NaN last is still wrong, and so are values that do not belong."""
    assert not wrong("top_k", "last_of_equals", ties="any")
    assert wrong("top_k", "nan_last", ties="any")
    assert wrong("top_k", "other_values", ties="any")


@pytest.mark.parametrize("name", ["later_routes_first", "short_queue"])
def test_wrong_positions_are_caught(name: str) -> None:
    """The order in a queue, and queues longer than 32767."""
    assert wrong("position", name, "def")
    assert not wrong("position", "position", "def")


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
    trials = past_16_bits(load("position"))
    assert max(t.case.solution.values["experts"] for t in trials) > 2**16
    assert max(t.arrays["index"].size for t in trials) > 2**15


def test_huge_calls_of_dispatch_have_every_axis_beyond_16_bits() -> None:
    """Tokens, features, experts and slots each are huge in one call, and every output is known at some coordinates."""
    trials = past_16_bits(load("dispatch"))
    sizes = [t.case.solution.sizes for t in trials]
    assert all(max(s[a] for s in sizes) > 2**16 for a in "tdec")
    assert all(len(w.array) >= POINTS for t in trials for w in t.expected.values())


def test_huge_calls_reach_the_last_token_row_and_slot() -> None:
    """Late tokens have slots where there are few, and among few ids, rows and slots some are beyond 16 bits."""
    slots = [t.arrays["position"] for t in past_16_bits(load("dispatch"))]
    late = next(p for p in slots if len(p) > 2**16)
    assert (late[2**16 :] < 2).any()
    assert (late[: 2**15] < 2).any()
    combined = [(t.arrays["index"].max(), t.arrays["position"].max()) for t in past_16_bits(load("combine"))]
    assert max(i for i, _ in combined) >= 2**16
    assert max(p for _, p in combined) >= 2**16
    rows = [t.arrays["row"] for t in past_16_bits(load("unpermute"))]
    assert max(r.max() for r in rows) >= 2**16
    assert max(np.argwhere(r >= 0).max() for r in rows) >= 2**16


def test_a_huge_call_is_judged_where_the_work_allows() -> None:
    """The order of very many tokens by expert is too much work at any coordinate, their rows and counts are not."""
    (trial,) = (t for t in past_16_bits(load("group")) if t.arrays["index"].size > 2**15)
    looked_at = {name: len(want.array) for name, want in trial.expected.items()}
    assert looked_at.pop("order") == 0
    assert set(looked_at) == {"row", "counts"}
    assert min(looked_at.values()) >= POINTS


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


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_scores_that_only_the_order_of_a_sum_sets_apart_may_be_in_either(order: slice) -> None:
    """Experts that find two tokens equal but for rounding may take either; of tokens that are alike they take the lower."""

    def chosen(x: Array, last: bool = False) -> tuple[Array, Array]:
        exps = np.exp(x - x.max(1, keepdims=True))
        total = np.zeros(len(x), np.float32)
        for column in exps.T[order]:
            total += column
        scores = (exps / total[:, None]).T
        token = len(x) - 1 - scores[:, ::-1].argmax(1) if last else scores.argmax(1)
        return np.take_along_axis(scores, token[:, None], 1), token[:, None].astype(np.int32)

    rows = [np.array(row, np.float32) for row in itertools.permutations((-2.0, -1.5, -0.5))]
    differ = 0
    for pair in itertools.product(rows, rows):
        x = np.stack(pair)
        differ += not np.array_equal(chosen(x)[1], einspec.evaluate("expert_choice", x, capacity=1)[1])
        assert_matches(chosen(x), "expert_choice", x, capacity=1)
    assert differ
    alike = np.stack([rows[0], rows[0]])
    with pytest.raises(AssertionError, match="token"):
        assert_matches(chosen(alike, last=True), "expert_choice", alike, capacity=1)
