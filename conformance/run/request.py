"""What a run is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from einspec.conformance import TIERS

TIMEOUT = 120.0
"""Seconds that a clause may take in a tier, unless asked otherwise."""


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


def cache_directory() -> Path:
    """Return where compiled code is kept between runs."""
    root = os.environ.get("EINSPEC_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "einspec"
