"""What became of each op in each library: a mark, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from einspec.card import paths
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.reports.report import Report, read
from einspec.conformance.world.libraries import Library, libraries

SUFFIX = ".jsonl"


class Mark(StrEnum):
    """What an op of a library came to, clauses taken together."""

    HOLDS = "✓"
    """What was judged is as the card says."""
    ADMITTED = "≈"
    """It is, with the conventions that the adapter admits."""
    WRONG = "✗"
    """A clause is wrong."""
    REFUSED = "–"
    """The definition is refused with a clear exception."""
    UNDECIDED = "?"
    """There is no verdict on the definition."""
    ABSENT = "·"
    """The library does not offer it."""


SAID = {
    Mark.HOLDS: "holds",
    Mark.ADMITTED: "holds with what is admitted",
    Mark.WRONG: "wrong",
    Mark.REFUSED: "refused",
    Mark.UNDECIDED: "no verdict",
    Mark.ABSENT: "not offered",
}
"""The marks in words, in the order in which they are counted."""


def mark(results: Iterable[Result]) -> Mark:
    """Return what an op came to."""
    found = list(results)
    verdicts = {r.verdict for r in found}
    definition = {r.verdict for r in found if r.clause.endswith("/def")}
    if not found:
        return Mark.ABSENT
    if Verdict.WRONG in verdicts:
        return Mark.WRONG
    if Verdict.ERRORED in verdicts or not definition & {Verdict.HOLDS, Verdict.REFUSED}:
        return Mark.UNDECIDED
    if Verdict.HOLDS not in definition:
        return Mark.REFUSED
    return Mark.ADMITTED if any(r.admitted for r in found) else Mark.HOLDS


@dataclass(frozen=True)
class Judged:
    """A library as its report has it."""

    name: str
    library: Library
    report: Report
    results: Mapping[str, list[Result]] = field(default_factory=dict)
    """By op."""

    @property
    def versions(self) -> str:
        """The packages that were judged, with their versions."""
        found = {name: v for backend in self.report.backends.values() for name, v in backend.versions.items()}
        return ", ".join(f"{name} {found[name]}" for name in self.library.requires if name in found)

    def mark(self, op: str) -> Mark:
        """Return what an op came to."""
        return mark(self.results.get(op, ()))

    @property
    def counts(self) -> dict[Mark, int]:
        """How many ops there are of each mark."""
        found = [self.mark(op) for op in self.results]
        return {m: found.count(m) for m in SAID}


def judged(folder: Path) -> list[Judged]:
    """Return the libraries of which a folder holds a report, in the order in which they are shown.

    Raises:
        UsageError: a report cannot be read.
    """
    found = []
    for name, library in libraries().items():
        path = folder / f"{name}{SUFFIX}"
        if path.exists():
            report = read(path, name)
            results: dict[str, list[Result]] = {}
            for result in report.results:
                if result.op in paths():
                    results.setdefault(result.op, []).append(result)
            found.append(Judged(name, library, report, results))
    return found
