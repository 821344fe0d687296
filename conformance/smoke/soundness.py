"""What an adapter must do before any op can be judged through it, one check a function."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from einspec.calls.values import ramp
from einspec.card import load, paths
from einspec.clauses import clause_ids
from einspec.conformance.smoke.bench import Bench, Finding, differs, patterns, short, told
from einspec.conformance.smoke.offered import (
    check_device_of,
    check_free,
    check_kind,
    check_layouts,
    check_many,
    check_start,
    check_state,
    check_transforms,
)
from einspec.conformance.targets import ADAPTER
from einspec.conformance.targets.declared import (
    DeclarationError,
    never_tried,
    read_known,
    read_unsupported,
    unknown_devices,
)
from einspec.dtypes import ALL, numpy_dtype

SHAPES = ((), (1,), (0,), (2, 0, 3), (2, 3, 4))
ESSENTIAL = ("names", "devices")
"""The checks after which nothing is tried if they find a problem."""
LISTS = (list, tuple, set, frozenset)
FUNCTIONS = ("is_array", "device_of", "layouts", "expanded", "holding", "many", "start", "state", "restore", "memory")
"""What an adapter may define besides; a name of these that is there must be a function."""


def check_names(bench: Bench) -> Iterator[Finding]:
    """The four names are there and are what they should be."""
    adapter = bench.adapter
    missing = [n for n in ADAPTER if not bench.has(n)]
    if missing:
        yield Finding("names", "PROBLEM", f"no {', '.join(missing)}", f"a backend has {', '.join(ADAPTER)}")
        return
    for name in (*ADAPTER[:3], *FUNCTIONS):
        if bench.has(name) and not callable(getattr(adapter, name)):
            yield Finding("names", "PROBLEM", f"{name} is {type(getattr(adapter, name)).__name__}", "make it a function")
    dtypes = adapter.dtypes
    if not isinstance(dtypes, LISTS) or not all(isinstance(d, str) for d in dtypes):
        yield Finding("names", "PROBLEM", f"dtypes is {short(dtypes)}", 'list names, as dtypes = ("float32", "float64")')
        return
    unknown = [d for d in dtypes if d not in ALL]
    if unknown:
        yield Finding("names", "PROBLEM", f"dtypes: unknown {', '.join(unknown)}", f"the names are {', '.join(ALL)}")
    if "float32" not in dtypes:
        yield Finding("names", "PROBLEM", "dtypes: float32 is missing", "every clause is judged on it first: hold it")
    known = [d for d in dtypes if d in ALL]
    if not unknown and "float32" in dtypes:
        framework = getattr(adapter, "framework", bench.name)
        yield Finding("names", "ok", f"framework {framework}, {len(known)} dtypes of {len(ALL)}")
    lacking = [d for d in ALL if d not in dtypes]
    if lacking:
        yield Finding("dtypes", "note", f"not held, so unsupported: {', '.join(lacking)}")


def check_devices(bench: Bench) -> Iterator[Finding]:
    """There are devices, and they are strings."""
    found = bench.adapter.devices()
    good = isinstance(found, Sequence) and not isinstance(found, str) and found and all(isinstance(d, str) and d for d in found)
    if not good:
        yield Finding("devices", "PROBLEM", f"devices() gives {short(found)}", 'return a list of names, as ["cpu", "cuda:0"]')
    elif len(set(found)) < len(found) or list(bench.adapter.devices()) != list(found):
        yield Finding("devices", "PROBLEM", f"devices() gives {short(found)}", "name every device once, the same at every call")
    else:
        yield Finding("devices", "ok", ", ".join(found))
    kinds = getattr(bench.adapter, "known_devices", ())
    if not isinstance(kinds, LISTS) or not all(isinstance(k, str) for k in kinds):
        yield Finding("devices", "PROBLEM", f"known_devices is {short(kinds)}", 'list kinds, as ("cpu", "cuda")')


def check_declared(bench: Bench) -> Iterator[Finding]:
    """What the backend says of itself names ops and clauses that there are, with a reason."""
    entries = getattr(bench.adapter, "unsupported", ())
    path = getattr(bench.adapter, "known_failures", None)
    if not isinstance(entries, LISTS):
        yield Finding("declared", "PROBLEM", f"unsupported is {short(entries)}", "make it a list of entries")
        return
    if not isinstance(path, str | Path | None):
        yield Finding("declared", "PROBLEM", f"known_failures is {short(path)}", "give the path of a file, from the module on")
        return
    problems = [problem for entry in entries for problem in _wrong_entry(entry)]
    unsupported = [] if problems else read_unsupported(entries)
    known = []
    try:
        known = read_known(Path(bench.adapter.__file__ or "").parent / path) if path else []
    except DeclarationError as error:
        problems.append(str(error))
    problems += [*unknown_devices(unsupported, bench.adapter), *never_tried(known, unsupported)]
    problems += [f"{k.where}: {problem}" for k in known for problem in _no_clause(k.clause)]
    for problem in problems:
        yield Finding("declared", "PROBLEM", problem, "einspec check would refuse it: mend the entry, or delete it")
    if not problems:
        failures = f", {len(known)} known failures" if path else ""
        yield Finding("declared", "ok", f"{len(entries)} entries of unsupported{failures}")


def _wrong_entry(entry: Any) -> Iterator[str]:
    try:
        (item,) = read_unsupported([entry])
    except DeclarationError as error:
        yield str(error)
    else:
        yield from (f"unsupported: {entry!r}: {problem}" for problem in _no_clause(item.what))


def _no_clause(what: str) -> Iterator[str]:
    op, _, clause = what.partition("/")
    if clause and clause not in (own := [*clause_ids(load(op)), "agree"]):
        close = difflib.get_close_matches(clause, own, n=3, cutoff=0.5)
        yield f"{op} has no clause {clause!r}; it has {', '.join(close or own)}"


def check_round_trips(bench: Bench) -> Iterator[Finding]:
    """What goes to a device comes back bit for bit: every dtype, empty, without axes, from any memory."""
    dtypes = [d for d in ALL if d in bench.adapter.dtypes]
    for device in bench.devices:
        problems: dict[str, list[str]] = {}
        for dtype in dtypes:
            if problem := _round_trip(bench, device, dtype):
                problems.setdefault(problem, []).append(dtype)
        for problem, found in problems.items():
            advice = f"give the same bits back, or take {', '.join(found)} out of dtypes"
            yield Finding("round trip", "PROBLEM", f"{device}, {', '.join(found)}: {problem}", advice)
        if not problems:
            kept = "" if bench.subnormals else ", subnormal numbers left out"
            yield Finding("round trip", "ok", f"{device}: {len(dtypes)} dtypes, every value of 8 and 16 bits{kept}")


def _round_trip(bench: Bench, device: str, dtype: str) -> str:
    """Return what goes wrong for a dtype on a device, or nothing."""
    given = {"": patterns(dtype, bench.subnormals)}
    given |= {f"shape {list(s)}: ": ramp(s).astype(numpy_dtype(dtype)) for s in SHAPES}
    grid = ramp((4, 6)).astype(numpy_dtype(dtype))
    frozen = grid.copy()
    frozen.flags.writeable = False
    given |= {"transposed: ": grid.T, "every other column: ": grid[:, ::2], "reversed: ": grid[::-1], "read-only: ": frozen}
    for what, x in given.items():
        try:
            with bench.holding(dtype):
                problem = differs(bench.adapter.to_numpy(bench.adapter.asarray(x, device)), x, "to_numpy(asarray(x)) gives")
        except (Exception, SystemExit) as error:
            problem = told(error)
        if problem:
            return what + problem
    return ""


def check_memory(bench: Bench) -> Iterator[Finding]:
    """Say whether arrays share memory with the NumPy arrays that they were made from, or are turned into."""
    shared = []
    source = ramp((4,)).astype(np.float32)
    x = bench.adapter.asarray(source, bench.devices[0])
    before = np.array(bench.adapter.to_numpy(x))
    source[0] = 99
    if np.array(bench.adapter.to_numpy(x)).tobytes() != before.tobytes():
        shared.append(f"asarray {'returns its argument itself' if x is source else 'shares the memory of its argument'}")
    back = np.asarray(bench.adapter.to_numpy(x))
    if back.flags.writeable:
        back[0] = 77
        if np.array(bench.adapter.to_numpy(x))[0] == 77:
            shared.append("to_numpy shares the memory of the array")
    if shared:
        yield Finding("memory", "note", "; ".join(shared), "no fault: the judge gives asarray a copy that nothing else holds")
    else:
        yield Finding("memory", "ok", "asarray and to_numpy copy")


def check_ops(bench: Bench) -> Iterator[Finding]:
    """There is an op to judge."""
    found = bench.functions or tuple(op for op in paths() if callable(getattr(bench.adapter, op, None)))
    if found:
        yield Finding("ops", "ok", f"{len(found)} of {len(paths())}: next, einspec check {bench.name}")
    else:
        advice = "define a function named as an op; einspec ops lists them"
        yield Finding("ops", "PROBLEM", "the module has no function named as an op", advice)


CHECKS: dict[str, Callable[[Bench], Iterator[Finding]]] = {
    "names": check_names,
    "devices": check_devices,
    "declared": check_declared,
    "start": check_start,
    "round trip": check_round_trips,
    "memory": check_memory,
    "is_array": check_kind,
    "device_of": check_device_of,
    "layouts": check_layouts,
    "transforms": check_transforms,
    "many": check_many,
    "state": check_state,
    "free memory": check_free,
    "ops": check_ops,
}
"""The checks in the order in which they are made."""
