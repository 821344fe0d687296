"""Pictures show what ops compute: the numbers, and where each came from."""

from __future__ import annotations

import functools
import itertools
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import einspec
from einspec.card import load
from einspec.conformance.cli import main
from einspec.language.linear import OpClass
from einspec.pages.example import evaluated
from einspec.pages.picture import MOST, Picture, palette
from einspec.pages.picture.grid import grid
from einspec.pages.picture.svg import number

OPS = einspec.ops()
PIXELS = """\
y = pixel_shuffle(x, upscale_factor=2)

x  ... (c i j) h w  8×1×2
       0      1  j
       0  1   0  1  w
  0 0  1  2   3  4
    1  5  6   7  8
  1 0  9 10  11 12
    1 13 14  15 16
  c i

y  ... c (h i) (w j)  2×2×4
       0      1  w
       0  1   0  1  j
  0 0  1  3   2  4
    1  5  7   6  8
  1 0  9 11  10 12
    1 13 15  14 16
  c i"""
SVG = "{http://www.w3.org/2000/svg}"


@functools.cache
def picture(name: str) -> Picture:
    """Return the picture of an op, drawn once for all tests."""
    return einspec.picture(name)


@functools.cache
def drawn(name: str, stacked: bool = False) -> ET.Element:
    """Return the parsed picture of an op."""
    return ET.fromstring(picture(name).svg(stacked=stacked, key="p"))


def cells(name: str, stacked: bool = False) -> dict[str, ET.Element]:
    """Return the cells of a picture by their ids."""
    return {g.attrib["id"]: g for g in drawn(name, stacked).iter(f"{SVG}g") if "id" in g.attrib}


def cell_id(tensor: str, at: tuple[int, ...]) -> str:
    """Return the id of a cell."""
    return "-".join(["p", tensor, *map(str, at)])


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("name", OPS)
def test_a_picture_has_the_numbers_of_the_call(name: str, stacked: bool) -> None:
    """Every element of every input and output is a cell with its number, and no cell is anything else."""
    inputs, outputs = evaluated(picture(name).case)
    found = cells(name, stacked)
    steps = {t.name for t in picture(name).scene.of("step")}
    for tensor, array in (inputs | outputs).items():
        for at in np.ndindex(array.shape):
            shown = found.pop(cell_id(tensor, at)).find(f"{SVG}text")
            assert shown is not None
            assert shown.text == number(array[at])
    assert {i.split("-")[1] for i in found} == steps


@pytest.mark.parametrize("name", OPS)
def test_cells_are_apart(name: str) -> None:
    """No cell of a tensor lies on another, and all lie inside the picture."""
    for stacked in (False, True):
        root = drawn(name, stacked)
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        taken: list[tuple[float, float, float, float]] = []
        for tensor in root.findall(f"{SVG}g"):
            x, y = map(float, re.findall(r"[-\d.]+", tensor.attrib["transform"]))
            for cell in tensor.findall(f"{SVG}g"):
                box = cell.find(f"{SVG}rect")
                assert box is not None
                left, top, wide, high = (float(box.attrib[k]) for k in ("x", "y", "width", "height"))
                here = (x + left, y + top, x + left + wide, y + top + high)
                assert here[0] >= 0
                assert here[1] >= 0
                assert here[2] <= width + 0.6
                assert here[3] <= height + 0.6
                apart = (here[0] >= b[2] or here[2] <= b[0] or here[1] >= b[3] or here[3] <= b[1] for b in taken)
                assert all(apart), f"{name}: {cell.attrib['id']} lies on another cell"
                taken.append(here)


@pytest.mark.parametrize("name", [n for n in OPS if all(f.kind is OpClass.PERMUTATION for f in load(n).forms.values())])
def test_colours_travel_with_the_elements(name: str) -> None:
    """An output element of a permutation has the colour of the element that it is."""
    scene, colours = picture(name).scene, picture(name).colours
    for place, sources in scene.flows.items():
        assert len(sources) == 1
        assert colours.of.get(place) == colours.of.get(sources[0])
        assert scene.value(place) == scene.value(sources[0])
    assert len(set(colours.of.values())) > 1, "one colour alone shows nothing"


