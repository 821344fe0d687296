"""Two reports compared: what got better, what got worse, and what was not asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reports import WITNESS, file, made, one

from einspec.conformance.cli import main
from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.reports import report
from einspec.conformance.reports.diff import Change, diff

HOLDS = one("stack/def", "holds")
WRONG = one("stack/def", "wrong", "y: 1 of 2 elements differ", witness=WITNESS)

GONE: Any = None


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("holds", "wrong", "worse"),
        ("holds", "errored", "worse"),
        ("holds", "refused", "worse"),
        ("holds", "known", "worse"),
        ("holds", "unsupported", "worse"),
        ("holds", "not run", "worse"),
        ("refused", "not run", "worse"),
        ("not run", "wrong", "worse"),
        ("known", "wrong", "worse"),
        ("holds", GONE, "worse"),
        (GONE, "wrong", "worse"),
        ("wrong", "holds", "better"),
        ("wrong", "refused", "better"),
        ("known", "holds", "better"),
        ("not run", "holds", "better"),
        ("wrong", "not run", "other"),
        ("wrong", "known", "other"),
        ("wrong", "errored", "other"),
        ("wrong", GONE, "other"),
        ("not run", GONE, "other"),
        (GONE, "holds", "other"),
        (GONE, "not run", "other"),
    ],
)
def test_a_change_is_for_the_better_or_the_worse(old: Verdict | None, new: Verdict | None, change: str) -> None:
    """To fail is worse, and so is to say less than before; a failure that is only no longer judged is not better."""
    before, after = (one("stack/def", v) if v else None for v in (old, new))
    found = Change("numpy", "cpu", "stack/def", "scope", before, after)
    assert ("worse" if found.worse else "better" if found.better else "other") == change


def test_diff_tells_what_changed_and_fails_if_anything_got_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newly wrong, newly holding, new, gone and versions are told, with the status 1; the other way round some got better."""
    kept, gone = one("tile/def", "holds"), one("tile/nan", "holds")
    old = file(tmp_path, "old", made(HOLDS, one("stack/nan", "wrong"), kept, gone))
    new = file(tmp_path, "new", made(WRONG, one("stack/nan", "holds"), kept, one("tile/empty", "holds"), numpy="2.0"))
    assert main(["diff", str(old), str(new)]) == 1
    out = capsys.readouterr().out
    for part in (
        "numpy: numpy 1.0, now 2.0",
        "worse: 2 clauses",
        "newly wrong, held before: numpy cpu: stack: def (scope): y: 1 of 2 elements differ",
        "gone: numpy cpu: tile: nan",
        "newly holding, wrong before: numpy cpu: stack: nan",
        "new clause, holds: numpy cpu: tile: empty",
        "something got worse: 2 worse, 1 better, 1 otherwise changed; 3 clauses compared",
    ):
        assert part in out, part
    assert main(["diff", str(old), str(old)]) == 0
    assert "nothing got worse: 0 worse" in capsys.readouterr().out


def test_diff_leaves_out_what_the_newer_run_was_not_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of one op compares with a run of all, and what was left out is counted; a cut makes it worse."""
    old = file(tmp_path, "old", made(HOLDS, one("tile/def", "holds")))
    new = file(tmp_path, "new", made(HOLDS, asked=("stack",)))
    assert main(["diff", str(old), str(new)]) == 0
    assert "left out, as the newer run was not asked for them: 1 clause\n" in capsys.readouterr().out
    new.write_text("".join(new.read_text("utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    assert not diff(report.read(old), report.read(new)).passed
