"""The judge is judged: wrong functions of kinds seen in the field are caught by their clause, right ones are not accused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from judged import results, session

from einspec import load
from einspec.clauses import KINDS
from einspec.conformance.clauses import clauses
from einspec.conformance.judge.verdict import Result
from einspec.conformance.targets.adapter import ADAPTER, OPTIONAL

COLLECTION = Path(__file__).parent / "collection"
BESIDES = {*ADAPTER, *OPTIONAL}
"""What a file of the collection may define besides the functions in it: the names of an adapter."""
ELSEWHERE = {"state", "ranks"}
"""The kinds of clauses of which no function is caught here: who changes what all calls share stands in ``test_hostile.py``, who
runs on ranks in ``test_ranks.py``."""
WRONG = re.compile(r"(?P<op>\w+)/(?P<clause>[\w.]+): (?P<what>.+?)\. +(?:Imitates (?P<url>https://\S+)|Constructed)\.")
RIGHT = re.compile(r"(?P<op>\w+): (?P<what>.+)\.")


class Entry(NamedTuple):
    """One function of the collection and what its docstring says of it."""

    path: Path
    name: str
    op: str
    clause: str
    what: str
    ties: str
    framework: str

    def __str__(self) -> str:
        return f"{self.path.stem}-{self.name}"


def entries(folder: str, pattern: re.Pattern[str]) -> Iterator[Entry]:
    """Yield the functions of a folder of the collection; every public one must say what it is.

    A file names the framework whose arrays its functions take, or is an adapter itself, so that they promise the whole card.
    ``TIES`` says that any order of equal values will do.
    """
    for path in sorted((COLLECTION / folder).glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        says = dict(constants(tree))
        for name, doc in documented(tree):
            if not doc and name in BESIDES:
                continue
            text = " ".join(doc.split())
            found = pattern.fullmatch(text)
            assert found, f"{path.name}: {name} does not say what it is: {text!r}"
            said = found.groupdict()
            framework = says.get("FRAMEWORK", "adapter")
            yield Entry(path, name, said["op"], said.get("clause") or "", said["what"], says.get("TIES", "first"), framework)


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names, and the attributes, to which a file assigns a text."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield ast.unparse(node.targets[0]), str(node.value.value)


def documented(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the public lower-case names that a file defines or assigns itself, with what is said of each."""
    said = dict(constants(tree))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, ast.get_docstring(node) or ""
        names = [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []
        for name in names:
            if name.islower() and not name.startswith("_") and name not in BESIDES:
                yield name, str(said.get(f"{name}.__doc__", ""))


def judged(entry: Entry, only: list[str] | None = None) -> Iterator[Result]:
    """Yield what the judge says of a function."""
    return results(session(entry.path, {entry.op: entry.name}), entry.op, only, ties=entry.ties)


def asked(entry: Entry) -> list[str]:
    """Return the clauses that are judged to see a function caught.

    Dtypes of results are seen in calls of others. What a function refuses in other memory counts beside what it takes, which a
    run sees in the definition, and here in the few calls of a dtype.
    """
    if entry.clause.startswith("layout."):
        return [c for c in ("dtype.float32", entry.clause) if c in clauses(load(entry.op))]
    if entry.clause != "result.dtype":
        return [entry.clause]
    kinds = ("def", "dtype", "index", "result")
    return [c for c in clauses(load(entry.op)) if c.partition(".")[0] in kinds]


WRONGS = list(entries("wrong", WRONG))


@pytest.mark.parametrize("entry", WRONGS, ids=str)
def test_a_wrong_function_is_caught_by_its_clause(entry: Entry) -> None:
    """The clause that the function breaks is wrong, with a witness that says how."""
    assert entry.clause in clauses(load(entry.op)), f"{entry.op} has no clause {entry.clause}"
    wrong = (r for r in judged(entry, asked(entry)) if r.verdict == "wrong")
    found = next((r for r in wrong if r.clause == f"{entry.op}/{entry.clause}"), None)
    assert found is not None, f"{entry} is wrong and {entry.op}/{entry.clause} does not say so"
    assert found.witness
    by_itself = found.reason.startswith("raised")
    assert by_itself == bool(re.search("raise", entry.what)), f"{entry} is caught for another reason: {found.reason}"


RIGHTS = list(entries("right", RIGHT))


@pytest.mark.parametrize("entry", RIGHTS, ids=str)
def test_a_right_function_is_not_accused(entry: Entry) -> None:
    """No clause of a full judging is wrong or in error, however unusual the function is; it may refuse what is optional."""
    found = list(judged(entry))
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
    assert {e.clause.partition(".")[0] for e in WRONGS} == set(KINDS) - ELSEWHERE
    for frameworks in ({e.framework for e in es} for es in (WRONGS, RIGHTS)):
        assert frameworks >= {"numpy", "torch", "jax"}
