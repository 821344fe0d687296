"""Reports that are damaged, or none: what reads is used, what does not is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reports import WITNESS, file, made, one

from einspec.conformance.cli import main
from einspec.conformance.reports import report

HOLDS = one("stack/def", "holds")
HEADER = (
    '{"kind": "header", "schema": %d, "einspec": "9", "spec": "1.0", "created": "", "platform": "", "python": "", "asked": %s}'
)
GOOD = HEADER % (1, "{}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (" \n\n\r\n", "is empty"),
        ("stack holds\n", "none of its lines is one, line 1: not JSON"),
        ('{"a": 1}\n[]\n', "none of its lines is one, line 1: no kind of line: None"),
        (GOOD[:40], "none of its lines is one, line 1: not JSON"),
        ("\0\x80\n" * 3, "none of its lines is one, line 1: not JSON"),
        ("[" * 200_000, "none of its lines is one, line 1: not JSON"),
        (HEADER % (2, "{}"), "newer einspec"),
        (HEADER % (1, '{"tiers": 3}'), "none of its lines is one, line 1: "),
        (f"{GOOD}\n{GOOD}\n", "r.jsonl, line 2: a second report begins"),
    ],
)
def test_a_file_that_is_no_report_is_said_to_be_none(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with status 2 and names the file and what is wrong with it."""
    path = tmp_path / "r.jsonl"
    path.write_text(text, encoding="utf-8")
    assert main(["report", str(path)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "r.jsonl" in said


DAMAGED = [
    ('{"kind": "resu', "not JSON"),
    ("\0" * 40, "not JSON"),
    ("[" * 200_000, "not JSON"),
    ("\x80", "not UTF-8"),
    ("3", "no kind of line: None"),
    ('{"kind": "song"}', "no kind of line: 'song'"),
    ('{"kind": "result", "clause": "a/b", "tier": "scope", "verdict": "maybe"}', "Invalid enum value 'maybe'"),
    ('{"kind": "result", "clause": "stack", "tier": "scope", "verdict": "holds"}', "no clause: 'stack'"),
    ('{"kind": "result", "clause": "a/b", "tier": "scope", "verdict": "holds", "seconds": NaN}', "NaN is no number"),
    ('{"kind": "result", "clause": "a/b", "tier": "scope", "verdict": "holds", "seconds": 1e999}', "1e999 is no number"),
]


@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize(("damage", "why"), DAMAGED)
def test_a_damaged_line_costs_itself_alone(
    at: int, damage: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other lines are used, the report is incomplete, and it is said which line of which file does not read, and why."""
    path = file(tmp_path, "r", made(HOLDS, one("tile/def", "holds")))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:at], damage.encode("latin-1") + b"\r\n", b"\n", *lines[at:]]))
    found = report.read(path)
    assert [r.clause for r in found.results] == ["stack/def", "tile/def"]
    said = f"incomplete: 1 of 7 lines of {path} could not be read (line {at + 1}: {why}"
    assert found.incomplete.startswith(said), found.incomplete
    assert main(["report", str(path)]) == 1
    assert said in capsys.readouterr().out
    whole = file(tmp_path, "whole", made(HOLDS, one("tile/def", "holds")))
    assert main(["diff", str(whole), str(path)]) == 1
    out = capsys.readouterr().out
    assert said in out
    assert "2 clauses compared" in out


@pytest.mark.parametrize(
    ("lost", "said", "left"),
    [
        ((0,), "line 1: not JSON); {path} has lost its header", ["stack/def", "tile/def"]),
        ((1,), "line 2: not JSON); {path} has lost the description of numpy", ["stack/def", "tile/def"]),
        ((2,), "line 3: not JSON)", ["tile/def"]),
        ((4,), "cut off", ["stack/def", "tile/def"]),
        ((0, 1, 4), "has lost its header and the description of numpy", ["stack/def", "tile/def"]),
        ((0, 1, 2, 3), "has lost its header", []),
    ],
)
def test_what_other_lines_told_is_stood_in_for(
    lost: tuple[int, ...], said: str, left: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its header, or the description of a backend, the results of a report are shown all the same."""
    path = file(tmp_path, "r", made(HOLDS, one("tile/def", "holds"), asked=("stack", "tile")))
    whole = file(tmp_path, "whole", made(HOLDS, one("tile/def", "holds"), asked=("stack", "tile")))
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(line[:30] if i in lost else line for i, line in enumerate(lines)) + "\n", encoding="utf-8")
    found = report.read(path)
    assert [r.clause for r in found.results] == left
    assert said.format(path=path) in found.incomplete
    html = tmp_path / "page.html"
    assert main(["report", str(path), "--html", str(html)]) == 1
    assert "2 ops" in capsys.readouterr().out or not left or "tile" in html.read_text("utf-8")
    assert main(["diff", str(whole), str(path)]) == (1 if left else 2)


def test_many_damaged_lines_are_counted(tmp_path: Path) -> None:
    """The first are told one by one, and a byte order mark is no damage."""
    path = file(tmp_path, "r", made(HOLDS))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"{\n" * 8)
    assert "8 of 12 lines" in report.read(path).incomplete
    assert "line 9: not JSON and 3 more)" in report.read(path).incomplete


def texts(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the texts of a value are."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(item, (*at, key))
    elif isinstance(value, str):
        yield at


@pytest.mark.parametrize("text", ["[/]", "[bold]\\", "\x1b[2J\x07\x9b1m\r", "", "../a/b"])
def test_no_text_of_a_report_commands_the_terminal(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup and control characters, wherever they stand, are shown as they are, and no command ends in a traceback."""
    whole = file(tmp_path, "whole", made(one("stack/def", "wrong", "no", witness=WITNESS), one("stack/nan", "known", "no")))
    lines = [json.loads(line) for line in whole.read_text("utf-8").splitlines()]
    path = tmp_path / "r.jsonl"
    for number, line in enumerate(lines):
        for *at, last in texts(line):
            changed = copy.deepcopy(lines)
            inner = changed[number]
            for key in at:
                inner = inner[key]
            inner[last] = text
            path.write_text("\n".join(map(json.dumps, changed)) + "\n", encoding="utf-8")
            assert main(["report", str(path), "--html", str(tmp_path / "page"), "--badges", str(tmp_path)]) == 1
            assert main(["report", str(path)]) == 1
            assert main(["diff", str(whole), str(path)]) in (0, 1, 2)
            assert main(["known", str(path), "--reason", "why"]) in (0, 1)
            assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\r"), (number, at, last)
