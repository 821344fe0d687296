"""The examples do what they say: programs run and show it, files of functions are judged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from einspec.conformance.cli import main
from einspec.conformance.reports import report

pytest.importorskip("torch", reason="needs PyTorch")

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str) -> list[str]:
    """Run an example as a program and return the lines that it prints."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def judged(name: str, tmp_path: Path, *arguments: str) -> tuple[int, dict[str, dict[str, dict[str, str]]]]:
    """Judge an example and return the exit status and, by op and verdict, the clauses with the reasons."""
    path = tmp_path / "report.jsonl"
    status = main(["check", str(EXAMPLES / name), "--tier", "scope", "--report", str(path), *arguments])
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for result in report.read(path).results:
        op, _, clause = result.clause.partition("/")
        found[op][result.verdict][clause] = result.reason
    return status, found


def test_grouping_of_tokens(tmp_path: Path) -> None:
    """The kata is right wherever the tokens of an expert stand, and when there are too many or too few of them."""
    assert run("group_tokens_kata.py") == [
        "tidy       assignments [[0, 0, 0, 0], [1, 1, 1, 1]]  grouped [[1, 2, 3, 4], [5, 6, 7, 8]]",
        "scattered  assignments [[1, 0, 0, 1], [0, 1, 0, 1]]  grouped [[2, 3, 5, 7], [1, 4, 6, 8]]",
        "crowded    assignments [[0, 0, 0, 0], [0, 1, 0, 1]]  grouped [[1, 2, 3, 4], [6, 8, 0, 0]]",
    ]
    status, found = judged("group_tokens_kata.py", tmp_path)
    assert status == 0
    assert {"def", "nan"} <= set(found["group_tokens"]["holds"])


def test_grouping_for_tidy_assignments_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The judge shows the rearrangement that ignores the assignments an input on which it is wrong."""
    import torch

    sys.path.insert(0, str(EXAMPLES))
    try:
        import group_tokens_kata
        import wrong_group_tokens_kata
    finally:
        sys.path.remove(str(EXAMPLES))
    x = torch.arange(1.0, 9.0).reshape(2, 4, 1)
    tidy = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]])
    right, wrong = group_tokens_kata.group_tokens_by_expert, wrong_group_tokens_kata.group_tokens_by_expert
    assert torch.equal(right(x, tidy, 2), wrong(x, tidy, 2))
    assert not torch.equal(right(x, tidy.flip(0), 2), wrong(x, tidy.flip(0), 2))
    status, found = judged("wrong_group_tokens_kata.py", tmp_path)
    assert status == 1
    assert "def" in found["group_tokens"]["wrong"]
    assert re.search(r"expected y.*\n\s+got y", capsys.readouterr().out)


@pytest.mark.parametrize("op", ["top_k", "gate", "expert_matmul", "combine"])
def test_the_katas_hold(op: str, tmp_path: Path) -> None:
    """Each function of the katas is judged and found right, and refuses no more than the other presets and rare dtypes."""
    status, found = judged("moe_katas.py", tmp_path, "--op", op)
    assert not found[op]["wrong"]
    assert not found[op]["errored"]
    assert status == 0
    assert found[op]["holds"]
    for clause, reason in found[op]["refused"].items():
        other = "preset=" in reason and "preset='topk_softmax'" not in reason
        assert clause.startswith("dtype.float8_") or other, reason


def test_the_katas_run() -> None:
    """Gate, experts and combination together give each token back as its experts' weighted outputs."""
    assert run("moe_katas.py")[-1].endswith(": True")


def test_expert_choice() -> None:
    """The notebook finds einsum, matmul, indexing and the ops equal in every step."""
    lines = run("expert_choice_notebook.py")
    assert lines[:3] == ["tokens of an expert: 20", "scores: [5, 100, 5]", "chosen: [5, 5, 20]"]
    assert "expert_choice chooses the same" in lines
    assert "extracted: [5, 5, 20, 4] by einsum, by matmul and by indexing alike" in lines
    assert "expert_mlp computes the same" in lines
    assert "combined: [5, 100, 4] by einsum, by matmul and by combine_by_mask alike" in lines
    times = [int(n) for n in re.findall(r"\d+", lines[-1].partition(":")[2])]
    assert sum(times) == 500
    assert sum(n * i for i, n in enumerate(times)) == 500


def test_the_experts_module(tmp_path: Path) -> None:
    """The module agrees with the op, and of the shapes that were published the error names the axis that does not fit."""
    lines = run("experts_module.py")
    assert lines[:2] == ["Experts: [4, 3, 8] -> [4, 3, 8]", "agrees with expert_mlp: True"]
    torch_says, einspec_says = "\n".join(lines[2:]).split("the published shapes in einspec:\n")
    assert torch_says.startswith("the published shapes in PyTorch:\n")
    assert "does not broadcast" in torch_says
    first, *rest = einspec_says.splitlines()
    assert first == "expert_mlp: dimension 1 of w2 must be 16, the size of f, not 32"
    assert "  signature: x: e n d, w1: e d f, w2: e f g, w3: e g h -> y: e n h" in rest
    assert "  got: x[4, 3, 8], w1[4, 8, 16], w2[4, 32, 32], w3[4, 32, 8]" in rest


def test_the_function_of_the_experts_module(tmp_path: Path) -> None:
    """The function behind the module is right, only SwiGLU is missing; asked strictly, it rejects matrices that do not fit."""
    status, found = judged("experts_module.py", tmp_path, "--allow-einspec")
    assert status == 0
    assert {"dtype.float32", "nan"} <= set(found["expert_mlp"]["holds"])
    assert all("experts of the kind swiglu" in reason for reason in found["expert_mlp"]["refused"].values())
    _, found = judged("experts_module.py", tmp_path, "--allow-einspec", "--strict")
    assert "err.match.w2.1" in found["expert_mlp"]["holds"]


def test_dispatch_by_einsum(tmp_path: Path) -> None:
    """Three tokens reach their slots by einsum as by the ops, and the picture is written."""
    picture = tmp_path / "routing.png"
    lines = run("dispatch_einsum.py", str(picture))
    assert lines[:2] == [
        "mask [[[1, 0], [0, 0]], [[0, 0], [1, 0]], [[0, 1], [0, 0]]]",
        "dispatched [[1.0, 3.0], [2.0, 0.0]] in each of 4 features",
    ]
    assert "dispatch_by_mask and dispatch agree with einsum" in lines
    assert "with NaN in token 1, expert 0 gets NaN from einsum: True" in lines
    assert "with NaN in token 1, expert 0 gets NaN from the op: False" in lines
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_adapters_of_torch(tmp_path: Path) -> None:
    """What PyTorch ships holds as it is, within what the adapters say: calls outside are counted, conventions told."""
    status, found = judged("torch_adapters.toml", tmp_path)
    assert status == 0
    assert all("def" in found[op]["holds"] for op in found)
    assert "calls meet where" in found["expert_counts"]["holds"]["def"]
    assert "admitted: ties" in found["top_k"]["holds"]["def"]
