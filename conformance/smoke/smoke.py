"""Trying the adapter of a backend before any op is judged: probed over there, judged here."""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

from einspec.conformance.errors import UsageError
from einspec.conformance.smoke.bench import AdapterError, Bench, Finding, told
from einspec.conformance.smoke.soundness import CHECKS, ESSENTIAL
from einspec.conformance.targets.adapter import ADAPTER
from einspec.conformance.targets.names import is_file, known_backends
from einspec.conformance.targets.process import Limits, LostError, RunnerProcess

STARTING = 30.0
"""How many seconds the process itself may take to begin, which is not the adapter's time: importing
einspec and NumPy, on a slow disk."""


def smoke(name: str, limit: float) -> Iterator[Finding]:
    """Yield what every check of an adapter found.

    Args:
        name: an installed backend, a dotted module or a Python file.
        limit: how many seconds the adapter may take for one answer.

    Raises:
        UsageError: there is nothing of that name.
    """
    check_exists(name)
    process = RunnerProcess(name, Limits(limit + STARTING, math.inf))
    at = "import"
    try:
        opened = process.hold()
        if opened.error is not None:
            advice = "mend the import, or install what it needs"
            yield Finding(at, "PROBLEM", told(opened.error), advice)
            return
        process.limits = Limits(limit, math.inf)
        bench = Bench(name, process.probe, opened)
        yield _imported(bench)
        for at in CHECKS:
            yield from tried(at, bench)
            if bench.broken:
                rest = list(CHECKS)[list(CHECKS).index(at) + 1 :]
                yield Finding("not tried", "note", ", ".join(rest))
                return
    except LostError as error:
        yield _lost(at, error, process.limits.seconds)
    finally:
        process.close()


def _lost(at: str, error: LostError, limit: float) -> Finding:
    """Return what to say of a process that was lost in a check."""
    after = "the checks after it were not made"
    if error.late:
        advice = "mend what waits there, or give more time with --timeout"
        return Finding(at, "PROBLEM", f"no answer within {limit:g} s; {after}", advice)
    advice = "find out what ends it: call the functions of the adapter by hand in Python"
    return Finding(at, "PROBLEM", f"{error.reason}; {after}", advice)


def check_exists(name: str) -> None:
    """Raise UsageError where a name stands for no backend, module or file."""
    if is_file(name):
        if not Path(name).is_file():
            raise UsageError(f"no file {name}")
        return
    with contextlib.suppress(ImportError, ValueError):
        if name in known_backends() or importlib.util.find_spec(name.partition(".")[0]):
            return
    have = ", ".join(known_backends())
    raise UsageError(f"no backend, module or file {name!r}; installed backends: {have}")


def tried(label: str, bench: Bench) -> Iterator[Finding]:
    """Yield what a check finds; what the adapter raises in it is a finding too."""
    try:
        for found in CHECKS[label](bench):
            bench.broken |= found.state == "PROBLEM" and label in ESSENTIAL
            yield found
    except AdapterError as error:
        bench.broken |= label in ESSENTIAL
        advice = "an adapter must not raise here: mend it, or leave out what it does not have"
        yield Finding(label, "PROBLEM", str(error), advice)


def _imported(bench: Bench) -> Finding:
    """Return what to say of a name that was imported."""
    name, has = bench.name, ", ".join(ADAPTER)
    where = f"{name} is {bench.module}" if name in known_backends() else name
    if bench.kind == "adapter":
        return Finding("import", "ok", where)
    if bench.kind == "nothing":
        advice = f"a backend is a module with {has}; einspec new backend NAME writes one"
        text = f"{where}: no name of an adapter, and no function of an op"
        return Finding("import", "note", text, advice)
    advice = f"to judge it, einspec check; an adapter of your own has {has}"
    borrowed = f"the adapter of {bench.module} that it borrows"
    return Finding("import", "note", f"{name} is a file of functions: what is tried is {borrowed}", advice)
