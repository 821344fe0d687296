"""A place to try an adapter: what a check found, and the comparison of what went in with what came back."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from einspec.calls.values import fill, flushed, specials
from einspec.conformance.judge import witness
from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    check: str
    state: Literal["ok", "note", "PROBLEM"]
    text: str
    advice: str = ""


@dataclass
class Bench:
    """An adapter on which checks are made."""

    name: str
    adapter: Any
    functions: tuple[str, ...] = ()
    """The ops of a file that borrows the adapter."""
    broken: bool = False
    """A check failed without which the others mean nothing."""

    @property
    def devices(self) -> list[str]:
        """The devices that the adapter names."""
        return list(self.adapter.devices())

    @property
    def subnormals(self) -> bool:
        """Whether subnormal numbers must come back."""
        return not getattr(self.adapter, "flushes_subnormals", False)

    def holding(self, *dtypes: str) -> contextlib.AbstractContextManager[None]:
        """Return the context in which the framework holds dtypes."""
        hold = getattr(self.adapter, "holding", None)
        context: contextlib.AbstractContextManager[None] = hold(dtypes) if hold else contextlib.nullcontext()
        return context

    def has(self, name: str) -> bool:
        """Whether the adapter offers something that it may leave out."""
        return hasattr(self.adapter, name)

    def array(self, x: Array, device: str = "") -> Any:
        """Return the framework's array of a copy of a NumPy array."""
        return self.adapter.asarray(x.copy(), device or self.devices[0])

    def same(self, x: Any, want: Array) -> str:
        """Return how a framework's array differs from what it should hold, nothing where it does not."""
        return differs(self.adapter.to_numpy(x), want)


def differs(got: Any, want: Array, text: str = "to_numpy gives") -> str:
    """Return how an array differs in kind, dtype, shape or bits, nothing where it does not; any NaN stands for any other."""
    if not isinstance(got, np.ndarray | np.generic):
        return f"{text} {type(got).__name__}, not a NumPy array"
    if got.dtype.name != want.dtype.name:
        return f"{text} dtype {got.dtype.name} instead of {want.dtype.name}"
    if got.shape != want.shape:
        return f"{text} shape {list(got.shape)} instead of {list(want.shape)}"
    flat, wanted = np.ascontiguousarray(got).reshape(-1), np.ascontiguousarray(want).reshape(-1)
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
    """Return the values of a dtype by their bits: all of 8 and 16 bits, those that go wrong and some others of the wider."""
    target = numpy_dtype(dtype)
    if dtype == "bool":
        return np.array([False, True])
    if target.itemsize <= 2:
        found = np.arange(256**target.itemsize, dtype=f"u{target.itemsize}").view(target)
    else:
        found = np.concatenate([specials(dtype), fill((509,), dtype, "bits", np.random.default_rng(1))])
    return found if subnormals else flushed(found)


def told(error: BaseException) -> str:
    """Return what was raised, and where, on one line, whatever the exception does when it is shown."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).parent != Path(__file__).parent and "importlib" not in f.filename]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"raised {' '.join(witness.told(error).split())[:300].removesuffix(':')}{place}"


def short(value: Any) -> str:
    """Return what an adapter gave, whatever it is, on one line that can be read."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = type(value).__name__
    return text if len(text) <= 100 else text[:99] + "…"
