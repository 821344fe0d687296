"""Say what a later spec version changed: the ops that mean something else, each with the smallest calls that show it.

Every call is one on which the two versions differ: in its result, or in that only one of them allows it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import einspec
from einspec.conformance.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from einspec.card import Op
    from einspec.released.differences import Difference


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("ops", nargs="*", metavar="OP", help="only these ops, by name or alias; all when absent")
    parser.add_argument("--since", metavar="VERSION", help="the version to start from; the one before this when absent")


def run(arguments: argparse.Namespace) -> int:
    """Print what changed."""
    from einspec import released
    from einspec.card import load, paths, resolve

    known = released.versions()
    since = arguments.since or known[-1]
    if since not in known:
        raise UsageError(f"--since {since} is no earlier version of the spec; these are: {', '.join(known)}")
    asked = list(dict.fromkeys(map(resolve, arguments.ops))) or list(paths())
    there = [name for name in asked if name in released.digests(since)]
    print(f"spec {einspec.SPEC_VERSION} against {since}")
    for name in there:
        print(*_changed(since, released.load_as_of(since, name), load(name)), sep="\n", end="")
    new = [name for name in asked if name not in there]
    print(f"\nnew: {', '.join(new) or 'none'}")
    return 0


def _changed(since: str, before: Op, after: Op) -> Iterator[str]:
    """Yield the lines about an op; none where it means what it meant."""
    from einspec.meaning import digest
    from einspec.released.differences import differences

    if digest(before, "def") == digest(after, "def"):
        return
    yield f"\n{after.name}"
    yield from (f"  {version}: {what}" for version, what in after.card.changed.items())
    for difference in differences(before, after):
        yield from _shown(since, difference)
    yield ""


def _shown(since: str, difference: Difference) -> Iterator[str]:
    """Yield the lines about one call."""
    case = difference.case
    names = ", ".join([*difference.arrays, *(f"{k}={v!r}" for k, v in case.params.items())])
    yield f"  {difference.kind}: {case.op.name}({names})"
    for name, array in difference.arrays.items():
        yield from (f"    {line}" for line in _array(name, array))
    for version, outputs in ((since, difference.before), (einspec.SPEC_VERSION, difference.after)):
        if not outputs:
            yield f"      {version} refuses it"
        for name, array in outputs.items():
            first, *rest = _array(name, array)
            yield from (f"      {version} gives {first.strip()}", *(f"{' ' * len(version)}          {line}" for line in rest))


def _array(name: str, array: np.ndarray[Any, Any]) -> list[str]:
    """Return the lines that show an array."""
    from einspec.pages.example import nested

    return nested(name, array) if array.size else [f"  {name} is empty, of shape {array.shape}"]
