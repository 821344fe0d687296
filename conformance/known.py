"""Known failures: strict, and cheap. The stored witness goes first, and one that passes is news."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from einspec.conformance.declared import Known
from einspec.conformance.judge import Context, Result
from einspec.conformance.replay import rebuild


def entry(result: Result, reason: str, url: str) -> dict[str, Any]:
    """Return a failure as a line of a file of known failures."""
    line: dict[str, Any] = {"clause": result.clause, "tier": result.tier, "backend": result.backend}
    line |= {"device": result.device.partition(":")[0], "reason": reason, **({"url": url} if url else {})}
    replay = (result.witness or {}).get("replay")
    return {**line, "witness": {"call": (result.witness or {})["call"], "replay": replay}} if replay else line


def known_here(context: Context, clause: str, tier: str) -> Known | None:
    """Return the entry by which a clause is known to fail here, if any."""
    session = context.session
    entries = session.target.known
    return next((k for k in entries if k.covers(context.id(clause), tier, session.target.name, session.device)), None)


def holding_back(context: Context, clause: str, tier: str, judge: Callable[[], Iterable[Result]]) -> Iterator[Result]:
    """Yield the results of a clause, a failure that is known as ``known``.

    The stored witness is tried first, and nothing else where it still fails. Where it passes the clause is judged without
    shrinking what is found; a result that holds then says which line is to be deleted.
    """
    entry = known_here(context, clause, tier)
    if entry is None:
        yield from judge()
        return
    because = f"{entry.reason} {entry.url}".strip()
    problem = _replayed(context, entry)
    if problem:
        yield Result(context.id(clause), tier, "known", 1, f"{because} (the stored witness: {problem})")
        return
    context.shrinks = False
    try:
        for result in judge():
            if result.verdict in ("wrong", "errored"):
                result.verdict, result.reason = "known", f"{because} ({result.reason})"
            elif result.verdict == "holds":
                result.stale = entry.where
            yield result
    finally:
        context.shrinks = True


def _replayed(context: Context, entry: Known) -> str:
    """Return what the stored witness still shows; nothing where it passes or there is none."""
    trial = rebuild(context.op, entry.replay) if entry.replay else None
    if trial is None:
        return ""
    outcome = context.session.one(trial)
    failed = outcome.error is not None or outcome.difference(trial) is not None
    return context.summary(trial, outcome) if failed else ""
