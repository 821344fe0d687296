"""Calls for the mutants of a formula that other calls do not tell from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from einspec.card import Form, Op
from einspec.conformance.batches import single
from einspec.conformance.mutation.court import Calls, session_of, stages, wrong
from einspec.conformance.mutation.mutants import mutants
from einspec.conformance.session import Session, Trial


def telling(op: Op, form: Form, chosen: Sequence[Trial], fits: Callable[[Trial], bool]) -> Iterator[tuple[str, Trial]]:
    """Yield calls of the scope tier, each with its clause, that kill mutants of a form which those chosen let live.

    Args:
        op: the op.
        form: one of its forms.
        chosen: calls of this form.
        fits: whether a call may be taken.
    """
    known, scope = [Calls(chosen)], stages(op, form)
    for mutant in (m for m in mutants(op) if m.form is form):
        session = session_of(op, mutant.function)
        if any(calls.kill(session, mutant) for calls in known):
            continue
        killers = (
            (stage, small) for stage, calls in scope for t in calls.killers(session, mutant) for small in _least(session, t)
        )
        found = next(((stage, trial) for stage, trial in killers if fits(trial)), None)
        if found is not None:
            known.append(Calls([found[1]]))
            yield found[0].partition(" ")[2], found[1]


def _least(session: Session, trial: Trial) -> Iterator[Trial]:
    """Yield the one of independent inputs on which a target is wrong, if it is wrong on it alone, then the call."""
    smaller = single(trial, session.one(trial))
    if smaller is not None and wrong(session, smaller):
        yield smaller
    yield trial
