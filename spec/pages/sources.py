"""The lines of a card on which a clause rests: those that can change its digest."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

from einspec.card import Op, paths, shipped
from einspec.meaning import RESTS_ON

HEADER = re.compile(r"\[+([^\]]+)\]+\s*$")
"""A line that begins a table."""
TABLE_OF = {"equations": "definition"}
"""What a card calls a part of a meaning, where it is not the name of the part."""
NO_MEANING = ("doc", "values")
"""What a card says of a parameter that no clause rests on."""


class Entry(NamedTuple):
    """A key of a card, with its lines."""

    path: tuple[str, ...]
    """The names of the tables that it stands in, and its own."""
    header: int
    """The line that begins its table, 0 where it stands in none."""
    first: int
    last: int


def entries(text: str) -> Iterator[Entry]:
    """Yield the keys of a TOML file that is written as cards are: a table or a key at the beginning of a line."""
    lines = text.splitlines()
    table: tuple[str, ...] = ()
    header = last = 0
    for number, line in enumerate(lines, 1):
        found = HEADER.match(line)
        if number <= last or not line.strip() or line.startswith("#"):
            continue
        if found:
            table, header = _names(found[1]), number
            continue
        last = _end(lines, number)
        yield Entry((*table, *_names(line.partition("=")[0])), header, number, last)


def _names(key: str) -> tuple[str, ...]:
    """Return the names that a dotted key joins."""
    found: Any = tomllib.loads(f"{key} = 0")
    names = []
    while isinstance(found, dict):
        ((name, found),) = found.items()
        names.append(name)
    return tuple(names)


def _end(lines: list[str], first: int) -> int:
    """Return the last line of a key, the first one at which its value is whole."""
    for last in range(first, len(lines)):
        try:
            tomllib.loads("\n".join(lines[first - 1 : last]))
        except tomllib.TOMLDecodeError:
            continue
        return last
    return len(lines)


def source(op: Op) -> str:
    """Return the name of the card of an op below the package; the file of one of one's own."""
    return f"ops/{op.family}/{op.name}.toml" if op.name in shipped() else f"{op.family}/{op.name}.toml"


def rests_on(op: Op, clause: str) -> dict[int, str]:
    """Return the lines of the card on which a clause rests, by their number."""
    text = paths()[op.name].read_text(encoding="utf-8")
    lines, shown = text.splitlines(), set[int]()
    found = list(entries(text))
    ruled = clause.removeprefix("err.") in {".".join(entry.path) for entry in found}
    for entry in found:
        if _matters(entry.path, clause, ruled):
            shown |= {*range(entry.first, entry.last + 1), entry.header} - {0}
    return {number: lines[number - 1] for number in sorted(shown)}


def _matters(path: tuple[str, ...], clause: str, ruled: bool) -> bool:
    """Whether a clause rests on a key of its card; an input without a rule for its dtype follows those of the others."""
    own = path[3:] if path[0] == "when" else path
    kind, _, detail = clause.partition(".")
    parts = [TABLE_OF.get(part, part) for part in RESTS_ON[kind]]
    if own[0] == "laws":
        law, _, name = detail.partition(".")
        return kind == "law" and own[1:] in ((law,), (law, name))
    if own[0] in ("require", "dtype") and kind == "err":
        return detail == ".".join(own) or (own[0] == "dtype" and detail.startswith("dtype.") and not ruled)
    if own == ("ranks", "reduces"):
        return "stores" in parts
    return own[0] in parts and not (own[0] == "params" and own[-1] in NO_MEANING)


def authority(clause: str) -> str:
    """Return what a card says that makes a clause one, in words: a law, a constraint, an assumption, its definition."""
    kind, _, detail = clause.partition(".")
    what, _, name = detail.partition(".")
    match kind:
        case "err" if what == "require":
            return f"the requirement {name}"
        case "err":
            return f"the constraint {detail}"
        case "law":
            return f"the equation {name}" if what == "equation" else f"the law {detail}"
        case "total":
            return f"the assumption {detail}"
    return "the definition" if "equations" in RESTS_ON[kind] else "the signature"
