"""Known failures: strict, and cheap. The stored witness goes first, and one that passes is news."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from einspec.conformance.judge.context import Context, error_line
from einspec.conformance.judge.replay import NotReplayableError, rebuild
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.wrongness import reason_of, wrongness
from einspec.conformance.targets.declared import Known
from einspec.conformance.targets.process import LostError

NOT_REPLAYED = "could not be replayed"
"""What the reason of a result says where the stored witness of a known failure is of no use any more."""


def entry(result: Result, reason: str, url: str) -> dict[str, Any]:
    """Return a failure as a line of a file of known failures."""
    line: dict[str, Any] = {"clause": result.clause, "tier": result.tier, "backend": result.backend}
    line |= {"device": result.device.partition(":")[0], "reason": reason, **({"url": url} if url else {})}
    witness = result.witness or {}
    stored = {"call": witness.get("call", ""), "replay": witness.get("replay")}
    return {**line, "witness": stored} if stored["replay"] else line


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
    where = context.id(clause), tier, session.target.name, session.device
    return next((k for k in session.known if k.covers(*where)), None)


def holding_back(context: Context, clause: str, tier: str, judge: Callable[[], Result]) -> Result:
    """Return the result of a clause, a failure that is known as ``known``.

    The stored witness is tried first, and nothing else where it still fails. Where it cannot be
    replayed, which is said, or there is none, the clause is judged without shrinking what is found.
    A result that holds says which line is to be deleted, and where the witness passes and the
    clause does not, that is another failure, which is not known.
    """
    entry = known_here(context, clause, tier)
    if entry is None:
        return judge()
    because = f"{entry.reason} {entry.url}".strip()
    try:
        problem, lost = _replayed(context, entry)
    except LostError as error:
        problem, lost = error.reason, ""
    if problem:
        text = f"{because} (the stored witness: {problem})"
        return context.result(clause, tier, Verdict.KNOWN, 1, text)
    passes = entry.replay is not None and not lost
    context.shrinks = passes
    try:
        result = judge()
    except LostError as error:  # the process that is lost over it is the failure
        result = context.result(clause, tier, Verdict.ERRORED, 0, error.reason)
    finally:
        context.shrinks = True
    return _told(result, entry, passes, lost, because)


def _told(result: Result, entry: Known, passes: bool, lost: str, because: str) -> Result:
    """Return the result of a clause that is known to fail, with what is to be done about the entry."""
    notes = [result.reason]
    if result.verdict.fails and passes:
        notes.append(f"not the known failure, whose stored witness passes: delete {entry.where}")
    elif result.verdict.fails:
        result.verdict, notes = Verdict.KNOWN, [f"{because} ({result.reason})"]
    elif result.verdict is Verdict.HOLDS:
        result.stale = entry.where
    if lost:
        where = f"the witness stored in {entry.where} {NOT_REPLAYED}"
        notes.append(f"{where}, the clause was judged as usual: {lost}")
    result.reason = "; ".join(filter(None, notes))
    return result


def _replayed(context: Context, entry: Known) -> tuple[str, str]:
    """Return what the stored witness still shows, and why it could not be tried; nothing where it passes or there is none."""
    if entry.replay is None:
        return "", ""
    try:
        trial = rebuild(context.op, entry.replay)
    except NotReplayableError as error:
        return "", str(error)
    lacking = sorted(trial.dtypes - set(context.session.target.dtypes))
    if lacking:
        return "", f"{context.session.target.name} does not hold {', '.join(lacking)}"
    outcome = context.session.one(trial)
    if outcome.error is not None:
        return error_line(outcome.error), ""
    found = wrongness(context, trial, outcome)
    return (reason_of(found) if found else ""), ""
