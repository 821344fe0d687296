"""The ways of calling that there are on ranks alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from einspec.conformance.protocol import Call, Outcome, parameters
from einspec.conformance.runner.calling import bound
from einspec.conformance.runner.loading import Candidate
from einspec.conformance.runner.ways import Calls, Caught, raised

LATE = 0.02
"""Seconds by which a rank comes late: what the others have not waited for is not there by then."""


class RankCalls(Calls):
    """A candidate on one rank of its group."""

    def __init__(self, candidate: Candidate, device: str, rank: int) -> None:
        """Take a candidate, and which rank of its group this is."""
        super().__init__(candidate, device)
        self.rank = rank

    def _one(self, op: str, call: Call, number: int) -> Outcome:
        """Return the outcome of one call; ways of several ranks are plain calls on each."""
        ways: dict[str, Callable[[Any, Call, int], Outcome]] = {"late": self._late, "kept": self._kept}
        if (way := ways.get(call.way.kind)) is not None:
            try:
                return way(bound(self.candidate.call(op), parameters(call)), call, number)
            except Caught as error:
                return Outcome(number, error=raised(error))
        if call.way.kind in ("group", "alike", "step", "error"):
            call = msgspec.structs.replace(call, way=msgspec.structs.replace(call.way, kind="plain"))
        return super()._one(op, call, number)

    def _late(self, function: Callable[..., Any], call: Call, number: int) -> Outcome:
        """Return what a call gives as soon as it returns, with one rank that comes late; its inputs are written to then.

        The result is read before, as it may be a view of an input; what has not gone to other ranks by then, these do not get.
        """
        args = self.arguments(call)
        if call.way.rank == self.rank:
            time.sleep(LATE)
        result = self.item(function(*args))
        for argument in args:
            argument.zero_()
        return Outcome(number, result)

    def _kept(self, function: Callable[..., Any], call: Call, number: int) -> Outcome:
        """Return what the result of a call holds after another call."""
        result = function(*self.arguments(call))
        function(*self.framework_arrays(call.extra))
        return Outcome(number, self.item(result))
