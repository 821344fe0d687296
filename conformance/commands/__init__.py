"""The commands of ``einspec``, one module each: what it takes, and what it does.

A module has a docstring whose first line is its help, ``arguments(parser)``, and
``run(arguments)``, which returns the exit status: 0 passed, 1 failed, 2 wrong usage. What takes
time to import is imported inside ``run``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from einspec.conformance.errors import UsageError

NAMES = (
    "check",
    "world",
    "report",
    "diff",
    "known",
    "show",
    "clauses",
    "cite",
    "ops",
    "which",
    "reference",
    "changes",
    "publish",
    "schema",
    "vectors",
    "verify",
    "new",
    "smoke",
    "mutants",
    "sheets",
)
"""The commands in the order in which the help lists them."""


WITHOUT_CARDS = ("world", "diff", "known", "cite", "changes", "publish", "schema", "new")
"""The commands that are about what einspec ships, or about files that hold all they need, or say it themselves."""
LONGEST = 86_400
"""Seconds that anything may be given: a day."""


def positive(text: str) -> float:
    """Return a number above zero, as the type of an argument.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def seconds(text: str) -> float:
    """Return a time above zero and of a day at most, as the type of an argument.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = positive(text)
    if value > LONGEST:
        raise argparse.ArgumentTypeError(f"must be at most {LONGEST:,}, not {text}")
    return value


def count(text: str) -> int:
    """Return a whole number above zero, as the type of an argument.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text}")
    return int(text)


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says how many processes work side by side."""
    parser.add_argument("--processes", type=count, metavar="N", help="side by side; as many as processors when absent")


def shard(text: str) -> tuple[int, int]:
    """Return which of how many parts is meant, as the type of an argument.

    Raises:
        ArgumentTypeError: the text is not ``I/N``.
    """
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"must be I/N with 1 <= I <= N, such as 1/4, not {text}")
    return int(part), int(parts)


def add_cards(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names folders of cards of one's own."""
    text = "use the cards in this folder too, one OP.toml an op; may be repeated; EINSPEC_CARDS names such folders as PATH does"
    parser.add_argument("--cards", action="append", default=[], type=Path, metavar="DIR", help=text)


def add_shard(parser: argparse.ArgumentParser) -> None:
    """Add the argument that leaves one of several parts of the ops."""
    text = "only the I-th of N parts, balanced by what ops cost"
    parser.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help=text)


def part_of(names: Sequence[str], of: tuple[int, int]) -> list[str]:
    """Return the ops of a part.

    Raises:
        UsageError: there are fewer ops than parts, so that this one has none.
    """
    from einspec.conformance.run.costs import dealt_out

    found = dealt_out(names, of)
    if not found:
        raise UsageError(f"--shard {of[0]}/{of[1]} has no op: there are only {len(names)}")
    return found
