"""Making calls on ranks: each is cut, made by the crew of its number of ranks, and joined again."""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from einspec.card import load
from einspec.conformance.protocol import LACKING, RANKS, Call, Loaded, Outcome, Raised, Settled
from einspec.conformance.runner.independence import Watch
from einspec.conformance.runner.ranks.crew import Crews
from einspec.conformance.runner.ranks.cut import NoRanksError, cut, ranks_error
from einspec.conformance.runner.ranks.nursery import LostRankError, Nursery

APART = "after the call the ranks do not meet in a collective any more: some of them have begun more of them than others"


class RankedCalls:
    """A file of functions of ranks: makes calls and says what came of each, as ``Calls`` does where there are none."""

    def __init__(self, file: str, watch: Watch, folder: str) -> None:
        self.file = str(Path(file).resolve())
        self.nursery = Nursery(watch, folder)
        self.crews = Crews(self.nursery, self.file, {})
        faulthandler.unregister(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, lambda *_: self.report())

    def load(self, functions: Mapping[str, str], worlds: Sequence[int]) -> Loaded:
        """Return what is in the file.

        Args:
            functions: by op, the name of the function that stands for it; by their own names if empty.
            worlds: on how many ranks it is run.
        """
        self.crews.end()
        self.crews = Crews(self.nursery, self.file, dict(functions))
        try:
            loaded = self.crews.of(min(worlds)).loaded
        except LostRankError as error:
            return Loaded(problem=f"{Path(self.file).name}: its ranks do not come up: {error}")
        for target in loaded.targets:
            target.ranks = tuple(worlds)
        return loaded

    def make(self, op: str, calls: Sequence[Call], begin: Callable[[int], bool]) -> Iterator[Outcome]:
        """Yield what comes of calls, in order.

        Args:
            op: the op.
            calls: the calls.
            begin: told the number of each call that is begun; false when no more are wanted.

        Raises:
            LostRankError: a rank has ended over one of them.
        """
        for number, call in enumerate(calls):
            if not begin(number):
                return
            yield self.one(op, call, number)

    def one(self, op: str, call: Call, number: int) -> Outcome:
        """Return what comes of a call."""
        try:
            found = cut(load(op), call)
        except NoRanksError as error:
            return Outcome(number, error=Raised(LACKING, str(error)))
        kind = call.way.kind
        parts, others = found.parts(), found.other_parts() if kind in ("group", "error") else []
        if kind == "error":
            parts[call.way.rank], others = others[call.way.rank], []
        crew = self.crews.of(found.size, len(others))
        answers = crew.make(op, [*others, *parts])
        outcomes = [a for a in answers if isinstance(a, Outcome)]
        if kind == "error":
            own = answers[call.way.rank]
            raised = own.error if isinstance(own, Outcome) else None
            return Outcome(number, error=raised or ranks_error(answers))
        if len(outcomes) < len(answers):
            return Outcome(number, error=ranks_error(answers))
        if kind == "step" and not crew.is_over and not crew.meets():
            return Outcome(number, error=Raised(RANKS, APART, broken=True))
        return found.joined(outcomes[len(others) :], number)

    def report(self) -> None:
        """Write down where every rank is: whoever asks is about to end all of this."""
        for line in self.crews.places():
            print(f"  File {line}", file=sys.stderr, flush=True)

    def settle(self) -> Settled:
        """Return what the calls since this was asked last have changed in any rank."""
        said = [settled for crew in self.crews.alive() for settled in crew.settle()]
        changed = dict.fromkeys(c for settled in said for c in settled.changes)
        uses = dict.fromkeys(u for settled in said for u in settled.uses)
        return Settled(0, tuple(changed), any(s.positional for s in said), tuple(uses))
