"""Where in a TOML file each key and each value stands: what `tomllib` does not keep, and an error has to say."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

Path = tuple[str | int, ...]
BARE = re.compile(r"[A-Za-z0-9_-]+")
SPACE = re.compile(r"[ \t]*")
BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
SCALAR = re.compile(r"[^,\]}\s#]+(?: \d[^,\]}\s#]*)?")
"""A number, a truth value or a time; a date and a time may have a space between."""
QUOTES = ('"""', "'''", '"', "'")
PART = re.compile(r"\.\.\.|[^.\[\]`]+")
"""A part of a path as msgspec writes it."""
ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})|\\(.)", re.S)


class Place(NamedTuple):
    """A line and a column, both from 1 on."""

    line: int
    column: int


class Places:
    """The places of a text that is TOML: what is none is not told here, but by `tomllib`."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.keys: dict[Path, int] = {}
        """By path, where its last key begins."""
        self.values: dict[Path, int] = {}
        """By path, where what it holds begins: of a string its first character behind the quotes."""
        table: Path = ()
        while self._skip(BLANK) < len(text):
            if text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def key(self, path: Path) -> Place:
        """Return the place of a key; where there is none, that of the nearest around it."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.place(self.keys.get(path, 0))

    def value(self, path: Path) -> Place:
        """Return the place of a value, or of the nearest key around it."""
        return self.place(self.values[path]) if path in self.values else self.key(path)

    def inside(self, path: Path, line: int, column: int) -> Place:
        """Return the place of a line and a column, both from 1 on, of a string that stands at a path."""
        if path not in self.values:
            return self.key(path)
        start = self.value(path)
        return Place(start.line + line - 1, column + (start.column - 1 if line == 1 else 0))

    def place(self, at: int) -> Place:
        """Return the line and the column of a character."""
        return Place(self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at))

    def _skip(self, what: re.Pattern[str]) -> int:
        found = what.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _header(self) -> Path:
        """Return the path of a table."""
        self.at += 2 if self.text.startswith("[[", self.at) else 1
        path = self._key(())
        self.at = self.text.index("]", self.at) + 1
        if self.text.startswith("]", self.at):
            self.at += 1
        return path

    def _key(self, table: Path) -> Path:
        """Return the path of a key, which may have dots."""
        path = table
        while True:
            self._skip(SPACE)
            start = self.at
            if self.text[self.at] in "\"'":
                name = self._string(self.text[self.at])
            else:
                self._skip(BARE)
                name = self.text[start : self.at]
            path = (*path, name)
            self.keys.setdefault(path, start)
            self._skip(SPACE)
            if not self.text.startswith(".", self.at) or self.at == start:
                return path
            self.at += 1

    def _pair(self, table: Path) -> None:
        path = self._key(table)
        self.at += 1  # the equals sign
        self._skip(SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        self.values[path] = self.at
        first = self.text[self.at]
        quote = next((q for q in QUOTES if self.text.startswith(q, self.at)), "")
        if quote:
            self._string(quote, path)
        elif first == "[":
            self._listed(path)
        elif first == "{":
            self._inline(path)
        else:
            self._skip(SCALAR)

    def _listed(self, path: Path) -> None:
        self.at += 1
        number = 0
        while self._skip(BLANK) < len(self.text) and self.text[self.at] != "]":
            self._value((*path, number))
            number += 1
            self._skip(BLANK)
            self.at += self.text[self.at] == ","
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while self._skip(BLANK) < len(self.text) and self.text[self.at] != "}":
            self._pair(path)
            self._skip(BLANK)
            self.at += self.text[self.at] == ","
        self.at += 1

    def _string(self, quote: str, path: Path = ()) -> str:
        """Return what stands between quotes, and go behind them."""
        start = self.at + len(quote)
        if len(quote) == 3 and self.text.startswith("\n", start):
            start += 1
        elif len(quote) == 3 and self.text.startswith("\r\n", start):
            start += 2
        if path:
            self.values[path] = start
        end = start
        while not self.text.startswith(quote, end):
            end += 2 if quote[0] == '"' and self.text[end] == "\\" else 1
        self.at = end + len(quote)
        while len(quote) == 3 and self.text.startswith(quote[0], self.at):
            self.at += 1  # a quote that belongs to the text, before the last three
        return ESCAPE.sub(_escaped, self.text[start:end]) if quote == '"' else self.text[start:end]


def _escaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3]


def named(value: Any, error: msgspec.ValidationError) -> tuple[Path, bool]:
    """Return the path of what msgspec finds wrong in a table, and whether that is a key.

    It calls ``...`` a key of a table whose values are texts; the first one that is none is meant.
    """
    text, _, where = str(error).partition(" - at `$")
    path = tuple(PART.findall(where))
    if text.startswith("Object contains unknown field"):
        return (*path, text.partition("`")[2].rstrip("`")), True
    if text.startswith("Object missing"):
        return path, True
    found: list[str | int] = []
    for part in path:
        if part == "..." and isinstance(value, dict):
            part = next((k for k, v in value.items() if not isinstance(v, str)), "")
        found.append(int(part) if part.isdecimal() else part)
        value = value.get(part) if isinstance(value, dict) else None
    return tuple(found), False
