"""Which libraries there are adapters of, what each needs, and whether that is installed here."""

from __future__ import annotations

import functools
import importlib.metadata
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import msgspec

import einspec
from einspec.conformance.errors import UsageError

FOLDER = Path(einspec.__file__).parent / "impls" / "world"
"""Where the adapters are."""


class Library(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A library, or one of the ways in which it computes."""

    title: str
    """Its name as it writes it itself."""
    requires: tuple[str, ...]
    """The distributions that have to be installed; the version of the first is that of the library."""
    adapters: str = ""
    """Its file of adapters; that of its name where it says nothing."""
    requirements: str = ""
    """The file of exact versions at which it was judged, from which an environment for it is made."""
    environment: dict[str, str] = {}
    """What stands in the environment of its process."""
    budget: float = 2.0
    """Seconds of a processor that judging an op takes, unless asked otherwise."""


@dataclass(frozen=True)
class Absent:
    """A library that was not judged at all, and why."""

    title: str
    reason: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    library: dict[str, Library]
    absent: dict[str, Absent] = {}


@functools.cache
def _table() -> _Table:
    return msgspec.convert(tomllib.loads((FOLDER / "libraries.toml").read_text(encoding="utf-8")), _Table)


@functools.cache
def libraries() -> dict[str, Library]:
    """Return all libraries by name, in the order in which they are shown."""
    return {
        name: msgspec.structs.replace(
            library,
            adapters=str(FOLDER / (library.adapters or f"{name}.toml")),
            requirements=str(FOLDER / "requirements" / (library.requirements or f"world-{name}.txt")),
        )
        for name, library in _table().library.items()
    }


def absent() -> dict[str, Absent]:
    """Return the libraries of which there are no adapters, with the reason."""
    return _table().absent


def chosen(names: Iterable[str]) -> dict[str, Library]:
    """Return the libraries of these names, all where none is given; the name of an environment stands for those judged in it.

    Raises:
        UsageError: there is none of a name.
    """
    known = libraries()
    together: dict[str, list[str]] = {}
    for name, library in known.items():
        together.setdefault(Path(library.requirements).stem, []).append(name)
    names = [each for name in names for each in together.get(name, [name])]
    for name in names:
        if name in absent():
            raise UsageError(f"{name} has no adapters: {absent()[name].reason}")
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"no library {name!r}; {hint}there are {', '.join(known)}")
    return {name: library for name, library in known.items() if not names or name in names}


def missing(library: Library) -> list[str]:
    """Return the distributions that a library needs and that are not installed here."""
    found = []
    for name in library.requires:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(name)
    return found


def version(library: Library) -> str:
    """Return which version of a library is installed here."""
    return importlib.metadata.version(library.requires[0])


def judged_at(library: Library) -> str:
    """Return the version at which a library was judged: the one that its environment pins."""
    pins = dict(line.split("==") for line in Path(library.requirements).read_text(encoding="utf-8").split())
    return pins[library.requires[0]]
