"""The judge tells every wrong version of a formula from the op, and would be seen to fail if it did not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from einspec import load
from einspec.calls import cases
from einspec.conformance.checks import exhaustive
from einspec.conformance.cli import main
from einspec.conformance.mutation import court, score
from einspec.conformance.mutation.mutants import MOST, MOST_INLINED, as_function, candidates, mutants
from einspec.conformance.mutation.operators import mistakes
from einspec.conformance.mutation.score import Court, Score

FAST = ("pixel_shuffle", "patch_merge", "top_k", "position", "combine", "unfold")


@pytest.mark.parametrize("name", FAST)
def test_every_mutant_is_killed(name: str) -> None:
    """What is not killed equals the op wherever it was tried, and nothing that kills accuses the op itself."""
    found = score.score(name)
    assert found.good
    assert [f.id for f in found.fates if f.verdict == "survived"] == []
    assert found.count("killed") > 20
    assert all(f.calls > 100 for f in found.fates if f.verdict == "equivalent")


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
    monkeypatch.setattr(court, "scope_cases", lambda *_: ([c for c in cases.scope(load("swap_hw"), 9999)[0] if _ones(c)], ""))
    monkeypatch.setattr(Court, "killer", lambda *_: "")
    found = score.score("swap_hw")
    survived = [f for f in found.fates if f.verdict == "survived"]
    assert not found.good
    assert len(survived) > 10
    assert all("instead of" in f.differs for f in survived)
    assert f"survived: {survived[0].id}" in score.table([found])


def _ones(case: cases.Case) -> bool:
    return set(case.solution.sizes.values()) == {1}


def test_counts_are_tried_exhaustively() -> None:
    """A start that takes the greatest count before an expert, not their sum, shows only with two experts before it."""
    blocks, count, _ = exhaustive.assignments(load("ragged_to_padded"), 2000, 2000)
    tried = {tuple(row) for b in blocks for row in b.inputs["counts"].tolist()}
    assert {(1, 1, 1), (0, 3, 0), (3, 3, 3)} <= tried
    assert count >= 64


def test_a_clause_that_accuses_the_definition_spoils_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills count only if the op itself, run in the same way, is not killed."""
    monkeypatch.setattr(court, "as_function", lambda op, _: mutants(op)[0].function)
    found = score.score("swap_hw", ("nchw",))
    assert found.accused == ["scope def"]
    assert not found.good
    assert "accuses the definition itself: swap_hw scope def" in score.table([found])


def test_the_command_prints_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line an op, the sum, the same as JSON, and exit status 0."""
    assert main(["mutants", "swap_hw", "--json", str(tmp_path / "m.json"), "--processes", "1"]) == 0
    out = capsys.readouterr().out
    assert "score: 100.00%" in out
    data = json.loads((tmp_path / "m.json").read_text())
    assert {m["verdict"] for m in data["swap_hw"]["mutants"]} <= {"killed", "equivalent"}
    assert main(["mutants", "--list", "swap_hw"]) == 0
    assert "swap_hw[nchw]~order(x: h, w)" in capsys.readouterr().out


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_command_ends_its_processes(sent: signal.Signals) -> None:
    """Nothing goes on in the background, and what is not begun is not waited for."""
    command = [sys.executable, "-m", "einspec.conformance.cli", "mutants", "moe_layer"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        watched = psutil.Process(process.pid)
        while sum("spawn_main" in " ".join(child.cmdline()) for child in watched.children()) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        workers = watched.children()
        process.send_signal(sent)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == "einspec: interrupted\n"
    assert psutil.wait_procs(workers, timeout=5)[1] == []


def test_an_empty_score_is_not_good() -> None:
    """A run that judged nothing has not passed."""
    assert not Score("nothing").good
