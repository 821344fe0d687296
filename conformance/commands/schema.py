"""Print a JSON Schema."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("what", choices=("card", "report"))


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from einspec import tables
    from einspec.conformance import report

    print(json.dumps(tables.schema() if arguments.what == "card" else report.schema(), indent=2))
    return 0
