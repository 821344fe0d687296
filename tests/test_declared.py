"""What a backend says of itself: unsupported entries, and known failures that are strict and cheap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judged import opened
from judged import results as judged
from sources import RIGHT, WRONG, written

from einspec.card import load
from einspec.clauses import dtypes_of
from einspec.conformance.cli import main
from einspec.conformance.judge import judging
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.declarations import check_declared
from einspec.conformance.judge.verdict import Result
from einspec.conformance.reports import report
from einspec.conformance.targets.declared import DeclarationError, read_known, read_unsupported
from einspec.conformance.targets.names import TargetError

TIERS = ("scope", "property")


def results(path: Path) -> dict[tuple[str, str], Result]:
    """Return the results of its one op by clause and tier."""
    session = opened(path.parent, path.read_text("utf-8"), path.name)
    check_declared(session)
    return {(r.clause, r.tier): r for r in judged(session, "matrix_transpose", tiers=TIERS)}


def test_unsupported_entries_drive_skips(tmp_path: Path) -> None:
    """By clause, by dtype and by device, with the reason and the address; other clauses are judged."""
    entries = """unsupported = [
        ("matrix_transpose/nan", "*", "*", "no NaN here", "https://example.org/1"),
        ("matrix_transpose", "int8", "cpu", "no int8 here"),
        ("*", "int16", "*", "no int16 here"),
        ("matrix_transpose", "uint8", "cuda", "not on CUDA"),
    ]
"""
    found = results(written(tmp_path, RIGHT + entries))
    excused = {c: r.reason for (c, _), r in found.items() if r.verdict == "unsupported" and "here" in r.reason}
    assert excused == {
        "matrix_transpose/nan": "no NaN here https://example.org/1",
        "matrix_transpose/dtype.int8": "no int8 here",
        "matrix_transpose/dtype.int16": "no int16 here",
    }
    assert found["matrix_transpose/dtype.uint8", "scope"].verdict == "holds"
    assert found["matrix_transpose/def", "property"].verdict == "holds"


def test_drawn_cases_leave_unsupported_dtypes_out(tmp_path: Path) -> None:
    """A dtype that is declared unsupported is not asked for by the clauses that draw dtypes."""
    refuses = 'def matrix_transpose(x):\n    assert x.dtype == np.float32, "corrupt"\n    return np.swapaxes(x, -1, -2)\n'
    dtypes = [d for d in dtypes_of(load("matrix_transpose")) if d != "float32"]
    said = f"unsupported = [('*', d, '*', 'float32 alone') for d in {dtypes}]\n"
    session = opened(tmp_path, "import numpy as np\n" + refuses + said)
    assert {r.verdict for r in judged(session, "matrix_transpose", ["def"], tiers=TIERS)} == {"holds"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("pixel_shufle", "*", "*", "why"), "no op 'pixel_shufle'"),
        (("topk", "*", "*", "why"), "another name of top_k"),
        (("pixel_shuffle", "float12", "*", "why"), "no dtype 'float12'"),
        (("pixel_shuffle", "*", "*", " "), "a reason is missing"),
        (("pixel_shuffle", "why"), "expected (op or clause"),
        ("pixel_shuffle", "expected (op or clause"),
    ],
)
def test_an_entry_that_cannot_be_right_is_an_error(entry: object, message: str) -> None:
    """It names the entry and says what is expected."""
    with pytest.raises(DeclarationError, match="unsupported") as caught:
        read_unsupported([entry])
    assert message in str(caught.value)


def test_an_unknown_clause_is_an_error(tmp_path: Path) -> None:
    """It lists the clauses that are near."""
    path = written(tmp_path, RIGHT + 'unsupported = [("matrix_transpose/dtype.int7", "*", "*", "why")]\n')
    with pytest.raises(TargetError, match=r"no clause matrix_transpose/dtype.int7.*dtype.int8"):
        results(path)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('unsupported = [("*", "*", "cdua", "why")]', "no device 'cdua'; there are cpu, cuda"),
        ('unsupported = [("*", "int8", "*", "why")]\nknown_failures = "known.jsonl"', "is unsupported, so never tried"),
        ("known_failures = ['known.jsonl']", "known_failures must be the path of a file"),
    ],
)
def test_what_contradicts_itself_is_an_error(tmp_path: Path, said: str, message: str) -> None:
    """A device that there is not, a failure of what is not judged, a list where a path is due."""
    line = {"clause": "matrix_transpose/dtype.int8", "tier": "scope", "reason": "why"}
    (tmp_path / "known.jsonl").write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(TargetError, match=message):
        results(written(tmp_path, RIGHT + said))


def test_one_failure_in_two_files_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The backend's own file and one that is given; the same file twice is no contradiction."""
    line = {"clause": "matrix_transpose/dtype.int8", "tier": "scope", "reason": "why"}
    for name in ("known.jsonl", "more.jsonl"):
        (tmp_path / name).write_text(json.dumps(line), encoding="utf-8")
    command = ["check", str(written(tmp_path, RIGHT + 'known_failures = "known.jsonl"')), "--tier", "scope", "--known"]
    assert main([*command, str(tmp_path / "more.jsonl")]) == 1
    assert "are about the same failure: delete one" in capsys.readouterr().out
    main([*command, str(tmp_path / "known.jsonl")])
    assert "about the same failure" not in capsys.readouterr().out


