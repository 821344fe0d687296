"""Functions of a file that say by which pattern of einops they go, read from its source: nothing is imported here.

A docstring says it on a line of its own, ``pattern: b (h w) c -> b c h w, h=2``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from einspec.card import aliases, paths
from einspec.conformance.errors import UsageError
from einspec.conformance.targets.names import TargetError
from einspec.errors import PatternError
from einspec.patterns import card_text

SAID = re.compile(r"^\s*pattern:\s*`*(?P<pattern>[^`]*?)`*\s*$", re.MULTILINE | re.IGNORECASE)
"""The line of a docstring that says a pattern."""
NAMED = re.compile(r"\s*(?P<function>[A-Za-z_]\w*)\s*:\s*(?P<pattern>.*)", re.DOTALL)
"""A pattern that is given for a function by its name."""


@dataclass(frozen=True)
class Patterned:
    """A function, its pattern, and the names of its parameters behind the tensor."""

    function: str
    pattern: str
    params: tuple[str, ...]


def said(path: Path) -> Iterator[Patterned]:
    """Yield the functions of a file whose docstring says a pattern.

    Raises:
        TargetError: the file cannot be read.
        UsageError: what a docstring says is no pattern, or is two.
    """
    for function in _functions(path):
        text = ast.get_docstring(function, clean=False) or ""
        for count, found in enumerate(m for m in SAID.finditer(text) if "->" in m["pattern"]):
            line = function.body[0].lineno + text.count("\n", 0, found.start("pattern"))
            place = f"{path}, line {line}: {function.name}"
            entry = Patterned(function.name, found["pattern"], _params(function))
            if count:
                raise UsageError(f"{place} has a pattern already: a function goes by one")
            try:
                card_text(entry.pattern, entry.params)
            except PatternError as error:
                raise UsageError(f"{place}: {error}") from error
            yield entry


def given(path: Path, texts: Iterable[str]) -> Iterator[Patterned]:
    """Yield the functions of a file for which patterns are given: ``PATTERN`` of its only one, or ``FUNCTION: PATTERN``.

    Raises:
        TargetError: the file cannot be read.
        UsageError: it is not clear which function is meant, or there is none of that name.
    """
    functions = {f.name: f for f in _functions(path)}
    public = [name for name in functions if not name.startswith("_")]
    for text in texts:
        named = NAMED.fullmatch(text)
        name, pattern = (named["function"], named["pattern"]) if named else ("", text)
        if not name and len(public) != 1:
            there = ", ".join(public) or "no function"
            raise UsageError(f"{path} defines {there}: say which is meant, --pattern 'FUNCTION: {text.strip()}'")
        if name and name not in functions:
            raise UsageError(f"{path} defines no function {name}; it defines {', '.join(public) or 'none'}")
        function = functions[name or public[0]]
        if is_named(function.name):
            raise UsageError(f"{path}: {function.name} is a name of an op, by which it is judged: call the function otherwise")
        yield Patterned(function.name, pattern, _params(function))


def is_named(function: str) -> bool:
    """Whether a function has a name of an op, so that the op says what it must do."""
    return function in paths() or function in aliases()


def _functions(path: Path) -> list[ast.FunctionDef]:
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise TargetError(f"no file {path}") from error
    except (SyntaxError, ValueError) as error:
        raise TargetError(f"{path} cannot be read as Python: {error}") from error
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def _params(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = function.args
    return tuple(a.arg for a in [*arguments.posonlyargs, *arguments.args][1:]) + tuple(a.arg for a in arguments.kwonlyargs)
