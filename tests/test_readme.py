"""The README shows what the commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from einspec.calls.cases import SCOPE_LIMIT
from einspec.calls.space import SCOPE
from einspec.card import load, paths
from einspec.conformance.checks.scope import ASSIGNMENTS, COMPILED_SCOPE, NUMBERS_LIMIT, ROUNDED_LEAST, ROUNDED_WORK
from einspec.conformance.cli import main
from einspec.conformance.mutation.assessment import Assessment
from einspec.conformance.mutation.mutants import candidates, mutants
from einspec.conformance.mutation.score import Score, table
from einspec.pages import text as show

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_card_is_what_show_prints() -> None:
    """The card in the README begins as einspec show prints it."""
    block = README.partition("$ einspec show pixel_shuffle\n")[2].partition("```")[0]
    assert block.strip()
    assert show.show("pixel_shuffle").startswith(block.strip())


def test_the_wrong_file_and_its_failure_are_real(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The wrong example stands in the README as it is, and what is shown of its failure is printed."""
    monkeypatch.chdir(ROOT)
    source = (ROOT / "examples" / "wrong_pixel_shuffle.py").read_text(encoding="utf-8")
    assert source.partition('"""\n\n\n')[2].strip() in README
    assert main(["check", "examples/wrong_pixel_shuffle.py"]) == 1
    printed = capsys.readouterr().out
    block = README.partition("$ einspec check examples/wrong_pixel_shuffle.py\n")[2].partition("```")[0]
    shown = [line for line in block.splitlines() if line.strip() and line.strip() != "..."]
    assert len(shown) > 10
    for line in shown:
        assert line.rstrip() in printed, line


def test_the_mutants_are_as_many_as_the_readme_says() -> None:
    """The block ends as the command prints it: made and possible are counted here, what is equivalent it says in minutes."""
    block = README.partition("$ einspec mutants\n...\n")[2].partition("```")[0]
    equivalent = int(re.findall(r"([\d,]+) equivalent", block)[0].replace(",", ""))
    found, left = [], equivalent
    for name in paths():
        made = mutants(name)
        kept = [Assessment(m.id, m.operator, m.formula, "equivalent" if i < left else "killed") for i, m in enumerate(made)]
        found.append(Score(name, kept, candidates(load(name))))
        left -= min(left, len(made))
    assert block.splitlines() == table(found).splitlines()[-2:]


def test_the_scope_is_as_large_as_the_readme_says() -> None:
    """Where the calls of the scope are a sample, it has the numbers of the code."""
    said = " ".join(README.partition("* **scope**")[2].partition("* **property**")[0].split())
    for part in (
        f"every size up to {SCOPE} (beside an empty axis up to {SCOPE - 1})",
        f"more such calls than {SCOPE_LIMIT:,}; {NUMBERS_LIMIT:,} if it takes numbers alone",
        f"as many as make up {ROUNDED_WORK:,} terms, and at least {ROUNDED_LEAST} a form",
        f"JAX, which compiles each, gets about {COMPILED_SCOPE}, fewer the longer the definition.",
        f"more than {ASSIGNMENTS:,} such calls",
    ):
        assert part in said, part


def test_the_promises_are_those_that_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of promises is what the option prints, whole."""
    assert main(["check", "--explain-promises"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) > 10
    assert f"\n\n{printed}\n" in README


def test_the_table_of_ops_names_all_of_them() -> None:
    """Every op stands in the table once, in its family."""
    section = README.partition("## The ops")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z]+) \| (.*) \|$", section, re.M)[1:]
    named = [(family, name) for family, names in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(named) == sorted((load(name).family, name) for name in paths())


def test_the_right_examples_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The framework's own functions and the one-file backend are not accused."""
    pytest.importorskip("torch", reason="needs PyTorch")
    pytest.importorskip("array_api_strict", reason="needs array-api-strict")
    monkeypatch.chdir(ROOT)
    found = main(["check", "examples/torch_builtins.py", "examples/array_api_strict_backend.py"])
    assert found == 0, capsys.readouterr().out
