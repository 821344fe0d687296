"""Known failures: strict, and cheap. The stored witness goes first, and one that passes is news."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.replay import NotReplayableError, rebuild
from einspec.conformance.judge.witness import told
from einspec.conformance.targets.declared import Known

NOT_REPLAYED = "could not be replayed"
"""What the reason of a result says where the stored witness of a known failure is of no use any more."""


def entry(result: Result, reason: str, url: str) -> dict[str, Any]:
    """Return a failure as a line of a file of known failures."""
    line: dict[str, Any] = {"clause": result.clause, "tier": result.tier, "backend": result.backend}
    line |= {"device": result.device.partition(":")[0], "reason": reason, **({"url": url} if url else {})}
    witness = result.witness or {}
    stored = {"witness": {"call": witness.get("call", ""), "replay": witness["replay"]}} if witness.get("replay") else {}
    return {**line, **stored}


def entries(results: Iterable[Result], reason: str, url: str) -> list[dict[str, Any]]:
    """Return failures as such lines, one for all devices of a kind: with a stored call where one of them has it."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for result in results:
        line = entry(result, reason, url)
        key = tuple(line[name] for name in ("clause", "tier", "backend", "device"))
        if key not in found or ("witness" in line and "witness" not in found[key]):
            found[key] = line
    return list(found.values())


def known_here(context: Context, clause: str, tier: str) -> Known | None:
    """Return the entry by which a clause is known to fail here, if any."""
    session = context.session
    entries = session.target.known
    return next((k for k in entries if k.covers(context.id(clause), tier, session.target.name, session.device)), None)


def holding_back(context: Context, clause: str, tier: str, judge: Callable[[], Iterable[Result]]) -> Iterator[Result]:
    """Yield the results of a clause, a failure that is known as ``known``.

    The stored witness is tried first, and nothing else where it still fails. Where it cannot be replayed, which is said, or
    there is none, the clause is judged without shrinking what is found. A result that holds says which line is to be deleted,
    and where the witness passes and the clause does not, that is another failure, which is not known.
    """
    entry = known_here(context, clause, tier)
    if entry is None:
        yield from judge()
        return
    because = f"{entry.reason} {entry.url}".strip()
    problem, lost = _replayed(context, entry)
    if problem:
        yield Result(context.id(clause), tier, "known", 1, f"{because} (the stored witness: {problem})")
        return
    passes = entry.replay is not None and not lost
    context.shrinks = passes
    try:
        for result in judge():
            if result.verdict in ("wrong", "errored") and passes:
                note = f"not the known failure, whose stored witness passes: delete {entry.where}"
                result.reason = "; ".join(filter(None, (result.reason, note)))
            elif result.verdict in ("wrong", "errored"):
                result.verdict, result.reason = "known", f"{because} ({result.reason})"
            elif result.verdict == "holds":
                result.stale = entry.where
            if lost:
                note = f"the witness stored in {entry.where} {NOT_REPLAYED}, the clause was judged as usual: {lost}"
                result.reason = "; ".join(filter(None, (result.reason, note)))
            yield result
    finally:
        context.shrinks = True


def _replayed(context: Context, entry: Known) -> tuple[str, str]:
    """Return what the stored witness still shows, and why it could not be tried; nothing where it passes or there is none."""
    if entry.replay is None:
        return "", ""
    try:
        trial = rebuild(context.op, entry.replay)
        lacking = sorted(trial.dtypes - set(context.session.adapter.dtypes))
        if lacking:
            return "", f"{context.session.target.name} does not hold {', '.join(lacking)}"
        outcome = context.session.one(trial)
        failed = outcome.error is not None or outcome.difference(trial) is not None
        return context.summary(trial, outcome) if failed else "", ""
    except NotReplayableError as error:
        return "", str(error)
    except Exception as error:
        return "", f"raised {told(error)}".splitlines()[0]
