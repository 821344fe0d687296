"""Functions of ranks are judged on ranks: right ones are not accused, and who makes the others wait is told with every line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from judged import LIMITS, context, sheets
from test_collection import COLLECTION, RIGHT, WRONG, Entry, entries

from einspec import load
from einspec.calls.cases import bank, scope
from einspec.calls.domain import on_ranks, within
from einspec.conformance.clauses import clauses
from einspec.conformance.cli import main
from einspec.conformance.judge.judging import judge_unit
from einspec.conformance.judge.verdict import Result
from einspec.conformance.protocol import RANKS, Call, Input, Item, Outcome, Raised, Way, tensor
from einspec.conformance.run.request import Request, cache_directory
from einspec.conformance.run.run import check
from einspec.conformance.runner.ranks.crew import place_in
from einspec.conformance.runner.ranks.cut import NoRanksError, cut
from einspec.conformance.targets.process import Limits, LostError
from einspec.conformance.targets.session import Host, Session

np = pytest.importorskip("numpy")
pytest.importorskip("torch")

WORLDS = (1, 2, 3)
_hosts: dict[tuple[str, tuple[int, ...]], Host] = {}


@pytest.fixture(scope="module", autouse=True)
def hosts() -> object:
    """End the processes of this module with it."""
    yield _hosts
    while _hosts:
        _hosts.popitem()[1].close()


def session(path: Path, op: str, name: str, worlds: tuple[int, ...] = WORLDS, limits: Limits = LIMITS) -> Session:
    """Return a function of a file as it is judged on ranks, in the one process that runs the file."""
    key = str(path), worlds
    for other in [k for k in _hosts if k != key]:
        _hosts.pop(other).close()
    host = _hosts.setdefault(key, Host(str(path), limits, str(cache_directory()), ranks=worlds))
    (target,) = host.choose({op: name})
    return Session(host, target, target.devices[-1])


def judged(found: Session, op: str, *wanted: str) -> list[Result]:
    """Return the results of clauses in the first tier of each."""
    context_of = context(found, op)
    order = [c for c in clauses(load(op)) if c in wanted]
    late = ("grad.", "grad64.", "transform.")
    return [judge_unit(context_of, c, "transform" if c.startswith(late) else "scope") for c in order]


WRONGS = list(entries("wrong_ranks", WRONG))
RIGHTS = list(entries("right_ranks", RIGHT))


@pytest.mark.parametrize("entry", WRONGS, ids=str)
def test_a_wrong_function_of_ranks_is_caught_by_its_clause(entry: Entry) -> None:
    """The clause that the function breaks is wrong, with a witness that says how."""
    assert entry.clause in clauses(load(entry.op)), f"{entry.op} has no clause {entry.clause}"
    before = ("def",) if entry.clause.startswith("layout.") else ()
    found = judged(session(entry.path, entry.op, entry.name), entry.op, *before, entry.clause)
    assert found[-1].verdict == "wrong", (found[-1].verdict, found[-1].reason)
    assert found[-1].witness
    waits = " waits in " in found[-1].reason
    assert waits == bool(re.search(r"the others wait|wait for each|another order|alone rejects", entry.what)), found[-1].reason


LOOKED_AT = ("def", "empty", "dtype.float32", "dtype.bfloat16", "pure", "repeat", "device", "memory.own", "layout.transposed")
"""The clauses on which right functions are judged here; a run judges all."""


@pytest.mark.parametrize("entry", RIGHTS, ids=str)
def test_a_right_function_of_ranks_is_not_accused(entry: Entry) -> None:
    """Whatever it is written with; what is optional it may refuse."""
    own = [c for c in clauses(load(entry.op)) if c.startswith(("ranks.", "law.", "grad.", "transform.jvp"))]
    found = judged(session(entry.path, entry.op, entry.name), entry.op, *LOOKED_AT, *own)
    assert [(r.clause, r.reason) for r in found if r.verdict in ("wrong", "errored")] == []
    holds = {r.clause for r in found if r.verdict == "holds"}
    assert holds >= {f"{entry.op}/{c}" for c in ("pure", "repeat", "device")}


def test_every_rank_says_where_it_waits() -> None:
    """The lines are those of the file, and the collectives those that stand in them."""
    path = COLLECTION / "wrong_ranks" / "plans.py"
    (found,) = judged(session(path, "ep_plan", "skips_where_it_is_empty"), "ep_plan", "def")
    line = 1 + next(i for i, text in enumerate(path.read_text("utf-8").splitlines()) if "all_gather_into_tensor" in text)
    assert f"waits in all_gather_into_tensor, plans.py, line {line}" in found.reason
    assert re.search(r"rank \d returned", found.reason)


LOST = """
import os, signal, subprocess, sys, threading, time
import torch
import torch.distributed as dist

