"""Print the definition of an op as a function of NumPy, PyTorch or JAX, to paste.

The file that is printed needs no einspec. It computes the definition line by line, as slowly as it
is plain: an oracle for tests of one's own. Its first line cites the op; einspec cite --check says
later whether the spec still means that.
"""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from einspec.reference import FRAMEWORKS

    parser.add_argument("op", metavar="OP", help="name or alias of an op")
    parser.add_argument(
        "--framework", choices=tuple(FRAMEWORKS), default="numpy", help="whose arrays it takes; numpy by default"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the file.

    Raises:
        UsageError: the definition has something that cannot be printed.
    """
    from einspec.card import load
    from einspec.conformance.errors import UsageError
    from einspec.errors import FormulaError
    from einspec.reference import reference

    op = load(arguments.op)
    try:
        print(reference(op, arguments.framework), end="")
    except FormulaError as error:
        raise UsageError(f"cannot print {op.name}: {error}; einspec.evaluate computes it") from error
    return 0
