"""What a name of another package means, as lines of text: a card, a composition of cards, or why it is not in the spec."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from einspec import names
from einspec.card import Op, load, shipped
from einspec.names import Name, key_of

WIDTH = 100


def meanings(found: Iterable[Name]) -> dict[tuple[str, ...], list[Name]]:
    """Return names that mean the same together, in the order in which they were found."""
    grouped: dict[tuple[str, ...], list[Name]] = {}
    for name in found:
        own = grouped.setdefault((name.means, name.when, name.note, name.out, name.why), [])
        own += [] if any(_label(n) == _label(name) for n in own) else [name]
    return {key: [n for n in own if not _repeats(n, own)] for key, own in grouped.items()}


def _repeats(name: Name, others: Iterable[Name]) -> bool:
    """Whether a name is that of another package which this one only takes over."""
    like = names.packages()[name.package].like
    rest = name.function.partition(".")[2]
    return any(n.package == like and n.function.partition(".")[2] == rest for n in others)


def lead(word: str, found: Sequence[Name]) -> str:
    """Return the op to which a name leads by itself: the one that all say, or that of its name; nothing where it is open."""
    general = [n for n in found if n.is_general] or list(found)
    ops = list(dict.fromkeys(n.op for n in general))
    if len(ops) == 1:
        return ops[0]
    own = key_of(word.rpartition(".")[2])
    return next((op for op in ops if op and own in {key_of(n) for n in (op, *load(op).card.aliases)}), "")


def page(word: str, found: Sequence[Name]) -> str:
    """Return what a name means, all that it means, and the summaries of the ops that it is made of."""
    titles = ", ".join(dict.fromkeys(names.packages()[n.package].title for n in found))
    parts = [f"{word}{titles:>{max(WIDTH - len(word), len(titles) + 2)}}", "", *lines(found)]
    ops = list(dict.fromkeys(op for n in found for op in n.ops))
    if ops:
        width = max(map(len, ops)) + 2
        parts += ["", "Ops", *(line for op in ops for line in _wrapped(f"{op:<{width}}{load(op).card.summary}", 2, width))]
    return "\n".join(parts)


def others(op: Op) -> list[str]:
    """Return what functions of the names of an op mean that are not that op, or are it with something to look out for."""
    words = dict.fromkeys([op.name, *op.card.aliases] if op.name in shipped() else [])
    found = [n for word in words for n in names.find(word) if (n.op != op.name or n.note) and n.is_general]
    return list(lines(dict.fromkeys(found)))


def lines(found: Iterable[Name]) -> Iterator[str]:
    """Yield what names mean, a paragraph a meaning."""
    for (means, when, note, out, _), own in meanings(found).items():
        yield from _wrapped(", ".join(dict.fromkeys(map(_label, own))), 2, 2)
        if out:
            yield from _wrapped(own[0].refusal, 6)
        else:
            yield from _wrapped(f"is {means}", 6, 2)
            yield from _wrapped(f"where {when}", 6) if when else ()
        yield from _wrapped(note, 6)


def told(name: Name) -> str:
    """Return in a line what a name means."""
    if name.out:
        return name.refusal.partition(":")[0]
    return f"is {name.means}" + (f", where {name.when}" if name.when else "")


def _label(name: Name) -> str:
    """Return the call of a name where it shows it, and the name alone where the call is a program of its own."""
    shows = names.single_function(name.call) and name.function.rpartition(".")[2] in name.call
    return name.call if shows else name.function


def _wrapped(text: str, indent: int, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split(" ")), WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + hang),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
