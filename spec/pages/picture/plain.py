"""A call as text: the same grids with nested rulers, for the terminal and for those who cannot see the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from einspec.pages.picture.colour import Colours
from einspec.pages.picture.grid import Grid, Level, Line, Run, grid, letter
from einspec.pages.picture.scene import Scene
from einspec.pages.picture.svg import MOST_ROUTES, number, place_text, runs, title_text


def text(scene: Scene, colours: Colours) -> str:
    """Return the tensors of a call one below the other, and where runs of elements come from if they are few."""
    blocks = ["\n".join(_tensor(grid(t, scene.size, number))) for t in scene.tensors]
    routes = runs(scene) if scene.most == 1 else []
    if 0 < len(routes) <= MOST_ROUTES:
        blocks.append("\n".join(f"{run(made)} is {run(given)}" for made, given in routes))
    unread = sorted(p for p in colours.unread if p[0] in scene.form.data)
    if unread and len(unread) <= MOST_ROUTES:
        blocks.append(f"not used: {', '.join(map(place_text, unread))}")
    return "\n\n".join(blocks)


def run(places: list[tuple[str, tuple[int, ...]]]) -> str:
    """Return elements side by side as a slice: ``x[0, 1:3]``."""
    name, at = places[0]
    if len(places) == 1:
        return place_text(places[0])
    return f"{name}[{', '.join([*map(str, at[:-1]), f'{at[-1]}:{at[-1] + len(places)}'])}]"


def _tensor(found: Grid) -> Iterator[str]:
    """Yield the lines of a tensor."""
    yield "  ".join(filter(None, title_text(found.tensor)))
    width = max(map(len, found.texts.values()), default=1)
    rooms = [_room(level, own) for level, own in zip(found.down.levels, found.down.runs, strict=True)]
    columns, rows = _slots(found.across), _slots(found.down)
    for i, level in enumerate(found.across.levels):
        heads = _headings(found.across, i)
        shown = "".join(f"{' ' * gap}{heads.get(x, ''):>{width}} " for x, gap in columns)
        yield f"  {' ' * sum(rooms)}{shown.rstrip()}  {letter(level.axis)}"
    texts = {found.cells[at]: text for at, text in found.texts.items()}
    for y, gap in rows:
        if gap > 1:
            yield ""
        heads_left = "".join(f"{_headings(found.down, i).get(y, ''):<{room}}" for i, room in enumerate(rooms))
        line = [(blanks, texts[x + found.down.ruled, y + found.across.ruled]) for x, blanks in columns]
        yield f"  {heads_left}{''.join(f'{chr(32) * blanks}{cell:>{width}} ' for blanks, cell in line)}".rstrip()
    if rooms:
        named = zip(found.down.levels, rooms, strict=True)
        yield f"  {''.join(f'{letter(level.axis):<{room}}' for level, room in named)}".rstrip()


def _room(level: Level, own: Sequence[Run]) -> int:
    """Return the width of a ruler that goes down."""
    return 1 + max(len(letter(level.axis)), *(len(str(run.coordinate)) for run in own))


def _slots(line: Line) -> list[tuple[float, int]]:
    """Return the places along a direction, each with the blanks before it: more where a slower axis goes on."""
    found: list[tuple[float, int]] = []
    before: tuple[int, ...] | None = None
    for coordinates, place in line.places.items():
        changed = next((i for i, (a, b) in enumerate(zip(before or coordinates, coordinates, strict=True)) if a != b), 0)
        slower = len(line.levels) - 1 - changed if before is not None else 0
        found.append((place, slower))
        before = coordinates
    return found


def _headings(line: Line, level: int) -> dict[float, str]:
    """Return the coordinates of an axis at the places where its runs begin."""
    return {run.start: str(run.coordinate) for run in line.runs[level]}
