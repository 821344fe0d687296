"""Kinds of faults: what each does to a call, and on which calls it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from einspec.calls.space import Case
from einspec.conformance.mutation.edits import spoil
from einspec.conformance.mutation.fault import SHORT, Call, Fault, Place, Where
from einspec.conformance.mutation.memory import has_layout, in_memory
from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]
NARROW = ("int8", "uint8", "int16", "uint16")
"""Dtypes that do not hold every index."""
DIRTY = 7
"""What memory holds into which nothing was written."""
KEPT = 4
"""Of how many shapes results are kept."""


@dataclass(frozen=True)
class Edited(Fault):
    """An edit of the lines of one tensor, given or returned."""

    operator: str
    place: Place
    number: int
    edit: Callable[[Array, int], bool]
    condition: str
    lengths: tuple[int, ...]
    pairs: tuple[int, ...] = ()

    @property
    def detail(self) -> str:  # type: ignore[override]  # what is stated for others follows here
        """The place and the number."""
        return f"{self.place}, {self.number}"

    def fits(self, case: Case) -> bool:
        """Whether the place is long enough."""
        return self.place.length_in(case) >= min(self.lengths)

    def _edited(self, tensors: list[Array]) -> list[Array] | None:
        return self.place.edited(tensors, lambda lines: self.edit(lines, self.number))

    def given(self, call: Call) -> list[Array] | None:
        """Return the inputs with the edit."""
        return self._edited(call.inputs) if self.place.is_input else None

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs with the edit."""
        return None if self.place.is_input else self._edited(outputs)


@dataclass(frozen=True)
class Cast(Fault):
    """A tensor loses what another dtype does not hold."""

    operator: str
    place: Place
    dtype: str
    other: str
    longer: tuple[Place, int] | None = None
    """An axis of an input that has to be longer than a number."""

    @property
    def detail(self) -> str:  # type: ignore[override]
        """The tensor and the dtypes."""
        rule = f", {self.longer[0]} above {self.longer[1]}" if self.longer else ""
        return f"{self.place.name} of {self.dtype} as {self.other}{rule}"

    @property
    def condition(self) -> str:  # type: ignore[override]
        """When it shows."""
        return f"{self.place.name} of {self.dtype} holds what {self.other} does not"

    @property
    def lengths(self) -> tuple[int, ...]:  # type: ignore[override]
        """Sizes at which integers are large, or sums long."""
        more = (65_537, 32_769, 257, 129) if self.other in NARROW else ()
        return (*more, *SHORT, *((self.longer[1] + 1, 2 * self.longer[1] + 1) if self.longer else ()))

    @property
    def dtypes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The dtype, where values may have it."""
        return () if self.other in NARROW else (self.dtype,)

    def fits(self, case: Case) -> bool:
        """Whether the sum is long enough."""
        return self.longer is None or self.longer[0].length_in(case) > self.longer[1]

    def _cast(self, call: Call, tensors: list[Array]) -> list[Array] | None:
        long = self.longer is None or self.longer[0].length(call.inputs) > self.longer[1]
        if not long or self.place.number >= len(tensors) or tensors[self.place.number].dtype.name != self.dtype:
            return None
        found = list(tensors)
        whole = tensors[self.place.number]
        with np.errstate(all="ignore"):
            found[self.place.number] = whole.astype(numpy_dtype(self.other)).astype(whole.dtype)
        return found

    def given(self, call: Call) -> list[Array] | None:
        """Return the inputs with one of them rounded."""
        return self._cast(call, call.inputs) if self.place.is_input else None

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs with one of them rounded."""
        return None if self.place.is_input else self._cast(call, outputs)


@dataclass(frozen=True)
class Only(Fault):
    """The last element is wrong, but only where a condition holds."""

    operator: str
    detail: str
    condition: str
    holds: Callable[[Call], bool]
    dtypes: tuple[str, ...] = ()
    layout: str = ""
    repeats: bool = False

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs with another last element."""
        return Place("", 0, None).edited(outputs, spoil) if self.holds(call) else None


@dataclass(frozen=True)
class Sized(Fault):
    """The last element is wrong where an axis has some lengths."""

    operator: str
    place: Place
    said: str
    least: int
    most: int = 1 << 62
    step: int = 1
    rest: int = 0

    @property
    def detail(self) -> str:  # type: ignore[override]
        """The place and the lengths."""
        return f"{self.place}, {self.said}"

    @property
    def condition(self) -> str:  # type: ignore[override]
        """When it shows."""
        return f"{self.place} is {self.said} long"

    @property
    def lengths(self) -> tuple[int, ...]:  # type: ignore[override]
        """The least lengths, and longer ones."""
        longer = (self.least + 2 * self.step, 3 * self.least // 2)
        return tuple(n for n in (self.least, self.least + self.step, *longer) if self._holds(n))

    def _holds(self, length: int) -> bool:
        return self.least <= length <= self.most and length % self.step == self.rest

    def fits(self, case: Case) -> bool:
        """Whether the length is one of them."""
        return self._holds(self.place.length_in(case))

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs with another last element."""
        return replace(self.place, axis=None).edited(outputs, spoil) if self._holds(self.place.length(outputs)) else None


