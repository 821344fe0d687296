"""Folders of cards of one's own, which are used beside those that einspec ships."""

from __future__ import annotations

import keyword
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from einspec.errors import CardError
from einspec.language.places import Place, Places, named

CARDS = "EINSPEC_CARDS"
"""The environment variable that names the folders, as PATH names its own: processes that are started have them too."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What the name of an op is made of: that of its file."""
QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")
COLUMN = re.compile(r"equation \d+, column (?P<column>\d+).*\n  (?P<line>.+)")
"""How the parser of formulas says where it is."""
KEY = re.compile(r"[\w.-]+(?=:)")


def listed() -> str:
    """Return the folders that are used, as the environment variable has them."""
    return os.environ.get(CARDS, "")


def folders(text: str | None = None) -> tuple[str, ...]:
    """Return folders one by one; those that are used where none are given."""
    return tuple(filter(None, (listed() if text is None else text).split(os.pathsep)))


def files(listed: str) -> dict[str, Path]:
    """Return the file of every card in folders, and in the folders in these, by the name of its op.

    Args:
        listed: the folders, as the environment variable has them.

    Raises:
        CardError: there is no such folder, or none with cards in it, or a file has no name of an op of its own.
    """
    found: dict[str, Path] = {}
    for text in folders(listed):
        folder = Path(text)
        if not folder.is_dir():
            raise CardError(f"{text}: no such folder of cards")
        cards = sorted([*folder.glob("*.toml"), *folder.glob("*/*.toml")])
        if not cards:
            raise CardError(
                f"{text}: no card in this folder; one is a file OP.toml, and einspec schema card says what it holds"
            )
        for path in cards:
            if not NAME.fullmatch(path.stem) or keyword.iskeyword(path.stem):
                raise CardError(f"{path}: an op is named by its file, in lower case, digits and _: not {path.stem!r}")
            if path.stem in found and found[path.stem] != path:
                raise CardError(f"{path}: {path.stem} is the op of {found[path.stem]} already")
            found[path.stem] = path
    return found


def located(path: Path, error: Exception | str) -> str:
    """Return the message of an error in a card with its file and the place in it, as far as that can be said."""
    what = str(error).removeprefix(f"{path.parent.name}/{path.name}: ")
    text = path.read_text(encoding="utf-8", errors="replace")
    place = _place(text, what, error)
    return f"{path}:{place.line}:{place.column}: {what}"


def _place(text: str, what: str, error: Exception | str) -> Place:
    """Return the place that an error is about: of the text it quotes, behind the key it names if it does, else of that key."""
    try:
        data, places = tomllib.loads(text), Places(text)
    except tomllib.TOMLDecodeError:
        line, column = re.findall(r"\d+", what.rpartition("(at")[2]) or (text.count("\n") + 1, 1)
        return Place(int(line), int(column))
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, msgspec.ValidationError):
        path, missing = named(data, cause)
        return places.key(path) if missing else places.value(path)
    parser = COLUMN.match(what)
    if parser and (at := text.find(parser["line"])) >= 0:
        return places.place(at + int(parser["column"]) - 1)
    key = KEY.match(what)
    path = tuple(key[0].split(".")) if key else (_table(data, what),)
    start = places.values.get(path, places.keys.get(path, 0)) if key else 0
    for quoted in _quoted(what):
        if (at := text.find(quoted, start)) >= 0:
            return places.place(at)
    return places.key(path)


def _quoted(what: str) -> Iterator[str]:
    """Yield what a message may quote of a card, the longest first: what follows a colon, and what stands between quotes."""
    first, *rest = what.split("\n")
    tails = [first[m.end() :] for m in re.finditer(": ", first)]
    lines = [line.strip() for line in rest]
    quoted = [one or other for one, other in QUOTED.findall(what)]
    yield from sorted(filter(None, [*tails, *lines, *quoted]), key=len, reverse=True)


def _table(data: Any, what: str) -> str:
    """Return the key of a card that a message which names none is about."""
    return next((key for key in ("signature", "definition") if key in what and key in data), "definition")
