"""What the pictures show, read from what is drawn."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

plt = pytest.importorskip("matplotlib.pyplot", reason="needs matplotlib")

from einspec import plot  # noqa: E402

SIZES = [(3, 2, 2, 1), (40, 4, 10, 1), (40, 8, 8, 2), (300, 8, 40, 1), (300, 8, 94, 2), (128, 64, 4, 2), (100, 12, 11, 1)]


@pytest.fixture(autouse=True)
def headless() -> Iterator[None]:
    """Draw without a screen, and leave no figure open."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


def routes(tokens: int, experts: int, capacity: int, k: int) -> np.ndarray:
    """Return the mask of k random experts a token, each filled in token order and the first the most sought."""
    rng = np.random.default_rng(tokens)
    mask = np.zeros((tokens, experts, capacity), bool)
    filled = [0] * experts
    for t in range(tokens):
        for e in np.argsort(rng.normal(size=experts) + np.arange(experts) / experts)[:k]:
            if filled[e] < capacity:
                mask[t, e, filled[e]] = True
                filled[e] += 1
    return mask


def draw(mask: Any) -> Any:
    """Return the axes with the picture of a mask."""
    return plot.routing(mask)


def marks(ax: Any, word: str) -> list[Any]:
    """Return the rectangles of the marks whose legend starts with a word."""
    (found,) = [c for c in ax.collections if str(c.get_label()).startswith(word)]
    return [path.get_extents() for path in found.get_paths()]


def cells(ax: Any, word: str) -> list[tuple[int, int]]:
    """Return the column and the row in which each mark lies."""
    boxes = marks(ax, word)
    for box in boxes:
        assert box.width > 0
        assert box.height > 0
    return [(round((b.x0 + b.x1) / 2), round((b.y0 + b.y1) / 2)) for b in boxes]


