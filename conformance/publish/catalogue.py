"""Which op is meant by what others call it: what the search looks through, and the tables of names elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from einspec import names
from einspec.card import Op, load, paths
from einspec.conformance.publish.words import address, linked
from einspec.names import FUNCTION, Name, key_of

SAME, OTHER = "=", "≠"
"""What words of the search begin with: a call that computes the op, and something that has its name and does not."""
ORDINARY = frozenset({"and", "by", "data", "dim", "axis", "format", "layout", "mode", "of", "the", "to", "with"})
"""What stands beside the name of a function in the words of who differs, and is none."""


@dataclass(frozen=True)
class Contested:
    """A name that does not always mean one thing."""

    word: str
    meanings: list[tuple[str, Markup]]
    """The op, or who means something else by it, each with what is meant."""


def words_of(op: Op) -> list[str]:
    """Return what the search knows of an op, the surest first: its names, calls that are the same, who differs, its summary."""
    same = [f"{SAME}{e.package}: {' '.join(e.call.split())}" for f in op.forms.values() for e in f.same_as]
    differs = [f"{OTHER}{d.who}: {' '.join(d.how.split())}" for d in op.card.differs]
    return list(dict.fromkeys([op.name, *op.card.aliases, *same, *differs, op.card.summary, op.family]))


def functions() -> list[tuple[str, Name, Markup]]:
    """Return the functions of other packages, each with the title of its package and what it is."""
    return [(names.packages()[n.package].title, n, _told(n)) for n in names.every()]


def _told(name: Name) -> Markup:
    """Return what a name is, with links to the ops."""
    if name.out:
        return linked(name.refusal)
    parts = re.split(r"\b([a-z_0-9]+)(?=\()", name.means)
    shown = [Markup('<a href="{}">{}</a>').format(address(p), p) if p in paths() else escape(p) for p in parts]
    return Markup("<code>{}</code>").format(Markup("").join(shown))


def contested() -> list[Contested]:
    """Return the names that lead to several ops, or that somebody uses for something else."""
    leads: dict[str, dict[str, str]] = {}
    for name in paths():
        op = load(name)
        for word in (name, *op.card.aliases):
            leads.setdefault(key_of(word), {})[name] = word
    others: dict[str, list[tuple[str, Markup, str]]] = {}
    for there in filter(_is_new, names.every()):
        word = there.function.rpartition(".")[2]
        if there.op:
            leads.setdefault(key_of(word), {}).setdefault(there.op, word)
        else:
            others.setdefault(key_of(word), []).append((there.function, _told(there), ""))
    for name in paths():
        for entry in load(name).card.differs:
            for word in {key_of(w.rpartition(".")[2]) for w in FUNCTION.findall(entry.who)} - {*ORDINARY, ""}:
                if word in leads:
                    others.setdefault(word, []).append((entry.who, linked(" ".join(entry.how.split())), name))
    found = []
    for word, ops in sorted(leads.items()):
        if len(ops) > 1 or word in others:
            own = [(op, linked(load(op).card.summary)) for op in ops]
            found.append(Contested(next(iter(ops.values())), [*own, *((who, how) for who, how, _ in others.get(word, []))]))
    return found


def _is_new(name: Name) -> bool:
    """Whether a name says what a function does in general, and is no other package's under the same name."""
    return name.is_general and not names.packages()[name.package].like


def families() -> Iterator[tuple[str, list[Op]]]:
    """Yield the families with their ops."""
    found: dict[str, list[Op]] = {}
    for name in paths():
        found.setdefault(load(name).family, []).append(load(name))
    yield from found.items()
