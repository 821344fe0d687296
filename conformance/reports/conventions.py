"""What was admitted, in words: which conventions of a library clauses needed to hold."""

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