def plan(counts, group):
    ranks, me = dist.get_world_size(group), dist.get_rank(group)
    send = torch.empty(ranks * ranks, dtype=torch.long)
    own = counts.long().clamp(min=0).reshape(ranks, len(counts) // ranks).sum(1)
    dist.all_gather_into_tensor(send, own, group=group)
    send = send.reshape(ranks, ranks)
    inside, outside = send.cumsum(1) - send, send.cumsum(0) - send
    return tuple(t.to(torch.int32) for t in (send[me], send[:, me], inside[me], outside[me]))

def dies(counts, *, group):
    if counts.dtype == torch.int8 and dist.get_rank(group) == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return plan(counts, group)

def exits(counts, *, group):
    if counts.dtype == torch.int8 and dist.get_rank(group) == 1:
        os._exit(7)
    return plan(counts, group)

def stays(counts, *, group):
    if counts.dtype == torch.int8 and dist.get_rank(group) == 1:
        while True:
            pass
    return plan(counts, group)

def sleeps(counts, *, group):
    if dist.get_rank(group) == 0:
        time.sleep(4)
    return plan(counts, group)

def runs_a_program(counts, *, group):
    if dist.get_rank(group) == 0:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(4)"], check=True)
    return plan(counts, group)

def runs_a_thread(counts, *, group):
    if dist.get_rank(group) == 0:
        thread = threading.Thread(target=time.sleep, args=(4,))
        thread.start()
        thread.join()
    return plan(counts, group)

def leaves(counts, *, group):
    found = plan(counts, group)
    dist.destroy_process_group()
    return found

def remembers(counts, *, group):
    torch.manual_seed(1)
    return plan(counts, group)
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dies", r"rank 1 of [23] was ended by SIGSEGV; it was at lost.py, line 17"),
        ("exits", r"rank 1 of [23] ended with status 7"),
        ("stays", r"--timeout gives it more; it was at .*rank 1 of [23] in lost.py, line 2[78]"),
    ],
)
def test_a_rank_that_is_lost_costs_one_clause(tmp_path: Path, name: str, reason: str) -> None:
    """Which rank it was and where is said; the next clause is judged, and holds."""
    path = tmp_path / "lost.py"
    path.write_text(LOST, encoding="utf-8")
    found = session(path, "ep_plan", name, limits=Limits(3.0, 8.0))
    with pytest.raises(LostError, match=reason):
        judged(found, "ep_plan", "index.int8")
    assert [r.verdict for r in judged(found, "ep_plan", "index.int64")] == ["holds"]


@pytest.mark.parametrize("name", ["sleeps", "runs_a_program", "runs_a_thread"])
def test_who_sleeps_by_a_clock_is_not_waiting_for_ever(tmp_path: Path, name: str) -> None:
    """A rank that comes late by more than it takes to tell a hang holds, and so does one that waits for what it has begun."""
    path = tmp_path / "lost.py"
    path.write_text(LOST, encoding="utf-8")
    found = session(path, "ep_plan", name, (2,))
    block = sheets().block(context(found, "ep_plan").scene, "index.int64", "scope")
    (came,) = found.stream("ep_plan", block.only([0]).calls)
    assert came.error is None


def test_ranks_that_leave_their_group_are_told_what_they_raise(tmp_path: Path) -> None:
    """The call after it is the one that fails, on every rank."""
    path = tmp_path / "lost.py"
    path.write_text(LOST, encoding="utf-8")
    (found,) = judged(session(path, "ep_plan", "leaves", (2,)), "ep_plan", "def")
    assert (found.verdict, found.reason[:17]) == ("wrong", "raised ValueError")


def test_a_nursery_that_is_lost_is_said(tmp_path: Path) -> None:
    """It takes its ranks with it, and what they have written goes with the process that asked for them."""
    path = tmp_path / "lost.py"
    path.write_text(LOST, encoding="utf-8")
    found = session(path, "ep_plan", "remembers", (2,))
    running = found.host.running  # type: ignore[union-attr]
    assert running is not None
    assert list(running.prints.glob("ranks-*"))
    (nursery,) = psutil.Process(running.process.pid).children()
    nursery.kill()
    with pytest.raises(LostError, match="the process that its ranks are copies of has ended"):
        judged(found, "ep_plan", "index.int64")
    assert not running.prints.exists()


