"""Tracing clauses: none goes, and none comes to mean something else, while the spec version stays the same.

``spec/clauses.json`` holds for every clause the digest of what it means, which :mod:`einspec.meaning` makes.

    python -m einspec.conformance.trace            says how many clauses there are and what differs from the record
    python -m einspec.conformance.trace --record   writes the record
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import einspec
from einspec.meaning import RECORD, current, recorded


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


def record(now: Mapping[str, Mapping[str, str]], path: Path = RECORD) -> None:
    """Write the digests of all clauses."""
    text = json.dumps({"spec": einspec.SPEC_VERSION, "clauses": now}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None, path: Path = RECORD) -> int:
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
        record(now, path)
        version, before = recorded(path)
    wrong += list(missing(version, before, now))
    counts = Counter(c.partition(".")[0] for ids in now.values() for c in ids)
    kept = sum(c in before.get(op, {}) for op, ids in now.items() for c in ids)
    print(f"spec {einspec.SPEC_VERSION}: {counts.total():,} clauses of {len(now)} ops, {kept:,} recorded")
    print("  " + ", ".join(f"{kind} {n:,}" for kind, n in counts.items()))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
