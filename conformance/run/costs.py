"""What judging an op costs, so that work is dealt out evenly: measured, and the same on every machine."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from einspec.card import load

TABLE = Path(__file__).parent / "costs.json"
PER_LETTER = 1 / 800
"""Seconds for each letter of a definition, where nothing was measured: an op that was just written."""


def cost(op: str) -> float:
    """Return about how many seconds an op takes; ``python bench costs`` writes the table."""
    return measured().get(op) or guess(op)


@functools.cache
def measured() -> dict[str, float]:
    """Return how many seconds each op took that was there when the table was written."""
    table: dict[str, float] = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    return table


def guess(op: str) -> float:
    """Return about what an op costs by the length of its definition."""
    letters = sum(len(e.text) for form in load(op).forms.values() for e in form.equations)
    return 0.2 + PER_LETTER * letters


def dealt_out(ops: Sequence[str], shard: tuple[int, int]) -> list[str]:
    """Return one of several parts of some ops: dealt out by what they cost, the dearest first."""
    part, parts = shard
    if parts == 1:
        return list(ops)
    shares: list[list[str]] = [[] for _ in range(parts)]
    totals = [0.0] * parts
    for op in sorted(ops, key=lambda op: (-cost(op), op)):
        least = totals.index(min(totals))
        shares[least].append(op)
        totals[least] += cost(op)
    return [op for op in ops if op in shares[part - 1]]
