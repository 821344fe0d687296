"""Show the card of an op."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("op", help="name or alias")
    parser.add_argument("--latex", action="store_true", help="the definition as LaTeX")
    parser.add_argument("--grad", action="store_true", help="the gradients, derived from the definition")


def run(arguments: argparse.Namespace) -> int:
    """Print the card."""
    from einspec.pages import text as show

    print(show.show(arguments.op, latex=arguments.latex, grad=arguments.grad))
    return 0
