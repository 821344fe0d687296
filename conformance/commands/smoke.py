"""Try the adapter of a backend before any op is judged.

Round trips of every dtype on every device, and whatever else the adapter offers. Exit status 0 only if no problem was found.
"""

from __future__ import annotations

import argparse

from einspec.conformance.commands import seconds


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("target", metavar="BACKEND|MODULE|FILE", help="an installed backend, a dotted module or a Python file")
    help_text = "how long the adapter may take for one answer (default 60)"
    parser.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help=help_text)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for every check, and what to do about a problem."""
    import time
    from collections import Counter

    from einspec.conformance.smoke.smoke import smoke

    started, states = time.perf_counter(), Counter[str]()
    for found in smoke(arguments.target, arguments.timeout):
        states[found.state] += 1
        print(f"{found.state:<8} {found.check:<11} {found.text}", flush=True)
        if found.advice:
            print(f"{'':<8} {'':<11} -> {found.advice}", flush=True)
    problems = states["PROBLEM"]
    counts = ", ".join(f"{states[s]} {w}" for s, w in (("ok", "ok"), ("note", "to note"), ("PROBLEM", "wrong")) if states[s])
    print(f"{'not sound' if problems else 'sound'}: {counts}; {time.perf_counter() - started:.1f} s")
    return 1 if problems else 0
