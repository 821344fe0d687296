"""Every clause as an ordinary test: ``pytest --pyargs einspec.conformance``, with -k, -x, -n and --junit-xml as usual."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from einspec.card import load, resolve
from einspec.clauses import clause_ids as clauses
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.declarations import check_declared
from einspec.conformance.judge.judging import judge
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import rows
from einspec.conformance.run.request import TIMEOUT, cache_directory
from einspec.conformance.run.sheets import SheetStore, store
from einspec.conformance.targets.names import default_names, expand_names
from einspec.conformance.targets.process import Limits, LostError, free_memory
from einspec.conformance.targets.session import Host, Session


def chosen(variable: str) -> list[str]:
    """Return what the environment chooses, empty for all."""
    return [v for v in os.environ.get(variable, "").split(os.pathsep) if v]


@functools.cache
def hosts() -> tuple[Host, ...]:
    """Return a process for each name that is judged."""
    names = chosen("EINSPEC_BACKENDS")
    limits = Limits(TIMEOUT, free_memory())
    found = expand_names(names) if names else default_names()
    return tuple(Host(name, limits, str(cache_directory())) for name in found)


@functools.cache
def sessions() -> dict[str, Session]:
    """Return every target on every device that is chosen, by what tests are called after."""
    devices, found = set(chosen("EINSPEC_DEVICES")), {}
    for host in hosts():
        for target in host.open():
            check_declared(Session(host, target, target.devices[0]))
            for device in target.devices:
                if not devices or {device, device.partition(":")[0]} & devices:
                    found[f"{target.name}-{device}"] = Session(host, target, device)
    return found


def parameters() -> Iterator[object]:
    """Yield one parameter a backend, device, op and clause."""
    ops = [resolve(op) for op in chosen("EINSPEC_OPS")]
    for where, session in sessions().items():
        for op in session.functions:
            for clause in clauses(load(op)) if not ops or op in ops else ():
                yield pytest.param(where, op, clause, id=f"{op}/{clause}-{where}")


@functools.cache
def sheets() -> SheetStore:
    """Return where calls and answers come from."""
    return store()


@functools.lru_cache(maxsize=4)
def context(where: str, op: str) -> Context:
    """Return the context of an op, so that its clauses share what they have in common."""
    ties: Any = os.environ.get("EINSPEC_TIES", "first")
    policy = Policy(strict=bool(os.environ.get("EINSPEC_STRICT")), ties=ties)
    return Context(sessions()[where], load(op), sheets(), policy)


@pytest.fixture(scope="session", autouse=True)
def ended() -> Iterator[None]:
    """End the processes with the tests."""
    yield
    for host in hosts():
        host.close()


@pytest.mark.parametrize(("where", "op", "clause"), list(parameters()))
def test_holds(where: str, op: str, clause: str) -> None:
    """The clause holds; a refusal, and what cannot be judged here, are skips with their reason."""
    try:
        found = list(judge(context(where, op), [clause]))
    except LostError as error:
        context(where, op).survived(clause)
        pytest.fail(error.reason, pytrace=False)
    assert found, f"{op}/{clause} was not judged at all"
    bad = [r for r in found if r.verdict.fails]
    if bad:
        pytest.fail("\n\n".join(described(r) for r in bad), pytrace=False)
    stale = [r.stale for r in found if r.stale]
    if stale:
        pytest.fail(f"holds, although it is declared to fail: delete {stale[0]}", pytrace=False)
    if any(r.verdict is Verdict.KNOWN for r in found):
        pytest.xfail(found[0].reason)
    if os.environ.get("EINSPEC_STRICT") and any(r.verdict is Verdict.REFUSED for r in found):
        pytest.fail(f"refused: {found[0].reason}", pytrace=False)
    if not any(r.verdict is Verdict.HOLDS for r in found):
        pytest.skip(f"{found[0].verdict}: {found[0].reason}")


def described(result: Result) -> str:
    """Return a failure as text."""
    lines = [f"{result.verdict}: {result.clause} ({result.tier}): {result.reason}"]
    return "\n".join([*lines, *(f"  {label}: {text}" for label, text in rows(result.witness or {}))])
