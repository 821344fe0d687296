"""List the clauses of an op: what each demands, and in which tiers it is judged."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("op", metavar="OP", help="name or alias of an op")
    parser.add_argument("--json", action="store_true", help="as a list of objects, with the digest of what each means")


def run(arguments: argparse.Namespace) -> int:
    """Print a row a clause."""
    from einspec.card import load
    from einspec.clauses import clauses
    from einspec.conformance import output
    from einspec.conformance.clauses import tiers_of
    from einspec.meaning import digest

    op = load(arguments.op)
    rows = [
        {"clause": f"{op.name}/{id_}", "demands": text, "tiers": tiers_of(id_), "digest": digest(op, id_)}
        for id_, text in clauses(op.name).items()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None, header_style="bold", pad_edge=False)
    table.add_column("clause", no_wrap=True)
    table.add_column("demands", ratio=1)
    table.add_column("judged in")
    for row, id_ in zip(rows, clauses(op.name), strict=True):
        table.add_row(id_, Text(str(row["demands"])), ", ".join(row["tiers"]))
    output.console().print(table)
    return 0
