"""Text of a card as HTML: names of ops lead to their pages."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from einspec.card import paths

ORDINARY = re.compile(r"see (?P<seen>[a-z_0-9]+)|(?P<name>[a-z0-9]+(?:_[a-z0-9]+)+)")
"""Where a text may name an op: after ``see``, or by a name that is no ordinary word."""


def address(op: str) -> str:
    """Return the address of the page of an op, from any other page."""
    return f"{op}.html"


def linked(text: str, own: str = "") -> Markup:
    """Return a text in which the names of other ops lead to their pages.

    Args:
        text: the text.
        own: the op on whose page it stands.
    """
    parts, end = [], 0
    for found in ORDINARY.finditer(text):
        kind = "seen" if found["seen"] else "name"
        name = found[kind]
        if name in paths() and name != own and not _inside_a_word(text, *found.span(kind)):
            parts += [escape(text[end : found.start(kind)]), Markup('<a href="{}">{}</a>').format(address(name), name)]
            end = found.end(kind)
    return Markup("").join([*parts, escape(text[end:])])


def _inside_a_word(text: str, start: int, end: int) -> bool:
    """Whether a name is part of a longer one, as ``depth_to_space`` is of ``tf.nn.depth_to_space``."""
    return bool(re.match(r"[\w.]", text[start - 1 : start])) or bool(re.match(r"\w|\.\w|\(", text[end : end + 2]))
