"""Drawn calls that are judged each as it is drawn, one that fails made smaller."""

from __future__ import annotations

import contextlib

from einspec.conformance.checks import drawn
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.special import split
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.wrongness import wrongness
from einspec.conformance.targets.budget import SPENT
from einspec.conformance.trial import Outcome, Trial


class Fresh:
    """Looks at drawn calls, those of one clause by the values that they hold."""

    def __init__(self, context: Context, clause: str) -> None:
        self.context, self.clause = context, clause
        self.instances = self.refused = self.drawn = 0
        self.outside: list[str] = []
        """Why calls that were drawn were not made."""
        self.failure: tuple[Trial, Outcome] | None = None
        """The smallest call that was found wrong, and what came of it."""

    def search(self, scene: Scene, shrink: bool) -> None:
        """Draw as many calls as are asked for."""
        count = self.context.policy.examples or drawn.examples(scene)
        budget = self.context.session.budget
        with budget.nothing() if budget is not None else contextlib.nullcontext():  # that draws them: what is called counts
            drawn.search(scene, self.look, count, self.context.policy.seed, shrink)

    def look(self, example: drawn.Example) -> bool:
        """Judge one drawn call; false where nothing is promised for it, so that another is drawn.

        Raises:
            FoundError: it is wrong.
        """
        if self.failure is not None and self.context.session.budget is not None:
            raise drawn.FoundError  # which is not made smaller
        trial, count = example
        context, strict = self.context, self.context.policy.strict
        if not all(context.session.holds_dtype(context.op.name, d, strict) for d in trial.dtypes):
            return True
        for part in split(context.op, Asked([trial]))[self.clause].trials:
            outcome = context.session.one(part)
            self.drawn += 1
            if outcome.outside:
                self.outside.append(outcome.outside)
                context.unasked += outcome.outside == SPENT
                return outcome.outside == SPENT
            features = frozenset(part.case.features)
            error = outcome.error
            if error is not None and context.refuses(features, bool(part.unusual), error):
                self.refused += 1
                continue
            self.instances += count
            if wrongness(context, part, outcome) is not None:
                self.failure = part, outcome
                raise drawn.FoundError
        return True
