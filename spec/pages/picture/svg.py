"""A call as SVG: its tensors side by side, or one above the other, and routes between them where elements only move."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from einspec.pages.picture import palette
from einspec.pages.picture.colour import HUES, Colours
from einspec.pages.picture.grid import CELL, RULER, Grid, Line, grid, letter
from einspec.pages.picture.scene import Scene, Tensor
from einspec.semantics.provenance import Place

MOST_ROUTES = 12
"""How many routes are drawn at most: more of them say nothing."""
HEAD, APART, ARROW, PAD = 25.0, 24.0, 48.0, 6.0
"""The height of a title, the gap between tensors, that between inputs and outputs, and the margin."""
LETTER_WIDTH = 7.3
NARROW = 356.0
"""The width that a phone has for a picture."""
SIDE = 300.0
"""How wide the tables of indices may be that stand beside each other."""


def number(value: Any) -> str:
    """Return a number as a cell shows it."""
    if isinstance(value, bool | np.bool_):
        return "T" if value else "F"
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    shown = str(int(value)) if value == int(value) else f"{value:.2f}".rstrip("0").rstrip(".")
    return ("0" if shown == "-0" else shown).replace("-", "−")


def place_text(place: Place) -> str:
    """Return an element as it is read: ``x[0, 1]``."""
    name, at = place
    return f"{name}[{', '.join(map(str, at))}]" if at else name


@dataclass(frozen=True)
class Box:
    """A tensor at its place."""

    grid: Grid
    x: float
    y: float


def title_text(tensor: Tensor) -> tuple[str, ...]:
    """Return the title of a tensor: its name, its dimensions, its shape, and whether it is on the way."""
    shape = "×".join(map(str, tensor.shape)) or "a number"
    return tensor.name, tensor.index, shape, *(["on the way"] if tensor.part == "step" else [])


def wide(found: Grid) -> float:
    """Return the width of a tensor with its title."""
    title = sum(len(t) + 1 for t in title_text(found.tensor) if t)
    return max(found.width, title * LETTER_WIDTH)


class Drawing:
    """What draws a call in one of its layouts."""

    def __init__(self, scene: Scene, colours: Colours, key: str, stacked: bool) -> None:
        self.scene, self.colours, self.key = scene, colours, key
        self.in_rows = _in_rows(scene)
        self.stacked = stacked = stacked or self.in_rows
        moved = runs(scene) if scene.most == 1 else []
        routed = 0 < len(moved) <= MOST_ROUTES and (self.in_rows or (not stacked and _from_end_to_start(scene, moved)))
        self.grids = {t.name: grid(t, scene.size, number, routed and t.part == "output") for t in scene.tensors}
        layout = _rows if self.in_rows else _stacked if stacked else _beside
        self.boxes, self.width, self.height = layout(self._groups())
        self.at = {b.grid.tensor.name: b for b in self.boxes}
        self.routes = [self._route(*run) for run in moved] if routed else []

    def _groups(self) -> list[list[Grid]]:
        """Return the tensors in the order in which they are read: indices and steps, data, outputs."""
        data, outputs = self.scene.data, self.scene.of("output")
        beside = [t for t in self.scene.tensors if t not in data and t not in outputs]
        groups = [beside, data, outputs]
        if len(data) > 2 and not beside:
            groups = [data[1:], data[:1], outputs]
        return [[self.grids[t.name] for t in group] for group in groups if group]

    def svg(self, title: str, about: str, styled: bool) -> str:
        """Return the picture.

        Args:
            title: what it shows, in a few words.
            about: the same in sentences, for those who cannot see it.
            styled: whether it brings its own style.
        """
        used = [(c.hue % len(HUES), c.shade) for c in self.colours.of.values()]
        style = f"<style>{palette.style(used)}</style>" if styled else ""
        body = "".join([*self.routes, *self._arrow(), *(part for box in self.boxes for part in self._tensor(box))])
        width, height = self.width + 2 * PAD, self.height + 2 * PAD
        zoom = 1.12 if width <= 560 else 1.0
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ein" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width * zoom:.0f}" height="{height * zoom:.0f}" role="img" '
            f'aria-labelledby="{self.key}-t" aria-describedby="{self.key}-d">'
            f'<title id="{self.key}-t">{escape(title)}</title><desc id="{self.key}-d">{escape(about)}</desc>{style}{body}</svg>'
        )

    def _arrow(self) -> Iterator[str]:
        """Yield an arrow from the inputs to the outputs where no routes say it."""
        made = [b for b in self.boxes if b.grid.tensor.part == "output"]
        if self.routes or self.stacked or len(made) == len(self.boxes):
            return
        x = min(b.x for b in made) + PAD - ARROW / 2 - 2
        yield f'<path class="arrow" d="M{x - 9:.1f} {self.height / 2 + PAD:.1f}h18m-6 -5l6 5l-6 5"/>'

    def _tensor(self, box: Box) -> Iterator[str]:
        found = box.grid
        yield f'<g transform="translate({box.x + PAD:.1f} {box.y + PAD:.1f})">'
        name, *rest = map(escape, title_text(found.tensor))
        if self.in_rows:
            middle = found.across.ruled + CELL / 2
            yield f'<text class="n" x="{-box.x:.1f}" y="{middle - 3:.1f}">{name}</text>'
            yield f'<text x="{-box.x:.1f}" y="{middle + 12:.1f}">{"  ".join(filter(None, rest))}</text>'
        else:
            more = "".join(f'<tspan dx="7">{t}</tspan>' for t in rest if t)
            yield f'<text class="halo" y="-9"><tspan class="n">{name}</tspan>{more}</text>'
        for x, y, width, height in found.frames:
            yield f'<rect class="frame" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"/>'
        yield from self._rulers(found.across, found.down.ruled, True)
        yield from self._rulers(found.down, found.across.ruled, False)
        for place in found.tensor.places:
            yield self._cell(found, place)
        yield "</g>"

    def _rulers(self, line: Line, start: float, across: bool) -> Iterator[str]:
        """Yield the rulers of one direction: a bracket over each run with its coordinate, the slowest axis outermost."""
        for i, (level, own) in enumerate(zip(line.levels, line.runs, strict=True)):
            middle, fastest = RULER * i + RULER / 2, i == len(line.levels) - 1
            mark = " on" if level.axis in self.colours.axes else ""
            end = start + line.length + 9
            x, y = (end, middle + 5) if across else (middle, end + 4)
            yield f'<text class="l halo{mark}" x="{x:.1f}" y="{y:.1f}">{escape(letter(level.axis))}</text>'
            for coordinate, first, last in own:
                centre = start + (first + last) / 2
                a, b = start + first + 2, last - first - 4
                if not fastest and across:
                    yield f'<path class="run" d="M{a:.1f} {middle + 7:.1f}v-5h{b:.1f}v5"/>'
                    yield f'<rect class="gap" x="{centre - 6:.1f}" y="{middle - 5:.1f}" width="12" height="11"/>'
                elif not fastest:
                    yield f'<path class="run" d="M{middle + 7:.1f} {a:.1f}h-5v{b:.1f}h5"/>'
                    yield f'<rect class="gap" x="{middle - 5:.1f}" y="{centre - 7:.1f}" width="12" height="14"/>'
                hue = f" t{coordinate % len(HUES)} on" if level.axis == self.colours.hue else ""
                x, y = (centre, middle + 5) if across else (middle + 1, centre + 4)
                yield f'<text class="k halo{hue}" x="{x:.1f}" y="{y:.1f}">{coordinate}</text>'

    def _cell(self, found: Grid, place: Place) -> str:
        x, y = found.cells[place[1]]
        flows, decides = self.scene.flows.get(place, []), self.scene.decides.get(place, [])
        links = "".join(f' data-{name}="{" ".join(map(self._id, own))}"' for name, own in (("f", flows), ("d", decides)) if own)
        kind = self.colours.kind(place)
        return (
            f"<g id={quoteattr(self._id(place))}{links}><title>{escape(self._said(place))}</title>"
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{found.cell:.1f}" height="{CELL:.0f}" rx="3"/>'
            f'<text class="v" x="{x + found.cell / 2:.1f}" y="{y + 17.5:.1f}">{found.texts[place[1]]}</text></g>'
        )

    def _id(self, place: Place) -> str:
        return "-".join([self.key, place[0], *map(str, place[1])])

    def _said(self, place: Place) -> str:
        """Return what a cell says when it is pointed at."""
        fate = self.colours.fate(place)
        text = f"{place_text(place)} = {number(self.scene.value(place))}"
        if fate:
            return f"{text}, {'from no input' if fate == 'fill' else 'not used'}"
        flows, decides = self.scene.flows.get(place, []), self.scene.decides.get(place, [])
        if flows:
            text += f", from {_some(flows)}"
        return text + (f", decided by {_some(decides)}" if decides else "")

    def _route(self, made: Sequence[Place], given: Sequence[Place]) -> str:
        """Return a curve from a run of an input to the run of an output that it becomes."""
        source, target = self.at[given[0][0]], self.at[made[0][0]]
        a, b = (source.grid.cells[p[1]] for p in (given[0], given[-1]))
        c, d = (target.grid.cells[p[1]] for p in (made[0], made[-1]))
        if self.stacked:
            x1, y1 = source.x + PAD + (a[0] + b[0] + source.grid.cell) / 2, source.y + PAD + a[1] + CELL
            x2, y2 = target.x + PAD + (c[0] + d[0] + target.grid.cell) / 2, target.y + PAD + c[1]
            bend = f"{x1:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {(y1 + y2) / 2:.1f}"
        else:
            x1, y1 = source.x + PAD + b[0] + source.grid.cell, source.y + PAD + (a[1] + b[1] + CELL) / 2
            x2, y2 = target.x + PAD + c[0], target.y + PAD + (c[1] + d[1] + CELL) / 2
            bend = f"{(x1 + x2) / 2:.1f} {y1:.1f} {(x1 + x2) / 2:.1f} {y2:.1f}"
        colour = self.colours.of.get(given[0])
        kind = f"edge i{colour.hue % len(HUES)}" if colour else "edge run"
        return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}C{bend} {x2:.1f} {y2:.1f}"/>'


def _in_rows(scene: Scene) -> bool:
    """Whether every tensor is one row, so that they are best read one above the other."""
    return not any(n > 1 for t in scene.tensors for n in t.shape[:-1])


def _from_end_to_start(scene: Scene, moved: Sequence[tuple[list[Place], list[Place]]]) -> bool:
    """Whether runs go from the end of a row to the beginning of another, so that no route crosses a cell."""
    ends = (given[-1][1][-1] == scene.by_name[given[-1][0]].shape[-1] - 1 for _, given in moved if given[-1][1])
    return all(ends) and all(made[0][1][-1] == 0 for made, _ in moved if made[0][1])


def _some(places: Sequence[Place]) -> str:
    """Return elements as text; of many their number."""
    if len(places) <= 3:
        return ", ".join(map(place_text, places))
    return f"{len(places)} elements of {', '.join(sorted({name for name, _ in places}))}"


def runs(scene: Scene) -> list[tuple[list[Place], list[Place]]]:
    """Return the elements of outputs side by side that come from elements of data inputs side by side, with these."""
    found: list[tuple[list[Place], list[Place]]] = []
    data = {t.name for t in scene.data}
    for tensor in scene.of("output"):
        before: Place | None = None
        for place in tensor.places:
            sources = [p for p in scene.flows[place] if p[0] in data]
            source = sources[0] if len(sources) == 1 else None
            if source and before and _follows(source, before) and place[1] and place[1][-1] > 0:
                found[-1][0].append(place)
                found[-1][1].append(source)
            elif source:
                found.append(([place], [source]))
            before = source
    return found


def _follows(place: Place, before: Place) -> bool:
    """Whether an element stands next to another in its row."""
    if not place[1] or place[0] != before[0]:
        return False
    return place[1][:-1] == before[1][:-1] and place[1][-1] == before[1][-1] + 1


def _beside(groups: Sequence[Sequence[Grid]]) -> tuple[list[Box], float, float]:
    """Lay tensors out in columns from left to right; small tables of indices stand beside each other in theirs."""
    packed = [_packed(group, SIDE if i == 0 and len(groups) > 2 else 0.0) for i, group in enumerate(groups)]
    heights = [sum(max(g.height for g in row) + HEAD for row in rows) + APART * (len(rows) - 1) for rows in packed]
    boxes, left = [], 0.0
    for rows, height in zip(packed, heights, strict=True):
        top = (max(heights) - height) / 2
        for row in rows:
            x = left
            for found in row:
                boxes.append(Box(found, x, top + HEAD))
                x += wide(found) + APART
            top += max(g.height for g in row) + HEAD + APART
        left += max(sum(wide(g) + APART for g in row) - APART for row in rows) + ARROW
    return boxes, left - ARROW, max(heights)


def _rows(groups: Sequence[Sequence[Grid]]) -> tuple[list[Box], float, float]:
    """Lay tensors of one row out one above the other, their titles on the left, so that equal places stand in line."""
    titles = [title_text(g.tensor) for group in groups for g in group]
    left = LETTER_WIDTH * max(max(len(name) + 1, len("  ".join(filter(None, rest)))) for name, *rest in titles) + 18
    boxes, top = [], 0.0
    for found in (g for group in groups for g in group):
        boxes.append(Box(found, left, top))
        top += found.height + 16
    return boxes, left + max(b.grid.width for b in boxes), top - 16


def _stacked(groups: Sequence[Sequence[Grid]]) -> tuple[list[Box], float, float]:
    """Lay tensors out in rows from top to bottom, as many beside each other as a phone has room for."""
    rows = [row for group in groups for row in _packed(group, NARROW)]
    width = max(sum(wide(g) + APART for g in row) - APART for row in rows)
    boxes, top = [], 0.0
    for row in rows:
        x = 0.0
        for found in row:
            boxes.append(Box(found, x, top + HEAD))
            x += wide(found) + APART
        top += HEAD + max(g.height for g in row) + APART
    return boxes, width, top - APART


def _packed(group: Sequence[Grid], room: float) -> list[list[Grid]]:
    """Return tensors in rows that fit into a width."""
    rows: list[list[Grid]] = []
    for found in group:
        if rows and sum(wide(g) + APART for g in rows[-1]) + wide(found) <= room:
            rows[-1].append(found)
        else:
            rows.append([found])
    return rows


def thumbnail(scene: Scene, colours: Colours, width: int = 168, height: int = 68) -> str:
    """Return the colours alone, of the first data input and the first output: a picture for a catalogue."""
    given, made = (scene.data or scene.of("input"))[:1], scene.of("output")[:1]
    parts, left, tall = [], 0.0, CELL
    for tensor in (*given, *made):
        found = grid(tensor, scene.size, lambda _: "")
        parts.append((found, left - found.down.ruled, found.down.length))
        left += found.across.length + 34
        tall = max(tall, found.down.length)
    out = []
    for found, dx, own in parts:
        dy = (tall - own) / 2 - found.across.ruled
        for place in found.tensor.places:
            x, y = found.cells[place[1]]
            size = f'width="{found.cell:.0f}" height="{CELL:.0f}"'
            out.append(f'<rect class="{colours.kind(place)}" x="{x + dx:.0f}" y="{y + dy:.0f}" {size} rx="4"/>')
    if len(parts) == 2:
        x = parts[1][1] + parts[1][0].down.ruled - 26
        out.append(f'<path class="arrow" d="M{x:.0f} {tall / 2:.0f}h17m-5 -4l5 4l-5 4"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ein" viewBox="-2 -2 {left - 30:.0f} {tall + 4:.0f}" width="{width}" '
        f'height="{height}" preserveAspectRatio="xMinYMid meet" aria-hidden="true">{"".join(out)}</svg>'
    )
