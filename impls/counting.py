"""Arithmetic of expert capacities, on exact rationals."""

from __future__ import annotations

from fractions import Fraction

Rational = int | str | Fraction | float


def parts(factor: Rational) -> tuple[int, int]:
    """Return the numerator and the denominator of a factor, of a float those of the decimal that it prints as."""
    exact = Fraction(float.__repr__(factor) if isinstance(factor, float) else factor)
    return exact.numerator, exact.denominator


def slots_for(num: int, den: int, rounding: str, minimum: int, multiple_of: int) -> int:
    """Return a share of the routes as a number of slots: rounded, then raised to a minimum, then to a multiple."""
    share, rest = divmod(num, den)
    up = rest > 0 if rounding == "ceil" else 2 * rest + share % 2 > den if rounding == "half_even" else False
    return -(-max(int(share + up), minimum) // multiple_of) * multiple_of
