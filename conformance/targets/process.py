"""The process of a candidate as the judge sees it: asked, watched, and ended when it exceeds a limit or says nonsense."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil

from einspec.conformance import protocol
from einspec.conformance.confine import protect_judge
from einspec.conformance.protocol import (
    LENGTH,
    Ask,
    Came,
    Found,
    Load,
    Loaded,
    Probe,
    Reply,
    Request,
    Said,
    Settled,
)

LOOK = 0.25
"""Seconds of waiting for answers between two looks at the limits."""
PIPE = 1 << 20
"""Bytes that a pipe holds, where that can be set: as many as the system lets anybody have."""
GRACE = 0.2
"""Seconds in which a process that is about to be ended may write down where it is."""
ASLEEP = (psutil.STATUS_SLEEPING, psutil.STATUS_STOPPED, psutil.STATUS_IDLE, psutil.STATUS_ZOMBIE)
"""What a process is that waits for something other than a processor."""
MOST_PRINTED = 1 << 26
"""Bytes of what a process prints that are kept."""
TRACE = 20_000
"""Bytes of the end of what it prints in which its trace is looked for."""
GIB = 1 << 30
SHARE = 0.9
"""How much of the free memory a process may hold, unless asked otherwise."""
MOST_GIB = 1 << 30
"""What no limit of memory means, in GiB: more than there is."""
JUDGE = re.compile(r"[/\\](conformance|hypothesis)[/\\]|<frozen ")


_protected = False


def protect() -> None:
    """Keep candidates out of this process, which judges and has no children but them."""
    global _protected
    protect_judge()
    _protected = True


def owns_orphans() -> bool:
    """Whether all children of this process are candidates or what they have left."""
    return _protected


def free_memory() -> float:
    """Return how many GiB a process may hold, unless asked otherwise: a share of what is free now."""
    return psutil.virtual_memory().available / GIB * SHARE


@dataclass(frozen=True)
class Limits:
    """What a call may take."""

    seconds: float
    """Of a processor, or of waiting for something that is no processor: other work on the machine does not count."""
    memory: float
    """GiB that the process may hold."""
    budget: float = 0.0
    """Seconds that an op may take in all, so that no call of it may take longer; 0 where that is not asked for."""

    @property
    def call(self) -> float:
        """The seconds that a call of an op may take."""
        return min(self.seconds, self.budget) if self.budget else self.seconds

    @property
    def bytes(self) -> int:
        """The memory that the process may hold, in bytes."""
        return int(min(self.memory, MOST_GIB) * GIB)


class LostError(Exception):
    """The process of a candidate is no more, or says what it should not."""

    def __init__(self, reason: str, late: bool = False, budget: bool = False) -> None:
        """Take why, whether the call at hand had taken too long, and whether for the budget of its op alone."""
        super().__init__(reason)
        self.reason, self.late, self.budget = reason, late, budget


class RunnerProcess:
    """A process that runs a candidate."""

    def __init__(self, name: str, limits: Limits, cache: str = "", data: str = "", ranks: tuple[int, ...] = ()) -> None:
        self.name, self.limits, self.cache, self.data, self.ranks = name, limits, cache, data, ranks
        self.folder = tempfile.TemporaryDirectory(prefix="einspec-", ignore_cleanup_errors=True)
        self.prints = Path(self.folder.name)
        (self.prints / "progress").write_bytes(bytes(16))
        with (self.prints / "progress").open("r+b") as file:
            self.progress = mmap.mmap(file.fileno(), 16)
        with (self.prints / "err").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "einspec.conformance.runner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                close_fds=False,  # none is inherited, and a judge cannot list its own
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.stdin, False)
        os.set_blocking(self.stdout, False)
        for pipe in (self.stdin, self.stdout):
            _widen(pipe)
        self.outbox, self.inbox = bytearray(), bytearray()
        self.watched = psutil.Process(self.process.pid)
        self.tickets = itertools.count(int.from_bytes(os.urandom(6), "little"))
        self.said = self.wanted = 0
        self.at_hand = 0
        """How many outcomes have come that nobody has looked at yet."""
        self.stopped = False
        """Whether the rest of what was asked is not wanted; the shared file says so too, where a candidate can write."""
        self.clock = _Clock(self.watched)
        self.asking = False
        """Whether what is waited for are calls of an op."""

    @property
    def used(self) -> float:
        """The seconds of a processor that it has used, with what it has waited for something else."""
        try:
            times = self.watched.cpu_times()
        except psutil.Error:
            return self.clock.total
        own = float(times.user + times.system + times.children_user + times.children_system)
        self.clock.total = max(self.clock.total, own + self.clock.waited)
        return self.clock.total

    def load(self, frameworks: dict[str, str] | None = None, functions: dict[str, str] | None = None) -> Loaded:
        """Return what was found under the name.

        Args:
            frameworks: by op, whose arrays its function takes, where that is open.
            functions: by op, the name of the function that stands for it.

        Raises:
            LostError: the process did not survive it.
        """
        self.clock.begin()
        self.send(self._load(cache=self.cache, frameworks=frameworks or {}, functions=functions or {}))
        found: Loaded = self.receive(Loaded)
        return found

    def hold(self) -> Found:
        """Import what the name stands for, to probe its adapter, and return what it is.

        Raises:
            LostError: the process did not survive it.
        """
        self.clock.begin()
        self.send(self._load(probed=True))
        found: Found = self.receive(Found)
        return found

    def _load(self, **options: Any) -> Load:
        """Return the request that begins all."""
        path = tuple(p or str(Path.cwd()) for p in sys.path)
        return Load(self.name, str(self.prints), path=path, data=self.data, ranks=self.ranks, **options)

    def probe(self, probe: Probe) -> Found:
        """Return what comes of a probe of the adapter that is held.

        Raises:
            LostError: the process did not survive it.
        """
        self.clock.begin()
        self.send(probe)
        found: Found = self.receive(Found)
        return found

    def value(self, request: Request) -> int:
        """Return the answer to what is asked besides calls.

        Raises:
            LostError: there is none.
        """
        self.clock.begin()
        self.send(request)
        said: Said = self.receive(Said)
        return said.value

    def ask(self, target: str, device: str, op: str, calls: bytes, careful: bool = False) -> int:
        """Ask for calls of an op, and return the ticket under which the outcomes come."""
        ticket = next(self.tickets)
        self.wanted, self.stopped, self.at_hand = protocol.count(calls), False, 0
        self.progress[0:16] = bytes(16)
        self.asking = True
        self.clock.begin(self.wanted)
        self.send(Ask(target, device, op, msgspec.Raw(calls), careful, ticket))
        return ticket

    def outcomes(self, ticket: int) -> Iterator[protocol.Outcome | Settled]:
        """Yield what comes of the calls under a ticket, in order, and in the end that they are settled.

        Raises:
            LostError: the process was lost over one of them.
        """
        expected = 0
        while True:
            reply = self.receive(Came | Settled)
            if reply.ticket != ticket:
                raise self.lost("it answered what was not asked")
            if isinstance(reply, Settled):
                self.asking = False
                if expected != self.wanted and not self.stopped:
                    raise self.lost("it left calls unanswered")
                yield reply
                return
            self.at_hand = len(reply.outcomes)
            for outcome in reply.outcomes:
                self.at_hand -= 1
                if outcome.number != expected or expected == self.wanted:
                    raise self.lost("it answered another call than was asked")
                expected += 1
                yield outcome

    def stop_asking(self) -> None:
        """Say that no more outcomes are wanted of what was asked."""
        self.stopped = True
        self.progress[8:16] = b"\1" * 8

    def send(self, request: Request) -> None:
        """Send a message; what does not fit goes out while answers are waited for."""
        data = protocol.encode(request)
        self.outbox += LENGTH.pack(len(data)) + data
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self.outbox:
                del self.outbox[: os.write(self.stdin, memoryview(self.outbox)[: 1 << 20])]

    def receive(self, kind: Any) -> Any:
        """Return the next message, which must be of a kind.

        Raises:
            LostError: none comes.
        """
        self.clock.resume()
        while (message := self._message()) is None:
            ready, _, _ = select.select([self.stdout], [self.stdin] if self.outbox else [], [], self.clock.left)
            self._write()
            if ready and not self._read():
                self.process.wait()
                raise self.lost(self._fate())
            seconds = self.limits.call if self.asking else self.limits.seconds
            exceeded = self.clock.exceeded(self.number, self.limits, seconds, idle=not ready)
            if exceeded is not None:
                late, budget = exceeded[1], self.asking and self.limits.call < self.limits.seconds
                raise self.lost(exceeded[0], late, late and budget)
            self._cut_prints()
        self.clock.pause()
        if isinstance(message, protocol.Broken):
            raise self.lost(f"its adapter raised {message.error.name}: {message.error.text}")
        if isinstance(message, protocol.Lost):
            raise self.lost(message.reason)
        if not isinstance(message, kind):
            raise self.lost("it answered what was not asked")
        return message

    def _read(self) -> bool:
        """Take what has come; false at its end."""
        try:
            data = os.read(self.stdout, 1 << 20)
        except BlockingIOError:
            return True
        self.inbox += data
        return bool(data)

    def _message(self) -> Reply | None:
        """Return the first whole message that has come, if there is one, in texts that can be shown."""
        if len(self.inbox) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self.inbox)
        if length > protocol.MOST_BYTES:
            raise self.lost("it wrote where it must not")
        end = LENGTH.size + length
        if len(self.inbox) < end:
            return None
        data = bytes(memoryview(self.inbox)[LENGTH.size : end])
        del self.inbox[:end]
        try:
            reply: Reply = protocol.printable(protocol.replies.decode(data))
        except (msgspec.DecodeError, RecursionError):
            raise self.lost("it wrote where it must not") from None
        return reply

    @property
    def number(self) -> int:
        """The number of the call at hand."""
        return min(int(LENGTH.unpack_from(self.progress)[0]), max(self.wanted - 1, 0))

    def lost(self, reason: str, late: bool = False, budget: bool = False) -> LostError:
        """End the process, and return the error that says why and where it was."""
        if self.process.poll() is None and hasattr(signal, "SIGUSR1"):
            self.process.send_signal(signal.SIGUSR1)  # faulthandler writes where it is
            time.sleep(GRACE)
        self.end()
        where = self._trace()
        return LostError(reason + f"; it was at {where}" * bool(where), late, budget)

    def end(self) -> None:
        """End the process and all that it has started, and wait until it has ended."""
        self.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]  # both are pipes

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        family = _descendants(self.watched)
        with contextlib.suppress(AttributeError, OSError):
            if os.getpgid(self.process.pid) != os.getpgrp():
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.process.kill()
        for process in [*family, *_orphans(self.process.pid)]:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def abandon(self) -> None:
        """Kill the process and remove its files, without waiting for anything: a signal may have come at any place."""
        self.kill()
        shutil.rmtree(self.folder.name, ignore_errors=True)

    def close(self) -> None:
        """End the process and remove what it has printed."""
        self.end()
        self.progress.close()
        self.folder.cleanup()

    def printed(self) -> tuple[int, str]:
        """Return how many bytes were printed to the output since this was asked last, and the first of them."""
        path = self.prints / "out"
        size = path.stat().st_size if path.exists() else 0
        if size <= self.said:
            self.said = min(self.said, size)
            return 0, ""
        with path.open("rb") as file:
            file.seek(self.said)
            text = file.read(200).decode("utf-8", "replace").strip()
        count, self.said = size - self.said, size
        return count, text

    def _cut_prints(self) -> None:
        for name in ("out", "err"):
            path = self.prints / name
            if path.exists() and path.stat().st_size > MOST_PRINTED:
                os.truncate(path, 0)
                self.said = 0

    def _trace(self) -> str:
        """Return where it was when it was lost, as far as it could say, innermost first."""
        path = self.prints / "err"
        text = path.read_bytes()[-TRACE:].decode("utf-8", "replace") if path.exists() else ""
        lines = [line for line in text.splitlines() if line.startswith("  File ")]
        frames = [line.strip().removeprefix("File ") for line in lines]
        inner = itertools.takewhile(lambda frame: not JUDGE.search(frame), frames)
        return str(protocol.printable("; ".join(inner)[:400]))

    def _fate(self) -> str:
        """Return how it ended, in words."""
        code = self.process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"the process was ended by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")
        return f"the process ended with status {code}"


def _widen(pipe: int) -> None:
    """Let a pipe hold more, so that neither side waits for the other; where the system has no such thing it stays as it is."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return what a process has started, and what that has started."""
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _orphans(pid: int) -> list[psutil.Process]:
    """Return what a candidate that is no more has left to this process."""
    if not owns_orphans():
        return []
    return [child for child in _descendants(psutil.Process()) if child.pid != pid]


