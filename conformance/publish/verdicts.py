"""Who meets which clause: the verdicts of reports, as they stand beside the clauses of an op."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import einspec
from einspec.card import paths
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.verdict import WORST_FIRST, Result, Verdict
from einspec.conformance.judge.witness import rows
from einspec.conformance.reports.merge import Column, Merged, read_all
from einspec.conformance.targets.names import is_of_einspec

REFERENCE = "reference"
"""The column of the implementations of einspec itself."""
MARKS = {
    Verdict.WRONG: "✗",
    Verdict.ERRORED: "!",
    Verdict.KNOWN: "✗",
    Verdict.REFUSED: "–",
    Verdict.UNSUPPORTED: "–",
    Verdict.HOLDS: "✓",
    Verdict.NOT_RUN: "·",
}
NOT_SHOWN = ("summary", "demand", "signature", "formula")
"""Parts of a witness that the page of the op shows already."""


@dataclass(frozen=True)
class Cell:
    """What became of a clause, or of several that stand in one row."""

    column: str
    verdict: Verdict
    text: str
    """Verdict and reason in words, and of which backends and devices where others say otherwise."""
    results: tuple[Result, ...]
    """Those of the verdict."""

    @property
    def mark(self) -> str:
        """A character for the verdict, which is never told by colour alone."""
        return MARKS[self.verdict]

    @property
    def name(self) -> str:
        """The verdict as the name of a class."""
        return self.verdict.replace(" ", "_")

    @property
    def witness(self) -> list[tuple[str, str]]:
        """What shows that it fails, in labels and texts: of the first result alone, whose call is the plainest."""
        shown = self.results[0].witness if self.verdict.fails or self.verdict is Verdict.KNOWN else None
        return list(rows(shown, NOT_SHOWN)) if shown else []


@dataclass
class Judged:
    """A column: a file or a library, or all implementations of einspec."""

    name: str
    about: str
    """Versions, devices and days, in words."""
    results: dict[str, list[Result]] = field(default_factory=dict)
    """By op and clause."""

    def cell(self, op: str, clauses: Collection[str]) -> Cell | None:
        """Return what became of clauses of an op, taken together; None if nobody asked."""
        found = [r for clause in clauses for r in self.results.get(f"{op}/{clause}", ())]
        if not found:
            return None
        verdict = min((r.verdict for r in found), key=WORST_FIRST.index)
        own = [r for r in found if r.verdict is verdict]
        reason = next((f": {r.reason}" for r in own if r.reason), "")
        other = [r for r in found if r.verdict not in (verdict, Verdict.NOT_RUN)]
        where = f" ({', '.join(dict.fromkeys(f'{r.backend} {r.device}' for r in own))})" if other else ""
        which = f"{own[0].clause.partition('/')[2]} " if len({r.clause for r in found}) > 1 else ""
        return Cell(self.name, verdict, f"{which}{verdict}{where}{reason}", tuple(own))

    def counts(self, op: str) -> Mapping[str, int]:
        """Return how many clauses of an op there are by verdict."""
        clauses = [id_.partition("/")[2] for id_ in self.results if id_.partition("/")[0] == op]
        cells = [cell for clause in clauses if (cell := self.cell(op, (clause,)))]
        return {v: n for v in WORST_FIRST if (n := sum(c.verdict is v for c in cells))}


def read(files: Sequence[Path]) -> list[Judged]:
    """Return the columns of reports, those of others first.

    Raises:
        UsageError: a file is no report, or one of another version of the spec.
    """
    merged = read_all(files)
    for path, report in zip(files, merged.reports, strict=True):
        if report.header.spec != einspec.SPEC_VERSION:
            raise UsageError(
                f"{path} judges spec {report.header.spec}, and the pages are those of {einspec.SPEC_VERSION}: judge again"
            )
    return columns(merged)


def columns(run: Merged) -> list[Judged]:
    """Return the columns of a merged run."""
    groups: dict[str, list[Column]] = {}
    for column in run.columns:
        groups.setdefault(REFERENCE if is_of_einspec(column.backend.name) else column.name, []).append(column)
    names = sorted(groups, key=lambda name: name == REFERENCE)
    return [Judged(name, _about(groups[name]), _results(run, groups[name])) for name in names]


def _results(run: Merged, group: Sequence[Column]) -> dict[str, list[Result]]:
    places, known = {(c.name, c.device) for c in group}, set(paths())
    found: dict[str, list[Result]] = {}
    for result in run.results:
        if (result.backend, result.device) in places and result.op in known:
            found.setdefault(result.clause, []).append(result)
    return found


def _about(group: Sequence[Column]) -> str:
    """Return what stands for which versions and devices a column speaks, and since when."""
    shown = [(c.backend.versions, (c.backend.framework, "numpy")) for c in group]
    versions = dict.fromkeys(f"{name} {v}" for own, names in shown for name, v in own.items() if name in names)
    devices = dict.fromkeys(c.device for c in group)
    days = sorted({c.report.header.created[:10] for c in group})
    lost = dict.fromkeys(c.report.incomplete for c in group if c.report.incomplete)
    return "; ".join([", ".join(versions), ", ".join(devices), " to ".join(dict.fromkeys((days[0], days[-1]))), *lost])
