"""Several reports as one run: a column more where two machines judged the same backend, and where they disagree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from einspec.conformance.errors import UsageError
from einspec.conformance.judge.verdict import Result
from einspec.conformance.reports.lines import Backend
from einspec.conformance.reports.report import Report, read
from einspec.conformance.run.processes import shared_out
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run
from einspec.conformance.tiers import OPT_IN, TIERS

FAILING = ("wrong", "errored")
SHOWN_OPS = 6
"""Ops of a missing part that are named."""


@dataclass(frozen=True, eq=False)
class Column:
    """One backend on one device of one machine."""

    name: str
    """The backend, with its machine where another one judged it too."""
    device: str
    backend: Backend
    report: Report

    @property
    def place(self) -> str:
        """The machine and what was judged on it, in words."""
        versions = ", ".join(f"{k} {v}" for k, v in self.backend.versions.items() if k in (self.backend.framework, "numpy"))
        return f"{self.report.label} {self.device} ({', '.join(filter(None, (versions, self.backend.platform)))})"


@dataclass(frozen=True)
class Disagreement:
    """Clauses of which machines say different things, in the same words for all of them."""

    backend: str
    device: str
    """The kind of device."""
    sides: tuple[tuple[Column, str, str], ...]
    """By column: verdict and reason."""
    clauses: tuple[tuple[str, str], ...]
    """Clause and tier."""


@dataclass
class Merged(Run):
    """A run made of several reports."""

    reports: list[Report] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """The parts of sharded runs of which there is no report, in words."""

    @property
    def passed(self) -> bool:
        """Whether every report passes, and no part of a run is missing."""
        return bool(self.reports) and not self.missing and all(report.run.passed for report in self.reports)

    @property
    def disagreements(self) -> list[Disagreement]:
        """Where machines gave the same clause of the same backend on the same kind of device different verdicts."""
        return list(_disagreements(self))


def read_all(files: Sequence[Path], names: Sequence[str] = ()) -> Merged:
    """Read reports and merge them.

    Args:
        files: the reports.
        names: what to call their machines, in the same order.

    Raises:
        UsageError: a file is no report, or the names do not fit the files.
    """
    if names and len(names) != len(files):
        raise UsageError(f"{len(names)} names for {len(files)} reports: give --name once for each report, in their order")
    labels = list(names) or [""] * len(files)
    reports = [read(file, label) for file, label in zip(files, labels, strict=True)]
    seen: dict[str, int] = {}
    for report in reports:
        seen[report.label] = seen.get(report.label, 0) + 1
        if seen[report.label] > 1:
            report.label += f" ({seen[report.label]})"
    return merge(reports)


def merge(reports: Sequence[Report]) -> Merged:
    """Return reports as one run, whose backends carry the label of their machine where several judged them."""
    runs = [report.run for report in reports]
    requests = [run.request for run in runs]
    order = {tier: i for i, tier in enumerate((*TIERS, *OPT_IN))}
    request = Request(
        names=_union(r.names for r in requests),
        ops=_union(r.ops for r in requests) if all(r.ops for r in requests) else (),
        devices=_union(r.devices for r in requests) if all(r.devices for r in requests) else (),
        tiers=tuple(sorted(_union(r.tiers for r in requests), key=lambda t: order.get(t, len(order)))),
        strict=any(r.strict for r in requests),
        ties=requests[0].ties,
    )
    merged = Merged(request, complete=all(run.complete for run in runs), reports=list(reports))
    merged.seconds = round(sum(run.seconds for run in runs), 2)
    whole = _whole(reports)
    merged.missing = list(_missing(whole))
    merged.problems = list(dict.fromkeys([*(problem for run in runs for problem in run.problems), *merged.missing]))
    merged.notes = list(dict.fromkeys(note for run in runs for note in run.notes))
    labels = {id(report): parts[0].label for parts in whole for report in parts}
    holders: dict[str, set[str]] = {}
    for report in reports:
        for name in report.backends:
            holders.setdefault(name, set()).add(labels[id(report)])
    for report, run in zip(reports, runs, strict=True):
        label = labels[id(report)]
        shown = {name: f"{name} @ {label}" if len(n) > 1 else name for name, n in holders.items()}
        for name, backend in report.backends.items():
            merged.backends[shown[name]] = {**run.backends[name], "name": shown[name]}
            judged = dict.fromkeys([*backend.devices, *(r.device for r in report.results if r.backend == name)])
            there = {(c.name, c.device) for c in merged.columns}
            judged = {device: None for device in judged if (shown[name], device) not in there}
            merged.columns += [Column(shown[name], device, backend, report) for device in judged]
        merged.results += [replace(r, backend=shown.get(r.backend, r.backend)) for r in report.results]
    return merged


def _whole(reports: Sequence[Report]) -> list[list[Report]]:
    """Return the reports of each run: those of its parts together, the first of each part that comes twice alone."""
    found: dict[object, list[Report]] = {}
    for number, report in enumerate(reports):
        request = report.run.request
        asked = repr(replace(request, shard=(0, request.shard[1])))
        parts = found.get(asked, [])
        again = request.shard[1] == 1 or request.shard in [p.run.request.shard for p in parts]
        found.setdefault(number if again else asked, []).append(report)
    return list(found.values())


def _missing(whole: Iterable[Sequence[Report]]) -> Iterator[str]:
    """Yield the parts of runs that nobody has judged."""
    for parts in whole:
        request = parts[0].run.request
        count = request.shard[1]
        there = {part.run.request.shard[0] for part in parts}
        for i in range(1, count + 1) if count > 1 else ():
            if i not in there:
                ops = shared_out(replace(request, shard=(i, count)))
                shown = ", ".join(ops[:SHOWN_OPS]) + ", …" * (len(ops) > SHOWN_OPS)
                yield f"part {i} of {count} is missing: --shard {i}/{count} judges {shown}"


def _union(parts: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))


def kind_of(device: str) -> str:
    """Return the kind of a device: ``cuda`` of ``cuda:0``."""
    return device.partition(":")[0]


def _disagreements(run: Merged) -> Iterator[Disagreement]:
    columns = {(c.name, c.device): c for c in run.columns}
    said: dict[tuple[str, str, str, str], list[tuple[Column, Result]]] = {}
    for result in run.results:
        column = columns.get((result.backend, result.device))
        if column:
            key = (column.backend.name, kind_of(result.device), result.clause, result.tier)
            said.setdefault(key, []).append((column, result))
    alike: dict[tuple[str, str, tuple[tuple[Column, str, str], ...]], list[tuple[str, str]]] = {}
    for (backend, device, clause, tier), sides in said.items():
        if len({result.verdict for _, result in sides}) > 1:
            words = tuple((column, str(result.verdict), result.reason) for column, result in sides)
            alike.setdefault((backend, device, words), []).append((clause, tier))
    found = [Disagreement(*key, tuple(clauses)) for key, clauses in alike.items()]
    yield from sorted(found, key=lambda d: not any(verdict in FAILING for _, verdict, _ in d.sides))
