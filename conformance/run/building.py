"""Making the sheets of ops before anybody needs them: what backends of NumPy, PyTorch and JAX are asked in the fixed tiers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from einspec.card import Op, load
from einspec.conformance.checks.conduct import CONDUCT
from einspec.conformance.checks.scene import Profile, Scene
from einspec.conformance.checks.transforms import impossible
from einspec.conformance.clauses import units
from einspec.conformance.run.sheets import folder_of, store
from einspec.conformance.tiers import TIERS

PROFILES = (Profile(), Profile(compiles=True, subnormals=False, keeps_nan=False))
"""How backends run: those of NumPy and PyTorch, and those of JAX."""
SEEN = ("state", "result.dtype", *CONDUCT)
"""Clauses that have no calls of their own: they are seen in those of others, or in one call made twice."""


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
    """Yield the clauses that a backend is asked in the fixed tiers by calls that are kept, each with its tier."""
    yield "conduct", "scope"
    for clause, tier in units(op, TIERS):
        kind, _, detail = clause.partition(".")
        compiled_only = clause == "transform.eager"
        foreign = compiled_only != profile.compiles if compiled_only else kind == "layout" and profile.compiles
        senseless = kind == "transform" and bool(impossible(op, detail))
        if clause not in SEEN and not foreign and not senseless:
            yield clause, tier