def test_the_hue_is_that_of_the_axis_that_stands_alone() -> None:
    """Of pixel_shuffle and of depth_to_space it is the channel, so that the two can be compared."""
    deep, wide = np.arange(32).reshape(1, 8, 2, 2), np.arange(32).reshape(1, 2, 4, 4)
    for found in (
        einspec.picture("pixel_shuffle", deep, upscale_factor=2),
        einspec.picture("depth_to_space", deep, block_size=2),
        einspec.picture("pixel_unshuffle", wide, downscale_factor=2),
        einspec.picture("space_to_depth", wide, block_size=2),
    ):
        assert found.colours.axes == ("c", "i", "j")
    assert picture("split_heads").colours.hue == "h"
    assert picture("dispatch").colours.hue == "t"


@pytest.mark.parametrize("name", OPS)
def test_pointing_names_what_an_element_reads(name: str) -> None:
    """The cells that one names are cells of the picture, those of inputs flow and are the sources that were traced."""
    found = cells(name)
    for tensor in picture(name).scene.of("output"):
        for place in tensor.places:
            cell = found[cell_id(*place)]
            flows, decides = (set(cell.attrib.get(f"data-{k}", "").split()) for k in "fd")
            assert flows | decides <= found.keys()
            assert flows == {cell_id(*p) for p in picture(name).scene.flows[place]}
            assert not flows & decides


def test_rulers_have_the_slowest_axis_outside() -> None:
    """Of ``(c i j)`` the ruler of c is the outermost and that of j the innermost."""
    case = einspec.picture("pixel_shuffle", np.arange(16).reshape(8, 1, 2), upscale_factor=2)
    laid = grid(case.scene.by_name["x"], case.scene.size, number)
    order = [level.axis for level in (*laid.down.levels, *laid.across.levels)]
    assert [a for a in order if a in "cij"] == ["c", "i", "j"]


@pytest.mark.parametrize("name", OPS)
def test_text_has_every_row(name: str) -> None:
    """The text has the title of every tensor, and under it each of its numbers as often as the tensor has it."""
    text = f"{picture(name)}\n"
    assert text.splitlines()[0] == picture(name).call
    for tensor in picture(name).scene.tensors:
        rows = re.search(rf"^{tensor.name}(?:  .*)?\n((?:(?: .*)?\n)*)", text, re.M)
        assert rows is not None, f"{tensor.name} has no title"
        assert Counter(number(picture(name).scene.value(p)) for p in tensor.places) <= Counter(rows[1].split())


def test_text_shows_rulers_and_where_rows_come_from() -> None:
    """The text of pixel_shuffle, and the routes of a dispatch, as they are read in a terminal."""
    text = str(einspec.picture("pixel_shuffle", np.arange(1, 17).reshape(8, 1, 2), upscale_factor=2))
    assert text == PIXELS
    routed = einspec.picture(
        "dispatch",
        np.array([[1.0, 2], [3, 4], [5, 6]]),
        np.array([[1], [0], [1]]),
        np.array([[0], [0], [1]]),
        experts=2,
        capacity=1,
    )
    assert str(routed).endswith("y[0, 0, 0:2] is x[1, 0:2]\ny[1, 0, 0:2] is x[0, 0:2]\n\nnot used: x[2, 0], x[2, 1]")
    assert routed.about.endswith("y[0, 0, 0:2] is x[1, 0:2]. y[1, 0, 0:2] is x[0, 0:2].")


def test_what_goes_nowhere_and_comes_from_nowhere() -> None:
    """A dropped token is dashed, an empty slot dotted."""
    routed = einspec.picture(
        "dispatch", np.array([[1.0, 2], [3, 4]]), np.array([[0], [0]]), np.array([[0], [1]]), experts=2, capacity=1
    )
    assert routed.colours.unread >= {("x", (1, 0)), ("x", (1, 1))}
    assert routed.colours.fills == {("y", (1, 0, 0)), ("y", (1, 0, 1))}
    svg = routed.svg()
    assert 'class="c unread"' in svg
    assert 'class="c fill"' in svg
    assert len(re.findall('class="edge ', svg)) == 1


