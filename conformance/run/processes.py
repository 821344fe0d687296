"""The processes of a run: started side by side, given one op after the other, and ended with it."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from einspec.card import load, paths
from einspec.conformance.run import events
from einspec.conformance.run.costs import cost, dealt_out
from einspec.conformance.run.events import Event, Idle, Problem
from einspec.conformance.run.pool import one_thread_each, undisturbed
from einspec.conformance.run.request import Request
from einspec.conformance.run.worker import work
from einspec.conformance.targets.names import is_file
from einspec.conformance.targets.process import free_memory
from einspec.conformance.tiers import LARGE

IMPORTING = 3.0
"""Seconds of work left from which on it pays to import a framework once more."""
ENDING = 5.0
"""Seconds that a process may take to end once it is done."""


class Member:
    """A process of the run, and what it is doing."""

    def __init__(self, context: Any, request: Request, memory: float) -> None:
        theirs_in, self.jobs = context.Pipe(duplex=False)
        self.events, theirs_out = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(request, memory, theirs_in, theirs_out))
        self.process.start()
        theirs_in.close()
        theirs_out.close()
        self.name = ""
        """The name whose candidate it has imported."""
        self.op = ""
        """What it is judging; nothing if it waits."""

    def give(self, name: str, op: str) -> None:
        """Have it judge an op of a name."""
        self.name, self.op = name, op
        self.jobs.send_bytes(f"{name}\0{op}".encode())

    def end(self) -> None:
        """End it, and the candidate that it runs."""
        if not self.op:
            with contextlib.suppress(OSError):
                self.jobs.send_bytes(b"")
            self.process.join(ENDING)
        self.jobs.close()
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(ENDING)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.events.close()


class Queue:
    """What is still to be judged, by name, the longest first."""

    def __init__(self, request: Request) -> None:
        ops = shared_out(request)
        order = sorted(request.names, key=lambda n: "jax" not in n)  # which compiles longest
        self.left = {name: sorted(ops, key=lambda op: -cost(op)) for name in order}

    def next(self, members: Sequence[Member], member: Member) -> tuple[str, str] | None:
        """Return what a process is to judge next; None if nothing is left that pays."""
        if self.left.get(member.name):
            return member.name, self.left[member.name].pop(0)
        busy = {m.name for m in members if m.op}
        fresh = [n for n, ops in self.left.items() if ops and n not in busy]
        if fresh:
            return fresh[0], self.left[fresh[0]].pop(0)
        rest = {n: sum(cost(o) for o in ops) for n, ops in self.left.items() if ops}
        longest = max(rest, key=lambda n: rest[n], default="")
        if longest and rest[longest] > IMPORTING and not is_file(longest):
            return longest, self.left[longest].pop(0)
        return None

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not any(self.left.values())

    def drop(self, name: str) -> None:
        """Leave out what is left of a name."""
        self.left[name] = []


def shared_out(request: Request) -> list[str]:
    """Return the ops of a shard of a run."""
    ops = [op for op in paths() if not request.ops or op in request.ops]
    return dealt_out(ops, request.shard)


def happenings(request: Request) -> Iterator[Event]:
    """Yield what the processes of a request say, as many of them at once as there are processors."""
    one_thread_each()
    memory = request.memory or free_memory()
    queue = Queue(request)
    jobs = sum(map(len, queue.left.values()))
    alone = LARGE in request.tiers  # what fills the memory goes one at a time
    count = 1 if alone else max(1, min(os.cpu_count() or 1, jobs))
    preload(request)
    context = multiprocessing.get_context(start_method())
    members: list[Member] = []

    def begin() -> None:
        with undisturbed(context):  # none begins that is not noted here, and ended
            members.append(Member(context, request, memory))

    try:
        for _ in range(count):
            begin()
        yield from _steps(queue, members, begin)
    finally:
        for member in members:
            member.end()


def start_method() -> str:
    """Return how processes begin: as copies, unless this one has threads or frameworks, which have their own."""
    plain = threading.active_count() == 1 and not {"jax", "torch"} & sys.modules.keys()
    return "fork" if plain and "fork" in multiprocessing.get_all_start_methods() else "spawn"


def preload(request: Request) -> None:
    """Load the cards that are judged, so that every process has them from its beginning; a file says later which."""
    if request.ops or not all(map(is_file, request.names)):
        for op in shared_out(request):
            load(op)
    gc.freeze()  # nothing of all this goes before the process does


def _steps(queue: Queue, members: list[Member], begin: Callable[[], None]) -> Iterator[Event]:
    """Give out work and yield what is said, until all is done; another process takes the place of one that is lost."""
    while True:
        for member in members:
            if not member.op and (job := queue.next(members, member)):
                member.give(*job)
        working = [m for m in members if m.op]
        if not working:
            return
        waiting: list[Connection | int] = [m.events for m in working]
        for ready in wait(waiting):
            member = next(m for m in working if m.events is ready)
            try:
                event = events.decode(member.events.recv_bytes())
            except (EOFError, OSError):
                yield Problem(f"{member.name}: the process that judged {member.op} was lost")
                queue.drop(member.name)
                members.remove(member)
                member.end()
                if not queue.empty:
                    begin()
                continue
            if isinstance(event, Idle):
                member.op = ""
            else:
                yield event
