"""A target on one device, spoken to over the wall: NumPy arrays in, NumPy arrays or an exception out."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from einspec.calls.cases import bank
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.card import Op, load
from einspec.conformance import protocol
from einspec.conformance.protocol import Call, Input, Raised, Settled, Target, Try, tensor
from einspec.conformance.targets.budget import SPENT, Budget
from einspec.conformance.targets.declared import Known, Unsupported, read_known, read_unsupported
from einspec.conformance.targets.library import Adapter, Library, read_library
from einspec.conformance.targets.names import TargetError, is_data
from einspec.conformance.targets.process import Limits, LostError, RunnerProcess
from einspec.conformance.trial import WRONG_KIND, Outcome, Trial, WrongKindError, unpacked, without_scalars
from einspec.dtypes import FLOAT8, USUAL

EXTENSION = ("bfloat16", *FLOAT8)
"""Dtypes that NumPy has from ml_dtypes."""
AT_ONCE = 256
"""How many calls that were made up one by one are asked for together."""


class Host:
    """The process of a name, begun again where it was lost."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        cache: str = "",
        functions: Mapping[str, str] | None = None,
        ranks: tuple[int, ...] = (),
    ) -> None:
        self.name, self.limits, self.cache, self.ranks = name, limits, cache, ranks
        self.functions = dict(functions or {})
        self.frameworks: dict[str, str] = {}
        self.running: RunnerProcess | None = None
        self.targets: tuple[Target, ...] = ()
        self.library: Library | None = None
        """What the name says where it is that of a file of adapters."""
        self.data = ""
        self.used_before = self.loading = 0.0
        """What processes that have ended used since they had imported it, and what the one at hand had used by then."""

    @property
    def used(self) -> float:
        """The seconds of a processor that calls have used, with what they have waited for something else."""
        return self.used_before + (max(self.running.used - self.loading, 0.0) if self.running is not None else 0.0)

    @property
    def process(self) -> RunnerProcess:
        """The process, with the candidate imported.

        Raises:
            LostError: it does not survive that.
            TargetError: nothing can be judged.
        """
        if self.running is None:
            if is_data(self.name) and self.library is None:
                self.library, self.data = read_library(Path(self.name))
            self.running = RunnerProcess(self.name, self.limits, self.cache, self.data, self.ranks)
            loaded = self._load()
            if loaded.problem:
                self.close()
                raise TargetError(loaded.problem)
            self.targets = loaded.targets
            self.loading = self.running.used
        return self.running

    def _load(self) -> protocol.Loaded:
        assert self.running is not None
        try:
            return self.running.load(self.frameworks, self.functions)
        except LostError:
            self.close()
            raise

    def choose(self, functions: Mapping[str, str]) -> tuple[Target, ...]:
        """Return what the name stands for where functions of these names stand for ops, imported once.

        Raises:
            TargetError: there is no such function.
        """
        self.functions, self.frameworks = dict(functions), {}
        try:
            if self.running is not None:
                loaded = self._load()
                if loaded.problem:
                    raise TargetError(loaded.problem)
                self.targets = loaded.targets
        except LostError:
            self.close()
        return self.open()

    def open(self) -> tuple[Target, ...]:
        """Return what the name stands for; a file whose functions work on several frameworks gives one each.

        Raises:
            TargetError: nothing of that name can be judged; the message says why.
        """
        try:
            for target in self._described():
                for function in target.functions:
                    if len(function.frameworks) > 1:
                        self._choose(function.op, function.frameworks)
            if self.frameworks:
                self.close()  # what was called to find out counts for nothing
                self._described()
        except LostError as error:
            raise TargetError(f"{self.name}: nothing was judged: {error.reason}") from error
        return self.targets

    def _described(self) -> tuple[Target, ...]:
        assert self.process
        return self.targets

    def _choose(self, op: str, frameworks: Sequence[str]) -> None:
        """Choose the framework whose arrays a function takes: the first of which a call gives an array."""
        call = probe_call(load(op))
        self.frameworks[op] = frameworks[0]
        for framework in frameworks:
            try:
                if self.process.value(Try(op, framework, call)):
                    self.frameworks[op] = framework
                    return
            except LostError:
                self.close()

    def close(self) -> None:
        """End the process; another one begins where it is asked for."""
        if self.running is not None:
            self.used_before, self.loading = self.used, 0.0
            self.running.close()
            self.running = None


