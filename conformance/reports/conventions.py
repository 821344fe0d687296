"""What was admitted, and what was not asked, in words: which conventions clauses needed to hold, and what a budget left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from einspec.conformance.judge.verdict import Result
from einspec.conformance.targets.conventions import CONVENTIONS


def conventions(results: Iterable[Result]) -> Iterator[str]:
    """Yield a line for each convention that clauses needed: what may come, and of which ops how many clauses."""
    found: dict[str, dict[str, int]] = {}
    for result in results:
        for name in result.admitted:
            ops = found.setdefault(name, {})
            ops[result.op] = ops.get(result.op, 0) + 1
    for name, ops in found.items():
        where = ", ".join(f"{op} ({n} {'clause' if n == 1 else 'clauses'})" for op, n in ops.items())
        what = CONVENTIONS[name].what if name in CONVENTIONS else "a convention of another version"
        yield f"{name}: {where}: {what}"


def within_budget(results: Iterable[Result]) -> Iterator[str]:
    """Yield a line for each op of which calls were not made as its budget was spent."""
    found: dict[str, list[Result]] = {}
    for result in results:
        if result.unasked:
            found.setdefault(result.op, []).append(result)
    for op, some in found.items():
        calls, none = sum(r.unasked for r in some), sum(r.verdict == "not run" for r in some)
        clauses = f"{len(some)} {'clause' if len(some) == 1 else 'clauses'}"
        yield f"{op}: {calls:,} calls of {clauses} not asked" + f", so that {none} of these are not judged" * bool(none)
