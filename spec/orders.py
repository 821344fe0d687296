"""Orders of axes that parameters give: which axis of a rest stands at each place of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_CHOICES = 12
"""How many choices of parameters are tried for each number of axes."""


class OrderError(ValueError):
    """A parameter names no axis, or one twice."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


class Ordered(int):
    """How many axes a rest stands for, with an order of them and the parameters that give it."""

    orders: Mapping[str, tuple[int, ...]]
    given: Mapping[str, int | tuple[int, ...]]

    def __new__(cls, rank: int, orders: Mapping[str, tuple[int, ...]], given: Mapping[str, int | tuple[int, ...]]) -> Ordered:
        """Return the number of axes with its order."""
        self = super().__new__(cls, rank)
        self.orders, self.given = orders, given
        return self

    def axes(self, order: str) -> tuple[int, ...]:
        """Return the axes in an order of a name, or in its inverse where a sign is before the name."""
        found = self.orders[order.removeprefix("-")]
        return inverse(found) if order.startswith("-") else found

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what makes the same number."""
        return int(self), self.orders, self.given

    def __eq__(self, other: object) -> bool:
        """Whether the numbers are equal, and so are the orders where both have one."""
        return int(self) == other and (not isinstance(other, Ordered) or self.orders == other.orders)

    __hash__ = int.__hash__


@dataclass(frozen=True, slots=True)
class Order:
    """``places from axes``: parameters that name axes of a rest, and others the places at which these stand."""

    name: str
    rest: str
    places: tuple[str, ...]
    """Parameters; without any all places, in order."""
    axes: tuple[str, ...]
    several: tuple[str, ...]
    """The parameters that take a tuple."""

    def __str__(self) -> str:
        named = f"the axes that {' and '.join(self.axes)} name{'s' * (len(self.axes) == 1)}"
        return f"{named} at the places {' and '.join(self.places)}" if self.places else f"{named}, in that order"

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters that it reads, each once."""
        return tuple(dict.fromkeys((*self.axes, *self.places)))

    def found(self, rank: int, params: Mapping[str, Any]) -> tuple[int, ...]:
        """Return for each place which axis stands there: those that are named, and the others in their order.

        Raises:
            OrderError: a parameter names an axis that there is not, or one twice, or other numbers of them than another.
        """
        named = {name: _positions(name, params[name], rank) for name in self.params}
        axes = [a for name in self.axes for a in named[name]]
        places = [p for name in self.places for p in named[name]] if self.places else list(range(rank))
        if len(axes) != len(places):
            wanted = f"as many places as {' and '.join(self.axes)}" if self.places else f"each of the {rank} axes once"
            name = (self.places or self.axes)[0]
            raise OrderError(f"{name} must list {wanted}, not {params[name]!r}", name)
        moved = dict(zip(places, axes, strict=True))
        others = (a for a in range(rank) if a not in moved.values())
        return tuple(moved[i] if i in moved else next(others) for i in range(rank))

    def choices(self, rank: int) -> Iterator[Ordered]:
        """Yield the number of axes with orders of them: all, or some of many."""
        counts = range(rank + 1) if self.places and self.several else (rank,)
        found: list[dict[str, int | tuple[int, ...]]] = []
        for count in counts:
            each: list[Any] = [
                itertools.permutations(range(rank), count) if n in self.several else range(rank) for n in self.params
            ]
            found += (dict(zip(self.params, given, strict=True)) for given in itertools.product(*each))
        for given in found[:: max(1, -(-len(found) // MOST_CHOICES))]:
            yield Ordered(rank, {self.name: self.found(rank, given)}, given)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order that brings axes in an order back."""
    return tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))


def _positions(name: str, value: int | tuple[int, ...], rank: int) -> list[int]:
    """Return the axes that a parameter names, counted from the first."""
    each = value if isinstance(value, tuple) else (value,)
    if each and not rank:
        raise OrderError(f"{name} must name axes, of which there are none, not {value!r}", name)
    if not all(-rank <= n < rank for n in each):
        raise OrderError(f"{name} must name positions in {-rank}..{rank - 1}, not {value!r}", name)
    found = [n % rank for n in each]
    if len(set(found)) < len(found):
        raise OrderError(f"{name} must name each axis once, not {value!r}", name)
    return found
