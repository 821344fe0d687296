"""Trying the adapter of a backend before any op is judged, in a process of its own with a limit of time."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from einspec.conformance.errors import UsageError
from einspec.conformance.smoke.bench import Bench, Finding, told
from einspec.conformance.smoke.soundness import CHECKS, ESSENTIAL
from einspec.conformance.targets import ADAPTER, TargetError, find, known_backends

STARTING, ENDING = 30.0, 5.0
"""How many seconds the process itself may take to begin and to end, which is not the adapter's time."""


def smoke(name: str, limit: float) -> Iterator[Finding]:
    """Yield what every check of an adapter found.

    Args:
        name: an installed backend, a dotted module or a Python file.
        limit: how many seconds one check may take.

    Raises:
        UsageError: there is nothing of that name.
    """
    check_exists(name)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, theirs), daemon=True)
    process.start()
    theirs.close()
    at, starting = "import", STARTING
    try:
        while True:
            if not ours.poll(limit + starting):
                advice = "mend what waits there, or give more time with --timeout"
                yield Finding(at, "PROBLEM", f"no answer within {limit:g} s; the checks after it were not made", advice)
                return
            kind, data = ours.recv()
            starting = 0.0
            if kind == "done":
                process.join(ENDING)
                return
            if kind == "start":
                at = data
            else:
                yield data
    except EOFError:
        process.join()
        how = f"with status {process.exitcode}" if (process.exitcode or 0) >= 0 else f"by signal {-(process.exitcode or 0)}"
        text = f"the process was ended {how}; the checks after it were not made"
        yield Finding(at, "PROBLEM", text, "find out what ends it: call the functions of the adapter by hand in Python")
    finally:
        process.kill()


def check_exists(name: str) -> None:
    """Raise UsageError where a name stands for no backend, module or file."""
    if name.endswith(".py") or Path(name).is_file():
        if not Path(name).is_file():
            raise UsageError(f"no file {name}")
        return
    with contextlib.suppress(ImportError, ValueError):
        if name in known_backends() or importlib.util.find_spec(name.partition(".")[0]):
            return
    raise UsageError(f"no backend, module or file {name!r}; installed backends: {', '.join(known_backends())}")


def work(name: str, out: Connection) -> None:
    """Make every check and send what it found; runs in the process of its own."""
    os.dup2(2, 1)  # what an adapter prints is not part of the answer
    warnings.simplefilter("ignore")
    out.send(("start", "import"))
    try:
        bench, finding = opened(name)
    except BaseException as error:
        advice = "mend the import, or install what it needs"
        out.send(("finding", Finding("import", "PROBLEM", told(error), advice)))
    else:
        out.send(("finding", finding))
        for label in CHECKS:
            out.send(("start", label))
            for found in tried(label, bench):
                out.send(("finding", found))
                bench.broken |= found.state == "PROBLEM" and label in ESSENTIAL
            if bench.broken:
                rest = list(CHECKS)[list(CHECKS).index(label) + 1 :]
                out.send(("finding", Finding("not tried", "note", ", ".join(rest), "")))
                break
    out.send(("done", name))


def tried(label: str, bench: Bench) -> Iterator[Finding]:
    """Yield what a check finds; what the adapter raises in it is a finding too."""
    try:
        yield from CHECKS[label](bench)
    except BaseException as error:
        advice = "an adapter must not raise here: mend it, or leave out what it does not have"
        yield Finding(label, "PROBLEM", told(error), advice)


def opened(name: str) -> tuple[Bench, Finding]:
    """Return the adapter that a name stands for, imported, and what to say of that."""
    module = imported(name)
    missing = [n for n in ADAPTER if not hasattr(module, n)]
    where = f"{name} is {module.__name__}" if name in known_backends() else name
    if len(missing) < len(ADAPTER):
        return Bench(name, module), Finding("import", "ok", where, "")
    try:
        target = find(name)[0]
    except TargetError:
        advice = f"a backend is a module with {', '.join(ADAPTER)}; einspec new backend NAME writes one"
        return Bench(name, module), Finding(
            "import", "note", f"{where}: no name of an adapter, and no function of an op", advice
        )
    advice = "to judge it, einspec check; an adapter of your own has " + ", ".join(ADAPTER)
    text = f"{name} is a file of functions: what is tried is the adapter of {target.framework} that it borrows"
    return Bench(name, target.adapter, tuple(target.functions)), Finding("import", "note", text, advice)


def imported(name: str) -> ModuleType:
    """Return the module of a backend, of a dotted name or of a file."""
    if not (name.endswith(".py") or Path(name).is_file()):
        return importlib.import_module(known_backends()[name].value if name in known_backends() else name)
    path = Path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    spec.loader.exec_module(module)
    return module
