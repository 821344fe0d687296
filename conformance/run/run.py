"""Judging several targets side by side, one process each, and gathering what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from einspec.card import paths
from einspec.conformance.checks.agreement import agreements
from einspec.conformance.judge.judge import Result
from einspec.conformance.run.processes import messages
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
        failing = {"wrong", "errored"} | ({"refused"} if self.request.strict else set())
        judged = {r.backend for r in self.results if r.instances and r.verdict == "holds"}
        return (
            self.complete
            and not self.problems
            and not any(r.verdict in failing for r in self.results)
            and bool(self.backends)
            and judged >= set(self.backends)
        )


def check(request: Request, listen: Callable[[str, Any], object] = lambda kind, data: None) -> Run:
    """Judge what is asked for and return the run.

    Args:
        request: what is asked for.
        listen: told what happens: ``backend`` (a description), ``unit`` (about to be judged), ``result``, ``finished`` (an op).
    """
    run, started = Run(request), time.perf_counter()
    samples: dict[str, dict[str, Any]] = {}
    try:
        for kind, data in messages(request):
            if kind == "backend":
                known = run.backends.setdefault(data["name"], data)
                known["ops"] = sorted({*known["ops"], *data["ops"]}, key=list(paths()).index)
            elif kind == "result":
                run.results.append(data)
            elif kind == "problem":
                run.problems += [data] if data not in run.problems else []  # several processes may say the same
            elif kind == "printed":
                run.notes.append("{backend} printed {bytes:,} bytes while {op} was judged: {text!r}".format_map(data))
            elif kind == "sample":
                samples.setdefault(data["op"], {})[data["backend"]] = data
            listen(kind, data)
        run.backends = dict(sorted(run.backends.items(), key=lambda item: asked_at(request, item[0])))
        run.results.sort(key=lambda r: (list(run.backends).index(r.backend), r.device, list(paths()).index(r.op)))
        run.results += agreements(samples)
        run.problems += [*_missing(run), *_stale(run)]
        run.complete = True
    except KeyboardInterrupt:
        run.problems.append("interrupted: the results so far are kept")
    run.seconds = round(time.perf_counter() - started, 2)
    return run


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
        if not any(device in (r.device, r.device.partition(":")[0]) for r in run.results):
            have = "; ".join(f"{n} has {', '.join(b['available'])}" for n, b in run.backends.items())
            yield f"{device}: not run, no backend has this device here ({have})"


def total_ops(backends: Iterable[Mapping[str, Any]]) -> int:
    """Return how many ops are judged in all, over devices."""
    return sum(len(b["ops"]) * len(b["devices"]) for b in backends)