def legend(ax: Any) -> list[str]:
    """Return the texts of the legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(axis: Any) -> list[str]:
    """Return the texts at an axis."""
    return [label.get_text() for label in axis.get_ticklabels()]


def test_three_tokens() -> None:
    """Every token stands in the column of its slot; the slot that nobody takes is marked below, nothing is dropped."""
    ax = draw(np.array([[[1, 0], [0, 0]], [[0, 0], [1, 0]], [[0, 1], [0, 0]]]))
    assert cells(ax, "token in a slot") == [(0, 0), (2, 1), (1, 2)]
    assert cells(ax, "dropped") == []
    assert cells(ax, "empty") == [(3, 3)]
    assert legend(ax) == ["token in a slot: 3", "dropped: 0 of 3 tokens", "empty: 1 of 4 slots"]
    assert ticks(ax.yaxis) == ["0", "1", "2", "no token"]
    assert ticks(ax.xaxis) == ["0", "1", "0", "1"]
    assert ticks(ax.child_axes[0].xaxis) == ["0", "1"]
    assert [t.get_text() for t in ax.texts] == ["no slot"]


def test_a_dropped_token() -> None:
    """A token without a slot is marked right of all slots, in its row."""
    mask = np.zeros((3, 2, 1))
    mask[1, 0, 0] = mask[0, 1, 0] = 0.25
    ax = draw(mask)
    assert cells(ax, "token in a slot") == [(1, 0), (0, 1)]
    assert cells(ax, "dropped") == [(2, 2)]
    assert cells(ax, "empty") == []


def test_shaded_rows_and_columns() -> None:
    """The row of a dropped token and the column of an empty slot are shaded in full, as far as there are cells."""
    mask = routes(40, 4, 10, 1)
    ax = draw(mask)
    rows, columns = (c for c in ax.collections if c.get_alpha())
    boxes = [path.get_extents() for path in rows.get_paths()]
    assert {(b.x0, b.x1) for b in boxes} == {(-0.5, 39.5)}
    assert [(b.y0, b.y1) for b in boxes] == [(t - 0.5, t + 0.5) for t in np.flatnonzero(~mask.any((1, 2)))]
    boxes = [path.get_extents() for path in columns.get_paths()]
    assert {(b.y0, b.y1) for b in boxes} == {(-0.5, 39.5)}
    assert [(b.x0, b.x1) for b in boxes] == [(s - 0.5, s + 0.5) for s in np.flatnonzero(~mask.any(0))]


@pytest.mark.parametrize(("tokens", "experts", "capacity", "k"), SIZES)
def test_every_size(tokens: int, experts: int, capacity: int, k: int) -> None:
    """The marks are the mask, whatever its size: one in every column, and a row's routes or one drop in every row."""
    mask = routes(tokens, experts, capacity, k)
    ax = draw(mask)
    drawn = np.zeros_like(mask)
    for x, t in cells(ax, "token in a slot"):
        drawn[t, x // capacity, x % capacity] = True
    assert (drawn == mask).all()
    dropped = [t for _, t in cells(ax, "dropped")]
    empty = [x for x, _ in cells(ax, "empty")]
    assert dropped == np.flatnonzero(~mask.any((1, 2))).tolist()
    assert empty == np.flatnonzero(~mask.any(0).ravel()).tolist()
    right, below = ax.get_xlim()[1], ax.get_ylim()[0]
    assert all(experts * capacity - 0.5 < b.x0 and b.x1 < right for b in marks(ax, "dropped"))
    assert all(tokens - 0.5 < b.y0 and b.y1 < below for b in marks(ax, "empty"))


@pytest.mark.parametrize(("tokens", "experts", "capacity", "k"), SIZES)
def test_it_stays_readable(tokens: int, experts: int, capacity: int, k: int) -> None:
    """The figure fits a screen, its labels do not touch and lie inside it, and no mark is thinner than two points."""
    ax = draw(routes(tokens, experts, capacity, k))
    ax.figure.draw_without_rendering()
    assert max(ax.figure.get_size_inches()) <= 12
    upper = ax.child_axes[0]
    for axis in (ax.xaxis, ax.yaxis, upper.xaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels() if label.get_text()]
        assert boxes or axis is ax.xaxis  # experts may be too narrow for a number
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    texts = [ax.get_legend(), *ax.texts, ax.xaxis.label, ax.yaxis.label, upper.xaxis.label]
    frame = ax.figure.bbox
    for box in [text.get_window_extent() for text in texts]:
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert frame.y0 <= box.y0
        assert box.y1 <= frame.y1
    (routed,) = [c for c in ax.collections if str(c.get_label()).startswith("token")]
    dots = 72 / ax.figure.dpi
    for path in routed.get_paths():
        box = ax.transData.transform_path(path).get_extents()
        assert min(box.width, box.height) * dots + routed.get_linewidth()[0] > 2


@pytest.mark.parametrize("shape", [(5, 3, 2), (0, 3, 2), (4, 0, 2), (4, 2, 0), (0, 0, 0), (1, 1, 1)])
def test_nothing_routed(shape: tuple[int, int, int], recwarn: pytest.WarningsRecorder) -> None:
    """Without a route every token is dropped and every slot empty, and empty axes draw without a warning."""
    ax = draw(np.zeros(shape, bool))
    ax.figure.draw_without_rendering()
    tokens, slots = shape[0], shape[1] * shape[2]
    assert len(cells(ax, "dropped")) == tokens
    assert len(cells(ax, "empty")) == slots
    assert legend(ax) == ["token in a slot: 0", f"dropped: {tokens} of {tokens} tokens", f"empty: {slots} of {slots} slots"]
    assert not recwarn.list


def test_two_slots_of_a_token() -> None:
    """With two routes a token has two marks, and is not dropped while one of them has a slot."""
    mask = routes(40, 4, 12, 2)
    ax = draw(mask)
    rows = [t for _, t in cells(ax, "token in a slot")]
    assert max(map(rows.count, rows)) == 2
    assert 1 in map(rows.count, rows)
    assert {t for _, t in cells(ax, "dropped")} == set(range(40)) - set(rows)


def test_the_colours_differ_for_every_eye() -> None:
    """The three kinds of marks have three colours, whose lightness or blueness differs."""
    ax = draw(routes(3, 2, 2, 1))
    found = [c.get_facecolor()[0, :3] for c in ax.collections if re.match("token|dropped|empty", str(c.get_label()))]
    assert len(found) == 3
    for i, a in enumerate(found):
        for b in found[:i]:
            seen = [np.array([0.3 * c[0] + 0.6 * c[1], c[2]]) for c in (a, b)]  # red and green merged
            assert np.abs(seen[0] - seen[1]).max() > 0.1


def test_an_axes_of_ones_own() -> None:
    """It draws where it is told, and returns that."""
    figure, axes = plt.subplots(1, 2)
    assert plot.routing(routes(3, 2, 2, 1), ax=axes[1]) is axes[1]
    assert not axes[0].collections
    assert len(plt.get_fignums()) == 1
    assert axes[1].figure is figure


@pytest.mark.parametrize("framework", ["torch", "jax.numpy"])
def test_arrays_of_a_framework(framework: str) -> None:
    """Tensors of the other frameworks are read, in any dtype."""
    module = pytest.importorskip(framework)
    mask = routes(3, 2, 2, 1)
    expected = cells(plot.routing(mask), "token")
    for dtype in (module.bool, module.int32, module.bfloat16) if framework == "torch" else (bool, "int32", "bfloat16"):
        assert cells(plot.routing(module.asarray(mask, dtype=dtype)), "token") == expected


def test_a_tensor_with_a_gradient() -> None:
    """A mask that needs a gradient, as a combine mask does, is read."""
    torch = pytest.importorskip("torch")
    mask = torch.tensor(routes(3, 2, 2, 1), dtype=torch.float32, requires_grad=True)
    assert cells(plot.routing(mask), "token") == cells(plot.routing(mask.detach()), "token")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((3, 2)), "expected a mask with the axes t e c, not the shape [3, 2]"),
        (np.float32(1), "not the shape []"),
        (np.ones((3, 2, 1)), "slot 0 of expert 0 holds the tokens 0 and 1 and 2"),
        (np.array([[[0, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]]), "slot 1 of expert 1 holds the tokens 0 and 2"),
    ],
)
def test_what_is_no_dispatch_mask(mask: Any, message: str) -> None:
    """A wrong rank or a crowded slot is an error that says what is wrong."""
    with pytest.raises(ValueError, match=re.escape(message)):
        plot.routing(mask)
    assert not plt.get_fignums()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module imports without matplotlib, and drawing says what to install."""
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=re.escape("pip install einspec[plot]")):
        plot.routing(np.zeros((1, 1, 1)))
