"""Calls by which mutants are told from their op: those that killed before are tried first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from einspec.card import Op
from einspec.conformance.mutation.formula import Computes, FormulaSession, evaluated
from einspec.conformance.mutation.mutants import Mutant
from einspec.conformance.targets.session import Session
from einspec.conformance.trial import Trial
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]
T = TypeVar("T")


class Made(Generic[T]):
    """What an iterator gives, made once and when it is needed."""

    def __init__(self, source: Iterable[T]) -> None:
        self.source, self.made = iter(source), list[T]()

    def __iter__(self) -> Iterator[T]:
        yield from self.made
        for item in self.source:
            self.made.append(item)
            yield item


class Calls:
    """Calls of one form, those first that killed before."""

    def __init__(self, source: Iterable[Trial]) -> None:
        self.all = Made(source)
        self.first: dict[int, Trial] = {}
        """Calls that killed, by their identity, the last first."""
        self.tensors: dict[int, dict[str, Array]] = {}
        """What the definition gives, by the identity of the call."""

    def kill(self, session: Session, mutant: Mutant | None = None) -> bool:
        """Whether a target is wrong on a call.

        A mutant need not be called where it does what the definition does.
        """
        killer = next(self.killers(session, mutant), None)
        if killer is not None:
            self.first = {id(killer): killer} | self.first
        return killer is not None

    def killers(self, session: Session, mutant: Mutant | None = None) -> Iterator[Trial]:
        """Yield the calls on which a target is wrong."""
        for trial in itertools.chain(self.first.values(), self.all):
            if (mutant is None or not self.alike(mutant, trial)) and wrong(session, trial):
                yield trial

    def alike(self, mutant: Mutant, trial: Trial) -> bool:
        """Whether the mistake makes no difference on a call."""
        if mutant.place < 0 or mutant.form.kind in EXACT:
            return False
        if id(trial) not in self.tensors:
            equations = mutant.form.equations
            self.tensors[id(trial)] = evaluated(trial.case, trial.arrays, equations)
        return mutant.alike(trial.case, trial.arrays, self.tensors[id(trial)])

    def kill_again(self, session: Session) -> bool:
        """Whether a target is wrong on a call that has killed."""
        return any(wrong(session, trial) for trial in self.first.values())


def wrong(session: Session, trial: Trial) -> bool:
    """Whether a target is wrong on a call."""
    outcome = session.one(trial)
    return outcome.error is not None or outcome.difference(trial) is not None


def session_of(op: Op, function: Computes) -> FormulaSession:
    """Return the definitions as a target, with another function for an op."""
    return FormulaSession({op.name: function}, "mutant")
