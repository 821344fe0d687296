"""A target in the process of its judge: no wall stands between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from einspec.conformance import protocol
from einspec.conformance.protocol import Target
from einspec.conformance.runner.loading import Candidate
from einspec.conformance.runner.state import changes, process_state, restore
from einspec.conformance.runner.ways import Calls
from einspec.conformance.targets.session import Session


class InsideSession(Session):
    """A candidate on the processor, called directly, as the runner calls one."""

    def __init__(self, candidate: Candidate, target: Target) -> None:
        """Take a candidate, and what the judge is told of it."""
        super().__init__(None, target, "cpu")
        self.candidate = candidate
        self.calls = Calls(candidate, self.device)
        self.wanted = True

    def stream(self, op: str, calls: bytes, careful: bool = False) -> Iterator[protocol.Outcome]:
        """Yield what comes of calls of an op, in order; what they have changed is noted in the end."""
        self.wanted = True
        before = process_state(self.candidate.adapter)
        try:
            for outcome in self.calls.make(op, protocol.calls.decode(calls), lambda _: self.wanted):
                if outcome.eager:
                    self.not_traceable.add(op)
                yield outcome
        finally:
            self._note_changes(before)
            self.positional |= self.candidate.positional

    def _note_changes(self, before: Mapping[str, Any]) -> None:
        """Note what calls have changed around them, and put it back."""
        adapter = self.candidate.adapter
        changed = list(changes(before, process_state(adapter)))
        if changed:
            restore(adapter, before)
        self.changes += changed

    def stop(self) -> None:
        """Say that what is still to come of the calls at hand is not wanted."""
        self.wanted = False
