"""A crew: ranks that run one function together, watched from a process that runs nothing of it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from einspec.conformance.protocol import Call, Loaded, Outcome, Settled
from einspec.conformance.runner.ranks.messages import Channel, Fork, Made, Make, Meet, Met, Settle
from einspec.conformance.runner.ranks.nursery import LostRankError, Nursery

LOOK = 0.2
"""Seconds between two looks at ranks that have not answered."""
STILL, STILL_AFTER_ERROR = 15, 5
"""Looks after which ranks wait for ever that were all asleep in each of them, and where one of them has raised already.

Time alone says nothing on a machine that is busy: who waits for a processor is not asleep. Who sleeps by a clock wakes again.
"""
LOOK_AROUND = ("gloo_tcp_loop",)
"""Threads of collectives that wake up a hundred times a second for nothing."""
IDLE = 0.1
"""The part of the time up to which a rank that waits may compute, as those do."""
WRITING = 0.15
"""Seconds in which a rank that is asked where it is may write it down."""
ASLEEP = (psutil.STATUS_SLEEPING, psutil.STATUS_IDLE, psutil.STATUS_PARKED)
"""What a process is that waits for another one."""
PASSED_THROUGH = ("wrapper", "wrapped", "inner", "__call__", "_call_impl", "apply")
"""Functions that only call others: the next frame says more."""


class Rank:
    """One rank as its crew sees it."""

    def __init__(self, number: int, pid: int, channel: Channel, traces: Path) -> None:
        self.number, self.pid, self.channel, self.traces = number, pid, channel, traces
        self.watched = psutil.Process(pid)
        self.used = -1.0
        """The seconds of a processor that it had used at the last look."""

    def is_still(self, passed: float) -> bool:
        """Whether it, and all that it has started, waits for another process since the last look, some seconds ago."""
        try:
            times = self.watched.cpu_times()
            used = float(times.user + times.system)
            idle = self.used >= 0 and used - self.used <= passed * IDLE
            self.used = used
            return idle and _is_asleep(self.watched) and all(map(_is_asleep, self.watched.children(recursive=True)))
        except psutil.Error:
            return False

    def place(self, file: str) -> str:
        """Return where it is, in words: what it waits in, and the line of the candidate's file."""
        before = self.ask_place()
        time.sleep(WRITING)
        return self.place_since(before, file)

    def ask_place(self) -> int:
        """Have it write down where it is, and return behind what of its traces that will be."""
        before = self.traces.stat().st_size if self.traces.exists() else 0
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGUSR1)
        return before

    def place_since(self, before: int, file: str) -> str:
        """Return where it was when it was asked last, in words."""
        return place_in(self._trace(before), file)

    def _trace(self, start: int) -> str:
        with contextlib.suppress(OSError):
            return self.traces.read_bytes()[start:].decode("utf-8", "replace")
        return ""


def _is_asleep(process: psutil.Process) -> bool:
    """Whether no thread of a process computes, is about to, or sleeps by a clock, as far as the system tells."""
    status = process.status()
    if status == psutil.STATUS_ZOMBIE:
        return True  # it has ended
    if sys.platform != "linux":
        return status in ASLEEP
    threads = Path(f"/proc/{process.pid}/task").glob("*")
    return all(map(_is_waiting, threads))


def _is_waiting(thread: Path) -> bool:
    """Whether a thread waits for something other than a processor, a disk or a time."""
    try:
        name, _, rest = (thread / "stat").read_text(encoding="utf-8", errors="replace").partition("(")[2].rpartition(")")
        if name in LOOK_AROUND:
            return True
        return rest.split()[0] in "SI" and "nanosleep" not in (thread / "wchan").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return True  # it has ended


