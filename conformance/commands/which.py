"""Say which op a function computes.

It is asked a few calls of every op, and compared with what they give. Parameters for which it has no place are found by what it
does. Exit status 0 if one op is found, or several that agree on all that was asked.
"""

from __future__ import annotations

import argparse

from einspec.conformance.commands import seconds
from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "functions",
        nargs="+",
        metavar="FILE.py[:FUNCTION]",
        help="functions in Python files, or a function of a module: torch.nn.functional:pixel_shuffle",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="SECONDS", help="how long a call may compute (default 10)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what each function computes."""
    from einspec.conformance.identify import functions_in, identify, said
    from einspec.conformance.targets.names import TargetError, is_file, known_backends

    asked = []
    for given in arguments.functions:
        name, _, function = given.rpartition(":") if ":" in given else (given, "", "")
        if not is_file(name) and not function:
            raise UsageError(f"{given}: name a Python file, or a function of a module as MODULE:FUNCTION")
        if name in known_backends():
            raise UsageError(f"{name} is a backend, whose functions are its ops: write a file that imports {function}")
        asked += [(name, one) for one in ([function] if function else functions_in(name))]
    found = True
    for name, function in asked:
        try:
            guesses = identify(name, function, arguments.timeout)
        except TargetError as error:
            print(f"{function}: {error}", flush=True)
            guesses = []
        else:
            print(f"{function}: {said(guesses)}", flush=True)
        found &= any(g.agrees for g in guesses)
    return 0 if found else 1
