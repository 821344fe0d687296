"""Pictures of tensors that say where things go; they need matplotlib, ``pip install einspec[plot]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

__all__ = ["routing"]

ROUTED, DROPPED, EMPTY = "#0072b2", "#d55e00", "#8c8c8c"
"""Blue, vermilion and grey are apart for every kind of colour vision, and each has a place of its own."""
LINE = "#777777"
CELL = 0.34
"""Inches of a side of a cell, where there is room for it."""
GAP = 0.1
"""How far a mark keeps from the border of its cell, in cells."""
LEAST = 3.0
"""Points of the side of a mark, at the least."""
LARGEST = 11.0, 7.0
SMALLEST = 6.2, 2.2


def routing(mask: Any, *, ax: Axes | None = None) -> Axes:
    """Draw which token goes to which slot of which expert.

    Rows are tokens, columns are the slots of the experts side by side, a filled cell is a token in a slot. Below the tokens
    are marked the slots that no token takes, right of the slots the tokens that no slot takes. So every column has exactly
    one mark and every row at least one. Cell (t, e, c) lies at x = e * C + c, y = t.

    Args:
        mask: dispatch mask ``t e c``, a NumPy, PyTorch or JAX array; what is not zero is a route.
        ax: where to draw; without it a new figure is made with pyplot, of a size that suits the mask.

    Raises:
        ValueError: the mask has not three axes, or a slot holds several tokens.
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError("einspec.plot draws with matplotlib, which is not installed: pip install einspec[plot]") from error
    routed = _routed(mask)
    tokens, experts, capacity = routed.shape
    slots = experts * capacity
    right, below = slots - 0.5 + _strip(slots), tokens - 0.5 + _strip(tokens)  # where the margins end
    if ax is None:
        cells = right + 2.5, below + 4.5  # with the labels and the legend
        size = [min(max(CELL * n, low), high) for n, low, high in zip(cells, SMALLEST, LARGEST, strict=True)]
        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.set(xlim=(-0.5, right), ylim=(below, -0.5), ylabel="token", xlabel="slot of the expert")

    flat = routed.reshape(tokens, slots)
    taken = np.argwhere(flat)
    dropped, empty = np.flatnonzero(~flat.any(axis=1)), np.flatnonzero(~flat.any(axis=0))
    _tint(ax, [(-0.5, t - 0.5, slots - 0.5, t + 0.5) for t in dropped], DROPPED)
    _tint(ax, [(s - 0.5, -0.5, s + 0.5, tokens - 0.5) for s in empty], EMPTY)
    _marks(ax, [(s - 0.5, t - 0.5, s + 0.5, t + 0.5) for t, s in taken], ROUTED, f"token in a slot: {len(taken)}")
    label = f"dropped: {len(dropped)} of {tokens} tokens"
    _marks(ax, [(slots - 0.5, t - 0.5, right, t + 0.5) for t in dropped], DROPPED, label)
    label = f"empty: {len(empty)} of {slots} slots"
    _marks(ax, [(s - 0.5, tokens - 0.5, s + 0.5, below) for s in empty], EMPTY, label)
    _lines(ax, tokens, experts, capacity)
    _labels(ax, tokens, experts, capacity)
    return ax


def _routed(mask: Any) -> NDArray[np.bool_]:
    """Return where a mask is not zero, on the host.

    Raises:
        ValueError: the mask has not three axes, or a slot holds several tokens.
    """
    found = (mask if hasattr(mask, "shape") else np.asarray(mask)) != 0
    routed = np.asarray(found.cpu() if hasattr(found, "cpu") else found)
    if routed.ndim != 3:
        raise ValueError(f"routing: expected a mask with the axes t e c, not the shape {list(routed.shape)}")
    crowded = np.argwhere(routed.sum(axis=0) > 1)
    if len(crowded):
        expert, slot = crowded[0].tolist()
        holds = " and ".join(map(str, np.flatnonzero(routed[:, expert, slot])[:3]))
        raise ValueError(f"routing: a slot takes one token, but slot {slot} of expert {expert} holds the tokens {holds}")
    return routed


