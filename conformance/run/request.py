"""What a run is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from einspec.conformance.judge.policy import Policy
from einspec.conformance.tiers import TIERS

TIMEOUT = 120.0
"""Seconds that a call may compute, or wait, unless asked otherwise."""


@dataclass(frozen=True)
class Request:
    """What is asked for: ops, devices and tiers, empty for all."""

    names: tuple[str, ...]
    ops: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    tiers: tuple[str, ...] = TIERS
    strict: bool = False
    ties: Literal["first", "any"] = "first"
    timeout: float = TIMEOUT
    memory: float = 0.0
    """GiB that a process may hold; 0 for nine tenths of what is available when the run starts."""
    known: tuple[str, ...] = ()
    """Files of known failures, besides those that backends name."""
    everything: bool = False
    """An op that is wrong is judged to its end."""
    examples: int = 0
    """How many calls are drawn for each op; 0 for as many as usual."""
    seed: int | None = None
    """Where drawn calls come from; the same every time when absent."""
    shard: tuple[int, int] = (1, 1)
    """Which of how many parts of the ops."""
    allow_einspec: bool = False
    """A file may compute with einspec itself."""
    budget: float = 0.0
    """Seconds of a processor that judging an op may take on a device; 0 for as many as it takes."""
    ranks: tuple[int, ...] = ()
    """On how many ranks files of functions of ranks are run; empty where functions take whole tensors."""
    cards: tuple[str, ...] = ()
    """Folders of cards of one's own, which processes find by their environment."""

    @property
    def policy(self) -> Policy:
        """How strictly is judged, and how much."""
        return Policy(self.strict, self.ties, self.everything, self.examples, self.seed, self.tiers)


def cache_directory() -> Path:
    """Return where sheets and compiled code are kept between runs."""
    root = os.environ.get("EINSPEC_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "einspec"