def probe_call(op: Op) -> Call:
    """Return a call by which to see whose arrays a function takes."""
    case = bank(op)[0]
    inputs = []
    for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True):
        array = np.zeros(shape, USUAL.get(case.form.group(spec.name), "float32"))
        parts = array if spec.listed else [array]
        inputs.append(Input(spec.name, tuple(tensor(np.asarray(p)) for p in parts), spec.listed))
    return Call(dict(case.params), tuple(inputs))


class Session:
    """A target on one device."""

    def __init__(self, host: Host | None, target: Target, device: str, known: Iterable[Known] = ()) -> None:
        """Take a target, and the failures that it is known to have besides those that it declares itself.

        Raises:
            DeclarationError: its file of known failures cannot be used.
        """
        self.host, self.target, self.device = host, target, device
        self.functions = {f.op: f for f in target.functions}
        self.unsupported: list[Unsupported] = read_unsupported(list(target.unsupported))
        own = read_known(Path(target.known_failures)) if target.known_failures else []
        self.known = [*own, *known]
        self.changes: list[str] = []
        """What calls have changed around them, since this was looked at last."""
        self.positional: set[str] = set()
        self.not_traceable: set[str] = set()
        self.uses: dict[str, None] = {}
        self.admitted: dict[str, None] = {}
        """The conventions of an adapter by which results were read, since this was looked at last."""
        self.budget: Budget | None = None
        """What the op at hand may take."""

    @property
    def framework(self) -> str:
        """The framework whose arrays the functions take."""
        return self.target.framework

    @property
    def bare(self) -> bool:
        """Whether it is a file of functions."""
        return self.target.bare

    def adapter(self, op: str) -> Adapter | None:
        """Return what a file of adapters says of an op; None where the target is none."""
        library = self.host.library if self.host is not None else None
        return library.adapter(op) if library is not None and op in library.op else None

    @property
    def ranks(self) -> tuple[int, ...]:
        """On how many ranks the functions run; on none if they take whole tensors."""
        return self.target.ranks

    @property
    def compiles(self) -> bool:
        """Whether every new shape costs the framework a compilation."""
        return "many" in self.target.offers

    def excuse(self, op: str, clause: str) -> str:
        """Return why the target says that it does not offer a clause of an op here, or nothing."""
        entry = next((u for u in self.unsupported if u.covers(op, clause, self.device)), None)
        return f"{entry.reason} {entry.url}".strip() if entry else ""

    def holds_dtype(self, op: str, dtype: str, strict: bool) -> bool:
        """Whether the target holds a dtype, and does not say that an op has it not.

        A bare NumPy file need not know those of ml_dtypes.
        """
        foreign = self.bare and not strict and self.framework == "numpy" and dtype in EXTENSION
        return dtype in self.target.dtypes and not foreign and not self.excuse(op, f"dtype.{dtype}")

    def lays_out(self, memory: str) -> bool:
        """Whether the adapter has arrays in a memory layout; in the usual one if it has no name."""
        return not memory or memory in self.target.layouts or (memory == "expanded" and "expanded" in self.target.offers)

    def stream(self, op: str, calls: bytes, careful: bool = False) -> Iterator[protocol.Outcome]:
        """Yield what comes of calls of an op, in order; what they have changed is noted in the end.

        Where there is a budget, those for which there is no time are not made.

        Raises:
            LostError: the process was lost over one of them.
        """
        if self.budget is None:
            yield from self._made(op, calls, careful)
            return
        made = 0
        with contextlib.closing(self._made(op, calls, careful=True)) as came:  # each outcome is said as soon as it is there
            while self.at_hand or not self.budget.spent:
                outcome = next(came, None)
                if outcome is None:
                    break
                made += 1
                yield outcome
        for number in range(made, protocol.count(calls)):
            yield protocol.Outcome(number, outside=SPENT)

    @property
    def at_hand(self) -> int:
        """How many outcomes have come that nobody has looked at yet."""
        return self.host.running.at_hand if self.host is not None and self.host.running is not None else 0

    def _made(self, op: str, calls: bytes, careful: bool) -> Generator[protocol.Outcome, None, None]:
        """Yield what comes of calls of an op, all of them made."""
        assert self.host is not None
        process = self.host.process
        came = process.outcomes(process.ask(self.target.name, self.device, op, calls, careful))
        settled = False
        adapter = self.adapter(op)
        conditional = adapter is not None and bool(adapter.where)  # who has said nothing leaves out nothing
        try:
            for outcome in came:
                if isinstance(outcome, Settled):
                    settled = True
                    self._settle(op, outcome)
                    return
                if outcome.eager:
                    self.not_traceable.add(op)
                self.admitted |= dict.fromkeys(outcome.admitted)
                yield outcome if conditional else msgspec.structs.replace(outcome, outside="")
        except LostError:
            settled = True
            self.host.close()
            raise
        finally:
            if not settled:
                self._drain(op, came)

    def _drain(self, op: str, came: Iterator[protocol.Outcome | Settled]) -> None:
        """Take what still comes of calls that nobody looks at any more."""
        assert self.host is not None
        self.stop()
        try:
            for outcome in came:
                if isinstance(outcome, Settled):
                    self._settle(op, outcome)
        except LostError:
            self.host.close()

    def _settle(self, op: str, settled: Settled) -> None:
        self.changes += settled.changes
        if settled.positional:
            self.positional.add(op)
        self.uses |= dict.fromkeys(settled.uses)

    def stop(self) -> None:
        """Say that what is still to come of the calls at hand is not wanted."""
        if self.host is not None and self.host.running is not None:
            self.host.running.stop_asking()

    def run(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Yield the outcome of every trial of an op, in order."""
        for start in range(0, len(trials), AT_ONCE):
            part = trials[start : start + AT_ONCE]
            calls = protocol.encode([t.call() for t in part])
            came = list(self.stream(part[0].case.op.name, calls))
            for trial, outcome in zip(part, came, strict=True):
                yield self.outcome(trial, outcome)

    def one(self, trial: Trial) -> Outcome:
        """Return the outcome of one trial."""
        return next(iter(self.run([trial])))

    def outcome(self, trial: Trial, came: protocol.Outcome) -> Outcome:
        """Return what a function returned as NumPy arrays by name."""
        specs = {s.name: s for s in trial.case.form.signature.outputs}
        found = told(came, trial.expected, specs, self.target)
        adapter = self.adapter(trial.case.op.name)
        wrong = found.error is not None and found.error.name == WRONG_KIND and came.result is not None
        if adapter is None or "python_scalars" not in adapter.admit or not wrong:
            return found
        names = {n: w for n, w in trial.expected.items() if not n.startswith("cotangent of ")}
        again = msgspec.structs.replace(came, result=without_scalars(came.result, names))  # type: ignore[arg-type]
        other = told(again, trial.expected, specs, self.target)
        return dataclasses.replace(other, scalars=True) if other.error is None else found

    def free_memory(self) -> int | None:
        """Return how many bytes the device has free, None where it has no memory of its own."""
        if self.device == "cpu" or "memory" not in self.target.offers or self.host is None:
            return None
        return self.host.process.value(protocol.Memory(self.target.name, self.device))

    def takes(self, found: Sequence[Case]) -> list[bool]:
        """Return for each call of an op whether the target gives some result for it."""
        calls = [Trial(case, ramps(case), {}).call() for case in found]
        if not calls:
            return []
        with self.budget.whole() if self.budget is not None else contextlib.nullcontext():
            came = list(self.stream(found[0].op.name, protocol.encode(calls)))
        return [outcome.error is None and not outcome.outside for outcome in came]


def told(came: protocol.Outcome, wants: Any, specs: Any, target: Target) -> Outcome:
    """Return what came over the wall, as the outputs that were expected or an error."""
    if came.outside:
        return Outcome(outside=came.outside)
    if came.error is not None or came.result is None:
        return Outcome(error=came.error or Raised("Error", "nothing came"), eager=came.eager)
    names = [n for n in wants if not n.startswith("cotangent of ")]
    try:
        found = unpacked(came.result, {n: wants[n] for n in names}, specs, target)
        for name in wants:
            if name not in names:
                item = came.runs.get(name.removeprefix("cotangent of "))
                if item is None:
                    raise WrongKindError(f"gave no {name}")
                found |= unpacked(item, {name: wants[name]}, {}, target)
    except WrongKindError as error:
        return Outcome(error=Raised("WrongKind", str(error), broken=True), eager=came.eager)
    parts = came.runs["outputs"].parts if "outputs" in came.runs else ()
    beside = {n: p.tensor.array() for n, p in zip(specs, parts, strict=False) if p.tensor is not None and p.tensor.is_whole}
    return Outcome(found, eager=came.eager, beside=beside)
