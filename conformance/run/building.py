"""Making sheets before anybody needs them: what backends are asked in the fixed tiers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from einspec.card import Op, load
from einspec.clauses import CONDUCT
from einspec.conformance.checks.scene import Profile, Scene
from einspec.conformance.checks.transforms import impossible
from einspec.conformance.clauses import units
from einspec.conformance.run.sheets import folder_of, store
from einspec.conformance.tiers import TIERS

PROFILES = (Profile(), Profile(compiles=True, subnormals=False, keeps_nan=False))
"""How backends run: those of NumPy and PyTorch, and those of JAX."""
SEEN = ("state", "result.dtype", *CONDUCT)
"""Clauses without calls of their own: seen in those of others, or in one call made twice."""


@dataclass(frozen=True)
class Built:
    """What was made of an op."""

    op: str
    blocks: int
    bytes: int
    """How much is kept of it now."""
    seconds: float
    written: bool
    """Whether all of it could be kept."""


def build_op(name: str) -> Built:
    """Make the sheets of an op, as far as they are not there."""
    started = time.perf_counter()
    sheets, op, count = store(), load(name), 0
    with np.errstate(all="ignore"):
        for profile in PROFILES:
            for clause, tier in asked(op, profile):
                sheets.block(Scene(op, profile), clause, tier)
                count += 1
    kept = 0
    if sheets.folder is not None:
        kept = sum(f.stat().st_size for f in folder_of(sheets.folder, name).glob("*.sheet"))
    return Built(name, count, kept, time.perf_counter() - started, sheets.writes)


def asked(op: Op, profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield what a backend is asked by calls that are kept: clauses, each with its tier."""
    yield "conduct", "scope"
    for clause, tier in units(op, TIERS):
        if clause not in SEEN and _possible(op, profile, clause):
            yield clause, tier


def _possible(op: Op, profile: Profile, clause: str) -> bool:
    """Whether a clause can be asked: what compiles has no layouts, and alone runs eagerly too."""
    kind, _, detail = clause.partition(".")
    if kind == "ranks":
        return False  # backends take whole tensors
    if clause == "transform.eager":
        return profile.compiles
    if kind == "layout":
        return not profile.compiles
    return kind != "transform" or not impossible(op, detail)