def place_in(trace: str, file: str) -> str:
    """Return the place that a trace of faulthandler tells of, innermost first: a function and a line of a file."""
    frames = []
    for line in trace.splitlines():
        if line.startswith("  File ") and '", line ' in line:
            path, _, rest = line.removeprefix('  File "').partition('", line ')
            number, _, name = rest.partition(" in ")
            frames.append((path, number, name))
    within = [i for i, (path, _, _) in enumerate(frames) if path == file]
    if not within:
        return ""
    inner = [name for _, _, name in frames[: within[0]] if name not in PASSED_THROUGH]
    own = f"{Path(file).name}, line {frames[within[0]][1]}"
    return f"{inner[-1]}, {own}" if inner else own


class Crew:
    """Ranks of one group that are kept from call to call; who loses one loses all, and begins again."""

    def __init__(self, nursery: Nursery, file: str, functions: dict[str, str], size: int, others: int = 0) -> None:
        """Begin as many ranks as are asked for.

        Args:
            nursery: what they are copies of.
            file: the candidate's.
            functions: by op, the name of the function that stands for it; by their own names if empty.
            size: how many ranks there are in all.
            others: how many of them, the first ones, are in a group of their own.

        Raises:
            LostRankError: they do not come up.
        """
        self.file, self.size, self.others = file, size, others
        self.folder = Path(tempfile.mkdtemp(prefix="ranks-", dir=nursery.folder))
        pairs = [socket.socketpair() for _ in range(size)]
        pids = nursery.fork(Fork(file, functions, str(self.folder), others), [theirs for _, theirs in pairs])
        for _, theirs in pairs:
            theirs.close()
        self.nursery = nursery
        self.ranks = [
            Rank(i, pid, Channel(ours), self.folder / f"rank{i}")
            for i, (pid, (ours, _)) in enumerate(zip(pids, pairs, strict=True))
        ]
        self.loaded = self._first()

    def _first(self) -> Loaded:
        """Return what the ranks have found in the file, or the problem that one of them has."""
        answers = self._collected(Loaded)
        said = {n: a for n, a in answers.items() if isinstance(a, str)}
        found = [a for a in answers.values() if isinstance(a, Loaded)]
        problem = next((a for a in found if a.problem), None)
        if problem is not None or said:
            self.end()
        if problem is None and said:
            raise LostRankError("; ".join(f"rank {n} {what}" for n, what in said.items()))
        return problem or found[0]

    def make(self, op: str, calls: Sequence[Call]) -> list[Outcome | str]:
        """Return what came of a call by rank, in words of one that waits for ever.

        Raises:
            LostRankError: a rank has ended over it.
        """
        for rank, call in zip(self.ranks, calls, strict=True):
            with contextlib.suppress(OSError):  # who is no more is seen when answers are collected
                rank.channel.say(Make(op, call))
        answers = self._collected(Made)
        if any(isinstance(a, str) for a in answers.values()):
            self.end()
        elif any(map(_is_error, answers.values())):
            self.meets()  # what one has begun that the others have not would be met by the next call
        return [a.outcome if isinstance(a, Made) else a for _, a in sorted(answers.items())]

    def meets(self) -> bool:
        """Whether all ranks of a group have begun as many collectives, so that they meet in the next one; else they end."""
        for rank in self.ranks:
            rank.channel.say(Meet())
        answers = self._collected(Met, STILL_AFTER_ERROR)
        if len(met := [a for a in answers.values() if isinstance(a, Met)]) < self.size:
            self.end()
        return len(met) == self.size and all(a.ranks == tuple(range(len(a.ranks))) for a in met)

    def settle(self) -> list[Settled]:
        """Return what calls have changed in each rank."""
        for rank in self.ranks:
            rank.channel.say(Settle())
        return [a for a in self._collected(Settled).values() if isinstance(a, Settled)]

    def _collected(self, kind: type[Any], still: int = STILL) -> dict[int, Any]:
        """Return what each rank answers, in words where it waits for ever.

        Args:
            kind: of what it answers.
            still: after how many looks it does, if none of them has raised.

        Raises:
            LostRankError: one has ended.
        """
        answers: dict[int, Any] = {}
        looked, looks = time.monotonic(), 0
        while len(answers) < self.size:
            left = [r for r in self.ranks if r.number not in answers]
            ready, _, _ = select.select([r.channel for r in left], [], [], LOOK)
            for rank in (r for r in left if r.channel in ready):
                answer = self._heard(rank, kind)
                if answer is not None:
                    answers[rank.number], looks = answer, 0
            passed = time.monotonic() - looked
            if passed < LOOK:
                continue
            looked += passed
            left = [r for r in self.ranks if r.number not in answers]
            asleep = [r.is_still(passed) for r in left]
            looks = looks + 1 if left and all(asleep) else 0
            if looks >= (STILL_AFTER_ERROR if any(map(_is_error, answers.values())) else still):
                answers |= {r.number: self._waits(r) for r in left}
        return answers

    def _heard(self, rank: Rank, kind: type[Any]) -> Any:
        """Return the answer of a rank from which something has come; None where it is not whole."""
        if not rank.channel.read():
            raise LostRankError(self._ended(rank))
        try:
            message = rank.channel.taken()
        except (msgspec.DecodeError, RecursionError):
            message = ()
        if message is not None and not isinstance(message, kind):
            self.end()
            raise LostRankError(f"rank {rank.number} wrote where it must not")
        return message

    def _ended(self, lost: Rank) -> str:
        """Return how a rank has ended, in words, once the others have as well."""
        place = lost.place_since(0, self.file)
        code = self.end()[lost.number]
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"rank {lost.number} of {self.size} {how}" + f"; it was at {place}" * bool(place)

    def _waits(self, rank: Rank) -> str:
        place = rank.place(self.file)
        return f"waits in {place}" if place else "waits"

    def end(self) -> list[int]:
        """End all ranks, and return how each has ended."""
        for rank in self.ranks:
            with contextlib.suppress(OSError):
                os.kill(rank.pid, signal.SIGKILL)
        codes = [self.nursery.reap(rank.pid) for rank in self.ranks]
        for rank in self.ranks:
            rank.channel.close()
        self.ranks = []
        shutil.rmtree(self.folder, ignore_errors=True)
        return codes

    @property
    def is_over(self) -> bool:
        """Whether its ranks have ended."""
        return not self.ranks