def test_an_op_without_function_is_unsupported_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has a row in the matrix, and its reason below."""
    path = written(tmp_path, RIGHT + 'unsupported = [("pixel_shuffle", "*", "*", "no images here")]\n')
    assert main(["check", str(path), "--tier", "scope"]) == 0
    out = capsys.readouterr().out
    assert "pixel_shuffle" in out
    assert "no images here" in out


def test_known_failures_do_not_fail_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What ``einspec known`` prints makes the same run pass where something else holds; the reason is shown."""
    both = WRONG + "def merge_heads(x):\n    b, h, n, d = x.shape\n    return x.swapaxes(1, 2).reshape(b, n, h * d)\n"
    path, kept, first = written(tmp_path, both), tmp_path / "known.jsonl", tmp_path / "r.jsonl"
    command = ["check", str(path), "--tier", "scope", "--tier", "property", "--all"]
    assert main([*command, "--report", str(first)]) == 1
    failures = [r for r in report.read(first).results if r.verdict == "wrong"]
    assert len(failures) > 5
    capsys.readouterr()
    assert main(["known", str(first), "--reason", "reversed", "--url", "https://example.org/2"]) == 0
    kept.write_text("# what we know\n\n" + capsys.readouterr().out, encoding="utf-8")
    assert main([*command, "--known", str(kept), "--report", str(first)]) == 0
    assert "reversed https://example.org/2" in capsys.readouterr().out
    again = [r for r in report.read(first).results if r.verdict == "known"]
    assert len(again) == len(failures)


def test_the_stored_witness_goes_first_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it still fails, the clause is not judged and nothing is drawn or shrunk."""
    path = written(tmp_path, WRONG)
    lines = [_line(r) for r in results(path).values() if r.verdict == "wrong" and (r.witness or {}).get("replay")]
    assert any(line["tier"] == "property" for line in lines)
    (tmp_path / "known.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    path.write_text(WRONG + 'known_failures = "known.jsonl"\n', encoding="utf-8")
    known, judge = {(line["clause"], line["tier"]) for line in lines}, judging.judge_block

    def watched(context: Context, clause: str, tier: str, *rest: Any, **more: Any) -> Result:
        assert (context.id(clause), tier) not in known, "judged although the witness fails"
        return judge(context, clause, tier, *rest, **more)

    monkeypatch.setattr(judging, "judge_block", watched)
    found = results(path)
    assert {k for k, r in found.items() if r.verdict == "known"} == known
    assert "the stored witness" in found["matrix_transpose/def", "property"].reason


def test_a_known_failure_without_its_witness_is_judged_and_not_shrunk(tmp_path: Path) -> None:
    """The clause fails all the same; the drawn failure is not made smaller."""
    path = written(tmp_path, WRONG + 'known_failures = "known.jsonl"\n')
    line = {"clause": "matrix_transpose/def", "tier": "property", "reason": "reversed"}
    (tmp_path / "known.jsonl").write_text(json.dumps(line), encoding="utf-8")
    found = results(path)
    assert found["matrix_transpose/def", "property"].verdict == "known"
    assert found["matrix_transpose/def", "scope"].verdict == "wrong"


def test_a_known_failure_that_holds_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run names the line to delete."""
    path = written(tmp_path, RIGHT + 'known_failures = "known.jsonl"\n')
    line = {"clause": "matrix_transpose/nan", "tier": "scope", "reason": "loses NaN"}
    (tmp_path / "known.jsonl").write_text("\n" + json.dumps(line), encoding="utf-8")
    assert main(["check", str(path), "--tier", "scope"]) == 1
    out = capsys.readouterr().out
    assert "delete" in out
    assert "known.jsonl, line 2" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ('{"clause": "matrix_transpose/nan", "tier": "scope"}', "expected an object with clause, tier and reason"),
        ('{"clause": "no_such/nan", "tier": "scope", "reason": "why"}', "no op 'no_such'"),
    ],
)
def test_a_line_that_cannot_be_right_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    """It names the file and the line."""
    path = tmp_path / "known.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"known\.jsonl, line 1") as caught:
        read_known(path)
    assert message in str(caught.value)


def test_a_stored_call_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    """Every kind of parameter and dtype survives being written as JSON."""
    from einspec.calls.cases import bank
    from einspec.calls.inputs import filled
    from einspec.conformance.checks.trials import plain_trial
    from einspec.conformance.judge.replay import rebuild, record

    for name in ("pixel_shuffle", "capacity", "gate", "unfold", "top_k"):
        op = load(name)
        for case in bank(op)[:3]:
            trial = plain_trial(case, filled(case, "bfloat16", "special", 1))
            again = rebuild(op, json.loads(json.dumps(record(trial))))
            assert again is not None
            assert (again.case.params, again.case.form) == (trial.case.params, trial.case.form)
            for key, array in trial.arrays.items():
                assert again.arrays[key].dtype == array.dtype
                assert again.arrays[key].tobytes() == array.tobytes()


def _line(result: Result) -> dict[str, object]:
    return {"clause": result.clause, "tier": result.tier, "reason": "reversed", "witness": result.witness}
