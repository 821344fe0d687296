"""What a run looks like in a terminal: a progress bar, the matrix op x backend x device, then the failures."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from einspec.card import paths
from einspec.conformance.judge.known import NOT_REPLAYED
from einspec.conformance.judge.verdict import WORST_FIRST, Result, Verdict
from einspec.conformance.judge.witness import rows
from einspec.conformance.reports.conventions import conventions, within_budget
from einspec.conformance.run.events import Began, Described, Event, Finished, Judged
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run, total_ops

MARKS = {
    "holds": ("✓", "green"),
    "refused": ("refused", "yellow"),
    "known": ("known", "yellow"),
    "wrong": ("WRONG", "bold red"),
    "errored": ("ERROR", "bold magenta"),
    "unsupported": ("unsupported", "cyan"),
    "not run": ("·", "dim"),
}
LINES = 4
"""Into how many parts lines divide a run where there is no bar."""
SHOWN = 12
"""Failures that are printed in full."""


class Watcher:
    """Follows a run with a progress bar; with a line now and then where the output is no terminal."""

    def __init__(self, console: Console, visible: bool, request: Request) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=console, transient=True, disable=not visible)
        self.task = self.progress.add_task("judging", total=None)
        self.backends: dict[str, dict[str, Any]] = {}
        self.failed = False
        self.finished = self.said = 0
        self.request = request
        self.line(f"judging {', '.join(request.names)}")

    @property
    def total(self) -> int:
        """How many ops are judged in all, as far as it is known which there are."""
        return total_ops(self.request, self.backends.values())

    def line(self, text: str) -> None:
        """Print a line where there is no bar."""
        if self.progress.disable:
            self.progress.console.print(f"einspec: {text}", markup=False, highlight=False, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        """Take what happens in a run; the first failure of all is shown at once."""
        match event:
            case Described(backend):
                self.backends[backend["name"]] = backend
                self.progress.update(self.task, total=self.total)
            case Began(backend, op):
                self.progress.update(self.task, description=f"{backend}: {op}")
            case Finished():
                self.progress.advance(self.task)
                self.finished += 1
                part = LINES * self.finished // max(self.total, 1)
                if self.said < part < LINES:
                    self.said = part
                    self.line(f"{self.finished} of {self.total} ops judged")
            case Judged(result) if result.verdict.fails and not self.failed:
                self.failed = True
                text = f"{result.verdict.upper()} {result.clause} · {result.backend}: {result.reason}"
                self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def show_run(run: Run, console: Console, hints: Iterable[str] = ()) -> None:
    """Print the matrix of a run, what was not judged, the failures, and what else can be said of them."""
    if run.results:
        console.print(matrix(run))
    for line in remarks(run):
        console.print(line, highlight=False, soft_wrap=True)
    show_failures(run, console)
    for hint in hints:
        console.print(hint, markup=False, highlight=False, soft_wrap=True)
    for problem in run.problems:
        console.print(f"[bold red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
    console.print(verdict_line(run), highlight=False, soft_wrap=True)


def matrix(run: Run) -> Table:
    """Return the table op x backend x device."""
    columns = list(dict.fromkeys((r.backend, r.device) for r in run.results))
    table = Table(title=None, header_style="bold", pad_edge=False)
    table.add_column("op", no_wrap=True)
    for backend, device in columns:
        table.add_column(escape(f"{backend}\n{device}"), justify="right")
    cells: dict[tuple[str, str, str], list[Result]] = {}
    for result in run.results:
        cells.setdefault((result.op, result.backend, result.device), []).append(result)
    present = {r.op for r in run.results}
    known = [op for op in paths() if op in present]
    for op in (*known, *sorted(present - {*known})):
        table.add_row(op, *(cell(cells.get((op, *column), [])) for column in columns))
    return table


def cell(results: list[Result]) -> str:
    """Return what the matrix says of an op on a device: how many clauses hold, or how many do worse."""
    if not results:
        return "[dim]-[/]"
    count = Counter(r.verdict for r in results)
    worst = next(v for v in WORST_FIRST if count[v])
    mark, style = MARKS[worst]
    number = count[worst]
    conventional = sum(bool(r.admitted) for r in results)
    admitted = f" [cyan]{conventional} admitted[/]" if conventional else ""
    cut = sum(bool(r.unasked) for r in results)
    admitted += f" [yellow]{cut} cut short[/]" if cut else ""
    if worst in ("known", "refused"):
        return f"[green]{count[Verdict.HOLDS]} ✓[/]{admitted} [{style}]{number} {mark}[/]"
    if worst is Verdict.HOLDS:
        return f"[{style}]{number} {mark}[/]{admitted}"
    return f"[{style}]{number} {mark}[/]"


def remarks(run: Run) -> list[str]:
    """Return what was not judged and why, a line each."""
    lines = []
    for backend in run.backends.values():
        versions = ", ".join(f"{k} {v}" for k, v in backend["versions"].items() if k in (backend["framework"], "numpy"))
        absent = f"; not run, no such device here: {', '.join(backend['absent'])}" if backend["absent"] else ""
        devices = ", ".join(backend["devices"]) or "no device"
        facts = ", ".join(filter(None, (versions, f"python {backend['python']}", f"on {devices}{absent}")))
        lines.append(f"[bold]{escape(backend['name'])}[/]: {escape(facts)}")
        if backend["missing"] and not run.request.ops:
            lines.append(f"  unsupported, no such function: {escape(', '.join(backend['missing']))}")
        refused = sorted({r.clause for r in run.results if r.backend == backend["name"] and r.verdict == "refused"})
        if refused:
            lines.append(f"  refused (fails under --strict): {escape(summed(refused))}")
        own = [r for r in run.results if r.backend == backend["name"]]
        lines += [f"  admitted: {escape(text)}" for text in conventions(own)]
        lines += [f"  budget: {escape(text)}" for text in within_budget(own)]
        declared = {r.reason for r in run.results if r.backend == backend["name"] and r.verdict == "unsupported"}
        lines += [f"  unsupported: {escape(reason)}" for reason in sorted(declared)]
    known = {f"{r.clause}: {r.reason}" for r in run.results if r.verdict == "known"}
    lines += [f"known to fail: {escape(text)}" for text in sorted(known)]
    lost = {
        f"{r.clause}, {r.verdict} now: {r.reason}" for r in run.results if r.verdict != "known" and NOT_REPLAYED in r.reason
    }
    lines += [f"declared to fail: {escape(text)}" for text in sorted(lost)]
    lines += [escape(note) for note in run.notes]
    skipped = Counter(r.reason for r in run.results if r.verdict == "not run" and not r.unasked)
    if skipped:
        lines.append("not run: " + "; ".join(f"{escape(reason)} ({n})" for reason, n in skipped.most_common(6)))
    return lines


def summed(clauses: list[str]) -> str:
    """Return clause ids briefly: the kinds of each op."""
    by_op: dict[str, list[str]] = {}
    for clause in clauses:
        op, _, kind = clause.partition("/")
        by_op.setdefault(op, []).append(kind)
    return "; ".join(f"{op}: {', '.join(kinds)}" for op, kinds in by_op.items())


def show_failures(run: Run, console: Console) -> None:
    """Print every failing op with its first failure in full, and the ids of the others."""
    failures: dict[tuple[str, str, str], list[Result]] = {}
    for result in run.results:
        if result.verdict in ("wrong", "errored") or (run.request.strict and result.verdict == "refused"):
            failures.setdefault((result.backend, result.device, result.op), []).append(result)
    for i, found in enumerate(failures.values()):
        if i == SHOWN:
            console.print(
                f"… and {len(failures) - SHOWN} more failing ops: --report FILE.jsonl keeps every witness",
                highlight=False,
            )
            break
        show_failure(found, run, console)


def show_failure(found: list[Result], run: Run, console: Console) -> None:
    """Print the failures of one op on one device, the first in full."""
    first = found[0]
    versions = run.backends.get(first.backend, {}).get("versions", {})
    tested = ", ".join(f"{k} {v}" for k, v in versions.items())
    where = escape(f" · {first.backend} · {first.device}")
    console.rule(f"[bold red]{first.verdict.upper()}[/] [bold]{escape(first.clause)}[/]{where}", align="left")
    console.print(escape(first.reason), highlight=False, soft_wrap=True)
    print_witness(first.witness or {}, console)
    console.print(f"[dim]{escape(f'tier {first.tier}; {tested}')}[/]", highlight=False)
    others = [f"{r.clause.partition('/')[2]}" + (f" ({r.tier})" if r.clause.endswith("/def") else "") for r in found[1:]]
    if others:
        console.print(f"also {first.verdict}: {escape(', '.join(others))}", highlight=False, soft_wrap=True)


def print_witness(data: dict[str, Any], console: Console) -> None:
    """Print a witness: what the op is, the smallest input, expected, got, the first difference, a script."""
    for label, text in rows(data):
        if label == "script":
            console.print("  [bold]script[/]:")
            console.print(escape(textwrap.indent(text, "    ")), highlight=False, soft_wrap=True)
        else:
            console.print(
                f"  [bold]{escape(label)}[/]: {escape(textwrap.indent(text, '    ').strip())}",
                highlight=False,
                soft_wrap=True,
            )


def verdict_line(run: Run) -> str:
    """Return the closing line: counts by verdict, instances, time."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in sorted(run.counts.items(), key=lambda item: -item[1]))
    instances = sum(r.instances for r in run.results)
    style, word = ("green", "passed") if run.passed else ("bold red", "failed")
    tiers = escape(", ".join(run.request.tiers))
    return f"[{style}]{word}[/]: {counts or 'nothing was judged'}; {instances:,} inputs in {run.seconds:.1f} s; tiers {tiers}"
