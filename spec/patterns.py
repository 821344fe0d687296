"""Patterns of einops as ops: ``b (h w) c -> b c h w`` becomes a card, and all that cards have comes with it.

Behind the pattern stand, after commas, sizes and how axes are reduced that the right side does not have:
``b (h p) (w q) c -> b h w c, mean, p=2, q=2``. A size that is not given, and does not follow from a shape, is a parameter.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import keyword
import math
import os
import re
import string
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from einspec import folders
from einspec.card import Op, add_cards, compile_card, parse_card
from einspec.errors import PatternError
from einspec.language.formula import FUNCTIONS, MACROS, REDUCTIONS

ARROW = "->"
TOKEN = re.compile(r"\.\.\.|->|\w+|[(),=]|\S")
HOW = ("mean", "sum", "max", "min", "prod")
"""How axes can be reduced."""
MOST_FACTORS = 16
"""How many factors a product is written out with."""
RESERVED = {*REDUCTIONS, *FUNCTIONS, *MACROS, *keyword.kwlist}
"""Words that formulas and Python have for other things than axes."""
SINCE = "1.1"
"""The version of the spec from which on patterns are ops."""
FAMILY = "patterns"
"""The family of ops that are patterns."""


@dataclass(frozen=True)
class Token:
    """A word of a pattern, and where it stands."""

    text: str
    at: int


@dataclass(frozen=True)
class Pattern:
    """A pattern: a dimension is one token, or several in parentheses."""

    text: str
    left: tuple[tuple[Token, ...], ...]
    right: tuple[tuple[Token, ...], ...]
    grouped: frozenset[int]
    """Where a parenthesis opens a dimension: the places of its first tokens."""
    sizes: Mapping[str, int]
    how: str
    """How axes are reduced that only the left side has; nothing where there are none."""

    @property
    def plain(self) -> str:
        """The pattern without sizes and reduction."""
        return " ".join(self.text.partition(",")[0].split())

    @property
    def kind(self) -> str:
        """The function of einops that it is for: ``rearrange``, ``reduce`` or ``repeat``."""
        return "reduce" if self.how else "repeat" if self.new else "rearrange"

    @property
    def new(self) -> tuple[str, ...]:
        """The axes, and numbers above 1, that only the right side has."""
        known = set(_words(self.left))
        return tuple(t for t in _words(self.right) if t not in known and t not in ("1", "..."))

    @property
    def gone(self) -> tuple[str, ...]:
        """The axes that only the left side has."""
        kept = set(_words(self.right))
        return tuple(t for t in _words(self.left) if t not in kept and t not in ("1", "..."))

    @property
    def inverse(self) -> str:
        """The pattern that undoes it, with the sizes that are known; nothing where there is none."""
        if self.how or self.new or any(t.text == "..." and len(d) > 1 for d in self.right for t in d):
            return ""
        left, _, right = self.plain.partition(ARROW)
        sizes = "".join(f", {axis}={size}" for axis, size in self.sizes.items())
        inverse = f"{right.strip()} {ARROW} {left.strip()}{sizes}".strip()
        return "" if "(...)" in inverse.partition(ARROW)[0] else inverse


def _words(side: Iterable[Iterable[Token]]) -> list[str]:
    return [token.text for dimension in side for token in dimension]


def parse(text: str) -> Pattern:
    """Return a pattern.

    Raises:
        PatternError: the text is none; the message shows where, and says what is expected.
    """
    return _Parser(text).pattern()


class _Parser:
    """Reads one pattern; every error shows its place."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        self.tokens = [Token(m[0], m.start()) for m in TOKEN.finditer(self.text)]
        self.grouped: set[int] = set()

    def error(self, at: int, message: str) -> PatternError:
        return PatternError(f"pattern: {message}\n  {self.text}\n  {' ' * at}^")

    def pattern(self) -> Pattern:
        comma = next((i for i, t in enumerate(self.tokens) if t.text == ","), len(self.tokens))
        head, tail = self.tokens[:comma], self.tokens[comma:]
        arrows = [i for i, t in enumerate(head) if t.text == ARROW]
        if len(arrows) != 1:
            at = head[arrows[1]].at if arrows else len(self.text)
            raise self.error(at, f"expected 'axes {ARROW} axes', with one {ARROW}")
        left, right = self.side(head[: arrows[0]]), self.side(head[arrows[0] + 1 :])
        if not left:
            raise self.error(head[arrows[0]].at, "expected an axis, or 1, on the left")
        sizes, how = self.options(tail)
        found = Pattern(self.text, left, right, frozenset(self.grouped), sizes, how[0] if how else "")
        self.check(found, how[1] if how else 0, tail)
        return found

    def side(self, tokens: list[Token]) -> tuple[tuple[Token, ...], ...]:
        """Return the dimensions of a side."""
        found: list[tuple[Token, ...]] = []
        inner: list[Token] | None = None
        opened = 0
        for token in tokens:
            if token.text == "(":
                if inner is not None:
                    raise self.error(token.at, "parentheses cannot stand in parentheses")
                inner, opened = [], token.at
            elif token.text == ")":
                if inner is None:
                    raise self.error(token.at, "nothing opens this parenthesis")
                found.append(tuple(inner) or (Token("1", opened),))
                self.grouped.add(found[-1][0].at)
                inner = None
            elif not re.fullmatch(r"\.\.\.|\d+|[A-Za-z]\w*", token.text) or token.text.endswith("_"):
                raise self.error(token.at, f"{token.text!r} is no axis: one is a word, 1, or ...")
            elif inner is not None:
                inner.append(token)
            else:
                found.append((token,))
        if inner is not None:
            raise self.error(opened, "this parenthesis is not closed")
        return tuple(found)

    def options(self, tokens: list[Token]) -> tuple[dict[str, int], tuple[str, int] | None]:
        """Return the sizes and the reduction that stand behind a pattern."""
        sizes: dict[str, int] = {}
        how: tuple[str, int] | None = None
        while tokens:
            comma, *rest = tokens
            end = next((i for i, t in enumerate(rest) if t.text == ","), len(rest))
            words, tokens = rest[:end], rest[end:]
            match [w.text for w in words]:
                case [axis, "=", _] if axis in sizes:
                    raise self.error(words[0].at, f"the size of {axis} is given twice")
                case [axis, "=", size] if size.isdecimal() and int(size) > 0 and axis.isidentifier():
                    sizes[axis] = int(size)
                case [kind] if kind in HOW and how is None:
                    how = kind, words[0].at
                case _:
                    at = words[0].at if words else comma.at
                    raise self.error(at, f"expected a size, as in h=2, or one of {', '.join(HOW)}")
        return sizes, how

    def check(self, found: Pattern, at_how: int, tail: list[Token]) -> None:
        """Check that both sides fit, and what stands behind them."""
        known, kept = set(_words(found.left)), set(_words(found.right))
        self.check_left(found, kept)
        self.check_right(found, known)
        if found.how and not found.gone:
            raise self.error(at_how, f"nothing is left for {found.how}: every axis stands on both sides")
        for axis in found.sizes:
            if axis not in known | kept:
                at = next(t.at for t in tail if t.text == axis)
                raise self.error(at, f"no axis {axis} in the pattern")

    def check_once(self, side: tuple[tuple[Token, ...], ...]) -> None:
        """Check that no axis stands twice on a side."""
        seen: set[str] = set()
        for token in (t for dimension in side for t in dimension):
            if token.text in seen:
                raise self.error(token.at, f"{token.text} stands twice on this side")
            seen |= set() if token.text.isdecimal() else {token.text}

    def check_left(self, found: Pattern, kept: set[str]) -> None:
        """Check the axes of the left side."""
        self.check_once(found.left)
        for dimension in found.left:
            for token in dimension:
                if token.text.isdecimal() and token.text != "1":
                    raise self.error(token.at, "a number other than 1 has no name on the left: give the axis one, and its size")
                if (token.text == "..." and len(dimension) > 1) or (token.text == "..." and token.at in self.grouped):
                    raise self.error(token.at, "... cannot stand in parentheses on the left: its sizes would not be known")
                if token.text == "..." and "..." not in kept:
                    raise self.error(token.at, "... stands only on the left: name the axes that are reduced")
                if token.text in found.gone and not found.how:
                    wanted = f"{ARROW} ..., mean"
                    raise self.error(token.at, f"{token.text} stands only on the left: say how it is reduced, as in '{wanted}'")

    def check_right(self, found: Pattern, known: set[str]) -> None:
        """Check the axes of the right side."""
        self.check_once(found.right)
        for token in (t for dimension in found.right for t in dimension):
            if token.text == "..." and "..." not in known:
                raise self.error(token.at, "... stands only on the right")
            if token.text == "0":
                raise self.error(token.at, "no axis has the size 0")
            if token.text in found.new and found.how:
                raise self.error(token.at, f"{token.text} stands only on the right, and a reduction adds no axis")


