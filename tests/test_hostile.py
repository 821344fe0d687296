"""What a hostile backend costs: its own clause, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sources import INTERRUPTIBLE, PATIENCE, SLOW, begun, until, written

from einspec.card import load
from einspec.conformance.clauses import units
from einspec.conformance.judge.verdict import Result
from einspec.conformance.reports import report
from einspec.conformance.run import worker
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run, check

BESIDE = """
def merge_heads(x):
    b, h, n, d = x.shape
    return x.swapaxes(1, 2).reshape(b, n, h * d)
"""
"""A right function that is judged after the hostile one."""


def judged(folder: Path, body: str, **options: float) -> Run:
    """Return the run over a file whose ``matrix_transpose`` does this where it is given int16, and is right elsewhere."""
    path = folder / "hostile.py"
    does = "\n".join(f"        {line}" for line in body.splitlines())
    head = "import ctypes, os, random, sys, time\nimport numpy as np\n"
    function = f"def matrix_transpose(x):\n    if x.dtype == np.int16:\n{does}\n    return np.swapaxes(x, -1, -2)\n"
    path.write_text(head + function + BESIDE, encoding="utf-8")
    return check(Request((str(path),), ("matrix_transpose", "merge_heads"), tiers=("scope",), **options))  # type: ignore[arg-type]


def by_clause(run: Run) -> dict[str, Result]:
    """Return the results by clause."""
    return {r.clause: r for r in run.results}


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        ("ctypes.string_at(0)", {}, "SIGSEGV"),
        ("os._exit(0)", {}, "the process ended with status 0"),
        ("while True: pass", {"timeout": 3.0}, "--timeout"),
        ("time.sleep(1000)", {"timeout": 3.0}, "--timeout"),
        ("keep = []\nwhile True: keep.append(np.ones(1 << 20))", {"memory": 1.0}, "--memory"),
    ],
    ids=["segfault", "exit", "hang", "sleep", "memory"],
)
def test_a_lost_process_costs_one_clause(tmp_path: Path, body: str, options: dict[str, float], reason: str) -> None:
    """The clause is errored and says what happened and where; every other clause is judged, and holds."""
    run = judged(tmp_path, body, **options)
    found = by_clause(run)
    assert run.complete
    assert not run.passed
    assert [c for c, r in found.items() if r.verdict == "errored"] == ["matrix_transpose/dtype.int16"]
    assert reason in found["matrix_transpose/dtype.int16"].reason
    if "exit" not in body:
        assert "hostile.py" in found["matrix_transpose/dtype.int16"].reason
    wanted = {f"{op}/{clause}" for op in ("matrix_transpose", "merge_heads") for clause, _ in units(load(op), ("scope",))}
    assert found.keys() == wanted
    assert not {r.verdict for r in run.results} & {"wrong", "refused"}
    assert found["merge_heads/def"].verdict == "holds"


def test_an_op_that_always_dies_is_left_after_a_while(tmp_path: Path) -> None:
    """What is not tried any more says so, and the other op is judged whole."""
    path = tmp_path / "hostile.py"
    path.write_text("import os, numpy as np\ndef matrix_transpose(x):\n    os._exit(3)\n" + BESIDE, encoding="utf-8")
    run = check(Request((str(path),), tiers=("scope",), everything=True))
    verdicts = {r.verdict for r in run.results if r.op == "matrix_transpose"}
    assert verdicts == {"errored", "not run"}
    assert sum(r.verdict == "errored" for r in run.results) == worker.MOST_LOST
    assert any("ended the process too often" in r.reason for r in run.results)
    assert {r.verdict for r in run.results if r.op == "merge_heads"} <= {"holds", "not run"}


def test_an_op_that_always_hangs_is_left_sooner(tmp_path: Path) -> None:
    """It may take the whole of --timeout three times."""
    path = tmp_path / "hostile.py"
    path.write_text("import numpy as np\ndef matrix_transpose(x):\n    while True: pass\n" + BESIDE, encoding="utf-8")
    run = check(Request((str(path),), tiers=("scope",), timeout=3, everything=True))
    late = [r for r in run.results if r.op == "matrix_transpose" and "--timeout" in r.reason]
    assert [r.verdict for r in late] == ["errored"] * 3
    assert run.complete


def test_system_exit_is_a_wrong_result(tmp_path: Path) -> None:
    """It does not even cost the process."""
    found = by_clause(judged(tmp_path, "raise SystemExit(3)"))
    assert found["matrix_transpose/dtype.int16"].verdict == "wrong"
    assert "SystemExit" in found["matrix_transpose/dtype.int16"].reason
    assert found["matrix_transpose/dtype.int32"].verdict == "holds"


def test_what_an_op_has_started_ends_with_it(tmp_path: Path) -> None:
    """In a session of its own as well, after the run and where the process is lost."""
    begin = "import subprocess\nopen('pid', 'w').write(str(subprocess.Popen(['sleep', '987'], start_new_session=True).pid))"
    for body in (begin, f"{begin}\nwhile True: pass"):
        judged(tmp_path, body.replace("'pid'", repr(str(tmp_path / "pid"))), timeout=3.0)
        started = int((tmp_path / "pid").read_text())
        assert not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE


def test_what_is_printed_stays_out_of_the_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is told apart, with the op that did it, by whatever way it was printed."""
    run = judged(tmp_path, 'print("hello from int16")\nos.write(1, b"raw")')
    assert any("matrix_transpose" in note and "hello from int16" in note for note in run.notes)
    assert run.passed
    captured = capfd.readouterr()
    assert "hello" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ("random.seed(3)", "the random state of Python"),
        ("np.random.seed(3)", "the random state of NumPy"),
        ('np.seterr(all="raise")', "the error handling of NumPy"),
        ('os.chdir("/")', "the working directory"),
    ],
)
def test_changed_surroundings_fail_one_clause(tmp_path: Path, body: str, change: str) -> None:
    """``state`` is wrong and names what was changed and in which clause; the clauses behind it see the old state."""
    found = by_clause(judged(tmp_path, body))
    assert [c for c, r in found.items() if r.verdict == "wrong"] == ["matrix_transpose/state"]
    assert change in found["matrix_transpose/state"].reason
    assert "dtype.int16" in found["matrix_transpose/state"].reason
    assert found["merge_heads/state"].verdict == "holds"


