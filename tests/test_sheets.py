"""Sheets are kept between runs, and whatever becomes of the files costs time and no verdict."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from einspec import load
from einspec.conformance.checks.scene import Scene
from einspec.conformance.cli import main
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.mutation.formula import FormulaSession
from einspec.conformance.mutation.mutants import mutants
from einspec.conformance.run import sheets
from einspec.conformance.run.building import PROFILES, asked, build_op
from einspec.conformance.run.sheets import FORMAT, SheetStore, pack, unpack

OP = "matrix_transpose"
"""A small op, so that its sheets are made in a moment."""
CLAUSES = ("def", "empty", "err.rank.x")
Damage = Callable[[Path], object]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep sheets in a folder of the test."""
    monkeypatch.setenv("EINSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EINSPEC_SHEETS", raising=False)


def verdicts(store: SheetStore) -> list[Verdict]:
    """Return what becomes of the definition of the op, then of a mutant, by what a store gives."""
    wrong = next(m for m in mutants(OP) if m.operator == "order")
    found = []
    for session in (FormulaSession({}), FormulaSession({OP: wrong.function})):
        context = Context(session, load(OP), store, Policy(tiers=("scope",)), shrinks=False)
        found += [result.verdict for result in judge(context, CLAUSES)]
    return found


def files(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds below it, by path."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, list[Verdict]]:
    """Return a folder in which the sheets of some clauses are kept, and the verdicts by them."""
    return tmp_path / "kept", verdicts(SheetStore(tmp_path / "kept"))


def test_the_verdicts_are_those_of_the_definition_and_of_a_mutant(
    kept: tuple[Path, list[Verdict]],
) -> None:
    """Without a folder they are the same; what is kept is read again, and gives them too."""
    folder, found = kept
    count = len(found) // 2
    assert set(found[:count]) == {Verdict.HOLDS}
    assert Verdict.WRONG in found[count:]
    assert verdicts(SheetStore(None)) == found
    before = files(folder)
    assert len(before) > len(CLAUSES)
    assert verdicts(SheetStore(folder)) == found
    assert files(folder) == before


def test_what_is_kept_is_read_and_not_made(kept: tuple[Path, list[Verdict]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run asks no generator."""
    folder, found = kept
    monkeypatch.setattr(sheets, "build", lambda *_: pytest.fail("a sheet was made again"))
    assert verdicts(SheetStore(folder)) == found


def flipped(path: Path) -> None:
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def exchanged(path: Path) -> None:
    """Put another sheet of the same folder in the place of a file."""
    other = next(p for p in sorted(path.parent.glob("*.sheet")) if p != path)
    shutil.copy(other, path)


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        exchanged,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[: len(FORMAT) + 3]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(FORMAT, b"einspec sheet 0\n")),
        lambda path: path.unlink(),
    ],
    ids=[
        "a bit",
        "another key",
        "an end cut off",
        "a head alone",
        "nothing",
        "an old format",
        "gone",
    ],
)
def test_a_damaged_sheet_is_made_anew(damage: Damage, kept: tuple[Path, list[Verdict]]) -> None:
    """The verdicts stay, and the file is what it was."""
    folder, found = kept
    before = files(folder)
    for name in before:
        damage(folder / name)
    assert files(folder) != before
    assert verdicts(SheetStore(folder)) == found
    assert files(folder) == before


def test_a_sheet_of_other_contents_under_a_right_checksum_is_no_block(tmp_path: Path) -> None:
    """What can be unpacked and is no block is made anew too."""
    block = SheetStore(None).block(Scene(load(OP)), "def", "scope")
    data = pack(block, "def")
    assert unpack(data, "def") == block
    assert unpack(data, "empty") is None
    head, other = len(FORMAT) + 16, SheetStore(None).block(Scene(load(OP)), "empty", "scope")
    assert unpack(data[:head] + pack(other, "def")[head:], "def") is None
    assert unpack(pack({"op": OP}, "def"), "def") is None  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_costs_nothing(kept: tuple[Path, list[Verdict]], tmp_path: Path) -> None:
    """Below a file there is no folder: as on a read-only disk sheets are in memory alone."""
    (tmp_path / "file").write_text("no folder")
    store = SheetStore(tmp_path / "file" / "sheets")
    assert verdicts(store) == kept[1]
    assert not store.writes


def test_a_full_disk_costs_nothing(kept: tuple[Path, list[Verdict]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half written stays, and it is not tried for every sheet."""
    tried: list[str] = []

    class Full:
        """A file that is made and takes no byte."""

        def __init__(self, **where: Any) -> None:
            self.file = temporary(**where)
            self.name = self.file.name
            tried.append(self.name)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    temporary = tempfile.NamedTemporaryFile
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", Full)
    store = SheetStore(tmp_path / "full")
    assert verdicts(store) == kept[1]
    assert not store.writes
    assert len(tried) == 1
    assert files(tmp_path / "full") == {}


def test_two_runs_at_once_make_the_same(tmp_path: Path) -> None:
    """Each writes whole files, and neither is in the way of the other."""
    command = [sys.executable, "-m", "einspec.conformance.cli"]
    command += ["sheets", "build", OP, "--processes", "1"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        _, said = run.communicate(timeout=300)
        assert run.returncode == 0, said.decode()
    folder = sheets.sheets_directory()
    (entry,) = sheets.kept(folder)
    names = {key for profile in PROFILES for key in keys(profile)}
    assert (entry.op, entry.current) == (OP, True)
    assert entry.files == len(names) == len(files(folder))
    store = SheetStore(folder)
    assert all(store.read(OP, key) is not None for key in names)


def test_what_is_built_is_all_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clause asks a generator any more; what compiles has no layouts, and runs eagerly too."""
    built = build_op(OP)
    assert built.written
    monkeypatch.setattr(sheets, "build", lambda *_: pytest.fail("a sheet was not built"))
    store = SheetStore(sheets.sheets_directory())
    found = list(judge(Context(FormulaSession({}), load(OP), store)))
    assert {result.verdict for result in found} == {Verdict.HOLDS, Verdict.NOT_RUN}
    plain, compiled = ({clause for clause, _ in asked(load(OP), p)} for p in PROFILES)
    assert compiled - plain == {"transform.eager"}
    assert {clause.partition(".")[0] for clause in plain - compiled} == {"layout"}


def keys(profile: Any) -> Iterator[str]:
    """Yield what the sheets of a profile are kept under."""
    scene = Scene(load(OP), profile)
    yield from (sheets.key_of(scene, clause, tier) for clause, tier in asked(scene.op, profile))


def test_the_command_builds_shows_and_clears(capsys: pytest.CaptureFixture[str]) -> None:
    """What is of another digest is stale, and goes alone where that is asked for."""
    assert main(["sheets", "build", OP, "--processes", "1"]) == 0
    assert "blocks of 1 ops, " in capsys.readouterr().out
    folder = sheets.sheets_directory()
    (own,) = folder.iterdir()
    shutil.copytree(own, folder / f"{OP}-{'0' * 24}")
    shutil.copytree(own, folder / f"swap_hw-{'0' * 24}")
    assert main(["sheets"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(OP) == 2
    assert (shown.count(" current"), shown.count(" stale\n")) == (1, 2)
    assert "einspec sheets clear --stale" in shown
    assert main(["sheets", "clear", OP, "--stale"]) == 0
    assert {p.name for p in folder.iterdir()} == {own.name, f"swap_hw-{'0' * 24}"}
    assert main(["sheets", "show", OP]) == 0
    assert "stale" not in capsys.readouterr().out
    assert main(["sheets", "clear", "--stale"]) == 0
    assert [p.name for p in folder.iterdir()] == [own.name]
    assert main(["sheets", "clear"]) == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["show", "--stale"], "--stale is for einspec sheets clear"),
        (["clear", "--shard", "1/2"], "are for einspec sheets build"),
        (["build", OP, "--processes", "0"], "must be a whole number above 0, not 0"),
        (["build", OP, "--shard", "2/2"], "has no op"),
        (["build", "swap_wh"], "did you mean"),
    ],
)
def test_what_cannot_be_done_says_so(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with status 2 and a message that says what to do."""
    assert main(["sheets", *given]) == 2
    assert message in capsys.readouterr().err


def test_building_says_where_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With sheets off it is wrong usage; a folder that takes nothing fails."""
    monkeypatch.setenv("EINSPEC_SHEETS", "off")
    assert main(["sheets", "build", OP]) == 2
    assert "EINSPEC_SHEETS is off" in capsys.readouterr().err
    monkeypatch.delenv("EINSPEC_SHEETS")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EINSPEC_CACHE", str(tmp_path / "file"))
    assert main(["sheets", "build", OP, "--processes", "1"]) == 1
    assert f"does not take what was made of {OP}" in capsys.readouterr().err