def test_what_a_rank_changes_around_it_is_seen(tmp_path: Path) -> None:
    """A seed that is set in the ranks is set for all that runs in them."""
    path = tmp_path / "lost.py"
    path.write_text(LOST, encoding="utf-8")
    (found,) = judged(session(path, "ep_plan", "remembers", (2,)), "ep_plan", "state")
    assert (found.verdict, "the random state of PyTorch" in found.reason) == ("wrong", True)


def test_a_run_judges_a_file_of_ranks(tmp_path: Path) -> None:
    """Every clause of the card is there, on a device that says what ranks talk by, and nothing fails."""
    path = tmp_path / "mine.py"
    path.write_text(LOST.replace("def dies(", "def ep_plan(").replace("torch.int8", "torch.uint8 and False"), encoding="utf-8")
    run = check(Request((str(path),), ("ep_plan",), tiers=("scope",), ranks=(1, 2)))
    assert run.passed, (run.problems, [(r.clause, r.reason) for r in run.results if r.verdict.fails])
    assert {r.device for r in run.results} == {"cpu x gloo"}
    assert {r.clause for r in run.results} >= {"ep_plan/def", "ep_plan/index.int64", "ep_plan/pure"}


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ("def ep_plan(counts, *, group): ...", [], "--ranks 1,2,3 judges it"),
        ("def ep_plan(counts): ...", ["--ranks", "2"], "takes no group: a function of ranks is one such as def ep_plan(counts"),
        ("def top_k(x, k, *, group): ...", ["--ranks", "2"], "top_k has no axes of ranks; those that do: "),
        ("def top_k(x): ...", ["--ranks", "2", "--op", "top_k"], "top_k has no axes of ranks; those that do: "),
        ("def ep_plan(counts, *, group): ...", ["--ranks", "0,2"], "each at least 1, not 0,2"),
        ("def ep_plan(counts, *, group): ...", ["--ranks", "2,100"], "at most 64"),
        ("def ep_plan(counts, *, group): ...\n1 / 0", ["--ranks", "2"], "cannot be imported: ZeroDivisionError"),
    ],
    ids=["without --ranks", "without group", "another op", "another op by name", "no ranks", "many", "import"],
)
def test_what_cannot_run_on_ranks_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], source: str, arguments: list[str], message: str
) -> None:
    """The message says what to do."""
    path = tmp_path / "mine.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["check", str(path), *arguments]))
    said = capfd.readouterr()
    assert ended.value.code
    assert message in " ".join((said.err + said.out).split())


