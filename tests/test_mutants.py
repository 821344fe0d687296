"""The judge tells every wrong version of a formula from the op, and would be seen to fail if it did not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from sources import INTERRUPTIBLE, PATIENCE, begun, until

from einspec import load
from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.calls.space import Case
from einspec.conformance.checks import exhaustive
from einspec.conformance.checks.batches import batched, several
from einspec.conformance.checks.block import block_of
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.cli import main
from einspec.conformance.judge.blocks import judge_block
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.mutation import assessment, score
from einspec.conformance.mutation.assessment import Assessor
from einspec.conformance.mutation.formula import FormulaSession, as_function, definition
from einspec.conformance.mutation.mutants import MOST, MOST_INLINED, candidates, mutants
from einspec.conformance.mutation.operators import mistakes
from einspec.conformance.mutation.score import Score
from einspec.conformance.protocol import Way
from einspec.conformance.run.costs import cost
from einspec.conformance.run.sheets import SheetStore
from einspec.conformance.trial import Trial

FAST = ("pixel_shuffle", "patch_merge", "top_k", "position", "combine", "unfold")


@pytest.mark.parametrize("name", FAST)
def test_every_mutant_is_killed(name: str) -> None:
    """What is not killed equals the op wherever it was tried, and nothing that kills accuses the op itself."""
    found = score.score(name)
    assert found.good
    assert [a.id for a in found.assessments if a.status == "survived"] == []
    assert found.count("killed") > 20
    assert all(a.calls > 100 for a in found.assessments if a.status == "equivalent")


@pytest.mark.parametrize(
    ("name", "operator", "shown"),
    [
        ("pixel_shuffle", "order", "y[..., c, (h,i), (w,j)] = x[..., (i,j,c), h, w]"),
        ("pixel_shuffle", "permute", "y[..., c, (h,j), (w,i)] = x[..., (c,i,j), h, w]"),
        ("top_k", "tie", "before[t, e] = sum[e1]((x[t, e1], e1) > (x[t, e], e))"),
        ("top_k", "edge", "before[t, e] = sum[e1]((x[t, e1], e) >= (x[t, e], e1))"),
        ("position", "priority", "before[t, k] = sum[t1, k1]((index[t1, k1] == index[t, k]) * ((k1, t1) < (k, t)))"),
        ("position", "edge", "position[t, k] = (0 <= index[t, k] <= experts) * (1 + before[t, k]) - 1"),
        ("position", "constant", "position[t, k] = (0 <= index[t, k] < experts) * (1 + before[t, k]) - 0"),
        ("combine", "drop", "z[t, d] = sum[k, e, c]((index[t, k] == e) * 1 * weights[t, k] * y[e, c, d])"),
        ("unfold", "parameter", "(h == i * sw + p * dh - ph)"),
        ("unfold", "shift", "(h == i * sh + p * dh - ph + 1)"),
        ("score", "normalise", "softmax[e] over t"),
        ("score", "normalise", "no sum in softmax[e]"),
        ("global_avg_pool", "normalise", "y[b, c] = sum[h, w](x[b, c, h, w])"),
        ("global_max_pool", "reduce", "y[b, c] = min[h, w](x[b, c, h, w])"),
        ("gate", "use", 'scores[t, e] = score(logits[t, e], fn="sigmoid")'),
    ],
)
def test_operators_make_what_they_should(name: str, operator: str, shown: str) -> None:
    """Each kind of mistake is made, and can be read in its formula or in what is said of it."""
    made = [m for form in load(name).forms.values() for m in mistakes(form) if m.operator == operator]
    assert any(shown in m.formula or shown in m.where for m in made)


def test_mutants_have_ids_that_do_not_change_and_a_limit() -> None:
    """Ids are unique, the same each time, and no operator has more mutants of a form than it may."""
    found = mutants("gate")
    assert len({m.id for m in found}) == len(found) < candidates("gate")
    assert [m.id for m in mutants(load("gate"))] == [m.id for m in found]
    groups = [(id(m.form), m.operator) for m in found]
    assert max(groups.count(g) for g in groups) <= MOST + MOST_INLINED
    assert "pixel_shuffle~order(x: c, i)" in [m.id for m in mutants("pixel_shuffle")]


def test_a_mutant_is_a_function_that_checks_its_arguments() -> None:
    """It takes NumPy arrays and the parameters by name, keeps the dtype, and raises where the op has to."""
    rotated = next(m for m in mutants("pixel_shuffle") if m.id == "pixel_shuffle~order(x: (i, j, c))")
    x = np.arange(8, dtype=np.float16).reshape(1, 8, 1, 1)
    assert rotated.function(x, upscale_factor=2).dtype == np.float16
    assert rotated.function(x, upscale_factor=2).ravel().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert as_function(load("pixel_shuffle"), {})(x, upscale_factor=2).ravel().tolist() == list(range(8))
    with pytest.raises(ValueError, match="multiple"):
        rotated.function(x[:, :7], upscale_factor=2)


def test_a_weak_judge_lets_mutants_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but calls whose sizes are all 1, wrong orders survive, and the score says so with a call that shows them."""
    ones = [c for c in cases.scope(load("swap_hw"), 9999)[0] if _ones(c)]
    block = block_of("swap_hw", [plain_trial(c, filled(c, "float32", "gauss", 1)) for c in ones])
    monkeypatch.setattr(SheetStore, "block", lambda *_: block)
    monkeypatch.setattr(Assessor, "killer", lambda *_: "")
    found = score.score("swap_hw")
    survived = [a for a in found.assessments if a.status == "survived"]
    assert not found.good
    assert len(survived) > 10
    assert all("instead of" in a.differs for a in survived)
    assert f"survived: {survived[0].id}" in score.table([found])


