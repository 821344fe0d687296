"""The outcome of one clause, and how trials become one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.session import Outcome, Session, Trial, WrongKind
from einspec.conformance.judge.witness import told, witness
from einspec.conformance.tiers import TIERS

Verdict = Literal["holds", "wrong", "refused", "unsupported", "known", "errored", "not run"]
VERDICTS: tuple[Verdict, ...] = ("holds", "wrong", "refused", "unsupported", "known", "errored", "not run")
"""``wrong``: a wrong result, or none, or no error where one is due. ``refused``: an exception where a target may make one.
``unsupported``: declared so, with a reason. ``known``: fails, and is declared to. ``errored``: there is no verdict, because the
judge or the adapter failed, or the process was lost. ``not run``: with a reason."""


BROKEN = (SystemExit, NameError, RecursionError, MemoryError)
"""Exceptions that no function refuses a call with: it is broken, or ends the program."""


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
    stale: str = ""
    """Where this clause is declared to fail, although it holds."""

    @property
    def op(self) -> str:
        """The op that the clause belongs to."""
        return self.clause.partition("/")[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a line of a report, empty fields left out."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None)}


@dataclass
class Context:
    """One op of a target being judged on one device."""

    session: Session
    op: Op
    strict: bool = False
    tiers: Sequence[str] = TIERS
    ties: Literal["first", "any"] = "first"
    sample: list[Any] | None = None
    """The outputs on one fixed input, by which backends are compared with each other."""
    accepted: set[frozenset[str]] = field(default_factory=set)
    """The optional forms of a call that the target has been seen to take: it may not refuse these elsewhere."""
    cache: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    """What calls have changed around them, and the clause in which it was seen first."""
    careful: bool = False
    """Whether this op has ended its process already, so that no two clauses share a call."""
    shrinks: bool = True
    """Whether a failure that was drawn is made smaller."""

    @property
    def bare(self) -> bool:
        """Whether the target is a file of functions that promises no more than to compute what the cards say."""
        return self.session.target.bare

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that the target can hold and does not declare unsupported for this op."""
        target, device = self.session.target, self.session.device
        return tuple(d for d in self.session.adapter.dtypes if not target.excuse(self.op.name, f"dtype.{d}", device))

    @property
    def subnormals(self) -> bool:
        """Whether the framework keeps subnormal numbers, so that it can be judged on them."""
        return not getattr(self.session.adapter, "flushes_subnormals", False)

    @property
    def bank(self) -> list[Case]:
        """The calls of distinct sizes; those in optional forms that a bare file refuses are left to ``def`` to report."""
        if "bank" not in self.cache:
            found = list(cases.bank(self.op))
            self.cache["bank"] = [c for c in found if self.takes(c)] or found if self.bare else found
        bank: list[Case] = self.cache["bank"]
        return bank

    def takes(self, case: Case) -> bool:
        """Whether the target gives some result for a call."""
        return next(iter(self.session.run([plain_trial(case, ramps(case))]))).error is None

    def id(self, clause: str) -> str:
        """Return the full id of a clause of this op."""
        return f"{self.op.name}/{clause}"

    def not_run(self, clause: str, tier: str, reason: str) -> Result:
        """Return the result of a clause that was not judged."""
        return Result(self.id(clause), tier, "not run", 0, reason)

    def trials(
        self,
        clause: str,
        tier: str,
        trials: Sequence[Trial],
        outcomes: Iterable[Outcome] | None = None,
        refusable: bool = False,
        narrow: Callable[[Trial, Outcome], Trial | None] = lambda trial, outcome: None,
    ) -> Result:
        """Run trials, smallest first, and return the verdict: the first wrong one is the witness.

        Args:
            clause: the id of the clause within its op.
            tier: the tier.
            trials: the calls.
            outcomes: what they gave, where they ran already.
            refusable: an exception is a refusal, not a wrong result.
            narrow: gives a smaller call that may show the same.
        """
        refused: list[tuple[Trial, Outcome]] = []
        ran = 0
        for trial, outcome in zip(trials, self.session.run(trials) if outcomes is None else outcomes, strict=True):
            ran += 1
            if outcome.error is not None and (refusable or self.may_refuse(trial, outcome)):
                refused.append((trial, outcome))
            elif outcome.error is not None or outcome.difference(trial) is not None:
                smaller = narrow(trial, outcome)
                if smaller is not None:
                    again = self.session.one(smaller)
                    if again.error is not None or again.difference(smaller) is not None:
                        trial, outcome = smaller, again
                return Result(
                    self.id(clause),
                    tier,
                    "wrong",
                    ran,
                    self.summary(trial, outcome),
                    witness(self, clause, trial, outcome),
                )
            elif not trial.unusual:
                self.accepted.add(trial.case.options)
        if not ran:
            return self.not_run(clause, tier, "no call can show it")
        for trial, outcome in refused:
            unfounded = not self.accepted and not trial.unusual
            if not refusable and (unfounded or not self.refuses(trial, outcome)):
                reason, data = self.summary(trial, outcome), witness(self, clause, trial, outcome)
                return Result(self.id(clause), tier, "wrong", ran, reason, data)
        if refused:
            trial, outcome = refused[0]
            return Result(self.id(clause), tier, "refused", ran, f"{self.summary(trial, outcome)}, for {trial.case}")
        return Result(self.id(clause), tier, "holds", ran)

    def may_refuse(self, trial: Trial, outcome: Outcome) -> bool:
        """Whether an exception is a refusal: a dtype other than float32, or what a bare file need not offer."""
        if isinstance(outcome.error, (WrongKind, *BROKEN)):
            return False
        return bool(trial.unusual) or (self.bare and bool(trial.case.options))

    def refuses(self, trial: Trial, outcome: Outcome) -> bool:
        """Whether an exception is a refusal, given what the target has been seen to take so far."""
        if not self.may_refuse(trial, outcome):
            return False
        return bool(trial.unusual) or trial.case.options not in self.accepted

    def summary(self, trial: Trial, outcome: Outcome) -> str:
        """Return in one line what went wrong."""
        if isinstance(outcome.error, WrongKind):
            return str(outcome.error)
        if outcome.error is not None:
            return f"raised {told(outcome.error)}".splitlines()[0][:300]
        found = outcome.difference(trial)
        return f"{found[0]}: {found[1].problem}" if found else ""


def timed(results: Iterable[Result]) -> Iterator[Result]:
    """Yield results with the time that each took."""
    start = time.perf_counter()
    for result in results:
        now = time.perf_counter()
        result.seconds, start = round(now - start, 4), now
        yield result
