"""The page of a clause: what it demands, on which lines of its card it rests, and which tiers ask it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from einspec.card import Op, shipped, used
from einspec.demands import demand
from einspec.meaning import RESTS_ON, digest
from einspec.pages.sources import authority, rests_on, source
from einspec.pages.text import WIDTH, wrapped


def page(op: Op, clause: str, version: str, tiers: Sequence[str]) -> str:
    """Return the page of a clause.

    Args:
        op: the op that it belongs to.
        clause: its id within the op.
        version: the version of the spec, of which a card of one's own is no part.
        tiers: those in which it is judged.
    """
    address = f"{op.name}/{clause}"
    own = op.name not in shipped()
    right = f"{op.family} · {'own card' if own else f'spec {version}'} · {digest(op, clause)}"
    sections = {
        "Rests on": _rests_on(op, clause),
        "Judged in": wrapped(f"the tiers {', '.join(tiers)}" if len(tiers) > 1 else f"the tier {tiers[0]}", 2),
        **({} if own else {"Cite": [f"  einspec cite {address}"]}),
    }
    head = [f"{address} {right:>{WIDTH - len(address) - 1}}", *wrapped(demand(op, clause), 0)]
    return "\n\n".join(["\n".join(head), *("\n".join([title, *lines]) for title, lines in sections.items())])


def _rests_on(op: Op, clause: str) -> Iterator[str]:
    """Yield on what a clause rests: what it is by the card, and the lines, with their numbers, that can change its meaning."""
    yield f"  {authority(clause)}, in {source(op)}"
    lines = rests_on(op, clause)
    width = len(str(max(lines, default=0)))
    yield from (f"  {number:>{width}}  {text}".rstrip() for number, text in lines.items())
    others = used(op)
    if others and "equations" in RESTS_ON[clause.partition(".")[0]]:
        yield from wrapped(f"and the definitions that it uses: {', '.join(others)}", 2)
