"""Files of functions judged as they always are: in a process of their own, one for all the functions of a file."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from einspec.card import load
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.run.request import cache_directory
from einspec.conformance.run.sheets import SheetStore, store
from einspec.conformance.targets.process import Limits
from einspec.conformance.targets.session import Host, Session

LIMITS = Limits(120.0, 8.0)
MOST_OPEN = 3
"""How many processes are kept: with more, those of a few frameworks fill the memory."""
_hosts: dict[str, Host] = {}
_sheets: list[SheetStore] = []


def sheets() -> SheetStore:
    """Return the sheets of this user, which all tests share."""
    if not _sheets:
        _sheets.append(store())
    return _sheets[0]


def host(path: Path | str) -> Host:
    """Return the process of a file, kept for the next function of it."""
    name = str(path)
    found = _hosts.pop(name, None) or Host(name, LIMITS, str(cache_directory()))
    _hosts[name] = found
    while len(_hosts) > MOST_OPEN:
        _hosts.pop(next(iter(_hosts))).close()
    return found


@atexit.register
def close() -> None:
    """End all processes."""
    while _hosts:
        _hosts.popitem()[1].close()


def session(path: Path | str, functions: Mapping[str, str] | None = None) -> Session:
    """Return a file as it is judged, on the last device of its adapter.

    Args:
        path: the file.
        functions: by op, the name of the function that stands for it; by their own names if absent.
    """
    process = host(path)
    (target,) = process.choose(functions or {})
    return Session(process, target, target.devices[-1])


def opened(folder: Path, source: str, name: str = "mine.py") -> Session:
    """Return a file with this text as it is judged."""
    path = folder / name
    path.write_text(source, encoding="utf-8")
    if str(path) in _hosts:
        _hosts.pop(str(path)).close()
    return session(path)


def context(judged: Session, op: str, **policy: Any) -> Context:
    """Return an op of a target that is about to be judged."""
    return Context(judged, load(op), sheets(), Policy(**policy))


def results(judged: Session, op: str, only: Iterable[str] | None = None, **policy: Any) -> Iterator[Result]:
    """Yield the results of clauses of an op; of all of them if none are named."""
    return judge(context(judged, op, **policy), only)


def worst(judged: Session, *ops: str, only: Iterable[str] | None = None, **policy: Any) -> dict[str, Result]:
    """Return the worst result of every clause, the first of equals, by full clause id."""
    found: dict[str, Result] = {}
    for op in ops or tuple(judged.functions):
        for result in results(judged, op, only, **policy):
            before = found.setdefault(result.clause, result)
            if not is_bad(before) and is_bad(result):
                found[result.clause] = result
    assert found
    return found


def is_bad(result: Result) -> bool:
    """Whether a clause is wrong or in error."""
    return result.verdict in (Verdict.WRONG, Verdict.ERRORED)


def bad(found: Mapping[str, Result]) -> set[str]:
    """Return the ids of the clauses that are wrong or in error."""
    return {clause for clause, result in found.items() if is_bad(result)}
