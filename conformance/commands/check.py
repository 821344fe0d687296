"""Judge backends, modules or files of functions.

Exit status 0 only if everything asked for was judged and holds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from einspec.card import resolve
from einspec.conformance import TIERS
from einspec.conformance.commands import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="BACKEND|MODULE|FILE",
        help="an installed backend, a dotted module or a Python file; all installed backends when absent",
    )
    parser.add_argument(
        "--op", action="append", default=[], metavar="OP", help="only this op, by name or alias; may be repeated"
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="DEVICE",
        help="only this device, such as cpu, cuda or cuda:0; may be repeated",
    )
    parser.add_argument("--tier", action="append", default=[], choices=TIERS, help="only this tier; may be repeated")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a refusal fails, and a file of functions must reject everything that the card forbids",
    )
    parser.add_argument(
        "--ties",
        choices=("first", "any"),
        default="first",
        help="what selections promise among equal values: the first, as the cards say, or any valid choice",
    )
    parser.add_argument("--report", type=Path, metavar="FILE.jsonl", help="write a report as JSON Lines")


def run(arguments: argparse.Namespace) -> int:
    """Judge, print the matrix and the failures."""
    from rich.console import Console

    from einspec.conformance import report, run, terminal
    from einspec.conformance.targets import default_names, expand_names

    ops = tuple(resolve(name) for name in arguments.op)
    names = tuple(expand_names(arguments.targets) if arguments.targets else default_names())
    if arguments.report and arguments.report.is_dir():
        raise UsageError(f"{arguments.report} is a directory; name a file to write the report into")
    if arguments.report and not arguments.report.resolve().parent.is_dir():
        raise UsageError(f"no directory {arguments.report.resolve().parent} to write {arguments.report.name} into")
    request = run.Request(names, ops, tuple(arguments.device), tuple(arguments.tier) or TIERS, arguments.strict, arguments.ties)
    console = Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=160, soft_wrap=False)
    watcher = terminal.Watcher(Console(stderr=True), sys.stderr.isatty())
    with watcher.progress:
        found = run.check(request, watcher)
    if arguments.report:
        report.write(found, arguments.report)
    terminal.show_run(found, console)
    return 0 if found.passed else 1
