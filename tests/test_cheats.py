"""Files that try to pass without being right: none does, and none leaves anything behind."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

COLLECTION = Path(__file__).parent / "collection" / "cheats"
SAID = re.compile(r"cheat: (?P<kind>[a-z ]+)\. .+\.\n+effect: (?P<effect>[a-z ]+)")
EFFECTS = ("caught", "not loaded", "not independent", "out of reach")
KINDS = {
    "adapter",
    "counts",
    "descriptors",
    "disk",
    "einspec",
    "environment",
    "errors",
    "exit",
    "fork",
    "frames",
    "heap",
    "judged",
    "memo",
    "memory",
    "modules",
    "open files",
    "parent process",
    "prints",
    "recursion",
    "replaced functions",
    "results",
    "streams",
    "time",
}
ADAPTER = ("devices", "asarray", "to_numpy", "is_array", "device_of")
"""Functions of a file that are no ops."""
RIGHT = """
import numpy as np

def merge_heads(x):
    b, h, n, d = x.shape
    return np.swapaxes(x, 1, 2).reshape(b, n, h * d)

def swap_hw(x):
    return np.swapaxes(x, 2, 3)
"""
"""Right functions of the ops for which something is put on the disk."""
FRESH = ("--seed", "random", "--timeout", "5")
SLOW = ("--seed", "random", "--timeout", "60")
PATIENCE = 300.0
"""Seconds after which a judge has come to no end; one that works takes a small part of them."""
GRACE = 5.0
"""Seconds that the system may take to remove a process that was killed."""


class Cheat(NamedTuple):
    """A file of the collection and what its docstring says of it."""

    path: Path
    kind: str
    effect: str
    ops: tuple[str, ...]

    def __str__(self) -> str:
        return self.path.stem


class Judged(NamedTuple):
    """What a check of a file came to."""

    status: int
    out: str
    err: str
    left: list[str]
    """The command lines of processes that were left behind."""


def cheats() -> Iterator[Cheat]:
    """Yield the files of the collection; each must say what it tries and what becomes of it."""
    for path in sorted(COLLECTION.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = SAID.fullmatch(ast.get_docstring(tree) or "")
        assert said is not None, f"{path.name} does not say what it tries"
        assert said["effect"] in EFFECTS, f"{path.name}: no effect {said['effect']!r}"
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        ops = tuple(n for n in names if not n.startswith("_") and n not in ADAPTER)
        yield Cheat(path, said["kind"], said["effect"], ops)


CHEATS = list(cheats())
SEVERAL = [cheat for cheat in CHEATS if len(cheat.ops) > 1]
ON_DISK = [cheat for cheat in CHEATS if cheat.kind == "disk"]


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment with a home and a cache of its own, which all cheats share."""
    home = tmp_path_factory.mktemp("home")
    cache = home / ".cache" / "einspec"
    cache.mkdir(parents=True)
    return {"HOME": str(home), "XDG_CACHE_HOME": str(cache.parent), "EINSPEC_CACHE": str(cache)}


def check(path: Path, ops: tuple[str, ...], places: dict[str, str], *options: str) -> Judged:
    """Return what the command says of a file; whatever it starts is found by a mark, and ended."""
    for framework in set(re.findall(r"^import (torch|jax)\b", path.read_text(encoding="utf-8"), re.M)):
        pytest.importorskip(framework, reason=f"the file needs {framework}")
    mark = f"LEFT_BY_{uuid.uuid4().hex}"
    command = [sys.executable, "-m", "einspec.conformance.cli", "check", str(path), *options]
    judge = subprocess.Popen(
        [*command, *(part for op in ops for part in ("--op", op))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, **places, mark: "1"},
    )
    left: list[str] = []
    try:
        out, err = judge.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the check of {path.name} does not end")
    finally:
        judge.kill()
        left.extend(left_behind(mark))
    return Judged(judge.returncode, out, err, left)


