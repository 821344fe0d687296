"""Pictures of tensors that say where things go; they need matplotlib, ``pip install einspec[plot]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

__all__ = ["routing"]

ROUTED, DROPPED, EMPTY = "#0072b2", "#d55e00", "#8c8c8c"
"""Blue, vermilion and grey: apart for every kind of colour vision, and apart in lightness."""
LINE = "#444444"
CELL = 0.34
"""Inches of a side of a cell, where there is room for it."""
LARGEST = 11.0, 7.0
SMALLEST = 4.6, 2.2


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
    routed = _routed(mask)
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("einspec.plot draws with matplotlib, which is not installed: pip install einspec[plot]") from error
    tokens, experts, capacity = routed.shape
    slots = experts * capacity
    flat = routed.reshape(tokens, slots)
    taken = np.argwhere(flat)
    dropped, empty = np.flatnonzero(~flat.any(axis=1)), np.flatnonzero(~flat.any(axis=0))
    right, below = slots - 0.5 + _strip(slots), tokens - 0.5 + _strip(tokens)  # where the two strips end
    if ax is None:
        sides = zip((right + 2.5, below + 4.5), SMALLEST, LARGEST, strict=True)  # room for the labels and the legend
        _, ax = pyplot.subplots(figsize=[float(np.clip(CELL * n, low, high)) for n, low, high in sides], layout="constrained")
    ax.set(xlim=(-0.5, right), ylim=(below, -0.5), ylabel="token", xlabel="slot of the expert")

    _tint(ax, [(-0.5, t - 0.5, slots - 0.5, t + 0.5) for t in dropped], DROPPED)
    _tint(ax, [(e - 0.5, -0.5, e + 0.5, tokens - 0.5) for e in empty], EMPTY)
    _marks(ax, [(s - 0.5, t - 0.5, s + 0.5, t + 0.5) for t, s in taken], ROUTED, f"token in a slot: {len(taken)}")
    label = f"dropped token: {len(dropped)} of {tokens}"
    _marks(ax, [(slots - 0.5, t - 0.5, right, t + 0.5) for t in dropped], DROPPED, label)
    label = f"empty slot: {len(empty)} of {slots}"
    _marks(ax, [(s - 0.5, tokens - 0.5, s + 0.5, below) for s in empty], EMPTY, label)
    _lines(ax, tokens, experts, capacity)
    _labels(ax, tokens, experts, capacity)
    return ax
