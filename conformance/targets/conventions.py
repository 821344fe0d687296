"""The conventions in which a library may differ from the cards: a closed list, each a weakening of one kind of clause."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """One thing that many libraries do otherwise and that is no mistake."""

    weakens: str
    """The kind of clause that asks for more."""
    what: str
    """What may come instead of what the card says."""


CONVENTIONS: dict[str, Convention] = {}
"""By the name that ``admit`` gives it."""
