"""Arithmetic of expert capacities, on exact rationals."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

Rational = int | str | Fraction

ROUNDINGS = {"ceil": ceil, "floor": floor, "half_even": round}


def slots_for(share: Fraction, rounding: str, minimum: int, multiple_of: int) -> int:
    """Return a share of the routes as a number of slots: rounded, then raised to a minimum, then to a multiple."""
    slots = max(ROUNDINGS[rounding](share), minimum)
    return -(-slots // multiple_of) * multiple_of
