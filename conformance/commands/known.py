"""Print the failures of a report as known failures, each with its smallest input.

Append what it prints to the file that a backend names in known_failures, or give that file to einspec check --known. A known
failure is tried on its stored input first and does not fail a run; one that holds does, and the run names the line to delete.
An op that is wrong is not judged further, so the report should be that of a run with --all.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path

from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("report", type=Path, metavar="FILE.jsonl", help="a report of einspec check")
    parser.add_argument("--reason", required=True, help="why it fails, for whoever reads the matrix")
    parser.add_argument("--url", default="", help="where it is tracked")
    parser.add_argument("--clause", action="append", default=[], metavar="ID", help="only this clause; may be repeated")


def run(arguments: argparse.Namespace) -> int:
    """Print one line a failure; exit status 1 where the report has none of those that are asked for."""
    from einspec.conformance.judge.known import entries
    from einspec.conformance.reports.report import read

    if not arguments.reason.strip():
        raise UsageError("--reason is empty: say why it fails, best with the address of an issue in --url")
    report = read(arguments.report)
    failures = [r for r in report.results if r.verdict in ("wrong", "errored")]
    failing = list(dict.fromkeys(r.clause for r in failures))
    unknown = [c for c in arguments.clause if c not in failing]
    if report.incomplete:
        print(f"einspec: {arguments.report} is {report.incomplete}; it may lack failures", file=sys.stderr)
    if unknown:
        near = difflib.get_close_matches(unknown[0], failing, n=3, cutoff=0.3) or failing[:3]
        more = f", such as {', '.join(near)}" if near else ""
        raise UsageError(f"{unknown[0]} does not fail in {arguments.report}; {len(failing)} clauses do{more}")
    chosen = [r for r in failures if not arguments.clause or r.clause in arguments.clause]
    for line in entries(chosen, arguments.reason, arguments.url):
        print(json.dumps(line))
    if not chosen:
        print(f"einspec: nothing fails in {arguments.report}", file=sys.stderr)
    return 0 if chosen else 1
