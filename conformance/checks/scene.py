"""What the calls of a clause depend on besides the card: how a framework runs, and which optional calls a target takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from einspec.answers.choice import free_ties
from einspec.answers.expect import loses_nan
from einspec.calls import cases
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.trial import Trial


@dataclass(frozen=True)
class Profile:
    """How a framework runs and what may be expected of it: targets of one profile are asked the same calls."""

    compiles: bool = False
    """Every new shape costs a compilation, so that fewer are asked."""
    subnormals: bool = True
    """Subnormal numbers are kept."""
    keeps_nan: bool = True
    """A maximum of the framework's own keeps NaN."""
    loses_nan: bool = False
    """A function that takes a plain maximum may give anything where it is NaN."""
    ties: Literal["first", "any"] = "first"

    @contextmanager
    def assumed(self) -> Iterator[None]:
        """Let answers be what may be expected: any order of ties, NaN that a framework loses by itself."""
        tokens = free_ties.set(self.ties == "any"), loses_nan.set(self.loses_nan)
        try:
            yield
        finally:
            free_ties.reset(tokens[0])
            loses_nan.reset(tokens[1])

    @property
    def key(self) -> str:
        """The profile as part of the name of a file."""
        flags = (self.compiles, self.subnormals, self.keeps_nan, self.loses_nan)
        return "".join(str(int(f)) for f in flags) + self.ties


@dataclass(frozen=True)
class Scene:
    """An op that is judged, and how."""

    op: Op
    """With the calls that are asked, where those are not all."""
    profile: Profile = Profile()
    taken: tuple[int, ...] | None = None
    """Which calls of the bank the target takes; all where this is absent."""

    @property
    def compiles(self) -> bool:
        """Whether every new shape costs a compilation."""
        return self.profile.compiles

    @property
    def subnormals(self) -> bool:
        """Whether values may be subnormal."""
        return self.profile.subnormals

    @property
    def bank(self) -> list[Case]:
        """The calls of distinct sizes that the target takes."""
        found = cases.bank(self.op)
        return list(found) if self.taken is None else [found[i] for i in self.taken]

    @property
    def other_forms(self) -> list[Case]:
        """A call of distinct sizes of each form that is in none of the first three."""
        first = {id(c.form) for c in self.bank[:3]}
        found = {id(c.form): c for c in reversed(self.bank) if id(c.form) not in first}
        return [] if self.compiles else list(reversed(found.values()))


@dataclass
class Asked:
    """The calls of a clause, and what is to be said of them."""

    trials: Sequence[Trial]
    reason: str = ""
    instances: int | None = None
    """How many inputs they judge, where that is not their number."""
    not_run: str = ""
    """Why there are none."""


Generator = Callable[[Scene, str, str], Asked]
"""Makes the calls of a clause from the scene, the part of its id behind the kind, and the tier."""
