"""A budget ends in verdicts over what was asked, and says what was not: it is of a processor, and dealt out to clauses."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from einspec.conformance.cli import main
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.reports import report
from einspec.conformance.reports.conventions import within_budget
from einspec.conformance.reports.merge import read_all
from einspec.conformance.reports.summary import markdown
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run
from einspec.conformance.run.worker import share
from einspec.conformance.targets import budget, process
from einspec.conformance.targets.budget import Budget, spread
from einspec.conformance.targets.process import Limits

SLOW = """\
import time

import numpy as np


def matrix_transpose(x):
    end = time.thread_time() + {seconds}
    while time.thread_time() < end:
        pass
    return {body}
"""
RIGHT, WRONG = "x.swapaxes(-1, -2)", "x.swapaxes(-1, -2)[::-1]"
ENDLESS = """\
import {module}

import numpy as np


def matrix_transpose(x):
    while x.shape[0] > 1:
        {wait}
    return x.swapaxes(-1, -2)
"""
ASKED = re.compile(r"([\d,]+) of ([\d,]+) calls asked within the budget")


def judged(tmp_path: Path, text: str, *arguments: str) -> tuple[int, list[Result]]:
    """Judge a file, and return the exit status and the results."""
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    out = tmp_path / "report.jsonl"
    status = main(["check", str(tmp_path / "mine.py"), "--report", str(out), *arguments])
    return status, report.read(out).results


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 13])
def test_every_beginning_is_spread_over_all(count: int) -> None:
    """Each number comes once, the first one first, and no part as long as two steps is left out."""
    order = spread(range(count))
    assert sorted(order) == list(range(count))
    for asked in (n for n in (1, 2, 4, 8) if n <= count):
        some = sorted(order[:asked])
        assert some[0] == 0
        gaps = [b - a for a, b in zip(some, [*some[1:], count], strict=True)]
        assert max(gaps) <= 2 * -(-count // asked)


def test_what_a_clause_does_not_need_is_shared_by_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge and the candidate count, with what each has used; what is made once does not."""
    used = {"judge": 5.0, "candidate": 7.0}
    monkeypatch.setattr(budget.time, "process_time", lambda: used["judge"])
    found = Budget(8.0, lambda: used["candidate"])
    found.deal(Fraction(1, 4))
    assert not found.spent
    used["candidate"] += 1.5
    assert not found.spent
    used["judge"] += 0.5
    assert found.spent
    found.deal(Fraction(2, 3))
    with found.nothing():
        used["judge"] += 100
        assert found.used == 2.0
    assert (found.used, found.left) == (2.0, 6.0)
    used["candidate"] += 3
    assert not found.spent
    found.deal(Fraction(1))
    used["candidate"] += 2.5
    assert not found.spent
    used["candidate"] += 0.5
    assert found.spent
    assert found.left == 0


def test_an_answer_that_is_whole_may_take_all_that_is_left() -> None:
    """Which calls a function takes is asked beyond the share of a clause, and not beyond the budget."""
    used = [0.0]
    found = Budget(1e9, lambda: used[0])
    found.deal(Fraction(1, 10**9))
    used[0] = 2e8
    assert found.spent
    with found.whole():
        assert not found.spent
    assert found.spent, "behind such an answer each clause has its share again"
    with found.whole():
        used[0] = 2e9
        assert found.spent


