"""Print a JSON Schema: of a card, a file of names, a report, the spec for programs, or the index of golden vectors."""

from __future__ import annotations

import argparse
import importlib
import json

MODULES = {
    "card": "einspec.language.tables",
    "names": "einspec.names",
    "report": "einspec.conformance.reports.lines",
    "spec": "einspec.conformance.publish.data",
    "vectors": "einspec.conformance.vectors.schema",
}
"""The module whose ``schema()`` it is."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("what", choices=tuple(MODULES))


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(importlib.import_module(MODULES[arguments.what]).schema(), indent=2))
    return 0
