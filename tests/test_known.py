"""Known failures that have aged: a stored witness that is of no use any more is said, and no line hides another."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from reports import WITNESS, file, made, one

from einspec.conformance.cli import main
from einspec.conformance.reports import report
from einspec.conformance.targets.declared import DeclarationError, read_known

HALVES = "import numpy as np\ndef split_heads(x, num_heads):\n    b, n, d = x.shape\n"
WRONG = f"{HALVES}    return x.reshape(b, num_heads, n, d // num_heads)\n"
RIGHT = f"{HALVES}    return x.reshape(b, n, num_heads, d // num_heads).swapaxes(1, 2)\n"


def stored(dtype: str = "float32", shape: tuple[int, ...] = (1, 2, 2)) -> dict[str, Any]:
    """Return an input as a witness stores it: zeros, on which right and wrong are the same."""
    size = {"float32": 4, "int8": 1}.get(dtype, 8)
    for n in shape:
        size *= n
    return {"dtype": dtype, "shape": list(shape), "bits": base64.b64encode(bytes(size)).decode()}


CASES = [
    ({"params": {"num_heads": 2}, "inputs": {"y": stored()}}, "it has the inputs y, the card has x"),
    ({"params": {"num_heads": 2}, "inputs": {}}, "it has the inputs none, the card has x"),
    ({"params": {"heads": 2}, "inputs": {"x": stored()}}, "heads"),
    ({"params": {"num_heads": "two"}, "inputs": {"x": stored()}}, "num_heads"),
    ({"params": {"num_heads": 3}, "inputs": {"x": stored()}}, "dimension 2 of x must be a multiple of 3, not 2"),
    ({"params": {"num_heads": 2}, "inputs": {"x": stored(shape=(2, 2))}}, "x"),
    ({"params": {"num_heads": 2}, "inputs": {"x": {**stored(), "bits": "AAAA"}}}, "it does not read: ValueError"),
    ({"params": {"num_heads": 2}, "inputs": {"x": stored("float12")}}, "it does not read: TypeError"),
    ({"params": {"num_heads": {"fraction": "1/0"}}, "inputs": {"x": stored()}}, "it does not read: ZeroDivisionError"),
    ({"params": {"num_heads": 2}, "inputs": {"x": stored("datetime64[s]")}}, "x is of dtype datetime64[s]"),
    ({"inputs": {"x": stored()}}, "it does not read: KeyError"),
]


@pytest.mark.parametrize(("replay", "why"), CASES)
def test_a_call_that_cannot_be_made_again_says_why(replay: dict[str, Any], why: str) -> None:
    """Whatever is wrong with it: the inputs, the parameters, or what is stored."""
    from einspec.card import load
    from einspec.conformance.judge.replay import NotReplayableError, rebuild

    with pytest.raises(NotReplayableError) as caught:
        rebuild(load("split_heads"), replay)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert rebuild(load("split_heads"), {"params": {"num_heads": 2}, "inputs": {"x": stored()}}).case.params == {"num_heads": 2}


@pytest.mark.parametrize("dtypes", ["('float32',)", ""])
@pytest.mark.parametrize(("source", "verdict"), [(WRONG, "known"), (RIGHT, "holds")])
def test_a_witness_that_is_lost_is_said_and_the_clause_judged(
    source: str, verdict: str, dtypes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run names the line, why it could not be replayed, and what became of the clause; so does the report."""
    path, known, written = tmp_path / "mine.py", tmp_path / "known.jsonl", tmp_path / "r.jsonl"
    adapter = "devices = lambda: ['cpu']\nasarray = lambda x, device: x\nto_numpy = lambda x: x\n"
    path.write_text(f"{source}{adapter}dtypes = {dtypes}\n" if dtypes else source, encoding="utf-8")
    replay = {"params": {"num_heads": 2} if dtypes else {"heads": 2}, "inputs": {"x": stored("int8" if dtypes else "float32")}}
    line = {"clause": "split_heads/def", "tier": "scope", "reason": "cut", "witness": {"replay": replay}}
    known.write_text(f"# cut\n{json.dumps(line)}\n", encoding="utf-8")
    command = ["check", str(path), "--op", "split_heads", "--tier", "scope", "--known", str(known), "--report", str(written)]
    assert main(command) == 1
    out = capsys.readouterr().out
    (result,) = (r for r in report.read(written).results if r.clause == "split_heads/def")
    assert result.verdict == verdict
    why = "mine.py does not hold int8" if dtypes else "heads"
    note = f"the witness stored in {known}, line 2 could not be replayed, the clause was judged as usual: "
    assert note in result.reason
    assert why in result.reason.partition(note)[2]
    assert {"known": "known to fail: split_heads/def: cut (", "holds": "declared to fail: split_heads/def, holds now: "}[
        verdict
    ] in out
    assert note in out
    assert (f"delete {known}, line 2" in out) == (verdict == "holds")


PLAIN = {"clause": "split_heads/def", "tier": "scope", "reason": "cut"}


