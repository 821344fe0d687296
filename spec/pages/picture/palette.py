"""The colours of pictures, for light and dark: computed once from OKLCH, in which equal steps look equal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from einspec.pages.picture.colour import HUES, PALE, SHADES

RGB = tuple[float, float, float]
TEXT = {"light": "#1d2126", "dark": "#eef1f4"}
"""What is written in the cells."""
SOFT = {"light": "#5c636b", "dark": "#9aa3ad"}
"""What is written beside them."""
LINE = {"light": "#c9ccc8", "dark": "#454c54"}
PAPER = {"light": "#ffffff", "dark": "#171a1d"}
"""What pictures lie on; letters that a route crosses have a border of it."""
CHROMA, PALE_CHROMA = 0.085, 0.035


def fill(hue: int, shade: int, scheme: str) -> str:
    """Return the colour of a cell."""
    dark = scheme == "dark"
    if shade == PALE:
        return _hex(0.29 if dark else 0.965, PALE_CHROMA, HUES[hue])
    step = (shade - 1) / (SHADES - 1)
    return _hex(0.33 + 0.17 * step if dark else 0.93 - 0.2 * step, CHROMA, HUES[hue])


def border(hue: int, shade: int, scheme: str) -> str:
    """Return the colour of the border of a cell."""
    step = 0 if shade == PALE else (shade - 1) / (SHADES - 1)
    return _hex(0.46 + 0.15 * step if scheme == "dark" else 0.8 - 0.18 * step, CHROMA + 0.015, HUES[hue])


def ink(hue: int, scheme: str) -> str:
    """Return the colour of a line or letter of a hue."""
    return _hex(0.74 if scheme == "dark" else 0.53, 0.13, HUES[hue])


def _hex(lightness: float, chroma: float, degrees: float) -> str:
    """Return an OKLCH colour as sRGB, with as much of the chroma as sRGB has."""
    while True:
        linear = _linear(lightness, chroma, degrees)
        if all(-0.0005 <= c <= 1.0005 for c in linear):
            return "#" + "".join(f"{round(255 * _gamma(min(max(c, 0.0), 1.0))):02x}" for c in linear)
        chroma -= 0.002


def _linear(lightness: float, chroma: float, degrees: float) -> RGB:
    """Return linear sRGB, by the matrices of Björn Ottosson."""
    a, b = chroma * math.cos(math.radians(degrees)), chroma * math.sin(math.radians(degrees))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(c: float) -> float:
    return 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055


ALL = [(hue, shade) for hue in range(len(HUES)) for shade in range(SHADES + 1)]


def style(used: Iterable[tuple[int, int]] = tuple(ALL)) -> str:
    """Return the style of pictures: light, dark where the reader asks for it, light again in print.

    Args:
        used: the hues and shades for which there shall be rules.
    """
    kept = sorted(set(used))
    light, dark = ("".join(_rules(kept, scheme)) for scheme in ("light", "dark"))
    return f"{FIXED}{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _rules(used: Iterable[tuple[int, int]], scheme: str) -> Iterator[str]:
    """Yield the rules that differ between light and dark."""
    used = list(used)
    yield f".ein text{{fill:{SOFT[scheme]}}}.ein .v,.ein .n,.ein .on{{fill:{TEXT[scheme]}}}"
    yield f".ein .c{{stroke:{LINE[scheme]}}}.ein .frame{{stroke:{LINE[scheme]}}}.ein .run,.ein .arrow{{stroke:{SOFT[scheme]}}}"
    yield f".ein .halo,.ein .gap{{stroke:{PAPER[scheme]}}}.ein .gap,.ein .made{{fill:{PAPER[scheme]}}}"
    for hue, shade in used:
        yield f".ein .h{hue}s{shade}{{fill:{fill(hue, shade, scheme)};stroke:{border(hue, shade, scheme)}}}"
    for hue in sorted({hue for hue, _ in used}):
        yield f".ein .i{hue}{{stroke:{ink(hue, scheme)}}}.ein .t{hue}{{fill:{ink(hue, scheme)}}}"


MONO = 'ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace'
SERIF = '"STIX Two Math","Latin Modern Math","Cambria Math",Georgia,serif'
FIXED = (
    f".ein{{max-width:100%;height:auto}}.ein text{{font:12px {MONO}}}"
    ".ein .c{fill:none}.ein .v,.ein .k{text-anchor:middle}.ein .k{font-size:10px}"
    ".ein .n{font-size:13px;font-weight:700}"
    f".ein .l{{font:italic 13px {SERIF};text-anchor:middle}}.ein .on{{font-weight:700}}"
    ".ein .frame,.ein .run,.ein .arrow,.ein .edge{fill:none}.ein .arrow{stroke-width:1.5}"
    ".ein .edge{stroke-width:1.6;opacity:.8}"
    ".ein .halo{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
    ".ein .fill{stroke-dasharray:1.5 3}.ein .unread{stroke-dasharray:4 2.5}.ein .gap{stroke-width:0}"
    ".ein .wire{fill:none;stroke-width:2.4}.ein .bus{fill:none;stroke-width:1}.ein .made{stroke-width:2.2}"
)
