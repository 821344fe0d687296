"""What a process of a run does: it judges ops of names, one after the other, each candidate in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from einspec.calls.cases import bank
from einspec.card import load, paths
from einspec.conformance.checks.block import Block
from einspec.conformance.checks.scene import Scene
from einspec.conformance.clauses import units
from einspec.conformance.judge.context import Context, Sheets
from einspec.conformance.judge.declarations import check_declared
from einspec.conformance.judge.judging import STOPS, judge_unit
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.protocol import Target
from einspec.conformance.run import events
from einspec.conformance.run.agreement import sample
from einspec.conformance.run.events import (
    Began,
    Described,
    Event,
    Finished,
    Idle,
    Judged,
    Printed,
    Problem,
)
from einspec.conformance.run.request import Request, cache_directory
from einspec.conformance.run.sheets import store
from einspec.conformance.targets.budget import Budget
from einspec.conformance.targets.declared import DeclarationError, Known, read_known
from einspec.conformance.targets.names import TargetError, is_of_einspec
from einspec.conformance.targets.process import Limits, LostError, protect
from einspec.conformance.targets.session import Host, Session
from einspec.conformance.tiers import OPT_IN

MOST_LOST, MOST_LATE = 20, 3
"""How many processes an op may cost on a device, and how many times the whole of --timeout, before the rest is left out."""
DEFINITION = Fraction(1, 2)
"""The part of what is left of a budget that a definition has in each tier, as an op is not judged without it."""
PATIENCE = 10
"""How many times --timeout a call may take in a tier that runs only when it is asked for."""
Say = Callable[[Event], None]


@dataclass
class Job:
    """What a process is to do next."""

    name: str
    op: str


class Worker:
    """Judges ops; a candidate that was imported is kept for the next of its ops."""

    def __init__(self, request: Request, memory: float, say: Say) -> None:
        self.request, self.say = request, say
        slow = bool(set(OPT_IN) & set(request.tiers))
        self.limits = Limits(request.timeout * (PATIENCE if slow else 1), memory, request.budget)
        self.sheets = store()
        self.host: Host | None = None
        self.sessions: list[Session] = []
        self.spent: defaultdict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
        self.failed: set[str] = set()
        """Names of which nothing can be judged."""

    def do(self, job: Job) -> None:
        """Judge an op of a name on every device."""
        if job.name in self.failed or not self.opened(job.name):
            return
        for session in self.sessions:
            excuse = session.excuse(job.op, "def")
            if job.op in session.functions:
                self.judge(session, job.op)
            elif excuse:
                where = session.target.name, session.device
                text = Result(f"{job.op}/def", "scope", Verdict.UNSUPPORTED, 0, excuse, None, *where)
                self.say(Judged(text))

    def opened(self, name: str) -> bool:
        """Import what a name stands for, unless it is there; false where nothing can be judged."""
        if self.host is not None and self.host.name == name:
            return True
        self.close()
        self.host = Host(name, self.limits, str(cache_directory()), ranks=self.request.ranks)
        self.sessions = []
        try:
            known = [entry for path in self.request.known for entry in read_known(Path(path))]
            for target in self.host.open():
                self.sessions += self._sessions(target, known)
        except (TargetError, DeclarationError) as error:
            self.say(Problem(str(error)))
            self.failed.add(name)
            self.close()
            return False
        return True

    def _sessions(self, target: Target, known: list[Known]) -> list[Session]:
        """Return a target on every device that is asked for."""
        wanted = set(self.request.devices)
        chosen = [d for d in target.devices if not wanted or {d, d.partition(":")[0], d.partition(" ")[0]} & wanted]
        sessions = [Session(self.host, target, device, known) for device in chosen]
        probe = sessions[0] if sessions else Session(self.host, target, target.devices[0], known)
        check_declared(probe)
        self.say(Described(described(target, chosen)))
        return sessions

    def judge(self, session: Session, op: str) -> None:
        """Judge every clause of an op, unless it is wrong by its definition already."""
        started = time.perf_counter()
        context = Context(session, load(op), self.sheets, self.request.policy)
        budget = self.budgeted(context) if self.request.budget else None
        key = (session.target.name, session.device, op)
        stopped = ""
        all_units = units(context.op, self.request.tiers)
        for number, (clause, tier) in enumerate(all_units):
            if stopped or self.spent[key] >= 1:
                reason = stopped or "not tried any more: this op has ended the process too often"
                self.say(Judged(context.not_run(clause, tier, reason)))
                continue
            if budget is not None:
                budget.deal(share([c for c, _ in all_units[number:]]))
            self.say(Began(session.target.name, op, clause))
            result = self.unit(context, clause, tier, key)
            self.say(Judged(result))
            if result.verdict.fails and clause in STOPS and not self.request.everything:
                stopped = f"{op}/{clause} is {result.verdict}; --all judges the rest"
        if not stopped and self.spent[key] < 1:
            found = sample(context)
            if found is not None:
                self.say(found)
        self._independence(session)
        self._printed(session, op)
        self.say(Finished(session.target.name, op, round(time.perf_counter() - started, 3)))

    def unit(self, context: Context, clause: str, tier: str, key: tuple[str, str, str]) -> Result:
        """Return the result of a clause; a process that is lost costs the clause, and a new one goes on behind it."""
        try:
            return judge_unit(context, clause, tier)
        except LostError as error:
            if error.budget:
                return cut_off(context, clause, tier, error)
            context.survived(clause)
            self.spent[key] += Fraction(1, MOST_LATE if error.late else MOST_LOST)
            return lost(context, clause, tier, error)

    def budgeted(self, context: Context) -> Budget:
        """Give an op its budget: what is made once, and kept for the next run, takes nothing of it."""
        assert self.host is not None
        bank(context.asked)
        budget = context.session.budget = Budget(self.request.budget, lambda: self.host.used if self.host is not None else 0.0)
        context.sheets = Unpaid(self.sheets, budget)
        context.shrinks = False  # for which there may be no end
        return budget

    def _independence(self, session: Session) -> None:
        """Say where a file computes with einspec itself."""
        asked = session.host.name if session.host is not None else ""
        if session.uses and not is_of_einspec(asked) and not self.request.allow_einspec:
            uses = ", ".join(list(session.uses)[:3])
            advice = "--allow-einspec judges it all the same"
            self.say(Problem(f"{session.target.name} is not independent: it uses {uses}; {advice}"))

    def _printed(self, session: Session, op: str) -> None:
        if self.host is not None and self.host.running is not None:
            size, text = self.host.running.printed()
            if size:
                self.say(Printed(session.target.name, op, size, text))

    def close(self) -> None:
        """End the process of the candidate."""
        if self.host is not None:
            self.host.close()
            self.host = None


@dataclass
class Unpaid:
    """Sheets whose making is counted in no budget."""

    sheets: Sheets
    budget: Budget

    def block(self, scene: Scene, clause: str, tier: str) -> Block:
        """Return the calls of a clause in a tier."""
        with self.budget.nothing():
            return self.sheets.block(scene, clause, tier)


def share(clauses: Sequence[str]) -> Fraction:
    """Return the part of what is left of a budget that the first of some clauses has, where the others follow."""
    even = Fraction(1, len(clauses))
    return max(DEFINITION, even) if clauses[0] == "def" else even


def cut_off(context: Context, clause: str, tier: str, error: LostError) -> Result:
    """Return the result of a clause one call of which takes longer than its op may."""
    result = context.not_run(clause, tier, f"{error.reason}: not judged within the budget")
    result.unasked = max(context.unasked, 1)
    return result


def lost(context: Context, clause: str, tier: str, error: LostError) -> Result:
    """Return the result of a clause over which a process was lost: of what it should have judged nothing is known."""
    data: dict[str, Any] = {
        "summary": context.op.card.summary,
        "call": f"any call of {context.op.name} in this clause",
        "difference": error.reason,
    }
    return context.result(clause, tier, Verdict.ERRORED, 0, error.reason, data)


def described(target: Target, devices: list[str]) -> dict[str, Any]:
    """Return what a report says of a backend before its results."""
    there = {d.partition(":")[0] for d in target.devices}
    ops = [f.op for f in target.functions]
    return {
        "name": target.name,
        "framework": target.framework,
        "bare": target.bare,
        "versions": target.versions,
        "available": list(target.devices),
        "devices": devices,
        "absent": [d for d in target.known_devices if d not in there],
        "ops": ops,
        "missing": [] if target.bare else [op for op in paths() if op not in ops],
        "python": target.python,
        "platform": target.platform,
    }


def work(request: Request, memory: float, jobs: Connection, out: Connection) -> None:
    """Judge what comes until nothing more does; everything said goes through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this one
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(cache_directory() / "hypothesis"))
    protect()
    worker = Worker(request, memory, lambda event: out.send_bytes(events.encode(event)))

    def end(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        if worker.host is not None and worker.host.running is not None:
            worker.host.running.abandon()
        os._exit(1)

    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(EOFError, OSError):
        while job := jobs.recv_bytes():
            name, _, op = job.decode().rpartition("\0")
            try:
                worker.do(Job(name, op))
            except Exception as error:
                worker.say(Problem(f"{name}: {op}: {type(error).__name__}: {error}"))
            worker.say(Idle())
    worker.close()
