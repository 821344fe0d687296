"""Tracing clauses: none goes, and none comes to mean something else, while the spec version stays the same.

``spec/clauses.json`` holds for every clause the digest of what it means, which :mod:`einspec.meaning` makes.

    python -m einspec.conformance.trace            says how many clauses there are and what differs from the record
    python -m einspec.conformance.trace --record   writes the record

Of earlier versions ``spec/released/`` keeps the ids of all clauses, what every definition rested on, and the card of each op
that means something else since: read with it, every op has to be what that version said. An id that is no more stays with its
op under ``[withdrawn]``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import einspec
from einspec import released
from einspec.card import is_op, load, paths, shipped
from einspec.errors import CardError, FormulaError
from einspec.meaning import RECORD, current, digest, recorded


def changes(version: str, before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield what a spec version may not do: take a clause away, or give it another meaning.

    Args:
        version: the version for which the record was made.
        before: the digests of the record.
        now: the digests as they are.
    """
    if version != einspec.SPEC_VERSION:
        return
    for op, ids in before.items():
        found = now.get(op, {})
        gone = [f"{op}/{c}" for c in ids if c not in found]
        other = [f"{op}/{c}" for c, known in ids.items() if found.get(c, known) != known]
        if gone:
            yield f"gone from spec {version}: {_few(gone)}: bring them back, or raise SPEC_VERSION and record again"
        if other:
            yield (
                f"not what spec {version} said: {_few(other)}: take the change back, or raise SPEC_VERSION and record again; "
                f"where only the wording differs, --record --reworded {op}"
            )


def _few(ids: Sequence[str]) -> str:
    """Return the first of some ids, and how many there are."""
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


def missing(version: str, before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield what has to be recorded: a new spec version, clauses that are not there."""
    if version != einspec.SPEC_VERSION:
        yield f"the record is of spec {version or '(none)'}, not {einspec.SPEC_VERSION}: record again"
    new = [f"{op}/{c}" for op, ids in now.items() for c in ids if c not in before.get(op, {})]
    if new:
        yield f"{len(new):,} clauses are not recorded, {new[0]} the first of them: record again"


def forgotten(folder: Path = released.RELEASED) -> Iterator[str]:
    """Yield what is not kept of earlier versions: a definition as it was, a sentence about what became of it."""
    for version in released.versions(folder):
        for name, known in released.digests(version, folder).items():
            place = f"spec/released/{released.folder_of(version).name}/{name}.toml"
            if _definition(version, name, folder) != known:
                yield f"{name} is not what spec {version} said: keep its card as it was then in {place}"
            elif name in paths() and digest(load(name), "def") != known and not load(name).card.changed:
                yield f"{name} is not what spec {version} said, and its card has no line about it under [changed]"
        for name in released.clauses_of(version, folder):
            if not is_op(name):
                yield f"spec {version} had an op {name}, and none is called so now: what it became has it among its aliases"
    for op in shipped():
        withdrawn, said = released.withdrawn(op, folder), load(op).card.withdrawn
        for clause in sorted(withdrawn.keys() ^ said.keys()):
            if clause in withdrawn:
                yield f"{op}/{clause} of spec {withdrawn[clause]} is no more, and the card says nothing of it under [withdrawn]"
            else:
                yield f"{op}: withdrawn.{clause}: no earlier version had it, or it is still there"


def _definition(version: str, name: str, folder: Path) -> str:
    """Return what the definition of an op rests on as a version has it, nothing where that is not kept."""
    try:
        return digest(released.load_as_of(version, name, folder), "def")
    except (KeyError, CardError, FormulaError):
        return ""


def record(now: Mapping[str, Mapping[str, str]], path: Path = RECORD) -> None:
    """Write the digests of all clauses."""
    text = json.dumps({"spec": einspec.SPEC_VERSION, "clauses": now}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None, path: Path = RECORD, folder: Path = released.RELEASED) -> int:
    """Say how many clauses there are and how they stand to the record; return the exit status."""
    parser = argparse.ArgumentParser("python -m einspec.conformance.trace", description=main.__doc__)
    parser.add_argument("--record", action="store_true", help="write the record: new clauses, or all of a new spec version")
    parser.add_argument("--reworded", action="append", default=[], metavar="OP", help="it says the same in other words; or all")
    asked = parser.parse_args(argv)
    if asked.reworded and not asked.record:
        parser.error("--reworded goes with --record: alone it would hide what has changed")
    (version, before), now = recorded(path), current()
    known = {op: ids for op, ids in before.items() if not {op, "all"} & set(asked.reworded)}
    wrong = list(changes(version, known, now))
    if asked.record and not wrong:
        if before and version != einspec.SPEC_VERSION:
            released.keep(version, before, folder)
        if "all" in asked.reworded:
            for earlier in released.versions(folder):
                now_rest_on = {op: _definition(earlier, op, folder) for op in released.digests(earlier, folder)}
                released.keep_digests(earlier, now_rest_on, folder)
        record(now, path)
        version, before = recorded(path)
    wrong += [*missing(version, before, now), *forgotten(folder)]
    counts = Counter(c.partition(".")[0] for ids in now.values() for c in ids)
    kept = sum(c in before.get(op, {}) for op, ids in now.items() for c in ids)
    print(f"spec {einspec.SPEC_VERSION}: {counts.total():,} clauses of {len(now)} ops, {kept:,} recorded")
    print("  " + ", ".join(f"{kind} {n:,}" for kind, n in counts.items()))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
