"""The command line: exit status, messages, reports."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from sources import RIGHT, WRONG, written

import einspec
from einspec.conformance.cli import main
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.protocol import tensor
from einspec.conformance.reports import report
from einspec.conformance.reports.lines import schema
from einspec.conformance.run.agreement import agreements
from einspec.conformance.run.events import Sample
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run


def test_a_right_file_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0, and a matrix that names the op."""
    assert main(["check", str(written(tmp_path, RIGHT)), "--tier", "scope"]) == 0
    assert "matrix_transpose" in capsys.readouterr().out


def test_a_run_without_a_terminal_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """What is judged is said at once, and how far it is by quarters; the output has the verdicts alone."""
    ops = ("capacity", "matrix_transpose", "merge_heads", "priority", "split_heads", "swap_hw", "maxout", "position")
    assert main(["check", "numpy", "--tier", "scope", *(f"--op={n}" for n in ops)]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["einspec: judging numpy", *(f"einspec: {n} of 8 ops judged" for n in (2, 4, 6))]
    assert "einspec: " not in captured.out


def test_a_wrong_file_fails_with_a_witness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, the clause id, the formula and a script."""
    assert main(["check", str(written(tmp_path, WRONG)), "--tier", "scope"]) == 1
    out = capsys.readouterr().out
    for part in ("matrix_transpose/def", "formula", "expected", "script", "first at"):
        assert part in out


ENDS = "import numpy as np\nimport os\ndef matrix_transpose(x):\n    os._exit(3)\n"
"""Nothing comes back of it, so that there is neither a verdict nor a witness."""


def test_a_failure_says_what_its_clause_demands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal, the report and its page have the sentence, a failure without a witness too."""
    path, page = tmp_path / "report.jsonl", tmp_path / "page.html"
    main(["check", str(written(tmp_path, WRONG)), "--tier", "scope", "--all", "--report", str(path)])
    printed = capsys.readouterr().out
    wrong = [r for r in report.read(path).results if r.verdict == "wrong"]
    promised = einspec.clauses("matrix_transpose")
    assert {r.clause for r in wrong} > {"matrix_transpose/def"}
    for result in wrong:
        assert (result.witness or {})["demand"] == promised[result.clause.partition("/")[2]]
    assert f"WRONG {wrong[0].clause} " in printed
    assert f"demanded: {promised[wrong[0].clause.partition('/')[2]]}" in printed
    main(["report", str(path), "--html", str(page)])
    assert promised["def"] in page.read_text(encoding="utf-8")


def test_a_lost_process_says_what_it_was_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the judge or the process names the clause and what it demands."""
    main(["check", str(written(tmp_path, ENDS)), "--tier", "scope"])
    printed = capsys.readouterr().out
    assert "ERRORED matrix_transpose/def" in printed
    assert f"demanded: {einspec.clauses('matrix_transpose')['def']}" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nowhere.py"], "no file nowhere.py"),
        (["check", "nosuchbackend"], "no backend, module or file"),
        (["check", "."], ". is a folder: name a file in it"),
        (["check", "json"], "defines no function named after an op"),
        (["check", "numpy", "--op", "pixel_shufle"], "did you mean pixel_shuffle"),
        (["check", "numpy", "--op", "stack", "--device", "cuda:7"], "cuda:7: not run"),
        (["show", "nothing_like_it"], "no op"),
        (["check", "numpy", "--report", "no/such/folder/r.jsonl"], "no directory"),
    ],
)
def test_what_cannot_be_done_says_so(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is an error that says what to do, never a pass."""
    assert main(arguments) != 0
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


def test_what_cannot_be_done_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Though several processes find it out, and nothing is said of ops that nobody could look for."""
    main(["check", "nosuchbackend", "--op", "stack", "--op", "tile"])
    out = capsys.readouterr().out
    assert out.count("no backend, module or file") == 1
    assert "defines it" not in out
    main(["check", "numpy", "--op", "stack", "--device", "cuda:7"])
    assert "defines it" not in capsys.readouterr().out


def test_a_file_that_cannot_be_imported_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the file and what it raised."""
    assert main(["check", str(written(tmp_path, "raise RuntimeError('broken')"))]) == 1
    assert "RuntimeError: broken" in capsys.readouterr().out


def test_the_report_fits_its_schema_and_reads_when_cut_off(tmp_path: Path) -> None:
    """Every line validates, and a report without its end gives the results before the cut."""
    path = tmp_path / "report.jsonl"
    assert main(["check", str(written(tmp_path, WRONG)), "--tier", "scope", "--report", str(path)]) == 1
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        jsonschema.validate(json.loads(line), schema())
    assert json.loads(lines[-1])["passed"] is False
    full = report.read(path)
    assert any(r.verdict == "wrong" and r.witness for r in full.results)
    assert not full.incomplete
    path.write_text("\n".join(lines[:-2])[:-20], encoding="utf-8")
    assert 0 < len(report.read(path).results) < len(full.results)


def test_a_file_is_judged_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed in the second of the last run, and as long as it was, it is no less another one."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    path = written(tmp_path, RIGHT)
    told = path.stat()
    assert main(["check", str(path), "--tier", "scope"]) == 0
    path.write_text(RIGHT.replace("-1, -2", "-1, -1"), encoding="utf-8")
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert main(["check", str(path), "--tier", "scope"]) == 1


def test_a_report_can_be_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--report -`` the output is the report and nothing else, and no file is made."""
    monkeypatch.chdir(tmp_path)
    assert main(["check", str(written(tmp_path, RIGHT)), "--tier", "scope", "--report", "-"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"header", "backend", "result", "footer"}
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["mine.py"]


def test_a_report_does_not_take_the_place_of_what_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of functions and one of known failures stay as they are."""
    path, known = str(written(tmp_path, RIGHT)), tmp_path / "known.jsonl"
    known.write_text("", encoding="utf-8")
    for report_path in (path, str(known)):
        assert main(["check", path, "--known", str(known), "--report", report_path]) == 2
        assert "would overwrite what is read" in capsys.readouterr().err
    assert Path(path).read_text("utf-8") == RIGHT


def test_a_run_that_judged_nothing_fails() -> None:
    """An empty run is no pass, and neither is one in which a backend had nothing that holds."""
    assert not Run(Request(()), complete=True).passed
    run = Run(Request(("a",)), [Result("stack/def", "scope", Verdict.NOT_RUN, backend="a")], {"a": {}}, complete=True)
    assert not run.passed


def test_backends_are_compared_with_each_other() -> None:
    """Two backends that differ on the same input are reported, whatever the definition says."""
    one, other = (
        Sample(name, "cpu", "stack", "x[3]", ("bits",), (tensor(np.full(3, value, np.float32)),), (tensor(np.zeros(0)),))
        for name, value in (("numpy", 0), ("torch", 1))
    )
    (result,) = agreements({"stack": {"numpy": one, "torch": other}})
    assert result.verdict == "wrong"
    (result,) = agreements({"stack": {"numpy": one, "torch": one}})
    assert result.verdict == "holds"


def test_ops_finds_by_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The names of exercises find the op."""
    assert main(["ops", "sliding window"]) == 0
    assert "chunk_overlap" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["card", "report"])
def test_schemas_are_schemas(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What einspec schema prints is a JSON Schema."""
    assert main(["schema", what]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_does_not_cost_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The matrix is shown, the run fails, and it is said which report is cut off and why."""
    assert main(["check", str(written(tmp_path, RIGHT)), "--tier", "scope", "--report", "/dev/full"]) == 1
    out = capsys.readouterr().out
    assert "│matrix_transpose │" in out
    assert "the report /dev/full is cut off: No space left on device; name a file that has room for it" in out
