"""List the ops."""

from __future__ import annotations

import argparse
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "filter", nargs="*", help="words to look for in names, aliases and summaries, and in functions of other packages"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line an op; where words were given its aliases too, and functions of other packages."""
    from einspec.pages import text as show
    from einspec.pages.named import told

    rows = show.catalogue(" ".join(arguments.filter))
    elsewhere = show.named_catalogue(" ".join(arguments.filter))
    if not rows and not elsewhere:
        print(f"einspec: no op matches {' '.join(arguments.filter)!r}; einspec ops lists them all", file=sys.stderr)
        return 1
    widths = [max((len(str(row[i])) for row in rows), default=0) for i in range(2)]
    for family, name, aliases, kind, summary in rows:
        print(f"{family:<{widths[0]}}  {name:<{widths[1]}}  {kind:<11}  {summary}")
        if aliases and arguments.filter:
            print(f"{'':<{widths[0]}}  {'':<{widths[1]}}  {'':<11}  also: {', '.join(aliases)}")
    width = max((len(n.function) for n in elsewhere), default=0)
    if rows and elsewhere:
        print()
    for other in elsewhere:
        print(f"{other.function:<{width}}  {told(other)}")
    return 0