class _Clock:
    """How long the call at hand has been computing, and how long it has been waiting for something else."""

    def __init__(self, watched: psutil.Process) -> None:
        self.watched = watched
        self.waited = self.total = 0.0
        """What all calls so far have waited, and what they have used with it."""
        self.looked = self.paused = time.monotonic()
        """When this was looked up last, later by what has passed since while nothing was waited for; when that began."""
        self.processor = -1.0
        self.begin()

    def begin(self, most: int = 1) -> None:
        """Begin to count for so many calls. Each has a time of its own, and none a second one: numbers only grow."""
        self.number, self.most = -1, most
        self.used = self.slept = 0.0

    def pause(self) -> None:
        """Leave out what passes from now on, as nothing is waited for."""
        self.paused = time.monotonic()

    def resume(self) -> None:
        """Go on where it was left: many short waits are looked at as a long one is."""
        self.looked += time.monotonic() - self.paused

    @property
    def left(self) -> float:
        """The seconds until limits are looked up again."""
        return max(self.looked + LOOK - time.monotonic(), 0.0)

    def exceeded(self, number: int, limits: Limits, seconds: float, idle: bool) -> tuple[str, bool] | None:
        """Return which limit is exceeded, in words, and whether it is that of time; looked up now and then.

        Args:
            number: of the call at hand.
            limits: what a call may take.
            seconds: how much of that is time.
            idle: whether nothing has come: one that has said something was not waiting for something else.
        """
        if self.left > 0:
            return None
        now = time.monotonic()
        passed, self.looked = now - self.looked, now
        try:
            tree = [self.watched, *self.watched.children(recursive=True)]
            processor, asleep, held = _usage(tree)
        except psutil.Error:
            return None
        if self.processor >= 0:
            worked = max(processor - self.processor, 0.0)
            self.used += worked
            waited = passed if idle and asleep and worked < passed / 10 else 0.0
            self.slept += waited
            self.waited += waited
        self.processor = processor
        self.total = max(self.total, processor + self.waited)
        number = min(number, self.most - 1)
        if self.number < number:
            self.number, self.used, self.slept = number, 0.0, 0.0
        if max(self.used, self.slept) > seconds:
            kind = "computing" if self.used > seconds else "waiting"
            option = "--timeout" if seconds == limits.seconds else "--budget"
            return f"it was {kind} for longer than {seconds:g} s and was ended; {option} gives it more", True
        if held > limits.memory:
            return f"it held {held:.3g} GiB of memory and was ended at {limits.memory:.3g}; --memory gives it more", False
        return None


def _usage(tree: list[psutil.Process]) -> tuple[float, bool, float]:
    """Return the seconds of processor that processes have used, whether all are asleep, and the GiB that they hold."""
    processor, asleep, held = 0.0, True, 0.0
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = process.cpu_times()
            processor += times.user + times.system
            asleep = asleep and process.status() in ASLEEP
            held += process.memory_info().rss / GIB
    return processor, asleep, held


def _environment() -> dict[str, str]:
    """Return the environment of a candidate: one thread a library, as processes are side by side."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**threads, **os.environ, "PYTHONSAFEPATH": "1"}
