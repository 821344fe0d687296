"""What an adapter must do before any op can be judged through it, one check a function."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from einspec.calls.values import ramp
from einspec.card import load, paths
from einspec.clauses import clause_ids
from einspec.conformance.smoke.bench import AdapterError, Bench, Finding, differ, patterns
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
from einspec.conformance.targets.adapter import ADAPTER, FUNCTIONS
from einspec.conformance.targets.declared import (
    DeclarationError,
    Known,
    Unsupported,
    never_tried,
    read_known,
    read_unsupported,
    unknown_devices,
)
from einspec.dtypes import ALL, numpy_dtype

SHAPES = ((), (1,), (0,), (2, 0, 3), (2, 3, 4))
"""Without axes, without elements, and with more than one of both."""
ESSENTIAL = ("names", "devices")
"""The checks after which nothing is tried if they find a problem."""


def check_names(bench: Bench) -> Iterator[Finding]:
    """The four names are there and are what they should be."""
    missing = [n for n in ADAPTER if not bench.has(n)]
    if missing:
        advice = f"a backend has {', '.join(ADAPTER)}"
        yield Finding("names", "PROBLEM", f"no {', '.join(missing)}", advice)
        return
    for name in (*(n for n in ADAPTER if n != "dtypes"), *FUNCTIONS):
        there = bench.look(name)
        if there is not None and not there.is_function:
            yield Finding("names", "PROBLEM", f"{name} is {there.kind}", "make it a function")
    yield from _check_dtypes(bench)


def _check_dtypes(bench: Bench) -> Iterator[Finding]:
    there = bench.look("dtypes")
    listed = there is not None and there.entries is not None and there.kind != "dict"
    if there is None or there.texts is None or not listed:
        text = f"dtypes is {there.text if there else 'absent'}"
        yield Finding("names", "PROBLEM", text, 'list names, as dtypes = ("float32", "float64")')
        return
    dtypes = there.texts
    unknown = [d for d in dtypes if d not in ALL]
    if unknown:
        text = f"dtypes: unknown {', '.join(unknown)}"
        yield Finding("names", "PROBLEM", text, f"the names are {', '.join(ALL)}")
    if "float32" not in dtypes:
        text = "dtypes: float32 is missing"
        yield Finding("names", "PROBLEM", text, "every clause is judged on it first: hold it")
    if not unknown and "float32" in dtypes:
        framework = next(iter(bench.texts("framework")), bench.name)
        count = len([d for d in dtypes if d in ALL])
        yield Finding("names", "ok", f"framework {framework}, {count} dtypes of {len(ALL)}")
    lacking = [d for d in ALL if d not in dtypes]
    if lacking:
        yield Finding("dtypes", "note", f"not held, so unsupported: {', '.join(lacking)}")


def check_devices(bench: Bench) -> Iterator[Finding]:
    """There are devices, and they are strings."""
    found, again = bench.probe("devices").seen
    names = found.texts if found.kind in ("list", "tuple") else None
    text = f"devices() gives {found.text}"
    if not names or not all(names):
        yield Finding("devices", "PROBLEM", text, 'return a list of names, as ["cpu", "cuda:0"]')
    elif len(set(names)) < len(names) or again.texts != names:
        advice = "name every device once, the same at every call"
        yield Finding("devices", "PROBLEM", text, advice)
    else:
        yield Finding("devices", "ok", ", ".join(names))
    kinds = bench.look("known_devices")
    if kinds is not None and (kinds.texts is None or kinds.entries is None):
        advice = 'list kinds, as ("cpu", "cuda")'
        yield Finding("devices", "PROBLEM", f"known_devices is {kinds.text}", advice)


def check_declared(bench: Bench) -> Iterator[Finding]:
    """What the backend says of itself names ops and clauses that there are, with a reason."""
    listed, path = bench.look("unsupported"), bench.look("known_failures")
    if listed is not None and listed.entries is None:
        text = f"unsupported is {listed.text}"
        yield Finding("declared", "PROBLEM", text, "make it a list of entries")
        return
    named = path is not None and path.kind != "NoneType"
    if named and path is not None and (path.texts is None or path.entries is not None):
        text = f"known_failures is {path.text}"
        yield Finding("declared", "PROBLEM", text, "give the path of a file, from the module on")
        return
    entries = (listed.entries if listed is not None else None) or ()
    problems = [problem for entry in entries for problem in _wrong_entry(entry)]
    unsupported = [] if problems else read_unsupported(list(entries))
    known: list[Known] = []
    try:
        if named and path is not None and path.texts:
            known = read_known(Path(bench.file).parent / path.texts[0])
    except DeclarationError as error:
        problems.append(str(error))
    problems += _contradictions(bench, unsupported, known)
    for problem in problems:
        advice = "einspec check would refuse it: mend the entry, or delete it"
        yield Finding("declared", "PROBLEM", problem, advice)
    if not problems:
        failures = f", {len(known)} known failures" if named else ""
        yield Finding("declared", "ok", f"{len(entries)} entries of unsupported{failures}")


def _contradictions(bench: Bench, unsupported: list[Unsupported], known: list[Known]) -> list[str]:
    """Return which entries name a device or a clause that there is not, or exclude each other."""
    there = bench.devices if unsupported else ()
    return [
        *unknown_devices(unsupported, bench.texts("known_devices"), there),
        *never_tried(known, unsupported),
        *(f"{k.where}: {problem}" for k in known for problem in _no_clause(k.clause)),
    ]


def _wrong_entry(entry: tuple[str, ...] | str) -> Iterator[str]:
    if isinstance(entry, str):
        yield f"unsupported: {entry} is no tuple of texts, (op or clause, dtype, device, reason)"
        return
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
    """What goes to a device comes back bit for bit: every dtype, empty, without axes."""
    held, subnormals = bench.dtypes, bench.subnormals
    dtypes = [d for d in ALL if d in held]
    for device in bench.devices:
        problems: dict[str, list[str]] = {}
        for dtype in dtypes:
            if problem := _round_trip(bench, device, dtype, subnormals):
                problems.setdefault(problem, []).append(dtype)
        for problem, found in problems.items():
            advice = f"give the same bits back, or take {', '.join(found)} out of dtypes"
            text = f"{device}, {', '.join(found)}: {problem}"
            yield Finding("round trip", "PROBLEM", text, advice)
        if not problems:
            kept = "" if subnormals else ", subnormal numbers left out"
            text = f"{device}: {len(dtypes)} dtypes, every value of 8 and 16 bits{kept}"
            yield Finding("round trip", "ok", text)


def _round_trip(bench: Bench, device: str, dtype: str, subnormals: bool) -> str:
    """Return what goes wrong for a dtype on a device, or nothing."""
    given = {"": patterns(dtype, subnormals)}
    given |= {f"shape {list(s)}: ": ramp(s).astype(numpy_dtype(dtype)) for s in SHAPES}
    for what, x in given.items():
        try:
            items = bench.probe("trip", [x], device=device).items
            problem = differ(items, [x], "to_numpy(asarray(x)) gives")
        except AdapterError as error:
            problem = str(error)
        if problem:
            return what + problem
    return ""


SHARED = {
    "argument": "asarray returns its argument itself",
    "memory": "asarray shares the memory of its argument",
    "result": "to_numpy shares the memory of the array",
}
"""What of an array is memory of NumPy, in words."""


def check_memory(bench: Bench) -> Iterator[Finding]:
    """Say whether arrays share memory with the NumPy arrays on either end of the way."""
    x = ramp((4,)).astype(np.float32)
    (found,) = bench.probe("shares", [x], device=bench.devices[0]).seen
    shared = [SHARED[what] for what in found.texts or () if what in SHARED]
    if shared:
        advice = "no fault: the judge gives asarray a copy that nothing else holds"
        yield Finding("memory", "note", "; ".join(shared), advice)
    else:
        yield Finding("memory", "ok", "asarray and to_numpy copy")


def check_ops(bench: Bench) -> Iterator[Finding]:
    """There is an op to judge."""
    if bench.ops:
        text = f"{len(bench.ops)} of {len(paths())}: next, einspec check {bench.name}"
        yield Finding("ops", "ok", text)
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
