"""Compare two reports: what got better or worse.

Exit status 0 if nothing got worse, 1 if something did. A clause is worse when it held, or was refused, and is less than that
now; when it is wrong or errored now and was not; and when it is gone although the newer run was asked for it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from einspec.conformance.errors import UsageError

if TYPE_CHECKING:
    from einspec.conformance.reports.diff import Change

LINES = 40
"""Lines that each part shows, unless everything is asked for."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("old", type=Path, metavar="OLD.jsonl", help="the report to compare with")
    parser.add_argument("new", type=Path, metavar="NEW.jsonl", help="the report that is compared")
    parser.add_argument("--all", action="store_true", help=f"every change, not only the first {LINES} of a kind")


def run(arguments: argparse.Namespace) -> int:
    """Print what changed, the worst first."""
    from einspec.conformance.reports.diff import clauses, diff
    from einspec.conformance.reports.report import read

    old, new = read(arguments.old), read(arguments.new)
    if not set(old.backends) & set(new.backends):
        names = [", ".join(report.backends) or "nothing" for report in (old, new)]
        raise UsageError(f"no backend is in both: {arguments.old} judged {names[0]}, {arguments.new} judged {names[1]}")
    found = diff(old, new)
    for label, report in (("old", old), ("new", new)):
        state = f", {report.incomplete}" if report.incomplete else ""
        print(f"{label}: {report.header.created}, {', '.join(report.backends)}, spec {report.header.spec}{state}")
    print(*found.facts, *found.losses, sep="\n", end="\n" if found.facts or found.losses else "")
    for title, changes in (("worse", found.worse), ("better", found.better), ("changed", found.other)):
        if changes:
            print(f"\n{title}: {clauses(len(changes))}")
            lines = grouped(changes)
            shown = lines if arguments.all else lines[:LINES]
            print(*shown, sep="\n")
            if len(shown) < len(lines):
                print(f"  … and {len(lines) - len(shown)} more lines: --all shows them")
    state = "nothing got worse" if found.passed else "something got worse"
    counts = f"{len(found.worse):,} worse, {len(found.better):,} better, {len(found.other):,} otherwise changed"
    print(f"\n{state}: {counts}; {clauses(found.compared)} compared")
    return 0 if found.passed else 1


def grouped(changes: list[Change]) -> list[str]:
    """Return a line for each op, device and kind of change, with the clauses and the first reason."""
    groups: dict[tuple[str, str, str, str], list[Change]] = {}
    for change in changes:
        groups.setdefault((change.title, change.backend, change.device, change.clause.partition("/")[0]), []).append(change)
    lines = []
    for (title, backend, device, op), members in groups.items():
        kinds = [c.clause.partition("/")[2] + (f" ({c.tier})" if c.clause.endswith("/def") else "") for c in members]
        result = members[0].new or members[0].old
        reason = f": {result.reason}" if result and result.reason and result.verdict != "holds" else ""
        lines.append(f"  {title}: {backend} {device}: {op}: {', '.join(kinds)}{reason}")
    return lines
