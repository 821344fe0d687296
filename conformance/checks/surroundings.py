"""What a process shares and an op must leave alone: seeds, default dtypes, threads, error handling, the working directory."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from einspec.conformance.checks.behaviour import conduct
from einspec.conformance.judge.judge import Context, Result


def surroundings(adapter: Any) -> dict[str, Any]:
    """Return the state around an op by name: that of Python and NumPy, and what the adapter adds by ``state()``."""
    found = {
        "the random state of Python": random.getstate(),
        "the random state of NumPy": np.random.get_state(legacy=False),
        "the error handling of NumPy": np.geterr(),
        "the working directory": _directory(),
    }
    return {**found, **adapter.state()} if hasattr(adapter, "state") else found


def restore(adapter: Any, state: Mapping[str, Any]) -> None:
    """Put the state back."""
    random.setstate(state["the random state of Python"])
    np.random.set_state(state["the random state of NumPy"])
    np.seterr(**state["the error handling of NumPy"])
    if state["the working directory"] != _directory():
        os.chdir(state["the working directory"])
    if hasattr(adapter, "restore"):
        adapter.restore(state)


def _directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not as it was, with both values where they are short."""
    for name, value in before.items():
        now = after.get(name)
        if not _same(value, now):
            yield f"{name}, from {value} to {now}" if len(f"{value}{now}") < 200 else name


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    return bool(one == other)


def check_state(context: Context) -> Iterator[Result]:
    """Judge ``state``: no call changes what a process shares, in this clause or in those before it."""
    adapter = context.session.adapter
    before = surroundings(adapter)
    conduct(context)
    for change in changed(before, surroundings(adapter)):
        context.changes.setdefault(change, "state")
    if context.changes:
        change, where = next(iter(context.changes.items()))
        data = {"summary": context.op.card.summary, "call": f"the calls of {where}", "difference": f"a call changed {change}"}
        yield Result(context.id("state"), "scope", "wrong", 1, f"a call changed {change}; seen in {where}", data)
    else:
        yield Result(context.id("state"), "scope", "holds", 1)
