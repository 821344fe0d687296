"""What ``einspec new`` writes: files from templates, and never over a file that is there."""

from __future__ import annotations

import contextlib
import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from einspec.conformance.errors import UsageError

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


def write(texts: Mapping[Path, str], changed: Mapping[Path, str] = MappingProxyType({})) -> None:
    """Write files that are not there yet, and new texts of files that are: all of them, or none.

    Raises:
        UsageError: one of the new files is there, or something cannot be written.
    """
    there = [str(path) for path in texts if path.exists() or path.is_symlink()]
    if there:
        raise UsageError(f"already there, and left as they are: {', '.join(there)}; choose another name or place")
    made: list[Path] = []
    before: dict[Path, bytes] = {}
    try:
        for path, text in texts.items():
            made += reversed([folder for folder in (path.parent, *path.parent.parents) if not folder.exists()])
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
        for path, text in changed.items():
            before[path] = path.read_bytes()
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        for path, content in before.items():
            with contextlib.suppress(OSError):
                path.write_bytes(content)
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        what = f"{error.filename or path} cannot be written: {error.strerror}"
        raise UsageError(f"{what}; nothing was written: choose another place, or make that one writable") from None
