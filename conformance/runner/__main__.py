"""The process of a candidate: ``python -m einspec.conformance.runner``, spoken to through its standard streams."""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from einspec.card import load
from einspec.conformance import protocol
from einspec.conformance.confine import confine_candidate
from einspec.conformance.protocol import (
    LENGTH,
    Ask,
    Came,
    Load,
    Loaded,
    Memory,
    Probe,
    Reply,
    Request,
    Said,
    Settled,
    Target,
    Try,
    parameters,
)
from einspec.conformance.runner.independence import Watch
from einspec.conformance.runner.library import DataModule
from einspec.conformance.runner.loading import Candidate, Module, adapter_of, works_on
from einspec.conformance.runner.probing import Prober, opened
from einspec.conformance.runner.ranks.calls import RankedCalls
from einspec.conformance.runner.ranks.nursery import LostRankError
from einspec.conformance.runner.state import changes, process_state, restore
from einspec.conformance.runner.ways import Calls, raised, whole
from einspec.conformance.targets.names import TargetError

FLUSH = 1 << 16
"""Bytes of results after which these are said, so that they are judged while the next are made."""
MOST_HELD = 128
"""Outcomes after which they are said, if they are small."""
WAIT = 0.1
"""Seconds after which they are said however few they are."""


class Runner:
    """One candidate, and what it has been asked."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self.requests, self.replies = requests, replies
        self.module: Module | DataModule | None = None
        self.candidates: dict[str, Candidate] = {}
        self.calls: dict[tuple[str, str], Calls] = {}
        self.ranked: RankedCalls | None = None
        """What makes the calls where they are made on ranks, none of which this process is."""
        self.watch = Watch()
        self.prober: Prober | None = None
        self.progress: mmap.mmap | bytearray = bytearray(16)

    def serve(self) -> None:
        """Answer until there is nothing more to answer."""
        while len(head := self.requests.read(LENGTH.size)) == LENGTH.size:
            (length,) = LENGTH.unpack(head)
            request = protocol.requests.decode(self.requests.read(length))
            try:
                self.answer(request)
            except LostRankError as error:
                self.say(protocol.Lost(str(error)))
            except (Exception, SystemExit) as error:  # of an adapter: what a function raises is an outcome
                self.say(protocol.Broken(raised(error)))

    def answer(self, request: Request) -> None:
        """Answer one request."""
        match request:
            case Load(probed=True):
                self.say(self.hold(request))
            case Load():
                self.say(self.load(request))
            case Probe():
                self.say(self.prober.answer(request) if self.prober else protocol.Found())
            case Ask():
                self.ask(request)
            case Try():
                self.say(Said(int(self.attempt(request))))
            case Memory():
                self.say(Said(int(self.candidates[request.target].adapter.memory(request.device))))

    def say(self, reply: Reply) -> None:
        """Send one message."""
        data = protocol.encode(reply)
        self.replies.write(LENGTH.pack(len(data)) + data)
        self.replies.flush()

    def load(self, request: Load) -> Loaded:
        """Import the candidate, or choose frameworks for one that is imported."""
        if self.module is None and self.ranked is None:
            self.prepare(request)
        if request.ranks:
            self.ranked = self.ranked or RankedCalls(request.name, self.watch, request.prints)
            return self.ranked.load(request.functions, request.ranks)
        try:
            self.module = self.module or opened_module(request)
            self.module.choose(request.functions)
            unsettled = {op: self.module.frameworks(op) for op in self.module.functions}
            found = self.module.candidates(request.frameworks)
            described = [self.described(c, unsettled, request.frameworks) for c in found]
        except TargetError as error:
            return Loaded(problem=str(error))
        self.candidates = {c.name: c for c in found}
        self.calls = {}
        for candidate in found:
            if hasattr(candidate.adapter, "start") and request.cache:
                candidate.adapter.start(Path(request.cache))
        return Loaded(tuple(described))

    def prepare(self, request: Load) -> None:
        """Lead a process group, print to files, look for modules where the judge does, and listen."""
        detach(Path(request.prints))
        sys.path[:] = request.path or sys.path
        with (Path(request.prints) / "progress").open("r+b") as file:
            self.progress = mmap.mmap(file.fileno(), 16)
        confine_candidate()
        self.watch.start(request.cache)

    def hold(self, request: Load) -> protocol.Found:
        """Import a name to probe its adapter."""
        self.prepare(request)
        warnings.simplefilter("ignore")  # what a framework warns of is no news here
        try:
            self.prober, found = opened(request.name)
        except (Exception, SystemExit) as error:
            return protocol.Found(error=raised(error.__cause__ or error))
        return found

    def described(self, candidate: Candidate, unsettled: Any, chosen: Any) -> Target:
        """Return what the judge is told of a candidate, with what is still to be chosen."""
        target = candidate.describe()
        functions = []
        for function in target.functions:
            options = unsettled[function.op]
            several = len(options) > 1 and function.op not in chosen
            functions.append(msgspec.structs.replace(function, frameworks=options if several else ()))
        target.functions = tuple(functions)
        return target

    def attempt(self, request: Try) -> bool:
        """Say whether the function of an op takes the arrays of a framework."""
        assert self.module is not None
        self.begin(0)
        try:
            adapter = adapter_of(request.framework)
        except TargetError:
            return False
        args: list[Any] = []
        for given in request.call.inputs:
            parts = [adapter.asarray(whole(t), "cpu") for t in given.parts]
            args.append(parts if given.listed else parts[0])
        function = self.module.functions[request.op][1]
        return works_on(load(request.op), function, adapter, args, parameters(request.call))

    def begin(self, number: int) -> bool:
        """Note which call is at hand; false if no more are wanted."""
        self.progress[0:8] = LENGTH.pack(number)
        return not any(self.progress[8:16])

    def ask(self, request: Ask) -> None:
        """Make calls, say what comes of them while the next are made, and in the end what they have changed."""
        if self.ranked is not None:
            self.make(request, self.ranked)
            self.say(msgspec.structs.replace(self.ranked.settle(), ticket=request.ticket))
            return
        key = (request.target, request.device)
        candidate = self.candidates[request.target]
        if key not in self.calls:
            self.calls[key] = Calls(candidate, request.device)
        before = process_state(candidate.adapter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a framework warns of is no news here
            self.make(request, self.calls[key])
        changed = tuple(changes(before, process_state(candidate.adapter)))
        if changed:
            restore(candidate.adapter, before)
        positional = request.op in candidate.positional
        self.say(Settled(request.ticket, changed, positional, self.watch.used()))

    def make(self, request: Ask, maker: Calls | RankedCalls) -> None:
        """Make calls, and say what comes of them while the next are made."""
        calls = protocol.calls.decode(request.calls)
        held: list[protocol.Outcome] = []
        size, said = 0, time.monotonic()
        for outcome in maker.make(request.op, calls, self.begin):
            held.append(outcome)
            size += _bytes(outcome)
            late = time.monotonic() - said > WAIT
            if request.careful or late or size > FLUSH or len(held) >= MOST_HELD:
                self.say(Came(request.ticket, tuple(held)))
                held, size, said = [], 0, time.monotonic()
        if held:
            self.say(Came(request.ticket, tuple(held)))


def opened_module(request: Load) -> Module | DataModule:
    """Return what a name stands for: what it imports, or a file of adapters.

    Raises:
        TargetError: nothing of that name can be judged.
    """
    return DataModule(request.name, request.data) if request.data else Module(request.name)


def _bytes(outcome: protocol.Outcome) -> int:
    """Return about how many bytes an outcome has."""
    result = outcome.result
    if result is None:
        return 100
    parts = result.parts or (result,)
    return sum(len(p.tensor.data) for p in parts if p.tensor is not None) + 50


def detach(prints: Path) -> None:
    """Lead a process group of its own, send what is printed to files, and leave a trace when the process is lost."""
    if hasattr(os, "setsid"):
        with contextlib.suppress(OSError):
            os.setsid()
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


def main() -> None:
    """Keep the streams for the judge, and serve."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    for stream in (requests, replies):
        os.set_inheritable(stream.fileno(), False)
    Runner(requests, replies).serve()


if __name__ == "__main__":
    main()
