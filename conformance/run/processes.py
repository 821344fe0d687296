"""The processes of a run: started side by side, watched, ended when they exceed a limit, and replaced when they are lost."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import re
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from einspec.card import load, paths
from einspec.conformance import OPT_IN
from einspec.conformance.judge.judge import Result
from einspec.conformance.run.pool import undisturbed
from einspec.conformance.run.request import Request
from einspec.conformance.run.worker import Job, Message, Unit, end_children, work

LOOK = 0.5
"""Seconds between two looks at the limits."""
LEAVE = 10.0
"""Seconds that a process may take to end once it is done."""
MOST_LOST, MOST_LATE = 20, 3
"""How many processes an op may cost on a device, and how many times the whole of --timeout, before the rest is left out."""
PATIENCE = 10
"""How many times --timeout a clause may take in a tier that runs only when it is asked for."""
MOST_PRINTED = 1 << 26
"""Bytes of what a process prints that are kept."""
GIB = 1 << 30
Spent = defaultdict[tuple[str, str, str], Fraction]
"""How much of what an op may cost it has cost, by backend, device and op."""


class Worker:
    """A process and where it is."""

    def __init__(self, job: Job, context: Any) -> None:
        self.job, self.said, self.done = job, 0, False
        self.unit: Unit | None = None
        self.answered = False
        """Whether it has said what became of the unit."""
        self.since = self.looked = time.monotonic()
        self.connection, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(job, theirs))
        self.process.start()
        theirs.close()
        self.watched = psutil.Process(self.process.pid)
        self.probing = ""
        """The op that is called to learn which framework it is for."""
        self.verdict, self.late = "", False
        """Why it was ended, if it was, and whether it had taken too long."""

    def messages(self) -> Iterator[Message]:
        """Yield what it has said since."""
        with contextlib.suppress(Exception):  # EOFError at its end, anything where the backend wrote into the pipe
            while self.connection.poll():
                kind, data = self.connection.recv()
                self.since = time.monotonic()
                if kind == "probe":
                    self.probing = data
                    continue
                if kind == "unit":
                    self.unit, self.answered = data, False
                elif kind == "result":
                    self.answered = True
                elif kind in ("done", "problem"):
                    self.done, self.unit = True, None
                elif kind == "finished":
                    self.answered = True
                    yield from self.printed()
                yield kind, data

    def printed(self) -> Iterator[Message]:
        """Yield what the backend has printed to standard output since, which is no part of the report."""
        path = self.job.prints / "out"
        size = path.stat().st_size if path.exists() else 0
        if size > self.said and self.unit is not None:
            with path.open("rb") as file:
                file.seek(self.said)
                text = file.read(200).decode("utf-8", "replace").strip()
            yield "printed", {"backend": self.unit.backend, "op": self.unit.op, "bytes": size - self.said, "text": text}
        self.said = size

    def exceeds(self, request: Request, memory: float) -> str:
        """Return which limit it exceeds, in words, or nothing; looked up now and then."""
        if time.monotonic() - self.looked < LOOK:
            return ""
        self.looked = time.monotonic()
        if self.done:
            return "it did not end" if time.monotonic() - self.since > LEAVE else ""
        for name in ("out", "err"):
            path = self.job.prints / name
            if path.exists() and path.stat().st_size > MOST_PRINTED:
                os.truncate(path, 0)
                self.said = 0
        limit = request.timeout * (PATIENCE if self.unit and self.unit.tier in OPT_IN else 1)
        if time.monotonic() - self.since > limit:
            self.late = True
            return f"it took longer than {limit:g} s and was ended; --timeout gives it more"
        held = 0.0
        with contextlib.suppress(psutil.Error):
            held = self.watched.memory_info().rss / GIB
        if held > memory:
            return f"it held {held:.3g} GiB of memory and was ended at {memory:.3g}; --memory gives it more"
        return ""

    def end(self, reason: str = "") -> None:
        """End the process and all that it started; it leaves a trace of where it was."""
        if reason:
            self.verdict = reason
            if hasattr(signal, "SIGUSR1") and self.process.is_alive():
                os.kill(self.process.pid, signal.SIGUSR1)
                time.sleep(0.2)
        if self.process.is_alive():
            end_children(self.watched)
        for stop in (lambda: os.killpg(self.process.pid, signal.SIGKILL), self.process.kill):
            with contextlib.suppress(AttributeError, OSError):
                stop()
        self.process.join()

    def trace(self) -> str:
        """Return where it was when it was lost, as far as it could say, innermost first."""
        path = self.job.prints / "err"
        text = path.read_bytes()[-20_000:].decode("utf-8", "replace") if path.exists() else ""
        path.write_bytes(b"")
        frames = [line.strip().removeprefix("File ") for line in text.splitlines() if line.startswith("  File ")]
        inner = itertools.takewhile(lambda frame: not re.search(r"[/\\](conformance|hypothesis)[/\\]", frame), frames)
        return "; ".join(inner)[:400]

    def fate(self) -> str:
        """Return how it ended, in words."""
        if self.verdict:
            return self.verdict
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"the process was ended by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")
        return f"the process ended with status {code}"


def messages(request: Request) -> Iterator[Message]:
    """Yield what the processes of a request say, as many of them at once as there are processors."""
    context = multiprocessing.get_context("spawn")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # read when the processes start; they are side by side already
    alone = bool(set(OPT_IN) & set(request.tiers))  # what fills the memory goes one at a time
    processors = 1 if alone else max(os.cpu_count() or 1, 2)
    most = 1 if alone else processors + 1  # one more, so that none waits for the slowest
    memory = request.memory or psutil.virtual_memory().available / GIB * 0.9
    spent: Spent = defaultdict(Fraction)
    running: list[Worker] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        waiting = [
            Job(name, request, ops, Path(folder))
            for name in sorted(request.names, key=lambda n: "jax" not in n)  # which compiles longest
            for ops in dealt(name, request, processors)
        ]
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    with undisturbed():
                        running.append(Worker(replace(waiting.pop(0), prints=Path(tempfile.mkdtemp(dir=folder))), context))
                yield from _step(request, memory, running, waiting, spent)
        finally:
            for worker in running:
                worker.end()


def _step(request: Request, memory: float, running: list[Worker], waiting: list[Job], spent: Spent) -> Iterator[Message]:
    """Wait until something happens or it is time to look; yield what was said, and replace what was lost."""
    ends: list[Connection | int] = [end for w in running for end in (w.connection, w.process.sentinel)]
    wait(ends, timeout=LOOK)
    for worker in list(running):
        yield from worker.messages()
        if worker.process.is_alive():
            reason = worker.exceeds(request, memory)
            if not reason:
                continue
            worker.end(reason)
        yield from worker.messages()
        worker.end()
        running.remove(worker)
        if worker.done:
            continue
        unit = worker.unit
        if unit is None and worker.probing not in ("", *worker.job.untried):
            waiting.insert(0, replace(worker.job, untried=(*worker.job.untried, worker.probing)))
            continue
        if unit is None:
            where = worker.trace()
            what = "the rest was not judged" if worker.job.first else "nothing was judged"
            yield "problem", f"{worker.job.name}: {what}: {worker.fate()}" + f" ({where})" * bool(where)
            continue
        if not worker.answered:
            yield "result", _loss(worker, unit)
        key = (unit.backend, unit.device, unit.op)
        spent[key] += Fraction(1, MOST_LATE if worker.late else MOST_LOST)
        given_up = (*worker.job.given_up, *([(unit.device, unit.op)] if spent[key] >= 1 else []))
        waiting.insert(0, replace(worker.job, first=unit.number, accepted=unit.accepted, given_up=given_up))


def _loss(worker: Worker, unit: Unit) -> Result:
    """Return the result of the clause over which a process was lost: of what it should have judged nothing is known."""
    where = worker.trace()
    reason = worker.fate() + f"; it was at {where}" * bool(where)
    if unit.known:
        return Result(
            f"{unit.op}/{unit.clause}", unit.tier, "known", 0, f"{unit.known} ({reason})", None, unit.backend, unit.device
        )
    data = {"call": f"any call of {unit.op} in this clause", "difference": reason}
    return Result(f"{unit.op}/{unit.clause}", unit.tier, "errored", 0, reason, data, unit.backend, unit.device)


def dealt(name: str, request: Request, processes: int) -> list[tuple[str, ...]]:
    """Return the ops that each process of a name judges: as many as there are processors, one for a file.

    The longer its definitions are, the longer an op takes.
    """
    ops = [op for op in paths() if not request.ops or op in request.ops]
    if name.endswith(".py") or Path(name).is_file():
        return [tuple(ops)]
    work = {op: sum(len(e.text) for form in load(op).forms.values() for e in form.equations) for op in ops}
    shares: list[list[str]] = [[] for _ in range(processes)]
    for op in sorted(ops, key=lambda op: -work[op]):
        min(shares, key=lambda share: sum(work[o] for o in share)).append(op)
    return [tuple(op for op in ops if op in share) for share in shares if share]
