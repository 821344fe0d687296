"""The property tier: calls that Hypothesis draws, many independent inputs in each."""

from __future__ import annotations

from collections.abc import Callable

from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.trial import Trial

Example = tuple[Trial, int]
"""A call and how many inputs it judges."""
EXAMPLES, COMPILED_EXAMPLES = 16, 8
"""How many calls are drawn, and how many for a framework that compiles each."""


def drawn(scene: Scene) -> Asked:
    """Ask for calls that Hypothesis draws, the same every time."""
    if not any(f.signature.inputs for f in scene.op.forms.values()):
        return Asked([], not_run="the op takes no tensors: the scope tier draws its parameters")
    found: list[Example] = []
    search(scene, found.append, examples(scene))
    return Asked([t for t, _ in found], instances=sum(n for _, n in found))


def examples(scene: Scene) -> int:
    """Return how many calls are drawn unless it is said."""
    return COMPILED_EXAMPLES if scene.compiles else EXAMPLES


class FoundError(Exception):
    """Raised by whoever looks at drawn calls, to have the one at hand made smaller."""


def search(scene: Scene, look: Callable[[Example], object], count: int, seed: int | None = None, shrink: bool = False) -> None:
    """Draw calls and have each looked at; one that makes :class:`FoundError` is made smaller.

    Args:
        scene: what is drawn.
        look: told each call; where it gives False, the call does not count, and another is drawn.
        count: how many are drawn.
        seed: where they come from; the same calls every time when absent.
        shrink: whether smaller calls are tried where one was found.
    """
    # Hypothesis takes as long to import as all of the judge, and what is kept is not drawn again
    from einspec.conformance.checks import strategies

    strategies.search(scene, look, count, seed, shrink)