@pytest.mark.parametrize("name", OPS)
def test_pictures_are_the_same_each_time_and_whole(name: str) -> None:
    """Two pictures are equal; ids stand once; a title and a description say what is to be seen; nothing comes from outside."""
    for styled in (False, True):
        svg = picture(name).svg(styled=styled)
        assert svg == einspec.picture(name).svg(styled=styled)
        assert ("<style>" in svg) == styled
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert len(set(ids)) == len(ids)
        root = ET.fromstring(svg)
        named = [root.find(f"{SVG}title"), root.find(f"{SVG}desc")]
        assert [e is not None and e.attrib["id"] for e in named] == [
            root.attrib["aria-labelledby"],
            root.attrib["aria-describedby"],
        ]
        assert all(e is not None and e.text for e in named)
        assert not re.search(r"url\(|@import|href=|src=", svg)
    score = picture(name).score()
    assert bool(score) == (len(picture(name).case.form.stated) > 1)
    if score:
        ET.fromstring(score)
    ET.fromstring(picture(name).thumbnail())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_can_be_read_on_every_colour(scheme: str) -> None:
    """The contrast of text and cell is that which WCAG 2 asks for, 4.5, in the light and in the dark."""
    for hue, shade in palette.ALL:
        assert contrast(palette.TEXT[scheme], palette.fill(hue, shade, scheme)) >= 4.5
    assert contrast(palette.SOFT[scheme], palette.PAPER[scheme]) >= 4.5
    for hue in {hue for hue, _ in palette.ALL}:
        assert contrast(palette.ink(hue, scheme), palette.PAPER[scheme]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_a_score_has_a_wire_for_every_tensor() -> None:
    """Each tensor of moe_layer is a wire, and no two wires of one column overlap."""
    root = ET.fromstring(einspec.picture("moe_layer").score(address=lambda op: f"{op}.html"))
    spans: dict[str, list[tuple[float, float, str]]] = {}
    for wire in root.iter(f"{SVG}path"):
        title = wire.find(f"{SVG}title")
        if title is not None:
            x, top, bottom = re.findall(r"[\d.]+", wire.attrib["d"])
            spans.setdefault(x, []).append((float(top), float(bottom), str(title.text)))
    names = {name for own in spans.values() for *_, name in own}
    assert names == {"x", "router", "gate_up", "down", "logits", "weights", "index", "place", "kept", "slot", "y"}
    for own in spans.values():
        own.sort()
        assert all(a[1] < b[0] for a, b in itertools.pairwise(own)), own
    assert [a.attrib["href"] for a in root.iter(f"{SVG}a")] == ["gate.html", "position.html", "drop.html", "moe_dense.html"]


def test_a_call_of_ones_own() -> None:
    """Any small call is drawn; one that is too large, empty or not legal is refused."""
    found = einspec.picture("top_k", np.array([[6.0, 2, 3, 6]]), k=3)
    assert found.call == "value, index = top_k(x, k=3)"
    assert [found.scene.value(("index", (0, i))) for i in range(3)] == [0, 3, 2]
    assert found._repr_svg_() == found.svg()
    with pytest.raises(ValueError, match=f"1 to {MOST} elements"):
        einspec.picture("top_k", np.zeros((2, MOST)), k=1)
    with pytest.raises(ValueError, match="axis of size 0"):
        einspec.picture("top_k", np.zeros((0, 3)), k=1)
    with pytest.raises(einspec.ShapeError):
        einspec.picture("top_k", np.zeros((1, 3)), k=4)


def test_show_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the text and writes the picture; neither is about a clause."""
    assert main(["show", "depth_to_space", "--picture", "--svg", str(tmp_path / "x.svg")]) == 0
    assert capsys.readouterr().out == f"{einspec.picture('depth_to_space')}\n"
    assert (tmp_path / "x.svg").read_text(encoding="utf-8") == einspec.picture("depth_to_space").svg()
    assert main(["show", "top_k/def", "--picture"]) == 2
    assert main(["show", "top_k", "--svg", str(tmp_path)]) == 2
    assert "cannot write" in capsys.readouterr().err