def test_a_slow_function_is_judged_by_a_part_of_its_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each clause says how much was asked; one of which too little was is not judged, and the matrix counts both."""
    _, found = judged(tmp_path, SLOW.format(seconds=0.004, body=RIGHT), "--budget", "1", "--tier", "scope")
    cut = [r for r in found if r.unasked]
    assert cut
    assert not any(r.verdict.fails for r in found)
    for result in cut:
        asked, count = (int(n.replace(",", "")) for n in ASKED.search(result.reason).groups())  # type: ignore[union-attr]
        assert count - asked == result.unasked
        enough = asked >= min(30, count / 2)
        assert result.verdict is (Verdict.HOLDS if enough else Verdict.NOT_RUN)
        assert result.instances == (asked if enough else 0)
    assert {r.verdict for r in found if not r.unasked} >= {Verdict.HOLDS}
    printed = capsys.readouterr().out
    assert f"{len(cut)} cut short" in printed
    assert f"budget: matrix_transpose: {sum(r.unasked for r in cut):,} calls of {len(cut)} clauses not asked" in printed


def test_a_definition_has_half_of_it() -> None:
    """Others share alike, what is alone has all that is left."""
    assert [share(clauses) for clauses in (["def", "empty", "nan"], ["empty", "nan", "def"], ["def"], ["nan"])] == [
        Fraction(1, 2),
        Fraction(1, 3),
        1,
        1,
    ]


def test_an_op_is_judged_though_nothing_else_of_it_is(tmp_path: Path) -> None:
    """Where a call takes a fiftieth of the budget, most of its clauses have no time, and its definition has."""
    status, found = judged(tmp_path, SLOW.format(seconds=0.06, body=RIGHT), "--budget", "6", "--tier", "scope")
    definition = next(r for r in found if r.clause == "matrix_transpose/def")
    assert (status, definition.verdict) == (0, Verdict.HOLDS)
    assert definition.unasked
    assert any(r.verdict is Verdict.NOT_RUN and r.unasked for r in found)


def test_waiting_counts_however_short_it_is_in_a_call(tmp_path: Path) -> None:
    """A function that sleeps in every call uses no processor, and what it sleeps is taken from the budget all the same."""
    text = "import time\n\n\ndef matrix_transpose(x):\n    time.sleep(0.05)\n    return x.swapaxes(-1, -2)\n"
    _, found = judged(tmp_path, text, "--budget", "4", "--tier", "scope")
    assert any(r.unasked for r in found)
    assert not any(r.verdict.fails for r in found)


@pytest.mark.parametrize(
    ("idle", "asleep", "paused", "waited"),
    [(True, True, 0.0, 2.0), (False, True, 0.0, 0.0), (True, False, 0.0, 0.0), (True, True, 9.0, 2.0)],
)
def test_short_waits_add_up(idle: bool, asleep: bool, paused: float, waited: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process sleeps and has said nothing; what passes while nobody waits for it does not count."""
    now = [0.0]
    monkeypatch.setattr(process.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(process, "_usage", lambda _: (0.0, asleep, 0.0))
    clock = process._Clock(psutil.Process())
    clock.begin(18)
    for number in range(18):  # the first two make a beginning
        clock.resume()
        now[0] += 0.125
        assert clock.exceeded(number, Limits(1.0, 1.0), 1.0, idle) is None
        clock.pause()
        now[0] += paused
    assert clock.waited == waited


def test_with_enough_of_it_nothing_is_another(tmp_path: Path) -> None:
    """What a fast function is asked, and what is told of it, is the same as without a budget."""
    arguments = ("--tier", "scope", "--tier", "property")
    runs = [judged(tmp_path, SLOW.format(seconds=0, body=RIGHT), *arguments, *more) for more in ((), ("--budget", "1000"))]
    (status, plain), (other, bounded) = runs
    assert status == other == 0
    assert [(r.clause, r.tier, r.verdict, r.instances, r.reason) for r in plain] == [
        (r.clause, r.tier, r.verdict, r.instances, r.reason) for r in bounded
    ]


@pytest.mark.parametrize("drawn", [(), ("--seed", "3")])
def test_a_wrong_result_within_it_is_wrong(tmp_path: Path, drawn: tuple[str, ...]) -> None:
    """Even the first call, for which all of it is spent: of those that are kept, and of those that are drawn afresh."""
    tier = "property" if drawn else "scope"
    status, found = judged(tmp_path, SLOW.format(seconds=0.2, body=WRONG), "--budget", "0.25", "--tier", tier, *drawn)
    assert status == 1
    (wrong,) = (r for r in found if r.verdict is Verdict.WRONG)
    assert wrong.clause in ("matrix_transpose/def", "matrix_transpose/values.signed_zero")
    assert wrong.witness
    assert not wrong.unasked


@pytest.mark.parametrize(("module", "wait"), [("math", "pass"), ("time", "time.sleep(1)")])
def test_a_call_without_an_end_costs_no_more(
    module: str, wait: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no error but a clause that was not judged; what was not asked at all is not said to hold, and the run fails."""
    text = ENDLESS.format(module=module, wait=wait)
    status, found = judged(tmp_path, text, "--budget", "1", "--tier", "scope")
    assert status == 1
    assert {r.verdict for r in found} == {Verdict.NOT_RUN}
    assert re.search(r"for longer than 1 s and was ended; --budget gives it more", found[0].reason)
    assert (
        "matrix_transpose/def was not judged within the budget of 1 s, so nothing is known of matrix_transpose"
        in capsys.readouterr().out
    )


def test_the_time_of_a_call_is_another_limit(tmp_path: Path) -> None:
    """Without a budget, and where --timeout is less than it, such a call is an error."""
    text = ENDLESS.format(module="math", wait="pass")
    for arguments in (("--timeout", "1"), ("--timeout", "1", "--budget", "60")):
        status, found = judged(tmp_path, text, *arguments, "--tier", "scope")
        assert status == 1
        assert found[0].verdict is Verdict.ERRORED
        assert "--timeout gives it more" in found[0].reason


def test_a_backend_whose_definition_was_not_judged_fails_the_run() -> None:
    """Where its budget was spent, and not where it does not offer the op."""
    backends = {"a": {"bare": False, "ops": ["stack", "tile"]}}
    results = [
        Result("stack/def", "scope", Verdict.NOT_RUN, backend="a", unasked=7),
        Result("tile/def", "scope", Verdict.UNSUPPORTED, backend="a"),
    ]
    found = Run(Request(("a",), budget=0.5), results, backends, complete=True)
    assert found.unjudged == ["a: stack/def was not judged within the budget of 0.5 s, so nothing is known of stack"]


def test_a_summary_says_what_was_left_out(tmp_path: Path) -> None:
    """A line an op, in Markdown too."""
    results = [
        Result("top_k/def", "scope", Verdict.HOLDS, 40, unasked=60),
        Result("top_k/nan", "scope", Verdict.NOT_RUN, unasked=1),
        Result("stack/def", "scope", Verdict.HOLDS, 7),
        Result("stack/nan", "scope", Verdict.HOLDS, 7, unasked=1200),
    ]
    assert list(within_budget(results)) == [
        "top_k: 61 calls of 2 clauses not asked, so that 1 of these are not judged",
        "stack: 1,200 calls of 1 clause not asked",
    ]
    judged(tmp_path, SLOW.format(seconds=0.05, body=RIGHT), "--budget", "0.5", "--tier", "property")
    assert "### Not asked within the budget" in markdown(read_all([tmp_path / "report.jsonl"]))


def test_a_budget_is_above_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """None at all would ask nothing."""
    assert main(["check", "numpy", "--budget", "0"]) == 2
    assert "--budget: must be above 0, not 0" in capsys.readouterr().err
