"""Judging several targets side by side, one process each, and gathering what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from einspec.card import paths
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.run.agreement import agreements
from einspec.conformance.run.events import Described, Event, Judged, Printed, Problem, Sample
from einspec.conformance.run.processes import happenings, shared_out
from einspec.conformance.run.request import Request


@dataclass
class Run:
    """What became of a request."""

    request: Request
    results: list[Result] = field(default_factory=list)
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By backend: versions, devices that were judged, devices that are not there, ops that it defines."""
    problems: list[str] = field(default_factory=list)
    """What was asked for and could not be judged at all, and known failures that hold."""
    notes: list[str] = field(default_factory=list)
    """What a backend did besides, such as printing."""
    seconds: float = 0.0
    complete: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The number of results by verdict."""
        counts: dict[str, int] = {}
        for result in self.results:
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
        return counts

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for was judged and holds."""
        strict = self.request.strict
        judged = {r.backend for r in self.results if r.instances and r.verdict is Verdict.HOLDS}
        return (
            self.complete
            and not self.problems
            and not any(r.verdict.fails or (strict and r.verdict is Verdict.REFUSED) for r in self.results)
            and bool(self.backends)
            and judged >= set(self.backends)
        )

    @property
    def unjudged(self) -> list[str]:
        """The ops whose definition was not judged, whatever else was: of files, which so say nothing, and under a budget.

        What whoever asks gives as known failures is another matter.
        """
        found = []
        silent = {Verdict.UNSUPPORTED, Verdict.NOT_RUN} | (set() if self.request.known else {Verdict.KNOWN})
        for name, backend in self.backends.items():
            own = [r for r in self.results if r.backend == name and r.clause.endswith("/def")]
            due = backend["bare"] or bool(self.request.budget)
            for op in backend["ops"] if due and "scope" in self.request.tiers else ():
                verdicts = {r.verdict for r in own if r.op == op}
                unasked = any(r.unasked for r in own if r.op == op)
                if verdicts and verdicts <= silent and (backend["bare"] or unasked):
                    within = f" within the budget of {self.request.budget:g} s" * unasked
                    found.append(f"{name}: {op}/def was not judged{within}, so nothing is known of {op}")
        return found


def check(request: Request, listen: Callable[[Event], object] = lambda _: None) -> Run:
    """Judge what is asked for and return the run.

    Args:
        request: what is asked for.
        listen: told what happens while it goes on.
    """
    run, started = Run(request), time.perf_counter()
    samples: dict[str, dict[str, Sample]] = {}
    order = {op: i for i, op in enumerate(paths())}
    try:
        for event in happenings(request):
            _take(run, event, samples)
            listen(event)
        run.backends = dict(sorted(run.backends.items(), key=lambda item: asked_at(request, item[0])))
        names = {name: i for i, name in enumerate(run.backends)}
        run.results.sort(key=lambda r: (names[r.backend], r.device, order[r.op]))
        run.results += agreements(dict(sorted(samples.items(), key=lambda item: order[item[0]])))
        run.problems += [*_missing(run), *_stale(run), *run.unjudged]
        run.complete = True
    except KeyboardInterrupt:
        run.problems.append("interrupted: the results so far are kept")
    run.seconds = round(time.perf_counter() - started, 2)
    return run


def _take(run: Run, event: Event, samples: dict[str, dict[str, Sample]]) -> None:
    """Add what has happened to a run; what several processes say the same of is said once."""
    match event:
        case Described(backend):
            known = run.backends.setdefault(backend["name"], backend)
            known["ops"] = sorted({*known["ops"], *backend["ops"]}, key=list(paths()).index)
        case Judged(result):
            run.results.append(result)
        case Problem(text):
            run.problems += [text] if text not in run.problems else []
        case Printed(backend, op, size, text):
            run.notes.append(f"{backend} printed {size:,} bytes while {op} was judged: {text!r}")
        case Sample():
            samples.setdefault(event.op, {})[event.backend] = event


def asked_at(request: Request, backend: str) -> int:
    """Return the place of a backend among the names that were asked for."""
    names = [name if backend == name else Path(name).name for name in request.names]
    return next((i for i, name in enumerate(names) if backend == name or backend.startswith(f"{name} (")), len(names))


def _stale(run: Run) -> Iterator[str]:
    """Yield which known failures hold, and the line to be deleted."""
    for result in run.results:
        if result.stale:
            yield f"{result.clause} ({result.tier}) holds on {result.backend}, {result.device}: delete {result.stale}"


def _missing(run: Run) -> Iterator[str]:
    """Yield what was asked for by name and is nowhere."""
    for op in run.request.ops:
        if run.backends and not any(op in b["ops"] for b in run.backends.values()) and not any(r.op == op for r in run.results):
            yield f"{op}: none of {', '.join(run.backends)} defines it"
    for name, backend in run.backends.items():
        if run.request.ops and not set(run.request.ops) & set(backend["ops"]):
            yield f"{name}: unsupported, it does not define {', '.join(run.request.ops)}"
    for device in run.request.devices:
        if not any(device in (r.device, r.device.partition(":")[0], r.device.partition(" ")[0]) for r in run.results):
            have = "; ".join(f"{n} has {', '.join(b['available'])}" for n, b in run.backends.items())
            yield f"{device}: not run, no backend has this device here ({have})"


def total_ops(request: Request, backends: Iterable[Mapping[str, Any]]) -> int:
    """Return how many ops are judged in all, over devices."""
    wanted = set(shared_out(request))
    return sum(len(wanted.intersection(b["ops"])) * len(b["devices"]) for b in backends)
