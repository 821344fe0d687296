"""Which pairs of conditions the calls of an op meet is found in the calls that are asked, and why not is worked out."""

from __future__ import annotations

from pathlib import Path

import pytest

from einspec import load
from einspec.calls.classes import CLASSES, of_each_class, size_class
from einspec.clauses import dtypes_of
from einspec.conformance.checks import typed
from einspec.conformance.cli import main
from einspec.conformance.run.pairs import FORBIDDEN, NOT_ASKED, TOO_LARGE, factors, pairs, text

PAST = list(CLASSES)[-1]


def test_each_dtype_and_memory_is_asked_in_each_class_of_sizes() -> None:
    """Nothing that moves elements is left to one dtype, or to one memory, at a size that others have."""
    found = pairs("swap_hw")
    sizes = [size for size in CLASSES if size != "empty"]
    for factor in ("dtype", "memory"):
        levels = factors(load("swap_hw"))[factor]
        wanted = {((factor, level), ("size", size)) for level in levels for size in sizes}
        assert wanted <= found.met
    assert found.calls > 1000


def test_what_no_call_asks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair is met because there is a call: without the calls of each class of sizes it is not, and nothing forbids it."""
    pair = (("dtype", "float64"), ("size", PAST))
    assert pair in pairs("flip").met
    monkeypatch.setenv("EINSPEC_SHEETS", "off")
    monkeypatch.setattr(typed, "of_each_class", lambda op, turn: [])
    assert pairs("flip").unmet[pair] == NOT_ASKED


def test_why_a_pair_is_not_met_follows_from_the_card() -> None:
    """Integers hold no NaN and have no gradient; windows over 65,537 steps are too much to evaluate."""
    assert pairs("fold").unmet[("dtype", "float64"), ("size", PAST)] == TOO_LARGE
    moves = pairs("flip").unmet
    assert moves[("dtype", "int8"), ("values", "NaN")] == FORBIDDEN
    assert moves[("dtype", "int8"), ("way", "vjp")] == FORBIDDEN
    assert moves[("dtype", "float64"), ("way", "jvp")] == NOT_ASKED


def test_what_one_form_has_another_one_lacks() -> None:
    """Orders by token have no scores, and none of their dtypes; a dense exchange has no indices."""
    orders, exchanges = pairs("priority"), pairs("ep_exchange")
    assert orders.unmet[("form", "order=token"), ("dtype", "float32")] == FORBIDDEN
    assert (("form", "order=score"), ("dtype", "float32")) in orders.met
    assert exchanges.unmet[("form", "layout=dense"), ("indices", "int32")] == FORBIDDEN
    assert (("form", "layout=ragged"), ("indices", "int32")) in exchanges.met
    assert {(("memory", "in order"), ("numbers", n)) for n in ("usual", "others")} <= exchanges.met
    assert all(found.met.isdisjoint(found.unmet) for found in (orders, exchanges))


def test_classes_of_sizes_have_calls_of_their_own() -> None:
    """A call of a class has its longest axis in it, and the next turn takes another one."""
    op = load("swap_hw")
    by_turn = [[size_class(case) for case in of_each_class(op, turn)] for turn in range(3)]
    assert by_turn[0] == list(CLASSES)[2:]
    assert by_turn[0] == by_turn[1] == by_turn[2]
    calls = [list(map(str, of_each_class(op, turn))) for turn in range(len(dtypes_of(op)))]
    assert len({tuple(each) for each in calls}) == len(calls)


def test_pairs_are_printed_by_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The command says how many are met, in how many calls, and lists the others; it judges nothing."""
    assert main(["check", "--explain-pairs", "--op", "flip"]) == 0
    said = capsys.readouterr().out
    found = pairs("flip")
    assert f"flip: {len(found.met):,} of {len(found.met) + len(found.unmet):,} pairs of conditions met" in said
    assert f"  {FORBIDDEN}: {sum(why == FORBIDDEN for why in found.unmet.values()):,}" in text(found)
    assert text(found) in said


def test_pairs_of_a_pattern_are_those_of_its_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Given for a function it is what is looked at, under the name of the function, and no op beside it."""
    path = tmp_path / "mine.py"
    path.write_text("def heads(x):\n    return x.T\n")
    assert main(["check", str(path), "--explain-pairs", "--pattern", "a b -> b a"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said if not line.startswith(" ")] == ["heads"]
