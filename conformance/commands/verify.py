"""Judge a folder of outputs that any program wrote, by the golden vectors that it read.

Exit status 0 only if every case is there and right, and nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from einspec.card import resolve
from einspec.conformance.commands.vectors import needs_safetensors
from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what einspec vectors wrote")
    parser.add_argument("outputs", type=Path, metavar="OUTPUTS", help="one safetensors file an op, named as in DIR")
    parser.add_argument(
        "--op", action="append", default=[], metavar="OP", help="only this op, by name or alias; may be repeated"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line an op, and the first failing case of each."""
    needs_safetensors()

    from einspec.conformance import output
    from einspec.conformance.vectors import verify

    if not arguments.outputs.is_dir():
        raise UsageError(
            f"no folder {arguments.outputs}; it is to hold one safetensors file an op, named as in {arguments.folder}"
        )
    console = output.console()
    names = [resolve(name) for name in arguments.op]
    summaries = list(verify.verify(arguments.folder, arguments.outputs, names))
    strays = [] if arguments.op else verify.strays(arguments.folder, arguments.outputs)
    verify.show(summaries, strays, console)
    return 0 if summaries and all(s.passed for s in summaries) and not strays else 1
