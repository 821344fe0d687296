"""The command ``einspec``: check, show, ops, schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import einspec
from einspec.card import resolve
from einspec.conformance import TIERS


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="einspec", description="An executable specification of tensor ops, and a judge for implementations."
    )
    top.add_argument("--version", action="version", version=f"einspec {einspec.__version__}, spec {einspec.SPEC_VERSION}")
    commands = top.add_subparsers(dest="command", required=True)

    check = commands.add_parser(
        "check",
        help="judge backends, modules or files of functions",
        description="Judge backends against the spec. Exit status 0 only if everything asked for was judged and holds.",
    )
    check.add_argument(
        "targets",
        nargs="*",
        metavar="BACKEND|MODULE|FILE",
        help="an installed backend, a dotted module or a Python file; all installed backends when absent",
    )
    check.add_argument(
        "--op", action="append", default=[], metavar="OP", help="only this op, by name or alias; may be repeated"
    )
    check.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="DEVICE",
        help="only this device, such as cpu, cuda or cuda:0; may be repeated",
    )
    check.add_argument("--tier", action="append", default=[], choices=TIERS, help="only this tier; may be repeated")
    check.add_argument(
        "--strict",
        action="store_true",
        help="a refusal fails, and a file of functions must reject everything that the card forbids",
    )
    check.add_argument(
        "--ties",
        choices=("first", "any"),
        default="first",
        help="what selections promise among equal values: the first, as the cards say, or any valid choice",
    )
    check.add_argument("--report", type=Path, metavar="FILE.jsonl", help="write a report as JSON Lines")

    show = commands.add_parser("show", help="show the card of an op")
    show.add_argument("op", help="name or alias")
    show.add_argument("--latex", action="store_true", help="the definition as LaTeX")

    ops = commands.add_parser("ops", help="list the ops")
    ops.add_argument("filter", nargs="*", help="words to look for in names, aliases and summaries")

    schema = commands.add_parser("schema", help="print a JSON Schema")
    schema.add_argument("what", choices=("card", "report"))
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0 passed, 1 failed, 2 wrong usage."""
    arguments = parser().parse_args(argv)
    commands = {"check": _check, "show": _show, "ops": _ops, "schema": _schema}
    try:
        return commands[arguments.command](arguments)
    except KeyError as error:
        print(f"einspec: {error.args[0]}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1


def _check(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from einspec.conformance import report, run, terminal
    from einspec.conformance.targets import default_names, expand_names

    ops = tuple(resolve(name) for name in arguments.op)
    names = tuple(expand_names(arguments.targets) if arguments.targets else default_names())
    if arguments.report and arguments.report.is_dir():
        print(f"einspec: {arguments.report} is a directory; name a file to write the report into", file=sys.stderr)
        return 2
    if arguments.report and not arguments.report.resolve().parent.is_dir():
        print(
            f"einspec: no directory {arguments.report.resolve().parent} to write {arguments.report.name} into",
            file=sys.stderr,
        )
        return 2
    request = run.Request(names, ops, tuple(arguments.device), tuple(arguments.tier) or TIERS, arguments.strict, arguments.ties)
    console = Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=160, soft_wrap=False)
    watcher = terminal.Watcher(Console(stderr=True), sys.stderr.isatty())
    with watcher.progress:
        found = run.check(request, watcher)
    if arguments.report:
        report.write(found, arguments.report)
    terminal.show_run(found, console)
    return 0 if found.passed else 1


def _show(arguments: argparse.Namespace) -> int:
    from einspec.conformance import show

    print(show.show(arguments.op, latex=arguments.latex))
    return 0


def _ops(arguments: argparse.Namespace) -> int:
    from einspec.conformance import show

    rows = show.catalogue(" ".join(arguments.filter))
    if not rows:
        print(f"einspec: no op matches {' '.join(arguments.filter)!r}; einspec ops lists them all", file=sys.stderr)
        return 1
    widths = [max(len(str(row[i])) for row in rows) for i in range(2)]
    for family, name, aliases, kind, summary in rows:
        print(f"{family:<{widths[0]}}  {name:<{widths[1]}}  {kind:<11}  {summary}")
        if aliases and arguments.filter:
            print(f"{'':<{widths[0]}}  {'':<{widths[1]}}  {'':<11}  also: {', '.join(aliases)}")
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from einspec import tables
    from einspec.conformance import report

    print(json.dumps(tables.schema() if arguments.what == "card" else report.schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
