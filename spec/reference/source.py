"""Pieces of Python while a function is written: how tightly they bind, what they give, and what names stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from einspec.language.formula import Index, Rest, axes_of, base
from einspec.reference.frameworks import Framework

TOP, COMPARISON, OR, AND, SUM, PRODUCT, UNARY, ATOM = range(8)
"""How tightly a piece of Python binds."""
LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT}


@dataclass(frozen=True)
class Source:
    """A piece of Python: its text, how tightly it binds, and what it gives.

    ``number``: a number of Python; ``whole``, ``real``: an array of numbers, those that are real may be NaN; ``truth``: an
    array of truth values.
    """

    text: str
    level: int = ATOM
    kind: str = "whole"

    def within(self, level: int) -> str:
        """Return the text, in parentheses where it binds more loosely than its place asks for."""
        return self.text if self.level >= level else f"({self.text})"


@dataclass(frozen=True)
class Place:
    """What stands for an axis that a bracket pins: a term, and whether it is known to be a coordinate."""

    source: Source
    inside: bool


Places = Mapping[str, Place]


@dataclass
class Scope:
    """What a function has at some line: the axes and kinds of its tensors, and the sizes that have names."""

    framework: Framework
    opened: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The axes of each tensor, every composition opened."""
    kinds: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    """What stands for the size of an axis."""
    fixed: dict[str, int] = field(default_factory=dict)
    """The sizes that are numbers of the card."""
    filled: set[str] = field(default_factory=set)
    """The axes that have at least one coordinate."""
    complex: bool = False
    """Whether what is added may be complex."""
    used: dict[str, None] = field(default_factory=dict)
    """The helpers that were used, in order."""

    def size(self, axis: str) -> str:
        """Return what stands for the size of an axis: that of ``e1`` is that of ``e``."""
        return self.sizes[axis] if axis in self.sizes else self.sizes[base(axis)]

    def dimension(self, dimension: Index) -> str:
        """Return what stands for a dimension of a tensor, a rest by all its sizes."""
        if isinstance(dimension, Rest):
            return f"*{shape_of(dimension.name)}"
        return " * ".join(self.size(a) for a in axes_of((dimension,)))

    def use(self, helper: str) -> str:
        """Note that a helper is used, and return its name."""
        self.used[helper] = None
        return helper


def shape_of(rest: str) -> str:
    """Return the name of the sizes that a rest stands for."""
    return f"{'rest' if rest == '...' else rest}_shape"


def coordinate(axis: str) -> str:
    """Return the name of the coordinate along an axis."""
    return "rest" if axis == "..." else axis