def test_another_failure_than_the_known_one_is_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line excuses the failure whose input it stores: where that passes and another does not, the run fails."""
    path, found, known = tmp_path / "halves.py", tmp_path / "r.jsonl", tmp_path / "known.jsonl"
    body = "import numpy as np\ndef matrix_transpose(x):\n    return x if x.shape[-2:] == {} else np.swapaxes(x, -1, -2)\n"
    path.write_text(body.format((1, 2)), encoding="utf-8")
    check = ["check", str(path), "--tier", "scope", "--all"]
    assert main([*check, "--report", str(found)]) == 1
    capsys.readouterr()
    main(["known", str(found), "--reason", "later"])
    known.write_text(capsys.readouterr().out, encoding="utf-8")
    assert main([*check, "--known", str(known)]) == 0
    path.write_text(body.format((2, 1)), encoding="utf-8")
    assert main([*check, "--known", str(known), "--report", str(found)]) == 1
    (result,) = (r for r in report.read(found).results if r.clause == "matrix_transpose/def")
    assert result.verdict == "wrong"
    assert f"whose stored witness passes: delete {known}" in result.reason


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({}, {"reason": "another"}, True),
        ({}, {"device": "cuda", "backend": "torch"}, True),
        ({"device": "cuda"}, {"device": "cuda:1"}, True),
        ({"backend": "torch"}, {"backend": "*"}, True),
        ({"device": "cuda:0"}, {"device": "cuda:1"}, False),
        ({"device": "cpu"}, {"device": "cuda"}, False),
        ({"backend": "torch"}, {"backend": "jax"}, False),
        ({"tier": "big"}, {}, False),
        ({"clause": "split_heads/empty"}, {}, False),
    ],
)
def test_two_lines_about_one_failure_are_an_error(
    one: dict[str, str], other: dict[str, str], same: bool, tmp_path: Path
) -> None:
    """Both lines are named; lines that can never meet may stand side by side."""
    path = tmp_path / "known.jsonl"
    for first, second in ((one, other), (other, one)):
        path.write_text(f"{json.dumps({**PLAIN, **first})}\n\n{json.dumps({**PLAIN, **second})}\n", encoding="utf-8")
        if not same:
            assert len(read_known(path)) == 2
            continue
        with pytest.raises(DeclarationError, match=r"known\.jsonl, line 1, and line 3 are about the same failure"):
            read_known(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"clause": "stack/def", "tier": "scope", "reason": "a"}\n' * 2, "line 1, and line 2 are about the same failure"),
        (b'{"clause": "stack/def", "tier": "scope", "reason": "a", "witness": 3}', "line 1: url, backend and device are texts"),
        (b'{"clause": "stack/def", "tier": "scope", "reason": "a", "device": 3}', "line 1: url, backend and device are texts"),
        (b'{"clause": "stack/def", "tier": "scope", "reason": "a", "witness": {"replay": "x"}}', "witness is an object"),
        (b"[" * 200_000, "line 1: not JSON"),
        (b"\x80\x81", "known.jsonl is no text"),
        (None, "known.jsonl cannot be read: No such file or directory; einspec known prints the lines of such a file"),
    ],
)
def test_a_wrong_file_of_known_failures_is_an_error_of_use(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2 before anything is judged."""
    path = tmp_path / "known.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert main(["check", "numpy", "--op", "stack", "--tier", "scope", "--known", str(path)]) == 2
    caught = capsys.readouterr()
    assert said in caught.err
    assert not caught.out


def test_what_is_printed_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two devices of a kind make one line, with the stored call of the one that has it; damage of the report is said."""
    replay = {"params": {}, "inputs": {}}
    failures = [
        one("stack/def", "wrong", device="cuda:0", witness=WITNESS),
        one("stack/def", "wrong", device="cuda:1", witness={"replay": replay}),
        one("stack/def", "errored", device="cpu"),
        one("tile/def", "wrong", device="cuda:0", witness={"replay": replay}),
        one("tile/def", "wrong", device="cuda:1", witness=WITNESS),
    ]
    path = file(tmp_path, "r", made(*failures))
    path.write_text(path.read_text("utf-8") + "{\n", encoding="utf-8")
    assert main(["known", str(path), "--reason", "slow"]) == 0
    caught = capsys.readouterr()
    assert f"{path} is incomplete: 1 of 9 lines" in caught.err
    (tmp_path / "known.jsonl").write_text(caught.out, encoding="utf-8")
    found = read_known(tmp_path / "known.jsonl")
    assert [(k.clause, k.device, k.replay) for k in found] == [
        ("stack/def", "cpu", None),
        ("stack/def", "cuda", replay),
        ("tile/def", "cuda", replay),
    ]


def test_a_report_without_failures_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, and nothing that could be taken for a line."""
    path = file(tmp_path, "r", made(one("stack/def", "holds")))
    assert main(["known", str(path), "--reason", "slow"]) == 1
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("", f"einspec: nothing fails in {path}\n")


def test_a_clause_that_does_not_fail_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are near are named, not all that fail."""
    path = file(tmp_path, "r", made(*(one(f"stack/dtype.int{i}", "wrong") for i in range(40)), one("stack/def", "wrong")))
    assert main(["known", str(path), "--reason", "why", "--clause", "stack/dtype.int399"]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"einspec: stack/dtype.int399 does not fail in {path}; 41 clauses do,"
        " such as stack/dtype.int39, stack/dtype.int9, stack/dtype.int3\n"
    )
