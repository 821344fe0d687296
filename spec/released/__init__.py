"""What ops meant in released versions of the spec: cards as they were, for those that mean something else since.

A folder a version, ``1_0`` for 1.0, holds the card of each op whose meaning a later version changed, as it was last;
``digests.json``, what the clause ``def`` of every op of that version rested on; and ``clauses.json``, the ids of all its
clauses. An op without a card there means today what it meant then.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from einspec.card import Op, compile_card, is_op, load, paths, read_card, resolve
from einspec.clauses import clause_ids

RELEASED = Path(__file__).parent


def versions(folder: Path = RELEASED) -> list[str]:
    """Return the versions before this one, the oldest first."""
    return sorted((p.parent.name.replace("_", ".") for p in folder.glob("*/digests.json")), key=_parts)


def folder_of(version: str, folder: Path = RELEASED) -> Path:
    """Return where the cards of a version are kept."""
    return folder / version.replace(".", "_")


def digests(version: str, folder: Path = RELEASED) -> dict[str, str]:
    """Return what the definitions of all ops of a version rested on, as digests."""
    found: dict[str, str] = json.loads((folder_of(version, folder) / "digests.json").read_text(encoding="utf-8"))
    return found


def clauses_of(version: str, folder: Path = RELEASED) -> dict[str, list[str]]:
    """Return the ids of the clauses of all ops of a version."""
    found: dict[str, list[str]] = json.loads((folder_of(version, folder) / "clauses.json").read_text(encoding="utf-8"))
    return found


def keep(version: str, clauses: Mapping[str, Mapping[str, str]], folder: Path = RELEASED) -> None:
    """Write down the ids of the clauses of a version, and what its definitions rest on.

    Args:
        version: it.
        clauses: the digest of every clause, by op and id.
        folder: where earlier versions are kept.
    """
    place = folder_of(version, folder)
    place.mkdir(parents=True, exist_ok=True)
    lines = [f" {json.dumps(op)}: {json.dumps(list(ids))}" for op, ids in clauses.items()]
    (place / "clauses.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    keep_digests(version, {op: ids["def"] for op, ids in clauses.items()}, folder)


def keep_digests(version: str, definitions: Mapping[str, str], folder: Path = RELEASED) -> None:
    """Write down what the definitions of a version rest on."""
    path = folder_of(version, folder) / "digests.json"
    path.write_text(json.dumps(dict(definitions), indent=1) + "\n", encoding="utf-8")


@functools.cache
def withdrawn(op: str, folder: Path = RELEASED) -> dict[str, str]:
    """Return the clauses that an op had in earlier versions and has no more, each with the last version that had it."""
    here = clause_ids(load(op))
    found: dict[str, str] = {}
    for version in versions(folder):
        own = [c for name, ids in clauses_of(version, folder).items() if is_op(name) and resolve(name) == op for c in ids]
        found |= {c: version for c in own if c not in here}
    return found


@functools.cache
def load_as_of(version: str, name: str, folder: Path = RELEASED) -> Op:
    """Return an op as a version of the spec has it; so are the ops that its definition uses.

    Args:
        version: one of :func:`versions`.
        name: the name of the op, no alias.
        folder: where the cards of earlier versions are kept.

    Raises:
        KeyError: the version has no such op, or its card is not kept though there is none any more.
    """
    if name not in digests(version, folder):
        raise KeyError(f"spec {version} has no op {name!r}")
    later = [v for v in versions(folder) if _parts(v) >= _parts(version)]
    kept = (folder_of(v, folder) / f"{name}.toml" for v in later)
    path = next((p for p in kept if p.is_file()), None)
    family = load(name).family if name in paths() else "released"
    find = functools.partial(load_as_of, version, folder=folder)
    return compile_card(name, family, read_card(path or paths()[name]), find)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
