"""Where a command writes what it is asked to write: into a file, or to the output where the file is named ``-``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from einspec.conformance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

STDOUT = Path("-")
"""The name by which a file option prints instead of writing a file."""


def checked(files: Mapping[str, Path | None], read: Iterable[Path] = ()) -> bool:
    """Return whether the output is one of the files, by option; nothing is written yet.

    Args:
        files: what is to be written.
        read: what is read by the same command, and must not be lost.

    Raises:
        UsageError: two options name the same file or the output, a file is also read, or it cannot be a file.
    """
    sources = {path.resolve() for path in read if path.exists()}
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        where = path if path == STDOUT else path.resolve()
        if where in seen:
            what = "both print" if path == STDOUT else f"both name {path}"
            raise UsageError(f"{seen[where]} and {option} {what}: name another file for one of them")
        seen[where] = option
        if path == STDOUT:
            continue
        if where in sources:
            raise UsageError(f"{option} {path} would overwrite what is read; name another file")
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a directory; name a file for {option}")
        if not where.parent.is_dir():
            raise UsageError(f"cannot write {path}: no directory {where.parent}; make it, or name another file for {option}")
    return STDOUT in seen


def folder(option: str, path: Path | None) -> None:
    """Check that a folder can be one.

    Raises:
        UsageError: it is ``-``, which stands for the output, or it is a file.
    """
    if path == STDOUT:
        raise UsageError(f"cannot print {option}: it is several files; name a folder, such as out")
    if path is not None and path.exists() and not path.is_dir():
        raise UsageError(f"cannot write into {path}: it is a file; name a folder for {option}")


def put(path: Path, text: str) -> None:
    """Write a text into a file, or print it.

    Raises:
        UsageError: it cannot be written.
    """
    if path == STDOUT:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; name another file") from error


def console() -> Console:
    """Return the output as one for tables and styles: as wide as the terminal, and wide where it is none."""
    from rich.console import Console

    return Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=160, soft_wrap=False)