def test_changed_settings_of_torch_fail_one_clause(tmp_path: Path) -> None:
    """The default dtype, the threads and the seed of PyTorch among them."""
    body = "torch.set_default_dtype(torch.float64)\n    torch.manual_seed(3)\n    torch.set_num_threads(3)\n    return x.mT"
    path = tmp_path / "hostile.py"
    path.write_text(f"import torch\ndef matrix_transpose(x):\n    {body}\n", encoding="utf-8")
    found = by_clause(check(Request((str(path),), tiers=("scope",))))
    assert [c for c, r in found.items() if r.verdict == "wrong"] == ["matrix_transpose/state"]
    assert "PyTorch" in found["matrix_transpose/state"].reason


def test_a_file_that_ends_the_process_when_imported(tmp_path: Path) -> None:
    """Nothing was judged, which is said, and is no pass."""
    path = tmp_path / "hostile.py"
    path.write_text("import os\nos._exit(0)\n", encoding="utf-8")
    run = check(Request((str(path),)))
    assert not run.passed
    assert "nothing was judged: the process ended with status 0" in run.problems[0]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_report(tmp_path: Path, sent: signal.Signals) -> None:
    """Ctrl-C ends the processes, prints what is known, and the report reads."""
    path, report_path = written(tmp_path, SLOW), tmp_path / "r.jsonl"
    command = [sys.executable, "-c", INTERRUPTIBLE, "check", str(path), "--report", str(report_path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with begun(command, stdout=subprocess.PIPE, env=environment) as process:
        until(lambda: report_path.exists() and '"kind": "result"' in report_path.read_text(encoding="utf-8"), process)
        process.send_signal(sent)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "interrupted" in out
    found = report.read(report_path)
    assert found.results
    assert found.incomplete