def _strip(cells: int) -> float:
    """Return how wide a margin beside so many cells is, in cells: never a thread, however many they are."""
    return max(1.0, 0.035 * cells)


def _rectangles(boxes: list[tuple[float, float, float, float]], **style: Any) -> PolyCollection:
    from matplotlib.collections import PolyCollection

    return PolyCollection([[(x, y), (x2, y), (x2, y2), (x, y2)] for x, y, x2, y2 in boxes], **style)


def _tint(ax: Axes, boxes: list[tuple[float, float, float, float]], color: str) -> None:
    """Shade whole rows or columns, which shows them where single cells are thinner than a line."""
    ax.add_collection(_rectangles(boxes, facecolor=color, alpha=0.15, linewidth=0, zorder=1), autolim=False)


def _marks(ax: Axes, boxes: list[tuple[float, float, float, float]], color: str, label: str) -> None:
    """Fill cells; where they are small an outline makes the marks larger, so that even a cell below a pixel shows."""
    smaller = [(a + GAP, b + GAP, c - GAP, d - GAP) for a, b, c, d in boxes]
    thin = max(0.0, LEAST - (1 - 2 * GAP) * min(_points(ax)))
    style = {"facecolor": color, "edgecolor": color, "linewidth": thin, "joinstyle": "miter", "zorder": 3}
    ax.add_collection(_rectangles(smaller, label=label, **style), autolim=False)


def _lines(ax: Axes, tokens: int, experts: int, capacity: int) -> None:
    """Separate the experts from each other and the margins from the cells."""
    between = [e * capacity - 0.5 for e in range(1, experts)] if capacity else []
    ax.vlines(between, -0.5, tokens - 0.5, colors=LINE, linewidth=0.7, zorder=2)
    ax.axvline(experts * capacity - 0.5, color=LINE, linewidth=0.7, zorder=2)
    ax.axhline(tokens - 0.5, color=LINE, linewidth=0.7, zorder=2)


def _labels(ax: Axes, tokens: int, experts: int, capacity: int) -> None:
    """Number tokens and slots at the edges and experts on top, as many as there is room for; put the legend below."""
    from matplotlib.transforms import ScaledTranslation

    wide, high = _points(ax)
    step = _step(15 / high)
    rows = range(0, tokens, step)
    ax.set_yticks([*rows, tokens - 0.5 + _strip(tokens) / 2], [*map(str, rows), "no token"])
    least = _width(capacity) / wide
    numbered = [c for c in range(0, capacity, _step(least)) if c + least <= capacity]
    columns = [(e * capacity + c, c) for e in range(experts) for c in numbered]
    ax.set_xticks([x for x, _ in columns], [str(c) for _, c in columns])
    ax.grid(color="#e8e8e8", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.text(1.01, 0.5, "no slot", transform=ax.transAxes, rotation=270, va="center", ha="left")
    step = _step(_width(experts) / max(wide * capacity, 1e-9)) if capacity else experts + 1
    named = range(0, experts, step)
    top = ax.secondary_xaxis("top")
    top.set_xticks([e * capacity + (capacity - 1) / 2 for e in named], [str(e) for e in named])
    top.tick_params(length=0)
    top.set_xlabel("expert")
    below = ax.transAxes + ScaledTranslation(0, -38 / 72, ax.figure.dpi_scale_trans)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=3, frameon=False, handlelength=1.2)


def _points(ax: Axes) -> tuple[float, float]:
    """Return the width and the height of a cell in points."""
    box, (left, right), (below, above) = ax.get_window_extent(), ax.get_xlim(), ax.get_ylim()
    dots = 72 / ax.figure.dpi
    return box.width * dots / abs(right - left), box.height * dots / abs(above - below)


def _width(count: int) -> float:
    """Return the points that a number below a count takes with the gap to the next."""
    return 7.0 * len(str(max(count - 1, 0))) + 6


def _step(least: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50, ... that is not below a number."""
    steps: Iterator[int] = (m * 10**n for n in range(20) for m in (1, 2, 5))
    return next(s for s in steps if s >= least)
