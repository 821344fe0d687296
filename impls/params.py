"""Parameters that are one integer for all axes or a tuple with one each."""

from __future__ import annotations

Pair = int | tuple[int, int]


def each(value: int | tuple[int, ...], count: int = 2) -> tuple[int, ...]:
    """Return the parameter as a tuple with one integer an axis."""
    return value if isinstance(value, tuple) else (value,) * count
