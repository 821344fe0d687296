"""Reports: written while a run goes on, read when cut off, merged, compared, summed up."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from reports import HOSTILE, WITNESS, backend, file, made, one
from sources import SLOW, begun, until, written

from einspec import SPEC_VERSION
from einspec.conformance.cli import main, parser
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.judge.witness import rows
from einspec.conformance.reports import report
from einspec.conformance.reports.lines import schema
from einspec.conformance.reports.merge import read_all
from einspec.conformance.reports.page import witness_rows
from einspec.conformance.reports.summary import badges, markdown
from einspec.conformance.reports.writing import Writer
from einspec.conformance.run.events import Began, Described, Judged
from einspec.conformance.run.request import Request

HOLDS = one("stack/def", "holds")
WRONG = one("stack/def", "wrong", "y: 1 of 2 elements differ", witness=WITNESS)


def test_every_verdict_fits_the_published_schema(tmp_path: Path) -> None:
    """All lines of a report validate, and lines with another verdict, an unknown field or no clause do not."""
    path = file(tmp_path, "r", made(*(one(f"stack/{v}", v, "why", stale="here") for v in tuple(Verdict)), WRONG))
    validator = jsonschema.Draft202012Validator(schema())
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["header", "backend", *["result"] * (len(tuple(Verdict)) + 1), "footer"]
    for line in lines:
        validator.validate(line)
    for change in ({"verdict": "maybe"}, {"colour": "red"}, {"clause": "stack"}, {"tier": "never"}, {"kind": "other"}):
        assert not validator.is_valid({**lines[2], **change}), change


def test_the_schema_in_the_repository_is_the_one_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/report.schema.json holds what the command prints."""
    assert main(["schema", "report"]) == 0
    assert (Path(__file__).parent.parent / "docs" / "report.schema.json").read_text("utf-8") == capsys.readouterr().out


def test_a_report_is_written_while_the_run_goes_on(tmp_path: Path) -> None:
    """What a run has said so far can be read at once; its end adds what came last, once, and the footer."""
    path, run = tmp_path / "r.jsonl", made(HOLDS, one("stack/agree", "holds"))
    with Writer(path, run.request, host="box") as writer:
        assert report.read(path).header.host == "box"
        writer(Described(backend("numpy", "stack")))
        writer(Described(backend("numpy", "tile")))
        writer(Began("numpy", "stack", "def"))
        writer(Judged(HOLDS))
        found = report.read(path)
        assert ([r.clause for r in found.results], found.incomplete) == (["stack/def"], "incomplete: cut off")
        assert found.backends["numpy"].ops == ["stack", "tile"]
        writer.close(run)
    found = report.read(path)
    assert ([r.clause for r in found.results], found.incomplete) == (["stack/def", "stack/agree"], "")
    assert found.run.passed
    assert path.read_text("utf-8").count('"stack/def"') == 1


def test_a_run_that_is_killed_leaves_a_report(tmp_path: Path) -> None:
    """The results before the kill are there."""
    slow, path = written(tmp_path, SLOW), tmp_path / "r.jsonl"
    command = [sys.executable, "-m", "einspec.conformance.cli", "check", str(slow), "--report", str(path)]
    with begun(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: path.exists() and path.read_text("utf-8").count('"result"') >= 10, process)
    found = report.read(path)
    assert len(found.results) >= 10
    assert found.incomplete
    assert not found.run.passed


def test_a_wait_for_a_process_ends() -> None:
    """It fails where the process ends first or nothing happens, and no process is left."""
    with begun([sys.executable, "-c", "raise SystemExit(3)"]) as process, pytest.raises(AssertionError, match="with status 3"):
        until(lambda: False, process)
    with begun([sys.executable, "-c", "import time; time.sleep(1000)"]) as process:
        with pytest.raises(AssertionError, match="not so after"):
            until(lambda: False, process, patience=0.2)
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL


def test_a_report_reads_wherever_it_was_cut(tmp_path: Path) -> None:
    """At every byte behind the header the results of the whole lines are there, and the report is said to be cut off."""
    whole = file(tmp_path, "r", made(HOLDS, one("tile/def", "holds"))).read_bytes()
    path = tmp_path / "cut.jsonl"
    for end in range(whole.index(b"\n"), len(whole) - 1):
        path.write_bytes(whole[:end])
        found = report.read(path)
        complete = whole[:end].count(b"\n") + (whole[end : end + 1] == b"\n")
        assert len(found.results) == min(max(complete - 2, 0), 2)
        assert bool(found.incomplete) == (end < len(whole) - 1)


