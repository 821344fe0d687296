"""Judge the libraries of the world that are installed here, each as it is, and write the matrix of all.

A library is judged by its adapters, on the calls for which it promises anything. DIR gets a report each, LIBRARY.jsonl, and
README.md, the page of all reports that are there: libraries that do not go into one environment are judged one after the other.
What is wrong in a library fails nothing here. Exit status 0 only if everything asked for was judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from einspec.conformance.commands import seconds
from einspec.conformance.errors import UsageError

if TYPE_CHECKING:
    from einspec.conformance.world.libraries import Library


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "libraries",
        nargs="*",
        metavar="LIBRARY",
        help="such as numpy or keras-jax, or world-keras for all of its environment; all that are installed if none",
    )
    parser.add_argument("--output", type=Path, default=Path("world"), metavar="DIR", help="where to write (default world)")
    parser.add_argument(
        "--budget",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="of a processor that judging an op may take; 2, or more where a library compiles or starts slowly",
    )
    parser.add_argument("--list", action="store_true", help="say which libraries there are and which are here; judge nothing")
    parser.add_argument("--page", action="store_true", help="write the page of the reports that are there; judge nothing")


def run(arguments: argparse.Namespace) -> int:
    """Judge, write and say what came of it.

    Raises:
        UsageError: there is no such library, one that was named is not installed, or DIR cannot be written or read.
    """
    from einspec.conformance import output
    from einspec.conformance.world.libraries import chosen, missing
    from einspec.conformance.world.page import write

    output.folder("--output", arguments.output)
    wanted = chosen(arguments.libraries)
    here = {name: library for name, library in wanted.items() if not missing(library)}
    lacking = {
        n: f"{n}: {', '.join(missing(w))} not installed; pip install -r {w.requirements}"
        for n, w in wanted.items()
        if n not in here
    }
    if arguments.libraries and lacking and not arguments.list and not arguments.page:
        raise UsageError("; ".join(lacking.values()))
    if arguments.list:
        _list(wanted, lacking)
        return 0
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.page:
        print(f"wrote {write(arguments.output)}")
        return 0
    print("\n".join(lacking.values()), end="\n" * bool(lacking))
    whole = [_judged(name, library, arguments) for name, library in here.items()]
    print(f"wrote {write(arguments.output)}")
    return 0 if whole and all(whole) else 1


def _list(wanted: Mapping[str, Library], lacking: Mapping[str, str]) -> None:
    """Print which libraries there are, where their adapters are, and which are here."""
    from einspec.conformance.world.libraries import absent, judged_at, version

    for name, library in wanted.items():
        here = lacking.get(name, f"{name}: {library.title} {version(library)} is here" if name not in lacking else "")
        print(f"{here}; judged at {judged_at(library)} by {library.adapters}")
    for each in absent().values():
        print(f"{each.title}: not judged: {each.reason}")


def _judged(name: str, library: Library, arguments: argparse.Namespace) -> bool:
    """Judge a library, print what came of it, and return whether everything was judged."""
    from einspec.conformance.world.judging import judge
    from einspec.conformance.world.libraries import version
    from einspec.conformance.world.matrix import SAID, SUFFIX, judged

    found = judge(library, arguments.output / f"{name}{SUFFIX}", arguments.budget)
    (own,) = [j for j in judged(arguments.output) if j.name == name]
    counts = ", ".join(f"{n} {SAID[mark]}" for mark, n in own.counts.items() if n)
    print(f"{name} {version(library)}: {len(own.results)} ops: {counts}", flush=True)
    for problem in found.problems:
        print(f"  {problem}")
    return found.complete and not found.problems
