"""Every clause has a check and every check a clause, lines of cards are run, and no clause changes its meaning in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from judged import results, session
from test_same_as import RUNNABLE, lines

import einspec
from einspec import load, meaning
from einspec.card import OPS, Op, compile_card, parse_card
from einspec.clauses import KINDS as PROMISES
from einspec.clauses import clause_ids as clauses
from einspec.clauses import laws_of
from einspec.conformance import trace
from einspec.conformance.checks.laws import KINDS

PAPER, FORMAT, FRAMEWORK, LIBRARY = (
    "the published code of a paper, not a package",
    "an operator of a format or a runtime that the tests do not install",
    "a framework that the tests do not install",
    "a library that the tests do not install",
)
ELSEWHERE = {
    "dit": PAPER,
    "dm_pix": LIBRARY,
    "flash-attn": LIBRARY,
    "keras": FRAMEWORK,
    "mae": PAPER,
    "onnx": FORMAT,
    "openvino": FORMAT,
    "paddle": FRAMEWORK,
    "swin": PAPER,
    "swin_unet": PAPER,
    "tensorflow": FRAMEWORK,
    "timm": LIBRARY,
    "transformers": LIBRARY,
    "vllm": LIBRARY,
}
"""The packages whose lines of ``same_as`` are not run, and why."""


def test_every_kind_of_clause_has_a_promise_and_every_promise_a_clause() -> None:
    """The kinds of the ids of all ops are those that something is promised of."""
    kinds = {c.partition(".")[0] for name in einspec.ops() for c in clauses(load(name))}
    assert kinds == set(meaning.RESTS_ON) == set(PROMISES)


def test_every_law_of_a_card_is_of_a_kind_that_is_checked() -> None:
    """So is every kind of law used by some card."""
    assert {law.partition(".")[0] for name in einspec.ops() for law in laws_of(load(name))} == set(KINDS)


@pytest.mark.parametrize("name", ["matrix_transpose", "top_k", "drop", "sliding_window_mask"])
def test_judging_gives_a_result_for_every_clause_and_no_other(name: str) -> None:
    """What is declared is what happens: each id at least once, none besides."""
    found = {r.clause for r in results(session("numpy"), name)}
    assert found == {f"{name}/{c}" for c in clauses(load(name))}


def test_every_line_of_a_card_is_run_or_cannot_be_here() -> None:
    """A line of ``same_as`` is among those that a test runs, or of a package that is left out for a reason."""
    run = {(line.op, line.entry, id(form)) for line in lines() for form in line.forms}
    left_out = set()
    for name in einspec.ops():
        for form in load(name).forms.values():
            for entry in form.same_as:
                if (name, entry, id(form)) not in run:
                    left_out.add(entry.package)
    assert left_out == set(ELSEWHERE)
    assert not left_out & set(RUNNABLE)


def test_no_clause_is_gone_or_means_something_else() -> None:
    """The record holds every clause of this spec version, as it is."""
    (version, before), now = meaning.recorded(), meaning.current()
    told = [*trace.changes(version, before, now), *trace.missing(version, before, now)]
    assert not told, "\n".join(["python -m einspec.conformance.trace says more", *told])


def card(change: tuple[str, str] = ("", "")) -> Op:
    """Return the op that stands in the card of unfold, with one text replaced by another."""
    text = (OPS / "windows" / "unfold.toml").read_text()
    assert change[0] in text
    return compile_card("unfold", "windows", parse_card(text.replace(*change)))


def digests(op: Op) -> dict[str, dict[str, str]]:
    return {op.name: {c: meaning.digest(op, c) for c in clauses(op)}}


@pytest.mark.parametrize(
    "change",
    [
        ("h == i*sh + p*dh - ph", "h ==   ((i*sh) + p*dh) - ph"),
        ('summary = "', 'summary = "Really: '),
        ('doc = "', 'doc = "that is to say, '),
        ("aliases = [", 'aliases = ["windows_of_all", '),
    ],
)
def test_wording_is_not_meaning(change: tuple[str, str]) -> None:
    """Blanks, brackets, summaries and descriptions of a card leave all digests as they are."""
    assert digests(card(change)) == digests(card())


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (("h == i*sh + p*dh - ph", "h == i*sh + p*dh + ph"), "def"),
        (("default = 1", "default = 2"), "def"),
        (("H + 2*ph > dh*(P-1)", "H + 2*ph >= dh*(P-1)"), "err.require.height"),
        (("adjoint = \"fold(y, ", "adjoint = \"fold(2 * y, "), "law.adjoint"),
        (('[params.padding]\n', '[dtype]\nx = "float"\n\n[params.padding]\n'), "dtype.float32"),
    ],
)  # fmt: skip
def test_a_change_of_meaning_is_told(change: tuple[str, str], clause: str) -> None:
    """A changed formula, default, condition, law or dtype changes the digest of its clause, and is told with what to do."""
    before, now = digests(card()), digests(card(change))
    assert before["unfold"][clause] != now["unfold"][clause]
    told = "\n".join(trace.changes(einspec.SPEC_VERSION, before, now))
    assert "unfold/" in told
    assert "SPEC_VERSION" in told
    assert not list(trace.changes("another version", before, now))


def test_a_law_that_changes_leaves_other_clauses_alone() -> None:
    """Only the clause of the law means something else."""
    before, now = digests(card())["unfold"], digests(card(('adjoint = "fold(y, ', 'adjoint = "fold(2 * y, ')))["unfold"]
    assert [c for c in before if before[c] != now[c]] == ["law.adjoint"]


def test_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """New clauses are recorded; what is gone or changed is refused, unless it is said to be only worded otherwise."""
    path = tmp_path / "clauses.json"
    shutil.copy(meaning.RECORD, path)
    version, known = meaning.recorded(path)
    assert trace.main([], path) == 0
    assert f"{sum(map(len, known.values())):,} recorded" in capsys.readouterr().out
    less = {op: {c: d for c, d in ids.items() if c != "nan"} for op, ids in known.items()}
    trace.record(less, path)
    assert trace.main([], path) == 1
    assert trace.main(["--record"], path) == 0
    assert meaning.recorded(path) == (version, known)
    other = {**known, "tile": {**known["tile"], "def": "0", "law.gone": "0"}}
    trace.record(other, path)
    assert trace.main(["--record"], path) == 1
    assert "tile/law.gone" in capsys.readouterr().out
    assert meaning.recorded(path) == (version, other)
    with pytest.raises(SystemExit):
        trace.main(["--reworded", "tile"], path)
    assert "--reworded goes with --record" in capsys.readouterr().err
    assert trace.main(["--record", "--reworded", "tile"], path) == 0
    assert meaning.recorded(path) == (version, known)
