"""An op as a picture: what goes where in a small call, as SVG and as text."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from einspec.calls.space import Case
from einspec.pages.example import evaluated
from einspec.pages.picture import plain, svg
from einspec.pages.picture.colour import Colours
from einspec.pages.picture.grid import letter
from einspec.pages.picture.scene import Scene
from einspec.pages.picture.score import Score

Array = np.ndarray[Any, Any]
MOST = 256
"""How many elements the inputs, and how many the outputs, of a call that is drawn have at most."""


class Picture:
    """What goes where in a call. Notebooks show it as SVG; as a string it is text for a terminal."""

    def __init__(self, case: Case, inputs: Mapping[str, Array]) -> None:
        self.case, self.scene = case, Scene(case, inputs)
        self.colours = Colours(self.scene)

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return f"{self.call}\n\n{plain.text(self.scene, self.colours)}"

    @functools.cached_property
    def call(self) -> str:
        """The call that is drawn, as Python."""
        given = [*self.scene.inputs, *(f"{k}={v!r}" for k, v in self.case.params.items())]
        made = ", ".join(t.name for t in self.scene.of("output"))
        return f"{made} = {self.case.op.name}({', '.join(given)})"

    @property
    def legend(self) -> str:
        """What the colours say, in a sentence; nothing where there are none."""
        if self.colours.by_value:
            return f"Equal colours are equal numbers of {self.colours.by_value}."
        if not self.colours.axes:
            return ""
        axes = " and ".join(map(letter, self.colours.axes))
        return f"Equal colours are equal {axes}."

    @property
    def about(self) -> str:
        """What the picture shows, in sentences, for those who cannot see it."""
        inputs, outputs = ([self._said(t.name) for t in self.scene.of(part)] for part in ("input", "output"))
        start = f"From {', '.join(inputs)} come " if inputs else "It gives "
        moved = svg.runs(self.scene)
        routes = ""
        if self.scene.most == 1 and 0 < len(moved) <= svg.MOST_ROUTES:
            routes = " " + " ".join(f"{plain.run(made)} is {plain.run(given)}." for made, given in moved)
        return f"{start}{', '.join(outputs)}. {self.legend}{routes}".strip()

    def _said(self, name: str) -> str:
        tensor = self.scene.by_name[name]
        shape = " by ".join(map(str, tensor.shape))
        return f"{name}, {shape}" if shape else name

    def svg(self, *, stacked: bool = False, styled: bool = True, key: str = "") -> str:
        """Return the picture as SVG, one for light, dark and print.

        Args:
            stacked: the tensors one above the other, for narrow screens.
            styled: with its own style; without it the page has that of :func:`einspec.pages.picture.palette.style`.
            key: what its ids begin with, where several pictures stand in one page.
        """
        return svg.Drawing(self.scene, self.colours, key or _key(self.case), stacked).svg(self.call, self.about, styled)

    @property
    def width(self) -> float:
        """The width of the picture where the tensors stand beside each other."""
        return svg.Drawing(self.scene, self.colours, "", stacked=False).width

    def thumbnail(self) -> str:
        """Return the colours alone as a small SVG, which needs the style of the page."""
        return svg.thumbnail(self.scene, self.colours)

    def score(self, *, styled: bool = True, key: str = "", address: Callable[[str], str] | None = None) -> str:
        """Return the steps of the definition as SVG: a line a step, a wire a tensor; ``""`` where there is but one.

        Args:
            styled: with its own style.
            key: what its ids begin with.
            address: the address of the page of an op, for links.
        """
        if len(self.case.form.stated) < 2:
            return ""
        title = f"The steps of {self.case.op.name}"
        return Score(self.case.form).svg(key or _key(self.case), title, styled, address)


def _key(case: Case) -> str:
    """Return what the ids of a picture begin with."""
    return "ein-" + re.sub(r"[^a-z0-9]+", "-", f"{case.op.name}-{'-'.join(case.form.choice.values())}".lower()).strip("-")


def picture_of(case: Case, inputs: Mapping[str, Array] | None = None) -> Picture:
    """Return the picture of a call, by default on the inputs 1, 2, 3, ... where its card leaves that open."""
    return Picture(case, evaluated(case)[0] if inputs is None else inputs)
