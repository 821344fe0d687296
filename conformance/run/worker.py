"""What runs in the process of a backend: it judges its share of the ops, unit by unit, and says so through a pipe."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.metadata
import os
import platform
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from einspec.card import load, paths
from einspec.conformance.checks.agreement import sample
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.known import known_here
from einspec.conformance.judge.session import Session
from einspec.conformance.judge.witness import told
from einspec.conformance.run.pool import begin
from einspec.conformance.run.request import Request, cache_directory
from einspec.conformance.targets.declared import DeclarationError, read_known
from einspec.conformance.targets.load import Target, TargetError, find

Message = tuple[str, Any]
VERSIONS = ("numpy", "torch", "jax", "jaxlib", "einops", "ml_dtypes", "hypothesis")


@dataclass(frozen=True)
class Unit:
    """A clause in a tier on a device that is about to be judged: what is lost if the process dies now."""

    number: int
    backend: str
    device: str
    op: str
    clause: str
    tier: str
    known: str
    """Why it is known to fail, or nothing."""
    accepted: frozenset[frozenset[str]]
    """What the target has been seen to take so far."""


@dataclass(frozen=True)
class Job:
    """What a process is to do: some ops of a name, from the unit on at which the process before it was lost."""

    name: str
    request: Request
    ops: tuple[str, ...]
    prints: Path
    """Where what is printed goes: a folder of its own."""
    first: int = 0
    accepted: frozenset[frozenset[str]] = frozenset()
    untried: tuple[str, ...] = ()
    """Ops that are not called to learn which framework they are for."""
    given_up: tuple[tuple[str, str], ...] = ()
    """Ops, each with a device, that have ended the process too often."""


def work(job: Job, out: Connection) -> None:
    """Judge one name in a process of its own; everything said goes through the pipe."""
    _detach(job.prints)
    try:
        _work(job, out)
        end_children(psutil.Process())
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        out.send(("problem", f"{job.name}: {told(error)} ({place.filename}, line {place.lineno})"))


def end_children(parent: psutil.Process) -> None:
    """End what a process has started, in whatever session that is."""
    with contextlib.suppress(psutil.Error):
        for child in parent.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()


def _work(job: Job, out: Connection) -> None:
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(cache_directory() / "hypothesis"))  # not beside the user's files
    from einspec.conformance.clauses import check_declared

    try:

        def probe(op: str) -> bool:
            out.send(("probe", op))
            return op not in job.untried

        targets = find(job.name, probe)
        for target in targets:
            target.known += [entry for path in job.request.known for entry in read_known(Path(path))]
            check_declared(target)
    except (TargetError, DeclarationError) as error:
        out.send(("problem", str(error)))
        return
    number = 0
    for target in targets:
        number = _judge(target, job, number, out)
    out.send(("done", job.name))


def _detach(prints: Path) -> None:
    """Lead a process group of its own, send what is printed to files, and leave a trace when the process is lost."""
    if hasattr(os, "setsid"):
        os.setsid()
    begin()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what an op sends to itself reaches it
    for name, descriptor in (("out", 1), ("err", 2)):
        with (prints / name).open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable()
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, all_threads=False)


def _judge(target: Target, job: Job, number: int, out: Connection) -> int:
    """Judge a share of the ops of a target on every device that is asked for, and return the number of the next unit."""
    from einspec.conformance.clauses import judge_unit, units

    request = job.request
    if hasattr(target.adapter, "start"):
        target.adapter.start(cache_directory())
    available = list(target.adapter.devices())
    chosen = [d for d in available if not request.devices or {d, d.partition(":")[0]} & set(request.devices)]
    ops = [op for op in job.ops if op in target.functions]
    out.send(("backend", describe(target, available, chosen, ops)))
    for device in chosen:
        session = Session(target, device)
        for result in _absent(target, device, job.ops) if number >= job.first else ():
            out.send(("result", result))
        for op in ops:
            context = Context(session, load(op), request.strict, request.tiers, request.ties)
            last = number + len(units(context.op, request.tiers))
            if last <= job.first:
                number = last
                continue
            if number < job.first:
                context.accepted, context.careful = set(job.accepted), True
            for clause, tier in units(context.op, request.tiers):
                number += 1
                if number <= job.first:
                    continue
                if (device, op) in job.given_up:
                    reason = "not tried any more: this op has ended the process too often"
                    results = [Result(context.id(clause), tier, "not run", 0, reason)]
                else:
                    known = known_here(context, clause, tier)
                    because = f"{known.reason} {known.url}".strip() if known else ""
                    _announce(context, number, clause, tier, because, out)
                    try:
                        results = judge_unit(context, clause, tier)
                    except BaseException as error:
                        results = [_raised(context, clause, tier, error)]
                _tell(context, results, out)
            if device == chosen[0] and (device, op) not in job.given_up:
                _agree(context, number, out)
            out.send(("finished", op))
    return number


def _announce(context: Context, number: int, clause: str, tier: str, known: str, out: Connection) -> None:
    """Say what is about to be judged."""
    where = context.session.target.name, context.session.device, context.op.name
    out.send(("unit", Unit(number, *where, clause, tier, known, frozenset(context.accepted))))


def _tell(context: Context, results: Iterable[Result], out: Connection) -> None:
    """Send results."""
    for result in results:
        result.backend, result.device = context.session.target.name, context.session.device
        out.send(("result", result))


def _raised(context: Context, clause: str, tier: str, error: BaseException) -> Result:
    """Return the result of a clause from which an exception came through: KeyboardInterrupt and the like, of the backend."""
    return Result(context.id(clause), tier, "errored", 0, f"raised {told(error)}")


def _agree(context: Context, number: int, out: Connection) -> None:
    """Send what other backends must agree with; it is announced like a clause, because it may call the op."""
    _announce(context, number, "agree", "scope", "", out)
    try:
        found = sample(context)
    except BaseException as error:
        _tell(context, [_raised(context, "agree", "scope", error)], out)
        return
    if found is not None:
        where = {"op": context.op.name, "backend": context.session.target.name, "device": context.session.device}
        out.send(("sample", {**found, **where}))


def _absent(target: Target, device: str, ops: Iterable[str]) -> Iterator[Result]:
    """Yield a result for every op that the target has no function for and says why."""
    for op in ops:
        reason = target.excuse(op, "def", device)
        if op not in target.functions and reason:
            yield Result(f"{op}/def", "scope", "unsupported", 0, reason, None, target.name, device)


def describe(target: Target, available: list[str], chosen: list[str], ops: list[str]) -> dict[str, Any]:
    """Return what a report says of a backend before its results."""
    loaded = [p for p in VERSIONS if p in sys.modules]
    known = [d for d in getattr(target.adapter, "known_devices", ()) if not any(a.partition(":")[0] == d for a in available)]
    return {
        "name": target.name,
        "framework": target.framework,
        "bare": target.bare,
        "versions": {p: importlib.metadata.version(p) for p in loaded},
        "available": available,
        "devices": chosen,
        "absent": known,
        "ops": ops,
        "missing": [] if target.bare else [op for op in paths() if op not in target.functions],
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
