"""Show the card of an op, or one clause of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("op", metavar="OP[/CLAUSE]", help="name or alias of an op; with a clause, what that one demands")
    parser.add_argument("--latex", action="store_true", help="the definition as LaTeX")
    parser.add_argument("--picture", action="store_true", help="what goes where in its example, as text")
    parser.add_argument("--svg", type=Path, metavar="FILE|-", help="the same as a picture, written to a file; - prints it")
    parser.add_argument("--grad", action="store_true", help="the gradients, derived from the definition")


def run(arguments: argparse.Namespace) -> int:
    """Print the card, or the page of a clause."""
    from einspec.pages import text as show

    if "/" in arguments.op:
        print(_clause(arguments))
    elif arguments.picture or arguments.svg:
        _picture(arguments)
    else:
        print(show.show(arguments.op, latex=arguments.latex, grad=arguments.grad))
    return 0


def _picture(arguments: argparse.Namespace) -> None:
    """Print the picture of an op as text, or write it as SVG.

    Raises:
        UsageError: the file cannot be written, or both are to be printed.
    """
    import einspec
    from einspec.conformance import output

    if output.checked({"--svg": arguments.svg}) and arguments.picture:
        raise UsageError("--picture and --svg - both print: name a file for --svg")
    found = einspec.picture(arguments.op)
    if arguments.picture:
        print(found)
    if arguments.svg:
        output.put(arguments.svg, found.svg())


def _clause(arguments: argparse.Namespace) -> str:
    """Return the page of a clause.

    Raises:
        UsageError: an option is about the definition.
    """
    from einspec import SPEC_VERSION
    from einspec.clauses import find
    from einspec.conformance.clauses import tiers_of
    from einspec.pages.clause import page

    op, clause = find(arguments.op)
    for option in ("latex", "grad", "picture", "svg"):
        if getattr(arguments, option):
            raise UsageError(f"--{option} is about a definition, not about one clause: einspec show {op.name} --{option}")
    return page(op, clause, SPEC_VERSION, tiers_of(clause))
