"""Calls that kill the mutants of a formula which other calls let live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.card import Form, Op
from einspec.conformance.checks.definition import ask_definition, ask_empty
from einspec.conformance.checks.scene import Scene
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.narrow import one_row
from einspec.conformance.mutation.calls import Calls, session_of, wrong
from einspec.conformance.mutation.mutants import mutants
from einspec.conformance.targets.session import Session
from einspec.conformance.trial import Trial


def killing(
    op: Op,
    form: Form,
    chosen: Sequence[Trial],
    fits: Callable[[Trial], bool],
    better: Callable[[Trial], bool],
) -> Iterator[tuple[str, Trial]]:
    """Yield calls, each with its clause, that kill the mutants which those chosen let live.

    They are those of the scope tier, or on other values there.

    Args:
        op: the op.
        form: one of its forms.
        chosen: calls of this form.
        fits: whether a call may be taken.
        better: whether it is taken at once; else only if there is no such call.
    """
    known, more = [Calls(chosen)], _more(op, form)
    for mutant in (m for m in mutants(op) if m.form is form):
        session = session_of(op, mutant.function)
        if any(calls.kill(session, mutant) for calls in known):
            continue
        killers = (
            (clause, small)
            for clause, calls in more
            for trial in calls.killers(session, mutant)
            for small in _least(session, trial)
        )
        found: tuple[str, Trial] | None = None
        for clause, trial in killers:
            if better(trial) or (found is None and fits(trial)):
                found = clause, trial
            if better(trial):
                break
        if found is not None:
            known.append(Calls([found[1]]))
            yield found


def _more(op: Op, form: Form) -> list[tuple[str, Calls]]:
    """Return the calls among which one is looked for, by clause, whatever values they hold."""
    scene = Scene(op)
    scope = (c for c in cases.scope(op, cases.SCOPE_LIMIT)[0] if c.form is form and not c.empty)
    drawn = (plain_trial(c, filled(c, "float32", "gauss", i)) for i, c in enumerate(scope))
    return [
        ("def", Calls(_asked(lambda: ask_definition(scene, "", "scope").trials, form))),
        ("empty", Calls(_asked(lambda: ask_empty(scene, "", "scope").trials, form))),
        ("def", Calls(drawn)),
    ]


def _asked(ask: Callable[[], Sequence[Trial]], form: Form) -> Iterator[Trial]:
    """Yield the calls of a form, which are made up when the first is needed."""
    yield from (trial for trial in ask() if trial.case.form is form)


def _least(session: Session, trial: Trial) -> Iterator[Trial]:
    """Yield the one of independent inputs on which a target is wrong even alone, then the call."""
    outcome = session.one(trial)
    found = None if outcome.error is not None else outcome.difference(trial)
    smaller = next(one_row(trial, found), None)
    if smaller is not None and wrong(session, smaller):
        yield smaller
    yield trial
