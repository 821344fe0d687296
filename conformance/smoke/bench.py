"""An adapter on the other side of the wall: what it is asked, and whether what came is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np

from einspec.calls.values import fill, flushed, specials
from einspec.conformance.protocol import Found, Item, Probe, ProbeKind, Raised, Seen, tensor
from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]
Ask = Callable[[Probe], Found]
MOST_TEXT = 300
"""Characters of an exception that are shown: a paragraph."""
SEEN: dict[ProbeKind, tuple[int, ...]] = {
    "devices": (2,),
    "memory": (1,),
    "shares": (1,),
    "is_array": (2,),
    "device_of": (1,),
    "layouts": (1,),
    "many": (1,),
    "state": (1, 3),
    "restore": (1,),
}
"""Of how many things a probe says what they are; of one at most where it is not here."""
SOME = 509
"""How many random bit patterns of a wide dtype are tried, a prime, so that no block is even."""


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    check: str
    state: Literal["ok", "note", "PROBLEM"]
    text: str
    advice: str = ""


class AdapterError(Exception):
    """The adapter raised an exception where it must not, or answered what was not asked."""


class Bench:
    """An adapter on which checks are made."""

    def __init__(self, name: str, ask: Ask, opened: Found) -> None:
        """Take a name, how its adapter is asked, and what was found when it was imported."""
        self.name, self.ask = name, ask
        what, file, ops = opened.seen
        self.kind, self.module = what.kind, (what.texts or ("",))[0]
        self.file, self.ops = (file.texts or ("",))[0], ops.texts or ()
        self.broken = False
        """A check failed without which the others mean nothing."""

    def probe(self, kind: ProbeKind, given: Sequence[Array] = (), **options: Any) -> Found:
        """Return what comes of a probe.

        Raises:
            AdapterError: the adapter raised an exception.
        """
        found = self.ask(Probe(kind, given=tuple(tensor(x) for x in given), **options))
        if found.error is not None:
            raise AdapterError(told(found.error))
        if len(found.seen) not in SEEN.get(kind, (0, 1)):
            raise AdapterError("answered what was not asked")
        return found

    def look(self, name: str) -> Seen | None:
        """Return what a name of the adapter stands for, None where it is absent."""
        return next(iter(self.probe("look", name=name).seen), None)

    def has(self, name: str) -> bool:
        """Whether the adapter has a name."""
        return self.look(name) is not None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts that a name of the adapter stands for, none where it is something else."""
        found = self.look(name)
        return (found.texts if found is not None else None) or ()

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that the adapter names."""
        return self.texts("dtypes")

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that the adapter names.

        Raises:
            AdapterError: it names none.
        """
        found = self.probe("devices").seen[0]
        if not found.texts:
            raise AdapterError(f"devices() gives {found.text}")
        return found.texts

    @property
    def subnormals(self) -> bool:
        """Whether subnormal numbers must come back."""
        flag = self.look("flushes_subnormals")
        return flag is None or flag.text == "False"


def differ(got: Sequence[Item], wants: Sequence[Array], text: str = "to_numpy gives") -> str:
    """Return how the first of some arrays differs, nothing where none does."""
    if len(got) != len(wants):
        return f"gives {len(got)} arrays instead of {len(wants)}"
    return next((p for g, w in zip(got, wants, strict=True) if (p := differs(g, w, text))), "")


def differs(got: Item, want: Array, text: str = "to_numpy gives") -> str:
    """Return how an array differs in kind, dtype, shape or bits; any NaN stands for any other."""
    if got.tensor is None:
        return f"{text} {got.text or got.kind}, not a NumPy array"
    if got.tensor.dtype != want.dtype.name:
        return f"{text} dtype {got.tensor.dtype} instead of {want.dtype.name}"
    if got.tensor.shape != want.shape:
        return f"{text} shape {list(got.tensor.shape)} instead of {list(want.shape)}"
    if not got.tensor.is_whole:
        return f"{text} bytes that are not those of its shape"
    flat, wanted = got.tensor.array().reshape(-1), np.ascontiguousarray(want).reshape(-1)
    if flat.tobytes() == wanted.tobytes():
        return ""
    with np.errstate(invalid="ignore"):
        nan = (flat != flat) & (wanted != wanted)
    wrong = np.flatnonzero((_bytes(flat) != _bytes(wanted)).any(1) & ~nan)
    if not wrong.size:
        return ""
    first = slice(int(wrong[0]), int(wrong[0]) + 1)
    given, came = (f"{a[first][0]} (0x{a[first].tobytes()[::-1].hex()})" for a in (wanted, flat))
    return f"{text} {came} for {given}, and {wrong.size} of {want.size} values differ"


def _bytes(flat: Array) -> Array:
    return flat.view(np.uint8).reshape(flat.size, -1)


def patterns(dtype: str, subnormals: bool = True) -> Array:
    """Return the values of a dtype by their bits.

    All of 8 and 16 bits; of the wider those that go wrong, and some others.
    """
    target = numpy_dtype(dtype)
    if dtype == "bool":
        return np.array([False, True])
    if target.itemsize <= 2:
        found = np.arange(256**target.itemsize, dtype=f"u{target.itemsize}").view(target)
    else:
        some = fill((SOME,), dtype, "bits", np.random.default_rng(1))
        found = np.concatenate([specials(dtype), some])
    return found if subnormals else flushed(found)


def told(error: Raised) -> str:
    """Return what was raised, and where, on one line."""
    path, _, line = error.place.rpartition(", line ")
    place = f" ({PurePath(path).name}, line {line})" if path and "importlib" not in path else ""
    text = " ".join(f"{error.name}: {error.text}".split())[:MOST_TEXT].removesuffix(":")
    return f"raised {text}{place}"
