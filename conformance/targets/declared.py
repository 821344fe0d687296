"""What a backend says of itself: what it does not support, and in what it is known to fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from einspec.card import aliases, paths
from einspec.dtypes import ALL

DEVICES = ("cpu", "cuda", "mps", "tpu")
"""Devices that may be named whatever a backend knows."""
PRINTED = "einspec known prints the lines of such a file"


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

    def overlaps(self, other: Known) -> bool:
        """Whether both are about the same failure somewhere."""
        return (
            (self.clause, self.tier) == (other.clause, other.tier)
            and (self.backend == other.backend or "*" in (self.backend, other.backend))
            and (fits_device(self.device, other.device) or fits_device(other.device, self.device))
        )


def read_unsupported(entries: Any) -> list[Unsupported]:
    """Return the entries of ``unsupported``, each ``(op or clause, dtype, device, reason, url)`` with ``*`` for all.

    Raises:
        DeclarationError: an entry names no op or dtype, or gives no reason.
    """
    found = []
    if not isinstance(entries, list | tuple):
        raise DeclarationError(f"unsupported: expected a list of (op or clause, dtype, device, reason, url), not {entries!r}")
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


def unknown_devices(entries: Iterable[Unsupported], known: Sequence[str], there: Sequence[str]) -> Iterator[str]:
    """Yield which entries name a device that there is not, as far as an adapter says which it knows.

    Args:
        entries: what is unsupported.
        known: the kinds of device that the adapter knows; none where it does not say.
        there: the devices that are there.
    """
    devices = {*DEVICES, *known, *there}
    for entry in entries if known else ():
        meant = any(fits_device(entry.device, d) or fits_device(d, entry.device) for d in devices)
        if entry.device != "*" and not meant:
            have = ", ".join(sorted(devices))
            yield f"unsupported: {entry.what}: no device {entry.device!r}; there are {have}"


def never_tried(known: Iterable[Known], unsupported: Sequence[Unsupported]) -> Iterator[str]:
    """Yield which known failures are of clauses that are unsupported."""
    for item in known:
        op, _, clause = item.clause.partition("/")
        if any(entry.covers(op, clause, item.device) for entry in unsupported):
            yield f"{item.where}: {item.clause} is unsupported, so never tried: delete one of the two"


def read_known(path: Path) -> list[Known]:
    """Return the known failures that a file lists, a JSON object a line.

    ``clause``, ``tier`` and ``reason`` must be there; ``url``, ``backend``, ``device`` and ``witness`` may be. A result line of
    a report is such a line, once ``reason`` says why. Blank lines, and those that begin with ``#``, are skipped.

    Raises:
        DeclarationError: the file cannot be read, a line is not such an object, or two are about the same failure.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise DeclarationError(f"known failures: {path} cannot be read: {error.strerror}; {PRINTED}") from error
    except UnicodeDecodeError as error:
        raise DeclarationError(f"known failures: {path} is no text; {PRINTED}") from error
    found: list[Known] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        item = _known(line, f"{path}, line {number}")
        same = next((other for other in found if other.overlaps(item)), None)
        if same:
            raise DeclarationError(
                f"{same.where}, and line {number} are about the same failure, {item.clause} ({item.tier}): delete one of them,"
                " or give each a backend or device of its own"
            )
        found.append(item)
    return found


def _known(line: str, where: str) -> Known:
    """Return one line of a file of known failures."""
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DeclarationError(f"{where}: not JSON: {error}") from error
    texts = [item.get(k) for k in ("clause", "tier", "reason")] if isinstance(item, dict) else [None]
    if not all(isinstance(t, str) for t in texts):
        raise DeclarationError(f"{where}: expected an object with clause, tier and reason")
    problem = _problem(item["clause"], item["reason"])
    if problem:
        raise DeclarationError(f"{where}: {problem}")
    url, backend, device = (item.get(name, default) for name, default in (("url", ""), ("backend", "*"), ("device", "*")))
    witness = item.get("witness") or {}
    replay = witness.get("replay") if isinstance(witness, dict) else witness
    if not all(isinstance(t, str) for t in (url, backend, device)) or not isinstance(replay, dict | None):
        raise DeclarationError(f"{where}: url, backend and device are texts, witness is an object as einspec known prints it")
    return Known(item["clause"], item["tier"], item["reason"], url, backend, device, replay, where)


def _problem(what: str, reason: str) -> str:
    """Return what is wrong with the op of an id or with a reason."""
    op = what.partition("/")[0]
    if op in aliases():
        return f"{op!r} is another name of {aliases()[op]}: give that"
    if op != "*" and op not in paths():
        return f"no op {op!r}; einspec ops lists them"
    return "" if reason.strip() else "a reason is missing: say why, best with the address of an issue"
