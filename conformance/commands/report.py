"""Show reports: the matrix of one or of several machines, and where they disagree.

Exit status 0 only if every report is whole and passed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from einspec.conformance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from einspec.conformance.reports.merge import Merged

SHOWN = 12
"""Disagreements that are printed."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("reports", nargs="+", type=Path, metavar="FILE.jsonl", help="what einspec check --report wrote")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="LABEL",
        help="what to call the machine of a report, once for each in their order; the name of the file when absent",
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE|-", help="write one page that needs no network; - prints it instead of the matrix"
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE|-", help="write a summary as Markdown; - prints it instead of the matrix"
    )
    parser.add_argument("--badges", type=Path, metavar="DIR", help="write a shields.io endpoint for each backend")


def run(arguments: argparse.Namespace) -> int:
    """Merge, write what is asked for, and print."""
    from einspec.conformance import output
    from einspec.conformance.reports import summary
    from einspec.conformance.reports.merge import read_all
    from einspec.conformance.reports.page import page

    files = {"--html": arguments.html, "--markdown": arguments.markdown}
    printing = output.checked(files, arguments.reports)
    output.folder("--badges", arguments.badges)
    merged = read_all(arguments.reports, arguments.name)
    if arguments.html:
        output.put(arguments.html, page(merged))
    if arguments.markdown:
        output.put(arguments.markdown, summary.markdown(merged))
    if arguments.badges:
        try:
            summary.write_badges(merged, arguments.badges)
        except OSError as error:
            raise UsageError(f"cannot write badges into {arguments.badges}: {error.strerror}; name another folder") from error
    if not printing:
        show(merged)
    return 0 if merged.passed else 1


def show(merged: Merged) -> None:
    """Print the reports, the matrix and what follows it in a run, and where machines disagree."""
    from rich.markup import escape

    from einspec.conformance import output
    from einspec.conformance.reports import terminal

    console = output.console()
    for report in merged.reports:
        head = report.header
        facts = f"{head.created}, {head.platform}, python {head.python}, einspec {head.einspec}, spec {head.spec}"
        state = f", [bold red]{escape(report.incomplete)}[/]" if report.incomplete else ""
        console.print(f"[bold]{escape(report.label)}[/]: {escape(facts)}{state}", highlight=False, soft_wrap=True)
    terminal.show_run(merged, console)
    show_disagreements(merged, console)


def show_disagreements(merged: Merged, console: Console) -> None:
    """Print where machines disagree, a clause or a group of them at a time."""
    from rich.markup import escape

    from einspec.conformance.reports.terminal import summed

    found = merged.disagreements
    for disagreement in found[:SHOWN]:
        clauses = [c + (f" ({tier})" if c.endswith("/def") else "") for c, tier in disagreement.clauses]
        title = f"{disagreement.backend} on {disagreement.device}: {summed(clauses)}"
        console.print(f"[bold yellow]disagree[/] {escape(title)}", highlight=False, soft_wrap=True)
        for column, verdict, reason in disagreement.sides:
            said = f"{verdict}, {reason}" if reason else verdict
            console.print(f"  {escape(column.place)}: {escape(said)}", highlight=False, soft_wrap=True)
    if len(found) > SHOWN:
        console.print(f"… and {len(found) - SHOWN} more: --html FILE shows them all", highlight=False, soft_wrap=True)
