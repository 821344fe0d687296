"""Seconds of processor that the judgement of an op may take, dealt out to its clauses."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

SPENT = "budget"
"""Why a call was not made for which there was no time."""


class Budget:
    """What an op may take of processors, in the judge and in the process of the candidate.

    Other work on the machine does not count, nor does what happens once and not in every run: importing the candidate, making
    calls and answers that are not kept yet.

    Args:
        seconds: how much there is.
        candidate: gives the seconds that the candidate has used so far.
    """

    def __init__(self, seconds: float, candidate: Callable[[], float]) -> None:
        self.seconds, self.candidate = seconds, candidate
        self.unpaid = 0.0
        self.paused: float | None = None
        """Since when the judge is not counted."""
        self.begun = self._clock()
        self.most = seconds
        """What may be used before the clause at hand has had its share."""

    def _clock(self) -> float:
        judge = time.process_time() if self.paused is None else self.paused
        return judge - self.unpaid + self.candidate()

    @property
    def used(self) -> float:
        """What has been used of it."""
        return self._clock() - self.begun

    @property
    def left(self) -> float:
        """What there is still."""
        return max(self.seconds - self.used, 0.0)

    @property
    def spent(self) -> bool:
        """Whether the clause at hand has had its share."""
        return self.used >= self.most

    def deal(self, share: Fraction) -> None:
        """Give the next clause its share of what is left: what clauses before it did not need is shared by all that follow."""
        used = self.used
        self.most = used + max(self.seconds - used, 0.0) * float(share)

    @contextlib.contextmanager
    def nothing(self) -> Iterator[None]:
        """Count nothing of what the judge does meanwhile."""
        before = self.paused = time.process_time()
        try:
            yield
        finally:
            self.unpaid += time.process_time() - before
            self.paused = None

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Let what is asked meanwhile take all that is left: half of an answer would be of no use."""
        most, self.most = self.most, self.seconds
        try:
            yield
        finally:
            self.most = most


def spread(numbers: Sequence[int]) -> list[int]:
    """Return numbers in an order of which every beginning is spread over all of them: that of their places, bits reversed."""
    bits = max(len(numbers) - 1, 0).bit_length()
    places = (int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(1 << bits))
    return [numbers[i] for i in places if i < len(numbers)]