class _Writer:
    """Writes the card of a pattern."""

    def __init__(self, pattern: Pattern, taken: Collection[str]) -> None:
        self.pattern = pattern
        self.taken = taken
        self.axes: dict[str, str] = {}
        """What the card calls the axes of the pattern."""
        self.sizes: dict[str, int] = {}
        """The sizes that are known, by the axis of the card."""
        words = [w for w in (*_words(pattern.left), *_words(pattern.right)) if not w.isdecimal() and w != "..."]
        for word in dict.fromkeys(words):
            fits = re.fullmatch("[a-z]+", word) and word not in RESERVED
            self.axes[word] = word if fits else ""
        for word in [w for w, axis in self.axes.items() if not axis]:
            self.axes[word] = self.fresh()
        self.sizes |= {self.axes[axis]: size for axis, size in pattern.sizes.items()}
        self.input, self.output = self.tensor("x", "tensor"), self.tensor("y", "result")
        self.left = [self.dimension(d) for d in pattern.left]
        self.right = [self.dimension(d) for d in pattern.right]

    def tensor(self, *names: str) -> str:
        """Return a name for a tensor that neither an axis nor a parameter has: the first one, else the last, with a number."""
        numbered = (f"{names[-1]}{number}" for number in itertools.count(1))
        used = {*self.axes.values(), *self.params()}
        return next(name for name in itertools.chain(names, numbered) if name not in used)

    def fresh(self) -> str:
        """Return a name for an axis that nothing has yet."""
        letters = string.ascii_lowercase
        every = (*letters, *(a + b for a in letters for b in letters))
        used = {*self.axes.values(), *self.sizes}
        return next(str(a) for a in every if a not in used and a not in ("x", "y") and a not in RESERVED)

    def dimension(self, tokens: tuple[Token, ...]) -> list[str]:
        """Return the axes of a dimension; a number is an axis of that size."""
        found = []
        for token in tokens:
            if token.text.isdecimal():
                axis = self.fresh()
                self.sizes[axis] = int(token.text)
                found.append(axis)
            else:
                found.append(self.axes.get(token.text, token.text))
        return found

    def grouped(self, dimension: list[str], tokens: tuple[Token, ...]) -> bool:
        return len(dimension) > 1 or (dimension == ["..."] and tokens[0].at in self.pattern.grouped)

    def side(self, dimensions: list[list[str]], tokens: tuple[tuple[Token, ...], ...], formula: bool) -> str:
        """Return a side as a signature or as a formula has it."""
        parts = []
        for dimension, own in zip(dimensions, tokens, strict=True):
            if not self.grouped(dimension, own):
                parts.append(dimension[0])
            elif formula:
                parts.append(f"({','.join(dimension)}{',' * (len(dimension) == 1)})")
            else:
                parts.append(f"({' '.join(dimension)})")
        return ", ".join(parts) if formula else " ".join(parts)

    @property
    def inner(self) -> list[str]:
        """The axes of the left side that the right one does not have, those of size 1 too."""
        kept = {a for d in self.right for a in d}
        return [a for d in self.left for a in d if a not in kept]

    def body(self) -> str:
        """Return what an element of the output is."""
        index = self.side(self.left, self.pattern.left, formula=True)
        read = f"{self.input}[{index}]" if index else self.input
        gone = [self.axes[a] for a in self.pattern.gone]
        units = [a for a in self.inner if a not in gone]
        if units:
            held = " * ".join(f"({a} == 0)" for a in units)
            read = f"sum[{','.join(units)}]({held} * {read})"
        if not gone:
            return read
        if self.pattern.how != "prod":
            return f"{self.pattern.how}[{','.join(gone)}]({read})"
        return " * ".join(self.factors(gone, read))

    def factors(self, gone: list[str], read: str) -> Iterator[str]:
        """Yield the factors of a product, one a place.

        Raises:
            PatternError: there are too many, or it is not known how many.
        """
        sizes = [self.sizes.get(axis, 0) for axis in gone]
        count = math.prod(sizes)
        if not 0 < count <= MOST_FACTORS:
            text, names = self.pattern.text, ", ".join(self.pattern.gone)
            raise PatternError(
                f"pattern: a product is written out: give the sizes of {names}, together at most {MOST_FACTORS}\n  {text}"
            )
        for number in range(count):
            held, rest = [], number
            for axis, size in zip(reversed(gone), reversed(sizes), strict=True):
                held.append(f"({axis} == {rest % size})")
                rest //= size
            yield f"sum[{','.join(gone)}]({' * '.join(reversed(held))} * {read})"

    def params(self) -> Iterator[str]:
        """Yield the axes of the pattern whose sizes a caller gives."""
        for tokens in self.pattern.left:
            open_ = [t.text for t in tokens if not t.text.isdecimal() and t.text != "..." and t.text not in self.pattern.sizes]
            spare = [a for a in open_ if a not in self.taken] or open_
            yield from (a for a in open_ if len(tokens) > 1 and a != spare[-1])
        yield from (a for a in self.pattern.new if not a.isdecimal() and a not in self.pattern.sizes)

    def moves(self) -> bool:
        return not self.pattern.how and not self.pattern.new

    def text(self, summary: str, since: str) -> str:
        """Return the card."""
        left = self.side(self.left, self.pattern.left, formula=False)
        right = self.side(self.right, self.pattern.right, formula=False)
        index = self.side(self.right, self.pattern.right, formula=True)
        written = f"{self.output}[{index}]" if index else self.output
        open_axes = [self.axes[a] for a in self.pattern.gone if a not in {*self.pattern.sizes, *self.params()}]
        needs = [a for a in open_axes if self.pattern.how in ("mean", "max", "min")]
        lines = [
            f"summary = {json.dumps(summary)}",
            f"since = {json.dumps(since)}",
            f"signature = {json.dumps(f'{self.input}: {left} -> {self.output}: {right}'.strip())}",
            f"definition = {json.dumps(f'{written} = {self.body()}')}",
        ]
        notes = self.notes()
        lines += [f"notes = {json.dumps(notes)}"] if notes else []
        lines += [f"unspecified = {json.dumps([f'axes.{a}' for a in needs])}"] if needs else []
        for name in self.params():
            doc = f"the size of axis {name}"
            lines += ["", f"[params.{name}]", f'size = "{self.axes[name]}"', "min = 1", f'doc = "{doc}"']
        for axis in needs:
            lines += ["", f"[axes.{axis}]", "min = 1"]
        if self.sizes:
            lines += ["", "[sizes]", *(f'{axis} = "{size}"' for axis, size in self.sizes.items())]
        if self.pattern.how:
            group = "ordered" if self.pattern.how in ("max", "min") else "inexact"
            lines += ["", "[dtype]", f'{self.input} = "{group}"']
        laws = ['conserves = "multiset"'] if self.moves() else []
        alike = [d[0] for d in self.left if len(d) == 1 and d in self.right and d != ["..."] and d[0] not in self.sizes]
        laws += [f'equivariant = "{" ".join(alike)}"'] if alike else []
        lines += ["", "[laws]", *laws] if laws else []
        lines += ["", "[[same_as]]", 'package = "einops"', f"call = {json.dumps(self.reduced())}"] if self.pattern.how else []
        return "\n".join(lines) + "\n"

    def reduced(self) -> str:
        """Return the call of einops that reduces so."""
        sizes = {name: name for name in self.params()} | {name: str(size) for name, size in self.pattern.sizes.items()}
        lengths = "".join(f", {name}={size}" for name, size in sizes.items())
        return f"einops.reduce({self.input}, '{self.pattern.plain}', '{self.pattern.how}'{lengths})"

    def notes(self) -> str:
        """Return what else is said of the pattern."""
        told = []
        renamed = [f"{axis} is {word}" for word, axis in self.axes.items() if word != axis]
        if renamed:
            told.append(f"Of the pattern: {', '.join(renamed)}.")
        if self.pattern.inverse:
            told.append(f"Its inverse is the pattern '{self.pattern.inverse}'.")
        elif self.moves():
            told.append("Its inverse is no pattern: the sizes that ... stands for have to be known.")
        else:
            told.append("It has no inverse.")
        return " ".join(told)