def _is_error(answer: Any) -> bool:
    """Whether a rank has come out of a call by an exception."""
    return isinstance(answer, Made) and answer.outcome.error is not None


class Crews:
    """The crews of a candidate, one a number of ranks, begun where they are needed."""

    def __init__(self, nursery: Nursery, file: str, functions: dict[str, str]) -> None:
        self.nursery, self.file, self.functions = nursery, file, functions
        self.running: dict[tuple[int, int], Crew] = {}

    def of(self, size: int, others: int = 0) -> Crew:
        """Return the crew of a number of ranks, beside as many others.

        Raises:
            LostRankError: its ranks do not come up.
        """
        key = size, others
        if key not in self.running or self.running[key].is_over:
            self.running[key] = Crew(self.nursery, self.file, self.functions, size + others, others)
        return self.running[key]

    def alive(self) -> Iterator[Crew]:
        """Yield the crews whose ranks have not ended."""
        yield from (crew for crew in self.running.values() if not crew.is_over)

    def places(self) -> Iterator[str]:
        """Yield where each rank is that is in the candidate's file, all asked at once."""
        crews = list(self.alive())
        asked = [(crew, rank, rank.ask_place()) for crew in crews for rank in crew.ranks]
        time.sleep(WRITING / 2)
        for crew, rank, before in asked:
            if place := rank.place_since(before, self.file):
                yield f"rank {rank.number} of {crew.size} in {place}"

    def end(self) -> None:
        """End them all."""
        for crew in self.alive():
            crew.end()
        self.running.clear()
