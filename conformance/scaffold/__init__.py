"""What ``einspec new`` writes: files from templates, and never over a file that is there."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from einspec.conformance.commands import UsageError

TEMPLATES = Path(__file__).parent / "templates"

USED = ("numpy", "torch", "jax", "jaxlib", "einops", "ml_dtypes", "einspec")
"""Modules that the backends of the suite, and the scripts that show a failure, import."""


def occupied(name: str) -> str:
    """Return what a name stands for already, nothing where it is free: a keyword, or a module that would be hidden."""
    if keyword.iskeyword(name):
        return "a keyword of Python"
    if name in sys.stdlib_module_names:
        return "a module of Python's standard library"
    return "a module that einspec itself imports" if name in USED else ""


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the text of a template with every ``{{name}}`` replaced.

    Raises:
        KeyError: a name has no value.
    """
    text = (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text)


def write(texts: Mapping[Path, str]) -> None:
    """Write files that are not there yet: all of them, or none.

    Raises:
        UsageError: one of them is there, or cannot be written.
    """
    there = [str(path) for path in texts if path.exists() or path.is_symlink()]
    if there:
        raise UsageError(f"already there, and left as they are: {', '.join(there)}; choose another name or place")
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from None