def card_text(text: str, taken: Collection[str] = ()) -> str:
    """Return the card of a pattern, as its file would have it.

    Args:
        text: the pattern.
        taken: parameters that a function has, which are then those of the card where there is a choice.

    Raises:
        PatternError: it is none.
    """
    pattern = parse(text)
    verb = {"rearrange": "Rearrange", "reduce": "Reduce", "repeat": "Repeat"}[pattern.kind]
    return _Writer(pattern, taken).text(f"{verb} by the pattern '{pattern.text}'.", SINCE)


@functools.cache
def op_of(text: str) -> Op:
    """Return a pattern as an op, under the name of the function of einops that it is for.

    Raises:
        PatternError: it is none.
    """
    return compile_card(parse(text).kind, FAMILY, parse_card(card_text(text)))


@contextlib.contextmanager
def added(patterns: Mapping[str, tuple[str, Collection[str]]]) -> Iterator[None]:
    """Have patterns beside other ops for a while, in this process and in those that it starts.

    Args:
        patterns: by the name of the op, the pattern and the parameters that its function has.

    Raises:
        PatternError: one is none.
        CardError: a name is that of another op.
    """
    if not patterns:
        yield
        return
    before = folders.listed()
    with tempfile.TemporaryDirectory(prefix="einspec-") as folder:
        place = Path(folder) / FAMILY
        place.mkdir()
        for name, (text, taken) in patterns.items():
            (place / f"{name}.toml").write_text(card_text(text, taken), encoding="utf-8")
        try:
            add_cards(place)
            yield
        finally:
            os.environ[folders.CARDS] = before