@dataclass(frozen=True)
class Tiled(Fault):
    """The last element of an output is wrong where its last two axes are at least 16 long."""

    output: int
    operator: str = "tile"
    condition: str = "the last two axes of an output are at least 16 long"
    lengths: tuple[int, ...] = (16, 17)
    pairs: tuple[int, ...] = (16, 33)

    @property
    def detail(self) -> str:  # type: ignore[override]
        """The output."""
        return f"output {self.output}"

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs with another last element."""
        shape = outputs[self.output].shape if self.output < len(outputs) else ()
        full = len(shape) > 1 and min(shape[-2:]) >= 16
        return Place("", self.output, None).edited(outputs, spoil) if full else None


@dataclass(frozen=True)
class Elsewhere(Fault):
    """All is wrong where a function is transformed, and only there: what comes out is traced, so that nothing is copied."""

    operator: str
    detail: str
    condition: str
    acts: Where


@dataclass(frozen=True)
class Strides(Fault):
    """An input is read as if its elements were in order in memory. Shows where they are not."""

    place: Place
    layout: str
    operator: str = "strides"

    @property
    def detail(self) -> str:  # type: ignore[override]
        """The input and the memory."""
        return f"{self.place.name}, {self.layout}"

    @property
    def condition(self) -> str:  # type: ignore[override]
        """When it shows."""
        return f"{self.place.name} is {self.layout}"

    def given(self, call: Call) -> list[Array] | None:
        """Return the inputs with the memory of one of them in order."""
        number = self.place.number
        if number >= len(call.inputs) or not has_layout(call.inputs[number], self.layout):
            return None
        return [*call.inputs[:number], in_memory(call.inputs[number]), *call.inputs[number + 1 :]]


@dataclass(frozen=True)
class Stale(Fault):
    """What an earlier call of the same shape has left comes out again. Shows where a call is made twice."""

    detail: str
    condition: str
    operator: str = "stale"
    block: int = 0
    lengths: tuple[int, ...] = SHORT
    repeats: bool = True

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs of the first call of a shape; with a block, those behind the last full one of the call before."""
        before = call.seen.get(call.key)
        if before is None or self.block:
            call.seen[call.key] = [np.array(y) for y in outputs]
            for old in list(call.seen)[:-KEPT]:
                del call.seen[old]
        if before is None:
            return None
        found = before
        if self.block:
            found = [np.array(y, order="C") for y in outputs]
            for new, old in zip(found, before, strict=True):
                rest = new.size % self.block
                new.reshape(-1)[new.size - rest :] = old.reshape(-1)[new.size - rest :]
        return [np.array(y) for y in found]


@dataclass(frozen=True)
class Reused(Fault):
    """Results are written into the memory of an earlier one of the same shape. Shows where that is looked at again."""

    detail: str = "the buffer of an earlier result"
    condition: str = "a result is looked at after a later call of the same shape"
    operator: str = "reused"
    repeats: bool = True


@dataclass(frozen=True)
class Unwritten(Fault):
    """Where nothing is written, memory holds what it held. Shows where elements are 0 whatever the values of the inputs are."""

    detail: str
    condition: str
    least: int = 0
    """How many elements there must be."""
    again: bool = False
    """Whether it needs an earlier call of the same shape."""
    output: int = 0
    operator: str = "unwritten"
    needs_twin: bool = True

    @property
    def lengths(self) -> tuple[int, ...]:  # type: ignore[override]
        """Sizes with enough elements."""
        return (*SHORT, self.least + 1) if self.least else SHORT

    def fits(self, case: Case) -> bool:
        """Whether there are enough elements."""
        return Place("", self.output, None).length_in(case) > self.least

    @property
    def repeats(self) -> bool:  # type: ignore[override]
        """Whether it needs a call twice."""
        return self.again

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return the outputs with other values where nothing is written."""
        first = call.key not in call.seen
        call.seen[call.key] = True
        if self.output >= len(outputs) or outputs[self.output].size < self.least or (self.again and first):
            return None
        own = np.array(outputs[self.output])
        empty = np.asarray((own == twin[self.output]) & (own == 0))
        if not empty.any():
            return None
        own[empty] = np.array(DIRTY).astype(own.dtype)
        return [*outputs[: self.output], own, *outputs[self.output + 1 :]]


@dataclass(frozen=True)
class Overwritten(Fault):
    """The function computes in the memory of an input. Shows where inputs are looked at afterwards."""

    place: Place
    operator: str = "in_place"
    condition: str = "an input is looked at after the call"
    repeats: bool = True

    @property
    def detail(self) -> str:  # type: ignore[override]
        """The input."""
        return self.place.name