def _ones(case: Case) -> bool:
    return set(case.solution.sizes.values()) == {1}


def test_counts_are_tried_exhaustively() -> None:
    """A start that takes the greatest count before an expert, not their sum, shows only with two experts before it."""
    blocks, count, _ = exhaustive.assignments(load("ragged_to_padded"), 2000, 2000)
    tried = {tuple(row) for b in blocks for row in b.inputs["counts"].tolist()}
    assert {(1, 1, 1), (0, 3, 0), (3, 3, 3)} <= tried
    assert count >= 64


def test_a_clause_that_accuses_the_definition_spoils_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills count only if the op itself, run in the same way, is not killed."""
    monkeypatch.setattr(assessment, "as_function", lambda op, _: mutants(op)[0].function)
    found = score.score("swap_hw", ("nchw",))
    assert found.accused == ["scope def"]
    assert not found.good
    assert "accuses what is right: swap_hw scope def" in score.table([found])


def test_the_command_prints_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line an op, the sum, the same as JSON, and exit status 0."""
    assert main(["mutants", "swap_hw", "--json", str(tmp_path / "m.json"), "--processes", "1"]) == 0
    out = capsys.readouterr().out
    assert "score: 100.00%" in out
    data = json.loads((tmp_path / "m.json").read_text())
    assert {m["status"] for m in data["swap_hw"]["mutants"]} <= {"killed", "equivalent"}
    assert main(["mutants", "--list", "swap_hw"]) == 0
    assert "swap_hw[nchw]~order(x: h, w)" in capsys.readouterr().out


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_command_ends_its_processes(sent: signal.Signals) -> None:
    """Nothing goes on in the background, and what is not begun is not waited for."""
    command = [sys.executable, "-c", INTERRUPTIBLE, "mutants", "moe_layer"]
    with begun(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        watched = psutil.Process(process.pid)
        until(lambda: sum("spawn_main" in " ".join(child.cmdline()) for child in watched.children()) >= 2, process)
        workers = watched.children()
        process.send_signal(sent)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert said == "einspec: interrupted\n"
        assert psutil.wait_procs(workers, timeout=PATIENCE)[1] == []


@pytest.mark.parametrize("name", ["position", "top_k"])
def test_a_formula_is_judged_as_any_target(name: str) -> None:
    """The definition holds in every clause that NumPy can be asked, of one call made twice and of a law too."""
    op = load(name)
    context = Context(FormulaSession({}), op, SheetStore(None), Policy(tiers=("scope",)))
    found = {r.clause.partition("/")[2]: r for r in judge(context)}
    assert {r.verdict for r in found.values()} == {Verdict.HOLDS, Verdict.NOT_RUN}
    for clause in ("def", "empty", "pure", "repeat", "state", "result.dtype"):
        assert found[clause].verdict is Verdict.HOLDS, found[clause]
    assert all(found[c].verdict is Verdict.NOT_RUN for c in found if c.startswith("layout.") or c == "device")
    assert any(c.startswith("law.") and r.verdict is Verdict.HOLDS for c, r in found.items())
    assert any(c.startswith("err.") and r.verdict is Verdict.HOLDS for c, r in found.items())


@pytest.mark.parametrize("name", ["top_k", "concat", "unstack"])
def test_a_formula_answers_row_by_row(name: str) -> None:
    """Independent inputs along a new first axis are called one by one, in a list of tensors too."""
    case = max(cases.bank(load(name)), key=lambda c: c.elements)
    trial = batched(case, several(case, 3, "gauss", 1), None, "rows")
    assert trial is not None
    context = Context(FormulaSession({}), case.op, SheetStore(None))
    block = block_of(name, [trial])
    assert judge_block(context, "def", "scope", block).verdict is Verdict.HOLDS
    sessions = (FormulaSession({name: m.function}) for m in mutants(name))
    wrong = (Context(s, case.op, SheetStore(None), shrinks=False) for s in sessions)
    verdicts = {judge_block(context, "def", "scope", block).verdict for context in wrong}
    assert Verdict.WRONG in verdicts


def test_a_formula_refuses_transforms() -> None:
    """NumPy has none: such a call is an error, not a call in another way."""
    case = cases.bank(load("top_k"))[0]
    plain = plain_trial(case, filled(case, "float32", "gauss", 1))
    for kind in ("vjp", "vmap", "jit"):
        outcome = FormulaSession({}).one(Trial(case, plain.arrays, plain.expected, Way(kind)))
        assert outcome.error is not None
        assert "has no attribute 'transforms'" in outcome.error.text


def test_a_formula_gets_the_memory_that_is_asked_for() -> None:
    """A call in a layout, or on a slice that is repeated, is made on such arrays."""
    case = next(c for c in cases.bank(load("swap_hw")) if min(c.shapes[0]) > 1)
    plain = plain_trial(case, filled(case, "float32", "gauss", 1))
    given: list[np.ndarray] = []

    def function(x: np.ndarray, **params: object) -> np.ndarray:
        given.append(x)
        return definition("swap_hw")(x, **params)

    session = FormulaSession({"swap_hw": function})
    trials = [Trial(case, plain.arrays, plain.expected, way) for way in (Way(), Way(layout="strided"), Way(expand=0))]
    right = [outcome.difference(trial) is None for trial, outcome in zip(trials, session.run(trials), strict=True)]
    assert right == [True, True, False]  # the last was given another array
    assert [x.flags.c_contiguous for x in given] == [True, False, False]
    assert given[2].strides[0] == 0


def test_what_is_not_wanted_is_not_called() -> None:
    """Once the judge has seen enough it says so, and no further call of a block is made."""
    called = []

    def function(*args: np.ndarray, **params: object) -> np.ndarray:
        called.append(args)
        return args[0]

    session = FormulaSession({"swap_hw": function})
    few = [c for c in cases.scope(load("swap_hw"), 99)[0] if not c.empty and c.elements > 4][:9]
    block = block_of("swap_hw", [plain_trial(c, filled(c, "float32", "gauss", 1)) for c in few])
    context = Context(session, load("swap_hw"), SheetStore(None), shrinks=False)
    next(iter(session.stream("swap_hw", block.calls)))
    assert len(called) == 1
    stream = session.stream("swap_hw", block.calls)
    next(stream)
    session.stop()
    assert list(stream) == []
    assert len(called) == 2
    assert judge_block(context, "def", "scope", block).verdict is Verdict.WRONG


def test_shards_hold_every_op_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The parts of the ops are of about the same cost, and together all; one without an op is wrong usage."""
    names = ("swap_hw", "top_k", "position", "unfold")
    shown = []
    for part in ("1/2", "2/2"):
        assert main(["mutants", "--list", "--shard", part, *names]) == 0
        lines = capsys.readouterr().out.splitlines()
        shown.append({line.partition("~")[0].partition("[")[0] for line in lines if line[0] != " "})
    assert shown[0] | shown[1] == set(names)
    assert not shown[0] & shown[1]
    totals = [sum(cost(op) for op in part) for part in shown]
    assert max(totals) - min(totals) <= max(cost(op) for op in names)
    assert main(["mutants", "--list", "--shard", "2/2", "top_k"]) == 2
    assert "has no op" in capsys.readouterr().err


def test_an_empty_score_is_not_good() -> None:
    """A run that judged nothing has not passed."""
    assert not Score("nothing").good
