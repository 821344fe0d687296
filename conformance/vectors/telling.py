"""Calls that kill the mutants of a formula which other calls let live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.card import Form, Op
from einspec.conformance.checks.batches import single
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.session import Session, Trial
from einspec.conformance.mutation.court import Calls, session_of, stages, wrong
from einspec.conformance.mutation.mutants import mutants


def telling(
    op: Op, form: Form, chosen: Sequence[Trial], fits: Callable[[Trial], bool], better: Callable[[Trial], bool]
) -> Iterator[tuple[str, Trial]]:
    """Yield calls of the scope tier, or on other values there, each with its clause, that kill what those chosen let live.

    Args:
        op: the op.
        form: one of its forms.
        chosen: calls of this form.
        fits: whether a call may be taken.
        better: whether it is taken at once; else only if there is no such call.
    """
    scope = (c for c in cases.scope(op, cases.SCOPE_LIMIT)[0] if c.form is form and not c.empty)
    drawn = Calls(plain_trial(c, filled(c, "float32", "gauss", i)) for i, c in enumerate(scope))
    known, more = [Calls(chosen)], [*stages(op, form), ("drawn def", drawn)]
    for mutant in (m for m in mutants(op) if m.form is form):
        session = session_of(op, mutant.function)
        if any(calls.kill(session, mutant) for calls in known):
            continue
        killers = (
            (stage, small) for stage, calls in more for t in calls.killers(session, mutant) for small in _least(session, t)
        )
        found: tuple[str, Trial] | None = None
        for stage, trial in killers:
            if better(trial) or (found is None and fits(trial)):
                found = stage.partition(" ")[2], trial
            if better(trial):
                break
        if found is not None:
            known.append(Calls([found[1]]))
            yield found


def _least(session: Session, trial: Trial) -> Iterator[Trial]:
    """Yield the one of independent inputs on which a target is wrong, if it is wrong on it alone, then the call."""
    smaller = single(trial, session.one(trial))
    if smaller is not None and wrong(session, smaller):
        yield smaller
    yield trial
