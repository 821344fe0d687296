"""Every clause as an ordinary test: ``pytest --pyargs einspec.conformance``, with -k, -x, -n and --junit-xml as usual."""

from __future__ import annotations

import functools
import os
from typing import Any

import pytest

from einspec.card import load, resolve
from einspec.conformance.clauses import check_declared, clauses, judge
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Session
from einspec.conformance.targets import Target, default_names, expand_names, find


def chosen(variable: str) -> list[str]:
    """Return what the environment chooses, empty for all."""
    return [v for v in os.environ.get(variable, "").split(os.pathsep) if v]


@functools.cache
def targets() -> tuple[Target, ...]:
    """Return what is judged."""
    names = chosen("EINSPEC_BACKENDS")
    found = tuple(t for name in (expand_names(names) if names else default_names()) for t in find(name))
    for target in found:
        check_declared(target)
    return found


def parameters() -> list[object]:
    """Return one parameter a backend, device, op and clause."""
    ops, devices = [resolve(op) for op in chosen("EINSPEC_OPS")], chosen("EINSPEC_DEVICES")
    return [
        pytest.param(i, device, op, clause, id=f"{op}/{clause}-{target.name}-{device}")
        for i, target in enumerate(targets())
        for device in target.adapter.devices()
        if not devices or {device, device.partition(":")[0]} & set(devices)
        for op in target.functions
        if not ops or op in ops
        for clause in clauses(load(op))
    ]


@functools.lru_cache(maxsize=4)
def context(i: int, device: str, op: str) -> Context:
    """Return the context of an op, so that its clauses share what they have in common."""
    ties: Any = os.environ.get("EINSPEC_TIES", "first")
    return Context(session(i, device), load(op), bool(os.environ.get("EINSPEC_STRICT")), ties=ties)


@functools.cache
def session(i: int, device: str) -> Session:
    """Return a target on a device."""
    return Session(targets()[i], device)


@pytest.mark.parametrize(("i", "device", "op", "clause"), parameters())
def test_holds(i: int, device: str, op: str, clause: str) -> None:
    """The clause holds; a refusal, and what cannot be judged here, are skips with their reason."""
    found = list(judge(context(i, device, op), [clause]))
    assert found, f"{op}/{clause} was not judged at all"
    bad = [r for r in found if r.verdict in ("wrong", "errored")]
    if bad:
        pytest.fail("\n\n".join(described(r) for r in bad), pytrace=False)
    stale = [r.stale for r in found if r.stale]
    if stale:
        pytest.fail(f"holds, although it is declared to fail: delete {stale[0]}", pytrace=False)
    if any(r.verdict == "known" for r in found):
        pytest.xfail(found[0].reason)
    if os.environ.get("EINSPEC_STRICT") and any(r.verdict == "refused" for r in found):
        pytest.fail(f"refused: {found[0].reason}", pytrace=False)
    if not any(r.verdict == "holds" for r in found):
        pytest.skip(f"{found[0].verdict}: {found[0].reason}")


def described(result: Result) -> str:
    """Return a failure as text."""
    lines = [f"{result.verdict}: {result.clause} ({result.tier}): {result.reason}"]
    for label, value in (result.witness or {}).items():
        entries = value.items() if isinstance(value, dict) else [("", value)]
        lines += [f"  {label} {name}: {entry}".replace(" :", ":") for name, entry in entries if entry]
    return "\n".join(lines)
