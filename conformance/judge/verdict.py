"""What became of a clause: every verdict there is, and the result that carries one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a clause came to."""

    HOLDS = "holds"
    """Judged, and as the card says."""
    WRONG = "wrong"
    """A wrong result, or none, or no error where one is due."""
    REFUSED = "refused"
    """An exception where a target may make one."""
    UNSUPPORTED = "unsupported"
    """Declared so, with a reason, or the framework has no such thing."""
    KNOWN = "known"
    """Fails, and is declared to."""
    ERRORED = "errored"
    """There is no verdict: the judge or the adapter failed, or the process was lost."""
    NOT_RUN = "not run"
    """With a reason."""

    @property
    def fails(self) -> bool:
        """Whether it fails a run, whatever was asked for."""
        return self in (Verdict.WRONG, Verdict.ERRORED)


WORST_FIRST = (
    Verdict.ERRORED,
    Verdict.WRONG,
    Verdict.KNOWN,
    Verdict.REFUSED,
    Verdict.HOLDS,
    Verdict.UNSUPPORTED,
    Verdict.NOT_RUN,
)
"""Which verdict stands for several together: what was not run, or cannot be, says nothing of the others."""


@dataclass
class Result:
    """What became of one clause on one device in one tier."""

    clause: str
    tier: str
    verdict: Verdict
    instances: int = 0
    reason: str = ""
    witness: dict[str, Any] | None = None
    backend: str = ""
    device: str = ""
    seconds: float = 0.0
    admitted: tuple[str, ...] = ()
    """The conventions without which it would not hold, of those that an adapter names."""
    unasked: int = 0
    """The calls that were not made, as the budget was spent."""
    stale: str = ""
    """Where this clause is declared to fail, although it holds."""

    @property
    def op(self) -> str:
        """The op that the clause belongs to."""
        return self.clause.partition("/")[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a line of a report, empty fields left out."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None, ()) and (k, v) != ("unasked", 0)}