def left_behind(mark: str) -> Iterator[str]:
    """Yield what runs on although its judge has ended, and end it."""
    end = time.monotonic() + GRACE
    while (found := marked(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in found:
        with contextlib.suppress(psutil.Error):
            yield f"{process.pid} {' '.join(process.cmdline())}"
            process.kill()


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes that run and have a variable in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and mark in process.environ():
                found.append(process)
    return found


def fresh(cheat: Cheat) -> tuple[str, ...]:
    """Return the options of a check on calls that are drawn afresh; what computes with einspec takes its time."""
    return SLOW if cheat.effect == "not independent" else FRESH


def assert_ended(judged: Judged) -> None:
    """Check that a judge has come to its own end, and that nothing is left."""
    assert judged.status in (0, 1), judged
    lines = [line for line in judged.out.splitlines() if line.strip()]
    assert lines, judged
    first = [line.partition(":")[0] for line in lines if line.startswith(("passed", "failed"))]
    assert first == [lines[-1].partition(":")[0]] == [("passed", "failed")[judged.status]], judged
    assert "\x1b" not in judged.out + judged.err, judged
    assert "Traceback" not in judged.err, judged
    assert judged.left == []


def assert_failed(judged: Judged, cheat: Cheat, ops: tuple[str, ...]) -> None:
    """Check that a cheat fails in the way that it says."""
    assert_ended(judged)
    assert judged.status == 1, judged
    seen = judged.out
    match cheat.effect:
        case "not loaded":
            assert f"{cheat.path}: nothing was judged: " in seen, judged
        case "not independent":
            assert f"{cheat.path.name} is not independent: " in seen, judged
        case "caught":
            ways = r"^ *(WRONG|ERRORED) {op}/|the process that judged {op} was lost$"
            assert [op for op in ops if not re.search(ways.format(op=op), seen, re.M)] == [], judged


@pytest.mark.parametrize("cheat", [c for c in CHEATS if c.effect != "out of reach"], ids=str)
def test_a_cheat_fails(cheat: Cheat, places: dict[str, str]) -> None:
    """On calls that are drawn afresh it fails, and the judge ends in order."""
    assert_failed(check(cheat.path, cheat.ops, places, *fresh(cheat)), cheat, cheat.ops)


@pytest.mark.parametrize("cheat", [c for c in CHEATS if c.effect == "out of reach"], ids=str)
def test_what_no_judge_sees_through_passes_in_order(cheat: Cheat, places: dict[str, str]) -> None:
    """One that is right only because it can tell that it is judged passes, as SECURITY.md says, and leaves nothing."""
    judged = check(cheat.path, cheat.ops, places, *FRESH)
    assert_ended(judged)
    assert judged.status == 0, judged


@pytest.mark.parametrize("cheat", SEVERAL, ids=str)
def test_each_op_of_a_cheat_fails(cheat: Cheat, places: dict[str, str]) -> None:
    """A file that cheats in several ops fails for each of them alone."""
    for op in cheat.ops:
        assert_failed(check(cheat.path, (op,), places, *fresh(cheat)), cheat, (op,))


@pytest.mark.parametrize("cheat", ON_DISK, ids=str)
def test_what_lies_on_the_disk_changes_no_verdict(cheat: Cheat, places: dict[str, str], tmp_path: Path) -> None:
    """After it was judged on the fixed calls it still fails, and right functions hold."""
    for options in ((), FRESH):
        assert_failed(check(cheat.path, cheat.ops, places, *options), cheat, cheat.ops)
    right = tmp_path / "right.py"
    right.write_text(RIGHT, encoding="utf-8")
    judged = check(right, cheat.ops, places)
    assert judged.status == 0, judged


def test_the_collection_holds_every_kind() -> None:
    """Whatever a judge must stand is there, in each framework."""
    assert {cheat.kind for cheat in CHEATS} == KINDS
    assert {cheat.effect for cheat in CHEATS} == set(EFFECTS)
    assert all(cheat.ops for cheat in CHEATS)
    text = "".join(cheat.path.read_text(encoding="utf-8") for cheat in CHEATS)
    assert all(f"import {framework}\n" in text for framework in ("numpy as np", "torch", "jax"))
