"""The judge is judged: wrong functions of kinds seen in the field are caught by their clause, right ones are not accused."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from einspec import load
from einspec.conformance.clauses import CHECKS, clauses, judge
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Session
from einspec.conformance.targets import ADAPTER, Target

COLLECTION = Path(__file__).parent / "collection"
WRONG = re.compile(r"(?P<op>\w+)/(?P<clause>[\w.]+): (?P<what>.+?)\. +(?:Imitates (?P<url>https://\S+)|Constructed)\.")
RIGHT = re.compile(r"(?P<op>\w+): (?P<what>.+)\.")


class Entry(NamedTuple):
    """One function of the collection and what its docstring says of it."""

    file: str
    name: str
    op: str
    clause: str
    what: str
    url: str
    target: Target
    ties: Any

    def __str__(self) -> str:
        return f"{self.file}-{self.name}"


def entries(folder: str, pattern: re.Pattern[str]) -> Iterator[Entry]:
    """Yield the functions of a folder of the collection; every public one must say what it is.

    A file names the framework whose arrays its functions take, or is an adapter itself. ``BACKEND`` says that its functions
    promise the whole card, ``TIES`` that any order of equal values will do.
    """
    for path in sorted((COLLECTION / folder).glob("*.py")):
        module = imported(path)
        own = all(hasattr(module, name) for name in ADAPTER)
        adapter = module if own else importlib.import_module(f"einspec.impls.{module.FRAMEWORK}")
        for name in defined(path):
            function = getattr(module, name)
            if own and name in (*ADAPTER, "device_of", "is_array"):
                continue
            text = " ".join((inspect.getdoc(function) or "").split())
            found = pattern.fullmatch(text)
            assert found, f"{path.name}: {name} does not say what it is: {text!r}"
            said = found.groupdict()
            bare = not (own or getattr(module, "BACKEND", False))
            target = Target(f"{path.stem}.{name}", adapter, {said["op"]: function}, "", bare)
            clause, url = said.get("clause") or "", said.get("url") or ""
            yield Entry(path.stem, name, said["op"], clause, said["what"], url, target, getattr(module, "TIES", "first"))


def imported(path: Path) -> Any:
    """Return a file of the collection as a module."""
    spec = importlib.util.spec_from_file_location(f"collection_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a framework says of old ways to use it
        spec.loader.exec_module(module)
    return module


def defined(path: Path) -> Iterator[str]:
    """Yield the public lower-case names that a file defines or assigns itself."""
    for node in ast.parse(path.read_text()).body:
        names = [node.name] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.Assign):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
        yield from (n for n in names if n.islower() and not n.startswith("_") and n not in ADAPTER)


def judged(entry: Entry, only: list[str] | None = None, **how: Any) -> Iterator[Result]:
    """Yield what the judge says of a function, on the last device of its adapter."""
    session = Session(entry.target, entry.target.adapter.devices()[-1])
    return judge(Context(session, load(entry.op), **how), only)


WRONGS = list(entries("wrong", WRONG))


@pytest.mark.parametrize("entry", WRONGS, ids=str)
def test_a_wrong_function_is_caught_by_its_clause(entry: Entry) -> None:
    """The clause that the function breaks is wrong, with a witness that says how."""
    assert entry.clause in clauses(load(entry.op)), f"{entry.op} has no clause {entry.clause}"
    found = next((r for r in judged(entry, [entry.clause]) if r.verdict == "wrong"), None)
    assert found is not None, f"{entry} is wrong and {entry.op}/{entry.clause} does not say so"
    assert found.witness
    by_itself = found.reason.startswith("raised")
    assert by_itself == bool(re.search("raise", entry.what)), f"{entry} is caught for another reason: {found.reason}"


RIGHTS = list(entries("right", RIGHT))


@pytest.mark.parametrize("entry", RIGHTS, ids=str)
def test_a_right_function_is_not_accused(entry: Entry) -> None:
    """No clause of a full judging is wrong or in error, however unusual the function is; it may refuse what is optional."""
    found = list(judged(entry, ties=entry.ties))
    assert [(r.clause, r.tier, r.reason) for r in found if r.verdict in ("wrong", "errored")] == []
    assert any(r.verdict == "holds" and r.instances for r in found)
    assert {r.verdict for r in found} <= {"holds", "refused", "unsupported", "not run"}


@pytest.mark.parametrize(
    "name",
    [
        "numpy_conduct-caches_by_shape",
        "torch_moves-clears_its_input",
        "jax_functions-wrong_when_not_traced",
        "placed-second_output_stays",
    ],
)
def test_a_whole_judging_says_the_same_as_one_clause(name: str) -> None:
    """State that calls leave behind does not hide a defect from the clause that is meant for it."""
    entry = next(e for e in WRONGS if str(e) == name)
    assert f"{entry.op}/{entry.clause}" in {r.clause for r in judged(entry) if r.verdict == "wrong"}


def test_the_collection_is_large_and_each_function_in_it_once() -> None:
    """It holds wrong functions for every kind of clause that can be broken, in every framework, and right ones."""
    assert len({str(e) for e in WRONGS}) == len(WRONGS) > 130
    assert len({str(e) for e in RIGHTS}) == len(RIGHTS) > 55
    assert {e.clause.partition(".")[0] for e in WRONGS} >= set(CHECKS) - {"state"}  # which has tests of its own
    for frameworks in ({e.target.framework for e in es} for es in (WRONGS, RIGHTS)):
        assert frameworks >= {"numpy", "torch", "jax"}
