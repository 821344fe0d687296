"""Lines of Python that fit a page: a statement that is too long is broken inside its brackets, as formatters do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

WIDTH = 100
STEP = "    "
OPEN, CLOSE = "([{", ")]}"
MOST = 0.6
"""A bracket that is a greater part of a statement than this is where it is broken, else it is at its operators."""


def broken(statement: str, indent: str = "") -> str:
    """Return a statement of one line, or of several where it does not fit."""
    line = indent + statement
    if statement.startswith("#"):
        return "\n".join(textwrap.wrap(line, WIDTH, subsequent_indent=f"{indent}#     ", break_long_words=False))
    bracket = _widest(statement)
    if len(line) <= WIDTH or bracket is None:
        return line
    several = _split(statement.removeprefix("return "), ", ")
    if statement.startswith("return ") and len(several) > 1:
        return "\n".join([f"{indent}return (", *(broken(f"{part},", indent + STEP) for part in several), f"{indent})"])
    start, end = bracket
    name, assigned, value = statement.partition(" = ")
    operands = _operands(value if assigned else statement)
    if end - start > MOST * len(statement) or len(operands) == 1:
        inside = _inside(statement[start + 1 : end], indent + STEP)
        return "\n".join([f"{indent}{statement[: start + 1]}", *inside, indent + statement[end:]])
    if assigned:
        return "\n".join([f"{indent}{name} = (", *(broken(o, indent + STEP) for o in operands), f"{indent})"])
    return "\n".join(broken(o, indent) for o in operands)


def _inside(text: str, indent: str) -> list[str]:
    """Return what stands in brackets, a line or more for each part that commas separate."""
    separated = _split(text, ", ")
    if len(separated) > 1:
        return [broken(f"{part},", indent) for part in separated]
    return [broken(part, indent) for part in ([text] if len(indent + text) <= WIDTH else _operands(text))]


def _operands(text: str) -> list[str]:
    """Return the operands of what binds least in a term, each but the first after its operator."""
    for operator in ("|", "&", "+", "*"):
        first, *others = _split(text, f" {operator} ")
        if others:
            parts = [first, *(f"{operator} {other}" for other in others)]
            return _differences(parts) if operator == "+" else parts
    return [text]


def _differences(parts: list[str]) -> list[str]:
    """Return the terms of a sum with those that are subtracted apart."""
    found: list[str] = []
    for part in parts:
        first, *others = _split(part, " - ")
        found += [first, *(f"- {other}" for other in others)]
    return found


def _widest(text: str) -> tuple[int, int] | None:
    """Return where the longest bracket that is in no other opens and closes; None where there is none."""
    found: list[tuple[int, int]] = []
    start = 0
    for i, depth in _depths(text):
        if text[i] in OPEN and depth == 1:
            start = i
        elif text[i] in CLOSE and depth == 0:
            found.append((start, i))
    return max(found, key=lambda pair: pair[1] - pair[0], default=None)


def _split(text: str, mark: str) -> list[str]:
    """Return what a mark outside of all brackets separates."""
    pieces, last = [], 0
    for i, depth in _depths(text):
        if not depth and text.startswith(mark, i):
            pieces.append(text[last:i])
            last = i + len(mark)
    return [*pieces, text[last:]]


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Yield every place that is not inside quotes, with the number of brackets that are open after it."""
    depth, quote = 0, ""
    for i, character in enumerate(text):
        if quote or character in "\"'":
            quote = "" if character == quote else quote or character
            continue
        depth += (character in OPEN) - (character in CLOSE)
        yield i, depth
