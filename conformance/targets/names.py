"""Which names stand for what: installed backends by entry point, modules by dotted name, files by path."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from pathlib import Path

GROUP = "einspec.backends"
"""The entry point group of backends."""
FRAMEWORKS = ("torch", "jax", "numpy")
"""The frameworks of which einspec has an adapter."""
DATA = ".toml"
"""How the name of a file ends that says which calls of a library compute ops."""


class TargetError(Exception):
    """What was asked for cannot be judged: it does not exist, cannot be imported or defines no op."""


def known_backends() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the installed backends by name."""
    return {e.name: e for e in importlib.metadata.entry_points(group=GROUP)}


def is_of_einspec(name: str) -> bool:
    """Whether a name stands for implementations of einspec itself, which may compute with it."""
    backend = known_backends().get(name)
    return not is_file(name) and (backend.value if backend else name).startswith("einspec.")


def expand_names(names: Iterable[str]) -> list[str]:
    """Return the names with ``einops`` replaced by its backends, one a framework that is installed here."""
    found: list[str] = []
    for name in names:
        members = [b for b in known_backends() if b.startswith(f"{name}-")]
        if name not in known_backends() and members and not is_file(name):
            found += [m for m in members if importlib.util.find_spec(m.removeprefix(f"{name}-"))]
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def default_names() -> list[str]:
    """Return every installed backend whose framework is installed here."""
    usable = []
    for name in known_backends():
        framework = name.rpartition("-")[2]
        if framework not in FRAMEWORKS or importlib.util.find_spec(framework):
            usable.append(name)
    return usable


def is_data(name: str) -> bool:
    """Whether a name is the path of a file that says which calls of a library compute ops."""
    return name.endswith(DATA)


def is_file(name: str) -> bool:
    """Whether a name is the path of a file."""
    return name.endswith((".py", DATA)) or Path(name).is_file()
