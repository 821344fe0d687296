"""Which colour an element has: a hue and a shade that travel with it from the inputs to the outputs.

The hue is that of the axis that stands alone on the other side: of ``(c i j) h w -> c (h i) (w j)`` the channel c. The
shade tells the rest apart. So ops that differ in the order of composed axes alone differ at a glance.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from einspec.language.formula import Read
from einspec.pages.picture.scene import Scene, Tensor
from einspec.semantics.provenance import Place

HUES = (255, 55, 155, 335, 95, 205, 295, 20)
"""Degrees in OKLCH; neighbours are far apart."""
SHADES = 9
"""How many shades of a hue there are, from light to dark; 0 is a pale one."""
PALE, MIDDLE = 0, 3
BY_VALUE = ("id", "row", "route", "place", "rank")
"""What an input may hold that is told apart by its value, where no input holds data."""


class Colour(NamedTuple):
    """A hue and a shade, both by number."""

    hue: int
    shade: int = MIDDLE

    @property
    def name(self) -> str:
        """The class of what has this colour: ``h2s5``."""
        return f"h{self.hue % len(HUES)}s{self.shade}"


class Colours:
    """The colour of every element of a call that has one, and which elements go nowhere or come from nowhere."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.by_value = "" if scene.data else self._told_by_value()
        self.hue, self.shade = (None, ()) if self.by_value or not scene.data else self._axes(scene.data[0])
        self.of: dict[Place, Colour] = {}
        for tensor in scene.tensors:
            for place in tensor.places:
                colour = self._given(place) if tensor.part == "input" else self._made(tensor, place)
                if colour is not None:
                    self.of[place] = colour

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that carry the colour, that of the hue first."""
        return (self.hue, *self.shade) if self.hue else ()

    @functools.cached_property
    def unread(self) -> frozenset[Place]:
        """The elements of inputs that no output reads."""
        return frozenset(p for t in self.scene.of("input") for p in t.places if p not in self.scene.used)

    @functools.cached_property
    def fills(self) -> frozenset[Place]:
        """The elements of outputs that no element of an input comes to or decides."""
        found = set()
        for place in (p for t in self.scene.of("output") for p in t.places):
            trace = self.scene.trace(place)
            empty = not self.scene.decides[place] and not trace.pins
            if self.scene.inputs and not self.scene.flows[place] and (empty or not trace.terms):
                found.add(place)
        return frozenset(found)

    def fate(self, place: Place) -> str:
        """Return ``unread`` or ``fill`` for an element that goes nowhere or comes from nowhere, ``""`` for others."""
        return "unread" if place in self.unread else "fill" if place in self.fills else ""

    def kind(self, place: Place) -> str:
        """Return the classes of a cell: those of its colour or of its fate."""
        return f"c {self.fate(place) or (self.of[place].name if place in self.of else '')}".rstrip()

    def _told_by_value(self) -> str:
        """Return the input by whose values elements are coloured, where none holds data."""
        kinds = {name: kind for name, (kind, _) in self.scene.form.values.items()}
        told = [t.name for t in self.scene.of("input") if kinds.get(t.name) in BY_VALUE]
        return (told or [t.name for t in self.scene.of("input")] or [""])[0]

    def _big(self, axes: Sequence[str]) -> list[str]:
        return [a for a in axes if self.scene.size(a) > 1]

    def _axes(self, lead: Tensor) -> tuple[str | None, tuple[str, ...]]:
        """Return the axis of the hue and those of the shade."""
        outputs = self.scene.of("output")
        taken = [d for d in map(self._big, lead.dims) if d]
        made = [d for t in outputs for d in map(self._big, t.dims) if d]
        own, others = [a for d in taken for a in d], {a for d in made for a in d}
        kept, bound = [a for a in own if a in others], [a for a in own if a not in others]
        if self.scene.most <= 1:
            if bound and not self._plain():
                return bound[0], tuple(bound[1:3])
            composed = self._composed(own, lead.dims, [d for t in outputs for d in t.dims])
            if composed:
                return composed
            order = [a for d in made for a in d if a in kept]
            moved = [a for i, a in enumerate(kept) if order.index(a) != i]
            use = moved or kept or own
            return (use[0] if use else None), tuple(use[1:2]) if len(moved) > 1 else ()
        use = [a for d in taken if len(d) > 1 for a in d if a in kept] or kept or own
        return (use[0] if use else None), tuple(use[1:2])

    def _plain(self) -> bool:
        names = {t.name for t in self.scene.of("output")}
        return all(isinstance(e.body, Read) for e in self.scene.form.equations if e.tensor in names)

    def _composed(
        self, own: Sequence[str], taken: Sequence[tuple[str, ...]], made: Sequence[tuple[str, ...]]
    ) -> tuple[str, tuple[str, ...]] | None:
        """Return the axes of the largest composition: the one that stands alone on the other side, and the rest."""
        found: list[tuple[list[str], set[str]]] = []
        for side, other in ((taken, made), (made, taken)):
            alone = {d[0] for d in other if len(d) == 1}
            found += [([a for a in self._big(d) if a in own], alone) for d in side]
        found = [(group, alone) for group, alone in found if len(group) > 1]
        if not found:
            return None
        group, alone = max(found, key=lambda g: len(g[0]))
        hue = next((a for a in group if a in alone), group[0])
        return hue, tuple(a for a in group if a != hue)

    def _at(self, coordinates: Mapping[str, int]) -> Colour | None:
        """Return the colour at coordinates; a pale one where those of the shade are open."""
        if self.hue is None or self.hue not in coordinates:
            return None
        if not all(a in coordinates for a in self.shade):
            return Colour(coordinates[self.hue], PALE)
        count = math.prod(map(self.scene.size, self.shade))
        if count == 1:
            return Colour(coordinates[self.hue])
        step = 0
        for axis in self.shade:
            step = step * self.scene.size(axis) + coordinates[axis]
        return Colour(coordinates[self.hue], 1 + round(step * (SHADES - 1) / (count - 1)))

    def _given(self, place: Place) -> Colour | None:
        if not self.by_value:
            found = self._at(self.scene.coordinates(place))
            index = place[0] not in self.scene.form.data
            return found and (found._replace(shade=PALE) if index else found)
        value = self.scene.value(place)
        return Colour(int(value)) if place[0] == self.by_value and value >= 0 else None

    def _made(self, tensor: Tensor, place: Place) -> Colour | None:
        scene = self.scene
        if not scene.inputs:
            return Colour(0) if scene.value(place) else None
        sources = [self.of[p] for p in scene.flows[place] if p in self.of and (self.by_value or p[0] in scene.form.data)]
        hues = {c.hue for c in sources}
        if len(hues) == 1:
            return sources[0] if len(set(sources)) == 1 else Colour(hues.pop(), self._crowd(sources))
        pins = scene.trace(place).pins
        if not sources and self.hue in pins:
            return self._at(pins)
        if tensor.part == "step":
            return self._at(scene.coordinates(place))
        near = {self.of[p].hue for p in scene.decides[place] if p in self.of}
        return Colour(near.pop(), PALE) if not sources and len(near) == 1 else None

    def _crowd(self, sources: Sequence[Colour]) -> int:
        """Return the shade of what several elements are added up to: the more of them, the darker."""
        return 1 + round((SHADES - 1) * len(sources) / self.scene.most) if self.scene.most > 1 else MIDDLE