def test_fields_of_later_versions_are_ignored(tmp_path: Path) -> None:
    """A line with a field more still reads, as long as the schema is the same."""
    path = file(tmp_path, "r", made(HOLDS))
    path.write_text(path.read_text("utf-8").replace('"kind"', '"later": [1], "kind"'), encoding="utf-8")
    assert report.read(path).results == [HOLDS]


def test_machines_that_disagree_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same backend, clause and kind of device with another verdict: both machines, versions and reasons are told."""
    agreed = one("tile/def", "holds", name="torch", device="cuda:0")
    bad = one("stack/def", "wrong", "y: differs", name="torch", device="cuda:1", witness=WITNESS)
    first = file(tmp_path, "a", made(agreed, one("stack/def", "holds", name="torch", device="cuda:0"), torch="2.6"))
    other = file(tmp_path, "b", made(one("tile/def", "holds", name="torch", device="cuda:1"), bad, torch="2.7"))
    merged = read_all([first, other], ["box", "lab"])
    (found,) = merged.disagreements
    assert (found.backend, found.device, found.clauses) == ("torch", "cuda", (("stack/def", "scope"),))
    assert [(c.report.label, v, why) for c, v, why in found.sides] == [("box", "holds", ""), ("lab", "wrong", "y: differs")]
    assert main(["report", str(first), str(other), "--name", "box", "--name", "lab"]) == 1
    out = capsys.readouterr().out
    for part in (
        "torch @ box",
        "torch @ lab",
        "disagree torch on cuda: stack: def",
        "torch 2.6",
        "torch 2.7",
        "wrong, y: differs",
    ):
        assert part in out, part


def test_other_backends_of_other_machines_do_not_disagree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Backends with their own names, or on another kind of device, are columns of one matrix without a label."""
    first = file(tmp_path, "a", made(HOLDS))
    other = file(tmp_path, "b", made(one("stack/def", "refused", "no", name="torch"), one("tile/def", "holds", name="torch")))
    merged = read_all([first, other])
    assert not merged.disagreements
    assert [c.name for c in merged.columns] == ["numpy", "torch"]
    assert main(["report", str(first), str(other)]) == 0
    assert "disagree" not in capsys.readouterr().out
    device = one("stack/def", "wrong", "no", device="cuda:0")
    assert not read_all([first, file(tmp_path, "c", made(device))]).disagreements


