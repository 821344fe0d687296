"""What a process shares and an op must leave alone: seeds, default dtypes, error handling, the working directory."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from einspec.conformance.targets.conventions import RANDOM

PYTHON = f"{RANDOM}Python"
NUMPY = f"{RANDOM}NumPy"
ERRORS = "the error handling of NumPy"
DIRECTORY = "the working directory"


def process_state(adapter: Any) -> dict[str, Any]:
    """Return the state around an op by name: that of Python and NumPy, and what an adapter adds by ``state()``."""
    found = {
        PYTHON: random.getstate(),
        NUMPY: np.random.get_state(legacy=False),
        ERRORS: np.geterr(),
        DIRECTORY: _directory(),
    }
    return {**found, **adapter.state()} if hasattr(adapter, "state") else found


def restore(adapter: Any, state: Mapping[str, Any]) -> None:
    """Put the state back."""
    random.setstate(state[PYTHON])
    np.random.set_state(state[NUMPY])
    np.seterr(**state[ERRORS])
    if state[DIRECTORY] != _directory():
        os.chdir(state[DIRECTORY])
    if hasattr(adapter, "restore"):
        adapter.restore(state)


def _directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
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
