"""What becomes of the mutants of implementations: the judge is asked about each as about any target."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from einspec.card import Op, load
from einspec.conformance import protocol
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.clauses import units
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge_unit
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.wrongness import wrong_output
from einspec.conformance.mutation.assessment import Assessment, Status
from einspec.conformance.mutation.fault import Fault
from einspec.conformance.mutation.faulty import FaultError, Faulty
from einspec.conformance.mutation.kernels import OPERATORS, candidates, faults
from einspec.conformance.mutation.score import Score
from einspec.conformance.mutation.showing import showing
from einspec.conformance.protocol import Item, Target
from einspec.conformance.run.costs import cost
from einspec.conformance.run.inside import InsideSession
from einspec.conformance.run.pool import side_by_side
from einspec.conformance.run.sheets import store
from einspec.conformance.runner.loading import Candidate, Module
from einspec.conformance.tiers import TIERS
from einspec.conformance.trial import Trial

MOST_ANALYSED = 20_000
"""Up to how many elements of work a call that came out otherwise is held against the definition."""
MOST_TERMS = 2_000_000
"""And up to how many combinations of coordinates."""
Unit = tuple[str, str]
BIG = dict.fromkeys(("tail", "twice", "seam", "wrap", "limit", "room", "size", "large", "tile"), ("def", "big"))
"""By operator, what is likely to kill its mutants, and is tried first."""


@dataclass(frozen=True)
class Right:
    """An implementation that is taken to be right, in this process."""

    candidate: Candidate
    target: Target

    @property
    def name(self) -> str:
        """What it is called."""
        return self.target.name

    @property
    def session(self) -> InsideSession:
        """The implementation as a target."""
        return InsideSession(replace(self.candidate, calls={}), self.target)

    def id(self, op: Op, fault: Fault) -> str:
        """Return what it is called with a fault in its function of an op."""
        return f"{self.name}.{op.name}~{fault.operator}({fault.detail})"

    def mutant(self, op: Op, fault: Fault) -> tuple[InsideSession, Faulty]:
        """Return it as a target whose function of an op has a fault."""
        faulty = Faulty(self.candidate.call(op.name), fault, op, self.candidate.adapter)
        return InsideSession(replace(self.candidate, calls={op.name: faulty}), self.target), faulty


@functools.cache
def rights(name: str) -> tuple[Right, ...]:
    """Return what a backend, a module or a file implements, imported here: one for each framework of a file.

    Raises:
        TargetError: nothing of that name can be judged; the message says why.
    """
    module = Module(name)
    module.choose({})
    return tuple(Right(c, c.describe()) for c in module.candidates({}))


class Assessor:
    """The judge for the mutants of one op of an implementation: what killed last is tried first."""

    def __init__(self, op: Op, right: Right) -> None:
        self.op, self.right, self.sheets = op, right, store()
        self.session = right.session
        self.killers: dict[str, list[Unit]] = {}
        """By operator, what has killed a mutant, the last first."""

    def assess(self, fault: Fault) -> Assessment:
        """Judge one mutant; look for a call on which it differs if nothing kills it."""
        by = self.killer(fault)
        count, reached, differs = (0, 0, "") if by else self.compared(fault)
        status: Status = "killed" if by else "survived" if differs else "equivalent"
        return Assessment(self.right.id(self.op, fault), fault.operator, fault.condition, status, by, count, reached, differs)

    def killer(self, fault: Fault) -> str:
        """Return the tier and the kind of clause that finds a mutant wrong, or nothing."""
        known = self.killers.setdefault(fault.operator, [])
        likely = [BIG[fault.operator]] if fault.operator in BIG else []
        for clause, tier in dict.fromkeys([*known, *likely, *units(self.op, TIERS)]):
            session, faulty = self.right.mutant(self.op, fault)
            context = Context(session, self.op, self.sheets, Policy(), shrinks=False)
            fails = judge_unit(context, clause, tier).verdict.fails
            if faulty.broken is not None:
                raise FaultError(self.right.id(self.op, fault)) from faulty.broken
            if fails:
                self.killers[fault.operator] = list(dict.fromkeys([(clause, tier), *known]))
                return f"{tier} {clause.partition('.')[0]}"
        return ""

    def compared(self, fault: Fault) -> tuple[int, int, str]:
        """Return on how many calls a mutant is as the function that it was made of, the faults in them, and where it is not."""
        session, faulty = self.right.mutant(self.op, fault)
        count = 0
        for trial in showing(self.op, fault):
            differs = self._difference(session, trial)
            if differs:
                return count, faulty.reached, f"{self.op.name}({trial.case}): {differs}"
            count += differs is not None
        return count, faulty.reached, ""

    def _difference(self, session: InsideSession, trial: Trial) -> str | None:
        """Return how a mutant differs from the function on a call, by more than the definition allows; or nothing.

        None where the function itself gives no result: its framework has no such dtype or transform.
        """
        calls = protocol.encode([trial.call()])
        (right,), (came,) = (list(s.stream(self.op.name, calls)) for s in (self.session, session))
        if right.error is not None:
            return None
        if came.error is None and _same(right, came):
            return ""
        few = trial.case.work <= MOST_ANALYSED and math.prod(trial.case.solution.sizes.values()) <= MOST_TERMS
        if came.error is None and trial.way.kind == "plain" and few:
            known = plain_trial(trial.case, trial.arrays, trial.way)
            if wrong_output(known, session.outcome(known, came)) is None:
                return ""
        return came.error.text if came.error is not None else f"another result, {trial.how or trial.way.kind}"

    def control(self) -> list[str]:
        """Return what accuses the function itself, of all that has killed a mutant."""
        context = Context(self.session, self.op, self.sheets, Policy(), shrinks=False)
        used = sorted({unit for found in self.killers.values() for unit in found})
        return [f"{tier} {clause}" for clause, tier in used if judge_unit(context, clause, tier).verdict.fails]


def _same(right: protocol.Outcome, came: protocol.Outcome) -> bool:
    """Whether what came is the same, of all that was looked at."""
    if right.result is None or came.result is None or right.runs.keys() != came.runs.keys():
        return False
    pairs = [(right.result, came.result), *((right.runs[k], came.runs[k]) for k in right.runs)]
    return all(_equal(a, b) for a, b in pairs)


def _equal(one: Item, other: Item) -> bool:
    if one.tensor is not None and other.tensor is not None:
        a, b = one.tensor.array(), other.tensor.array()
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(np.all((a == b) | ((a != a) & (b != b))))
    same = one.kind == other.kind and one.value == other.value and len(one.parts) == len(other.parts)
    return same and all(map(_equal, one.parts, other.parts))


def score(op: Op | str, name: str = "numpy", only: Sequence[str] | None = None) -> Score:
    """Judge the mutants of an implementation of an op.

    Args:
        op: the op, or its name.
        name: the implementation: a backend, a module or a file.
        only: the operators to try; all when absent.

    Raises:
        TargetError: nothing of that name can be judged; the message says why.
        ValueError: there is no such operator.
    """
    op = load(op) if isinstance(op, str) else op
    found = Score(op.name)
    for right in rights(name):
        if op.name in right.candidate.functions:
            assessor = Assessor(op, right)
            found.candidates += candidates(op)
            found.assessments += [assessor.assess(fault) for fault in chosen(op, only)]
            found.accused += assessor.control()
    return found


def chosen(op: Op, only: Sequence[str] | None) -> list[Fault]:
    """Return the faults of some operators, all when absent.

    Raises:
        ValueError: there is no such operator.
    """
    unknown = sorted(set(only or ()) - set(OPERATORS))
    if unknown:
        raise ValueError(f"no operator {unknown[0]!r}; there are {', '.join(OPERATORS)}")
    return [fault for fault in faults(op) if only is None or fault.operator in only]


def scores(names: Sequence[str], implementation: str, processes: int | None = None) -> Iterator[Score]:
    """Yield the scores of ops of an implementation, as they are found, in processes side by side."""
    order = sorted(names, key=lambda name: -cost(name))
    yield from side_by_side(score, [(name, implementation) for name in order], processes)