def test_a_merged_run_passes_only_if_every_report_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure or a cut in one of them fails all, and the cut is said."""
    good, bad = file(tmp_path, "good", made(HOLDS)), file(tmp_path, "bad", made(WRONG, one("tile/def", "holds")))
    assert main(["report", str(good), str(good)]) == 0
    assert main(["report", str(good), str(bad)]) == 1
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(good.read_text("utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    capsys.readouterr()
    assert main(["report", str(good), str(cut)]) == 1
    assert "cut: incomplete: cut off" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "no.jsonl"], "cannot read no.jsonl"),
        (["report", "r.jsonl", "--name", "a", "--name", "b"], "2 names for 1 reports"),
        (["report", "r.jsonl", "--html", "no/such/page.html"], "cannot write no/such/page.html"),
        (["report", "r.jsonl", "--markdown", "no/such/page.md"], "cannot write no/such/page.md"),
        (["report", "r.jsonl", "--html", "folder"], "cannot write folder: it is a directory; name a file for --html"),
        (["report", "r.jsonl", "--html", "r.jsonl"], "--html r.jsonl would overwrite what is read; name another file"),
        (["report", "r.jsonl", "--markdown", "./folder/../r.jsonl"], "would overwrite what is read"),
        (["report", "r.jsonl", "--html", "page", "--markdown", "./page"], "--html and --markdown both name page"),
        (["report", "r.jsonl", "--html", "-", "--markdown", "-"], "--html and --markdown both print"),
        (["report", "r.jsonl", "--badges", "r.jsonl"], "cannot write into r.jsonl: it is a file; name a folder"),
        (["report", "r.jsonl", "--badges", "-"], "cannot print --badges: it is several files; name a folder"),
        (["report", "folder"], "cannot read folder: Is a directory; einspec check --report FILE.jsonl writes a report"),
        (["diff", "r.jsonl", "other.jsonl"], "no backend is in both"),
    ],
)
def test_what_cannot_be_written_or_read_is_said(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2 and what to do."""
    monkeypatch.chdir(tmp_path)
    file(tmp_path, "r", made(HOLDS))
    file(tmp_path, "other", made(one("stack/def", "holds", name="torch")))
    (tmp_path / "folder").mkdir()
    before = {p: p.read_bytes() for p in tmp_path.glob("*.jsonl")}
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert not said.out
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(("option", "begins"), [("--html", "<!doctype html>\n"), ("--markdown", "## einspec: passed\n")])
def test_a_dash_prints_instead_of_the_matrix(
    option: str, begins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed is what a file would hold, nothing else is printed, and no file is made."""
    monkeypatch.chdir(tmp_path)
    file(tmp_path, "r", made(HOLDS))
    assert main(["report", "r.jsonl", option, "-"]) == 0
    printed = capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]
    assert main(["report", "r.jsonl", option, "file"]) == 0
    assert printed == (tmp_path / "file").read_text("utf-8")
    assert printed.startswith(begins)


def test_every_option_that_writes_a_file_can_print_it() -> None:
    """The help of each says so."""
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    found = {
        (name, action.option_strings[0]): str(action.metavar)
        for name, command in commands.choices.items()
        for action in command._actions
        if action.option_strings and "FILE" in str(action.metavar)
    }
    assert found.pop(("check", "--known")) == "FILE.jsonl"  # which is read
    assert found.pop(("cite", "--check")) == "FILE"  # and so is this
    assert set(found) >= {("check", "--report"), ("report", "--html"), ("report", "--markdown"), ("mutants", "--json")}
    assert all(metavar.endswith("|-") for metavar in found.values()), found


def test_the_summary_counts_every_verdict_and_skips_are_no_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown has a column a verdict, and a backend of which nothing was judged did not pass."""
    results = [one(f"stack/{i}", v) for i, v in enumerate(tuple(Verdict)) for _ in range(1)]
    path = file(tmp_path, "r", made(*results))
    assert main(["report", str(path), "--markdown", "-"]) == 1
    out = capsys.readouterr().out
    assert "## einspec: failed" in out
    assert "1 passed, 1 failed, 1 refused, 1 unsupported, 1 known, 1 errored, 1 not run" in out
    assert "| `numpy` | `cpu` | 1 | 1 | 1 | 1 | 1 | 1 | 1 |" in out
    assert "| axes | **0 of 1** |" in out
    skipped = file(tmp_path, "s", made(one("stack/def", "not run", "no reason"), one("stack/nan", "unsupported", "not here")))
    assert main(["report", str(skipped), "--markdown", "-"]) == 1
    assert "| axes | · |" in capsys.readouterr().out


def test_markdown_stays_small_and_shows_reasons_as_they_are(tmp_path: Path) -> None:
    """Many failures are counted, not listed, and no text of a backend becomes markup, a link or a cell."""
    many = [one(f"{op}/{kind}", "wrong", HOSTILE) for op in ("stack", "tile") for kind in ("def", "nan", "empty")]
    many += [one(f"op_{i}/def", "wrong", "x" * 5000) for i in range(200)]
    text = markdown(read_all([file(tmp_path, "r", made(*many))]))
    assert len(text) < 20_000
    assert r"\<img src=x" in text
    assert r"\| \*b\*" in text
    assert "(and 2 more clauses)" in text
    assert "and 182 more" in text
    assert "](" not in text


@pytest.mark.parametrize(
    ("verdicts", "message", "color"),
    [
        (("holds", "holds", "not run"), "2 hold", "brightgreen"),
        (("holds", "known"), "1 hold, 1 known", "yellow"),
        (("holds", "wrong", "wrong", "errored"), "2 wrong, 1 errored", "red"),
        (("not run", "unsupported"), "nothing holds", "lightgrey"),
    ],
)
def test_badges_say_what_holds(verdicts: tuple[Verdict, ...], message: str, color: str, tmp_path: Path) -> None:
    """One shields.io endpoint a backend, with the spec version and the worst that there is to say."""
    path = file(tmp_path, "r", made(*(one(f"stack/{i}", v, name="my backend.py") for i, v in enumerate(verdicts))))
    main(["report", str(path), "--badges", str(tmp_path / "badges")])
    (badge,) = (tmp_path / "badges").iterdir()
    assert badge.name == "my-backend.py.json"
    want = {"schemaVersion": 1, "label": "einspec my backend.py", "message": f"{SPEC_VERSION} · {message}", "color": color}
    assert json.loads(badge.read_text("utf-8")) == want


def test_the_badge_of_a_report_that_was_cut_off_is_not_green(tmp_path: Path) -> None:
    """What was not judged may be wrong."""
    path = file(tmp_path, "r", made(HOLDS))
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    assert badges(read_all([path]))["numpy.json"]["color"] == "lightgrey"


def test_text_that_no_output_can_show_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lone surrogate in a reason is written, read and printed as a question mark, and a pair stays a character."""
    path = file(tmp_path, "r", made(one("stack/def", "wrong", "\ud800 \U0001f600")))
    assert '"? ' in path.read_text("utf-8")
    assert report.read(path).results[0].reason == "? \U0001f600"
    path.write_text(path.read_text("utf-8").replace('"? ', '"\\ud800 '), encoding="utf-8")
    assert main(["report", str(path)]) == 1
    assert "? \U0001f600" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_said_before_anything_is_judged(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(UsageError, match=r"cannot write the report .*name another file"), Writer(tmp_path, Request(())):
        pass


def test_a_witness_is_read_in_one_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal and the page show the same rows one after the other; the page says what an op is by itself."""
    witness = {
        "script": "import numpy",
        **dict(reversed(WITNESS.items())),
        "how": "jitted",
        "demand": "y is right.",
        "got": {"y": "no", "error": "none"},
    }
    path = file(tmp_path, "r", made(one("split_heads/def", "wrong", "no", witness=witness), one("pad/def", "wrong", "no")))
    labels = [
        "what it is",
        "demanded",
        "signature",
        "formula",
        "call",
        "how",
        "x",
        "expected y",
        "got y",
        "got error",
        "difference",
        "script",
    ]
    assert [label for label, _ in rows(witness)] == labels
    main(["report", str(path)])
    printed = [line.partition(":")[0].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [line for line in printed if line in labels] == labels
    (result, _) = report.read(path).results
    assert [label for label, _ in witness_rows(result)] == ["demanded", *labels[4:]]
    result.clause = "no_such/def"
    assert [label for label, _ in witness_rows(result)] == labels[1:]


@pytest.mark.parametrize(
    "witness",
    [{"formula": "y"}, {"formula": 3, "inputs": [1], "got": ["a"], "script": {"a": "b"}}, {"replay": 3, "call": None}, {}],
)
def test_a_witness_of_another_shape_is_shown_as_it_is(
    witness: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the terminal nor the page, nor a line for known failures, needs any part of it."""
    path = file(tmp_path, "r", made(one("stack/def", "wrong", "no", witness=witness)))
    assert main(["report", str(path), "--html", str(tmp_path / "page")]) == 1
    assert main(["report", str(path)]) == 1
    assert main(["known", str(path), "--reason", "why"]) == 0
    capsys.readouterr()


def test_parts_of_a_run_make_it_whole_and_a_missing_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two shards are one column and pass; one alone fails, and says what judges the rest."""
    ops, files = ("stack", "unstack", "concat"), []
    for i in (1, 2):
        path = tmp_path / f"{i}.jsonl"
        chosen = [part for op in ops for part in ("--op", op)]
        assert main(["check", "numpy", *chosen, "--tier", "scope", "--shard", f"{i}/2", "--report", str(path)]) == 0
        files.append(path)
    whole = read_all(files)
    assert whole.passed
    assert [column.name for column in whole.columns] == ["numpy"]
    assert {r.op for r in whole.results} == set(ops)
    capsys.readouterr()
    assert main(["report", str(files[0])]) == 1
    said = capsys.readouterr().out
    assert "part 2 of 2 is missing: --shard 2/2 judges " in said
    first = {r.op for r in read_all(files[:1]).results}
    assert all(op in said for op in set(ops) - first)
