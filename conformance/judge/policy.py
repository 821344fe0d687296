"""What is asked of targets beyond the cards: the same for a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from einspec.conformance.tiers import TIERS


@dataclass(frozen=True)
class Policy:
    """How strictly is judged, and how much."""

    strict: bool = False
    """A refusal fails, and a file of functions must do all that a card says."""
    ties: Literal["first", "any"] = "first"
    everything: bool = False
    """An op that is wrong is judged to its end."""
    examples: int = 0
    """How many calls are drawn in the property tier; as many as usual if 0."""
    seed: int | None = None
    """Where drawn calls come from; the same every time when absent."""
    tiers: tuple[str, ...] = TIERS

    @property
    def draws_afresh(self) -> bool:
        """Whether the drawn calls are not those that are kept."""
        return bool(self.examples) or self.seed is not None
