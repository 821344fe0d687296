"""What a backend says of itself: what it does not support, and in what it is known to fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from einspec.card import paths
from einspec.dtypes import ALL


class DeclarationError(ValueError):
    """An entry says something that cannot be; the message names the entry and what is expected."""


def fits_device(pattern: str, device: str) -> bool:
    """Whether a device is meant by a pattern: itself, its kind, or ``*``."""
    return pattern in ("*", device, device.partition(":")[0])


@dataclass(frozen=True)
class Unsupported:
    """An op, a clause or everything (``*``) that a backend does not offer in a dtype on a device, and why."""

    what: str
    dtype: str
    device: str
    reason: str
    url: str = ""

    def covers(self, op: str, clause: str, device: str) -> bool:
        """Whether a clause of an op need not be judged on a device."""
        named = self.what in ("*", op, f"{op}/{clause}")
        return named and self.dtype in ("*", clause.removeprefix("dtype.")) and fits_device(self.device, device)


@dataclass(frozen=True)
class Known:
    """A clause that is known to fail in a tier: one line of a file of known failures."""

    clause: str
    tier: str
    reason: str
    url: str
    backend: str
    device: str
    replay: Mapping[str, Any] | None
    """The stored smallest call that shows it."""
    where: str
    """The file and the line."""

    def covers(self, clause: str, tier: str, backend: str, device: str) -> bool:
        """Whether this is what fails here."""
        return (
            (clause, tier) == (self.clause, self.tier) and self.backend in ("*", backend) and fits_device(self.device, device)
        )


def read_unsupported(entries: Iterable[Any]) -> list[Unsupported]:
    """Return the entries of ``unsupported``, each ``(op or clause, dtype, device, reason, url)`` with ``*`` for all.

    Raises:
        DeclarationError: an entry names no op or dtype, or gives no reason.
    """
    found = []
    for entry in entries:
        parts = tuple(entry) if isinstance(entry, tuple | list) else ()
        if len(parts) not in (4, 5) or not all(isinstance(p, str) for p in parts):
            raise DeclarationError(
                f"unsupported: expected (op or clause or '*', dtype or '*', device or '*', reason, url), not {entry!r}"
            )
        item = Unsupported(*parts)
        problem = _problem(item.what, item.reason)
        if not problem and item.dtype not in ("*", *ALL):
            problem = f"no dtype {item.dtype!r}; the dtypes are {', '.join(ALL)}"
        if problem:
            raise DeclarationError(f"unsupported: {entry!r}: {problem}")
        found.append(item)
    return found


def read_known(path: Path) -> list[Known]:
    """Return the known failures that a file lists, a JSON object a line.

    ``clause``, ``tier`` and ``reason`` must be there; ``url``, ``backend``, ``device`` and ``witness`` may be. A result line of
    a report is such a line, once ``reason`` says why. Blank lines, and those that begin with ``#``, are skipped.

    Raises:
        DeclarationError: the file cannot be read, or a line is not such an object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DeclarationError(f"known failures: {path} cannot be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        if not line.strip() or line.startswith("#"):
            continue
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise DeclarationError(f"{where}: not JSON: {error}") from error
        texts = [item.get(k) for k in ("clause", "tier", "reason")] if isinstance(item, dict) else [None]
        if not all(isinstance(t, str) for t in texts):
            raise DeclarationError(f"{where}: expected an object with clause, tier and reason")
        problem = _problem(item["clause"], item["reason"])
        if problem:
            raise DeclarationError(f"{where}: {problem}")
        replay = (item.get("witness") or {}).get("replay")
        optional = (str(item.get("url", "")), str(item.get("backend", "*")), str(item.get("device", "*")))
        found.append(Known(item["clause"], item["tier"], item["reason"], *optional, replay, where))
    return found


def _problem(what: str, reason: str) -> str:
    """Return what is wrong with the op of an id or with a reason."""
    if what != "*" and what.partition("/")[0] not in paths():
        return f"no op {what.partition('/')[0]!r}; einspec ops lists them"
    return "" if reason.strip() else "a reason is missing: say why, best with the address of an issue"
