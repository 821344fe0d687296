"""One op of a target being judged on one device: what it has been seen to do so far."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from einspec.calls import cases
from einspec.calls.domain import domain_of, on_ranks, within
from einspec.card import Op
from einspec.conformance import protocol
from einspec.conformance.checks.block import Block
from einspec.conformance.checks.scene import Profile, Scene
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.protocol import LACKING, RANKS, Raised
from einspec.conformance.targets.budget import SPENT
from einspec.conformance.targets.session import Session
from einspec.conformance.trial import Outcome, Trial
from einspec.demands import demand

LEAST_MET = 30
"""Calls that must meet the condition of an adapter for a clause to hold; half of them where that is fewer."""
WHERE = "where"
"""Why a call was not made whose condition is simply not met."""
SAID = ("WrongKind", LACKING, RANKS)
"""Exceptions that no function raised: their text says it all."""
BUGS = ("ZeroDivisionError", "IndexError", "AttributeError", "UnboundLocalError")
"""Exceptions that are no refusal of an ordinary call, which the function takes otherwise: it has a bug."""


class Sheets(Protocol):
    """Where calls and answers come from."""

    def block(self, scene: Scene, clause: str, tier: str) -> Block:
        """Return the calls of a clause in a tier."""


@dataclass
class Context:
    """One op of a target being judged on one device."""

    session: Session
    op: Op
    sheets: Sheets
    policy: Policy = field(default_factory=Policy)
    accepted: set[frozenset[str]] = field(default_factory=set)
    """The features of calls that the target has been seen to take: it may not refuse these elsewhere."""
    changes: dict[str, str] = field(default_factory=dict)
    """What calls have changed around them, and the clause in which it was seen first."""
    dtypes: dict[str, tuple[Trial, Outcome, str]] = field(default_factory=dict)
    """Outputs that came in another dtype than the card's, each with the first call that shows it."""
    conduct: dict[str, Result] = field(default_factory=dict)
    admitted: dict[str, None] = field(default_factory=dict)
    """The conventions of the library that the clause at hand has met."""
    made: bool = False
    """Whether any call was made."""
    unasked: int = 0
    """The calls of the clause at hand that were not made, as there was no time for them."""
    memory: dict[str, Result] = field(default_factory=dict)
    sample: dict[str, Any] | None = None
    """The outputs on one fixed input, by which backends are compared with each other."""
    careful: bool = False
    """Whether this op has ended its process already, so that no two clauses share a call."""
    deadly: set[str] = field(default_factory=set)
    """The dtypes over whose clauses a process was lost: no other clause asks for them again."""
    shrinks: bool = True
    """Whether a failure that was drawn is made smaller."""

    @property
    def bare(self) -> bool:
        """Whether the target is a file of functions that promises no more than to compute what the cards say."""
        return self.session.bare

    @functools.cached_property
    def asked(self) -> Op:
        """The op with the calls for which the target promises anything."""
        adapter = self.session.adapter(self.op.name)
        if self.session.ranks:
            return within(self.op, on_ranks(self.op, self.session.ranks))
        if adapter is None or not (adapter.where or adapter.sizes or adapter.forms):
            return self.op
        return within(self.op, domain_of(self.op, adapter.where, adapter.sizes, adapter.forms), adapter.forms)

    @functools.cached_property
    def admit(self) -> tuple[str, ...]:
        """The conventions in which the target may differ from the card."""
        adapter = self.session.adapter(self.op.name)
        return adapter.admit if adapter is not None else ()

    @property
    def profile(self) -> Profile:
        """How the framework runs."""
        target = self.session.target
        lossy = self.bare and target.loses_nan
        subnormals = not target.flushes_subnormals
        return Profile(self.session.compiles, subnormals, not target.loses_nan, lossy, self.policy.ties)

    @property
    def scene(self) -> Scene:
        """What calls depend on, where they do not depend on which of the bank are taken."""
        return Scene(self.asked, self.profile)

    @property
    def own_scene(self) -> Scene:
        """What calls depend on, with those of the bank that the target takes."""
        return Scene(self.asked, self.profile, self._taken)

    @functools.cached_property
    def _taken(self) -> tuple[int, ...] | None:
        """Which calls of the bank a file takes; None if it is all, or none."""
        taken = self.session.takes(cases.bank(self.asked)) if self.bare else []
        return None if all(taken) or not any(taken) else tuple(i for i, t in enumerate(taken) if t)

    def stream(self, block: Block) -> Iterator[protocol.Outcome]:
        """Yield what comes of the calls of a block."""
        for came in self.session.stream(self.op.name, block.calls, self.careful):
            self.unasked += came.outside == SPENT
            self.made = self.made or not came.outside
            yield came

    def id(self, clause: str) -> str:
        """Return the full id of a clause of this op."""
        return f"{self.op.name}/{clause}"

    def result(
        self, clause: str, tier: str, verdict: Verdict, instances: int = 0, reason: str = "", witness: Any = None
    ) -> Result:
        """Return the result of a clause; that of one that fails says what it demands."""
        where = self.session.target.name, self.session.device
        if verdict.fails:
            witness = {"demand": demand(self.op, clause), **(witness or {})}
        return Result(self.id(clause), tier, verdict, instances, reason, witness, *where)

    def not_run(self, clause: str, tier: str, reason: str) -> Result:
        """Return the result of a clause that was not judged."""
        return self.result(clause, tier, Verdict.NOT_RUN, 0, reason)

    def may_refuse(self, features: frozenset[str], unusual: bool, error: Raised, optional: bool = False) -> bool:
        """Whether an exception may be a refusal: of a dtype other than float32, or of what a file need not offer.

        Args:
            features: what of the call somebody may not offer.
            unusual: whether it is in dtypes that a target may refuse.
            error: the exception.
            optional: whether the whole clause need not be offered.
        """
        if error.broken or not (optional or unusual or (self.bare and features)):
            return False
        return error.name not in BUGS or not self._ordinary(features)

    def _ordinary(self, features: frozenset[str]) -> bool:
        """Whether a call has nothing that the target has not been seen to take, each by itself."""
        seen = frozenset[str]().union(*self.accepted)
        return bool(self.accepted) and features <= seen and not any(f.startswith("no ") for f in features)

    def refuses(self, features: frozenset[str], unusual: bool, error: Raised) -> bool:
        """Whether an exception is a refusal, given what the target has been seen to take so far."""
        if not self.may_refuse(features, unusual, error):
            return False
        return unusual or (bool(self.accepted) and features not in self.accepted)

    def offered(self) -> str:
        """Return how much of the choices of the op was judged, in words, where some were refused."""
        name = self.op.choice
        if not name or not self.accepted:
            return ""
        values = list(self.op.forms)
        taken = [v for v in values if any(f"{name}={v}" in features for features in self.accepted)]
        if len(taken) == len(values):
            return ""
        return f"{len(taken)} of {len(values)} values of {name} judged: {', '.join(taken)}"

    def survived(self, clause: str) -> None:
        """Note that a process was lost over a clause."""
        self.careful = True
        kind, _, dtype = clause.partition(".")
        if kind in ("dtype", "index"):
            self.deadly.add(dtype)

    def note_changes(self, where: str) -> None:
        """Note what calls have changed around them since this was asked last."""
        for change in self.session.changes:
            self.changes.setdefault(change, where)
        self.session.changes.clear()


def outside(count: int, reasons: Sequence[str]) -> str:
    """Return how many calls were made of those for which an adapter promises anything, in words; nothing where all were.

    Args:
        count: how many calls there are.
        reasons: why the others are none, one each.
    """
    rest = [reason for reason in reasons if reason != SPENT]
    asked = count - (len(reasons) - len(rest))
    why = next((f"; {reason}" for reason in rest if reason != WHERE), "")
    meet = f"{asked - len(rest):,} of {asked:,} calls meet where{why}"[:300] if rest else ""
    within = f"{asked:,} of {count:,} calls asked within the budget" if asked < count else ""
    return "; ".join(filter(None, (meet, within)))


def too_few(count: int, reasons: Sequence[str]) -> bool:
    """Whether so many calls are left out that the others tell too little."""
    return count - len(reasons) < min(LEAST_MET, count / 2)


def error_line(error: Raised) -> str:
    """Return an exception in one line."""
    text = error.text if error.name in SAID else f"raised {error.name}: {error.text}"
    return (text.splitlines() or [""])[0].rstrip(": ")[:300]