def test_ranks_are_about_files() -> None:
    """A backend takes whole tensors."""
    done = subprocess.run(
        [sys.executable, "-m", "einspec.conformance.cli", "check", "numpy", "--ranks", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--ranks is about functions of a Python file" in done.stderr


@pytest.mark.parametrize("name", ["ep_plan", "ep_exchange", "context_parallel_split"])
@pytest.mark.parametrize("worlds", [(2,), (1, 2, 3), (2, 8)])
def test_only_these_numbers_of_ranks_are_asked(name: str, worlds: tuple[int, ...]) -> None:
    """Every number is, and axes keep distinct sizes where they have to."""
    op = load(name)
    asked = within(op, on_ranks(op, worlds))
    cases = [*bank(asked), *scope(asked, 1024)[0]]
    assert bank(asked)
    assert {case.solution.sizes["p"] for case in cases} == set(worlds)
    for case in bank(asked):
        free = [n for axis, n in case.solution.sizes.items() if axis not in case.form.sizes]
        assert len(set(free)) == len(free), case


def call_of(*arrays: object, names: tuple[str, ...] = ("x",), **options: object) -> Call:
    """Return a call on arrays."""
    given = tuple(Input(n, (tensor(np.asarray(a)),)) for n, a in zip(names, arrays, strict=True))
    return Call({}, given, Way(**options))  # type: ignore[arg-type]


def test_a_call_is_cut_and_joined() -> None:
    """Each rank gets its part without the axis of ranks, and what comes back is stacked again."""
    x = np.arange(2 * 2 * 3 * 5, dtype=np.int16).reshape(2, 2, 3, 5)
    found = cut(load("ep_exchange"), call_of(x, expand=3))
    parts = found.parts()
    assert [p.inputs[0].parts[0].array().tolist() for p in parts] == x.tolist()
    assert {p.way.expand for p in parts} == {2}
    items = [Outcome(0, Item("array", p.inputs[0].parts[0])) for p in parts]
    joined = found.joined(items, 7)
    assert (joined.number, joined.result.tensor.array().tolist()) == (7, x.tolist())  # type: ignore[union-attr]


def test_parts_that_do_not_fit_are_no_result() -> None:
    """Nor are outputs that all ranks have alike and that differ, where that is asked; elsewhere each has its turn."""
    x = np.zeros((2, 2, 3, 5), np.float32)
    found = cut(load("ep_exchange"), call_of(x))
    uneven = [Outcome(0, Item("array", tensor(np.zeros(n, np.float32)))) for n in (2, 3)]
    assert found.joined(uneven, 0).result == Item("other", text="float32[2] and float32[3] by rank")
    merge = cut(load("context_parallel_merge"), call_of(np.zeros((2, 1, 4, 3), np.float32), names=("y",)))
    copies = [Outcome(0, Item("array", tensor(np.full(3, n, np.float32)))) for n in (1, 2)]
    assert [merge.joined(copies, turn).result for turn in range(3)] == [copies[turn % 2].result for turn in range(3)]
    merge = cut(merge.op, msgspec.structs.replace(merge.call, way=Way("alike")))
    assert merge.joined(copies, 0).result == Item("other", text="other values of x on some ranks than on others")
    assert merge.joined([copies[0], copies[0]], 0).result == copies[0].result


def test_an_error_of_all_ranks_is_theirs_and_of_some_a_bug() -> None:
    """All that raise refuse; who raises alone leaves the others behind."""
    found = cut(load("ep_exchange"), call_of(np.zeros((2, 2, 3, 5), np.float32)))
    error = Raised("ValueError", "not here")
    fine = Outcome(0, Item("array", tensor(np.zeros(2))))
    assert found.joined([Outcome(0, error=error)] * 2, 0).error == error
    some = found.joined([fine, Outcome(0, error=error)], 0).error
    assert some == Raised(RANKS, "rank 0 returned; rank 1 raised ValueError: not here", broken=True)


def test_a_call_of_two_numbers_of_ranks_is_not_made() -> None:
    """Nor one on none."""
    counts = np.zeros((3, 3), np.int32)
    ragged = call_of(np.zeros((2, 4, 3)), counts, names=("x", "counts"))
    ragged.params["layout"] = "ragged"
    with pytest.raises(NoRanksError, match="not on 2, 3"):
        cut(load("ep_exchange"), ragged)
    with pytest.raises(NoRanksError, match="not on 0"):
        cut(load("ep_plan"), call_of(np.zeros((0, 0), np.int32), names=("counts",)))


def test_a_trace_is_read_from_the_inside() -> None:
    """The collective that the file called is named, not what that calls itself."""
    trace = """Current thread 0x1 (most recent call first):
  File "/site/torch/distributed/distributed_c10d.py", line 3044 in barrier
  File "/site/torch/distributed/c10d_logger.py", line 83 in wrapper
  File "/mine/ep.py", line 9 in gathered
  File "/mine/ep.py", line 30 in ep_plan
"""
    assert place_in(trace, "/mine/ep.py") == "barrier, ep.py, line 9"
    assert place_in(trace, "/other.py") == ""


def test_the_script_of_a_failure_runs_under_torchrun(tmp_path: Path) -> None:
    """It fails on the wrong function, and says so of a right one that it does not."""
    path = COLLECTION / "wrong_ranks" / "plans.py"
    (found,) = judged(session(path, "ep_plan", "right_on_rank_0"), "ep_plan", "def")
    script = found.witness["script"]  # type: ignore[index]
    ranks = re.match(r"# torchrun --nproc-per-node (\d) THIS_FILE", script)
    assert ranks
    right = script.replace("from plans import *\n", "from plans import *\nfrom plans import _plan\n")
    right = right.replace("ep_plan = right_on_rank_0", "ep_plan = lambda counts, group: _plan(counts, group)")
    assert right != script
    for text, status in ((script, 1), (right, 0)):
        file = tmp_path / f"script{status}.py"
        file.write_text(text, encoding="utf-8")
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", ranks[1], str(file)]
        done = subprocess.run(launch, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr[-2000:]
        assert ("AssertionError" in done.stderr) == bool(status)
