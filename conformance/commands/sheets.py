"""Show, make or remove the sheets: calls with their answers, which are kept between runs.

A sheet that is not there, damaged or out of date is made anew whenever it is needed; nothing is
lost without them but time. They are kept in the folder that EINSPEC_CACHE or XDG_CACHE_HOME names,
and not at all where EINSPEC_SHEETS is off.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from einspec.conformance.commands import add_processes, add_shard, part_of
from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("show", "build", "clear"),
        default="show",
        help="list what is kept (when absent), make what is lacking, or remove it",
    )
    parser.add_argument("ops", nargs="*", metavar="OP", help="only these ops, by name or alias; all when absent")
    parser.add_argument("--stale", action="store_true", help="clear only what can no longer be used")
    add_processes(parser)
    add_shard(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked; exit status 1 where something could not be kept or removed."""
    from einspec.card import paths, resolve

    build = arguments.what == "build"
    if arguments.stale and arguments.what != "clear":
        raise UsageError("--stale is for einspec sheets clear")
    if (arguments.processes is not None or arguments.shard != (1, 1)) and not build:
        raise UsageError("--shard and --processes are for einspec sheets build")
    names = list(dict.fromkeys(map(resolve, arguments.ops)))
    if build:
        return _build(part_of(names or list(paths()), arguments.shard), arguments.processes)
    return _clear(names, arguments.stale) if arguments.what == "clear" else _show(names)


def _show(names: Sequence[str]) -> int:
    """Print a line an op and digest, and how much there is in all."""
    from einspec.conformance.run.sheets import kept, sheets_directory

    folder = sheets_directory()
    found = [entry for entry in kept(folder) if not names or entry.op in names]
    width = max((len(entry.op) for entry in found), default=2)
    if found:
        print(f"{'op':<{width}}  files       bytes")
    for entry in found:
        state = "current" if entry.current else "stale"
        print(f"{entry.op:<{width}}  {entry.files:>5}  {entry.bytes:>10,}  {state}")
    count, size = sum(entry.files for entry in found), sum(entry.bytes for entry in found)
    stale = sum(entry.bytes for entry in found if not entry.current)
    more = f", {stale / 1e6:.2f} MB of it stale: einspec sheets clear --stale" if stale else ""
    ops = len({entry.op for entry in found})
    print(f"{count:,} sheets of {ops} ops, {size / 1e6:.2f} MB in {folder}{more}")
    return 0


def _build(names: Sequence[str], processes: int | None) -> int:
    """Make the sheets of ops side by side, and print a line for each as it is done."""
    from einspec.conformance.run.building import build_op
    from einspec.conformance.run.costs import cost
    from einspec.conformance.run.pool import side_by_side
    from einspec.conformance.run.sheets import sheets_directory, store

    if store().folder is None:
        raise UsageError("EINSPEC_SHEETS is off, so that nothing is kept: unset it to build sheets")
    order = sorted(names, key=lambda name: -cost(name))
    built = []
    for one in side_by_side(build_op, [(name,) for name in order], processes):
        built.append(one)
        place = f"{len(built):>{len(str(len(names)))}} of {len(names)}"
        print(f"{place}  {one.op}  {one.blocks} blocks  {one.seconds:.1f} s", file=sys.stderr)
    lost = [one.op for one in built if not one.written]
    count, size = sum(one.blocks for one in built), sum(one.bytes for one in built)
    folder = sheets_directory()
    print(f"{count:,} blocks of {len(built)} ops, {size / 1e6:.2f} MB in {folder}")
    if lost:
        text = f"{folder} does not take what was made of {', '.join(sorted(lost))}"
        print(f"einspec: {text}", file=sys.stderr)
    return 1 if lost else 0


def _clear(names: Sequence[str], stale_only: bool) -> int:
    """Remove what is kept of ops, or what can no longer be used."""
    from einspec.conformance.run.sheets import clear, kept, sheets_directory

    folder = sheets_directory()
    freed = clear(folder, names, stale_only)
    print(f"{freed / 1e6:.2f} MB removed from {folder}")
    left = [e for e in kept(folder) if (not names or e.op in names) and not (stale_only and e.current)]
    for entry in left:
        print(f"einspec: what is kept of {entry.op} cannot be removed", file=sys.stderr)
    return 1 if left else 0
