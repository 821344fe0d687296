"""Printed functions: each is judged, needs no einspec, and a wrong one is found wrong."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import einspec
from einspec import load, testing
from einspec.card import compile_card
from einspec.clauses import clause_ids, dtypes_of
from einspec.conformance.cli import main
from einspec.errors import FormulaError
from einspec.language.formula import parse
from einspec.language.tables import Card
from einspec.pages.cited import Outcome, check, citations
from einspec.reference import FRAMEWORKS, reference

IMPORTS = {"numpy": {"numpy"}, "torch": {"torch"}, "jax": {"jax", "jax.numpy"}}
STANDARD = {"math", "fractions"}
Function = Callable[..., Any]


def alone(source: str, name: str) -> Function:
    """Return a function of a file, which cannot import einspec whenever it tries to."""

    def guarded(module: str, *args: Any, **options: Any) -> Any:
        assert module.partition(".")[0] != "einspec", "a printed file imports einspec"
        return __import__(module, *args, **options)

    space: dict[str, Any] = {"__name__": "printed", "__builtins__": {**vars(builtins), "__import__": guarded}}
    exec(compile(source, "printed.py", "exec"), space)
    found: Function = space[name]
    return found


def printed(name: str, framework: str) -> Function:
    """Return the printed function of an op."""
    return alone(reference(load(name), framework), name)


@pytest.mark.parametrize("name", einspec.ops())
def test_numpy_is_right(name: str) -> None:
    """On every call of the small scope, in every dtype; what the card forbids is an error, and nothing is refused."""
    found = testing.check(printed(name, "numpy"), name, framework="numpy", tiers=["scope"])
    assert "def" in found.held
    assert not {c for c in found.refused if not c.startswith("memory.")}  # a number of NumPy is not written to


@pytest.mark.parametrize("name", einspec.ops())
def test_torch_is_right(name: str) -> None:
    """On a few drawn calls, of values that are finite, infinite and NaN; of the small scope where an op takes no tensors."""
    pytest.importorskip("torch", reason="needs PyTorch")
    op = load(name)
    clauses = [c for c in clause_ids(op) if c == "def" or c.startswith("values.")]
    tier = "property" if any(f.signature.inputs for f in op.forms.values()) else "scope"
    found = testing.check(printed(name, "torch"), name, framework="torch", tiers=[tier], clauses=clauses, examples=2)
    assert found.held
    assert not found.refused


@pytest.mark.parametrize("name", einspec.ops())
def test_jax_is_right(name: str) -> None:
    """On a few drawn calls of finite numbers in float32, compiled: a compiler may lose NaN in maxima."""
    jax = pytest.importorskip("jax", reason="needs JAX")
    function = printed(name, "jax")
    dtypes = ["float32"] if "float32" in dtypes_of(load(name)) else None

    @settings(max_examples=2, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(testing.calls(name, dtypes=dtypes, max_size=3, special=False))
    def agrees(call: testing.LegalCall) -> None:
        def run(*inputs: Any) -> Any:
            return function(*inputs, **call.params)

        result = call(lambda *inputs, **_: (jax.jit(run) if inputs else run)(*inputs), jax.numpy.asarray)
        testing.assert_matches(result, name, *call.inputs, **call.params)

    agrees()


def test_a_wrong_program_is_found_wrong() -> None:
    """What is printed of another formula is not the op, so that a wrong printer would be seen."""
    op = load("pixel_shuffle")
    stated = parse("y[..., c, (h,i), (w,j)] = x[..., (c,j,i), h, w]", "pixel_shuffle")
    changed = dataclasses.replace(op, forms={"": dataclasses.replace(op.forms[""], stated=stated)})
    function = alone(reference(changed, "numpy"), "pixel_shuffle")
    with pytest.raises(AssertionError, match="WRONG pixel_shuffle/def"):
        testing.check(function, "pixel_shuffle", framework="numpy", tiers=["scope"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_files_stand_alone(framework: str) -> None:
    """They import nothing but their framework and the standard library, and cite the ops that they hold."""
    for name in einspec.ops():
        source = reference(load(name), framework)
        tree = ast.parse(source)
        imported = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names}
        imported |= {str(n.module) for n in tree.body if isinstance(n, ast.ImportFrom)}
        assert imported <= IMPORTS[framework] | STANDARD
        cited = list(citations(source))
        functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
        assert [c.address for c in cited] == [f for f in functions if not f.startswith("_")]
        assert {check(c)[0] for c in cited} == {Outcome.SAME}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_function_says_what_it_computes(framework: str) -> None:
    """Its docstring holds the signature and every equation, broken over lines at most."""
    for name in einspec.ops():
        space = ast.parse(reference(load(name), framework))
        (function,) = (n for n in space.body if isinstance(n, ast.FunctionDef) and n.name == name)
        words = "".join((ast.get_docstring(function) or "").split())
        for form in load(name).forms.values():
            assert all("".join(e.text.split()) in words for e in form.stated)
            assert "".join(str(form.signature).split()) in words


def test_ruff_has_nothing_to_say(tmp_path: Path) -> None:
    """Of any file, by the rules that it has by default."""
    pytest.importorskip("ruff", reason="needs ruff")
    for framework in FRAMEWORKS:
        for name in einspec.ops():
            (tmp_path / f"{framework}_{name}.py").write_text(reference(load(name), framework), encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def unprintable() -> Any:
    """Return an op with a minimum, which no card has."""
    return compile_card("least", "pooling", Card("Least.", "1.0", "x: b c -> y: b", "y[b] = min[c](x[b,c])"))


def test_what_cannot_be_printed_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the op and what stands in the way, and the command ends as after wrong use."""
    with pytest.raises(FormulaError, match="min"):
        reference(unprintable(), "numpy")
    monkeypatch.setattr(importlib.import_module("einspec.card"), "load", lambda name: unprintable())
    assert main(["reference", "least"]) == 2
    assert "cannot print least: min" in capsys.readouterr().err


def test_the_command_prints_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """For an alias too, of NumPy unless another framework is named."""
    assert main(["reference", "depth_to_space_crd"]) == 0
    assert capsys.readouterr().out == reference(load("pixel_shuffle"), "numpy")
    assert main(["reference", "pixel_shuffle", "--framework", "jax"]) == 0
    assert "jnp.arange" in capsys.readouterr().out
    assert main(["reference", "pixel_shuffel"]) == 2
    assert "did you mean pixel_shuffle" in capsys.readouterr().err
