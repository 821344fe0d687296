"""What a fault of a kernel is, and where it sits: a tensor that is given or returned, and an axis of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from einspec.calls.space import Case
from einspec.card import Form, Op
from einspec.language.formula import Axis, Rest, walk
from einspec.solve import TensorSpec, dimension_text

Array = np.ndarray[Any, Any]
Edit = Callable[[Array], bool]
"""Changes the lines of an array along its first axis; false where it leaves them as they are."""
Where = Literal["plain", "compiled", "mapped", "differentiated", "eager"]
"""Where a function finds itself: called as callers do; under compile; under vmap; with gradients asked for; without the
compilation that its framework calls it with."""
SHORT = (1, 2, 3, 5, 9)
"""Sizes on which a fault shows that does not depend on them."""


@dataclass(frozen=True)
class Place:
    """A tensor of the signature, and the axis of it along which something goes wrong."""

    name: str
    number: int
    """Which of the inputs or outputs it is; of a list the last tensor is meant."""
    axis: int | None
    """None for all elements in the order of memory."""
    is_input: bool = False
    text: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.text}" if self.axis is None else f"{self.name}[{self.axis}] {self.text}"

    def length(self, tensors: Sequence[Array]) -> int:
        """Return how many lines the tensor has; 0 where it lacks the axis."""
        array = tensors[self.number] if self.number < len(tensors) else None
        if array is None or (self.axis is not None and not -array.ndim <= self.axis < array.ndim):
            return 0
        return array.size if self.axis is None else array.shape[self.axis]

    def length_in(self, case: Case) -> int:
        """Return how many lines the tensor has in a call."""
        signature = case.form.signature
        specs = signature.inputs if self.is_input else signature.outputs
        if self.number >= len(specs):
            return 0
        spec = specs[self.number]
        shape = (case.shapes[self.number] if self.is_input else case.solution.shape(spec))[spec.listed :]
        if self.axis is None:
            return math.prod(shape)
        return shape[self.axis] if -len(shape) <= self.axis < len(shape) else 0

    def edited(self, tensors: Sequence[Array], edit: Edit) -> list[Array] | None:
        """Return the tensors with this one changed; None where it is as it was."""
        if not self.length(tensors):
            return None
        array = np.array(tensors[self.number], order="C")
        lines = array.reshape(-1) if self.axis is None else np.moveaxis(array, self.axis, 0)
        changed = array.size > 0 and edit(lines)
        return [*tensors[: self.number], array, *tensors[self.number + 1 :]] if changed else None


@dataclass(frozen=True)
class Call:
    """A call of a function with a fault: what it was given, and what the function has seen before."""

    inputs: list[Array]
    """A tensor of each input, the last of a list."""
    seen: dict[Any, Any]
    """What is kept from call to call."""
    key: tuple[Any, ...]
    """The parameters, and the shapes and dtypes of the inputs."""
    number: int
    """How many calls there were before."""


class Fault:
    """One way in which a function goes wrong."""

    operator: str
    detail: str
    """What it is applied to, in short."""
    condition: str
    """When it makes a difference, in words."""
    acts: Where = "plain"
    """Where it makes a difference."""
    lengths: tuple[int, ...] = SHORT
    """Sizes of an axis on which it shows."""
    pairs: tuple[int, ...] = ()
    """Sizes that another axis has to have at the same time."""
    dtypes: tuple[str, ...] = ()
    """Dtypes in which it shows, if not in every one."""
    layout: str = ""
    """The memory in which it shows, if not in any."""
    repeats: bool = False
    """Whether it shows only where a call is made again."""
    needs_twin: bool = False
    """Whether it looks at the outputs for other values too."""

    def fits(self, case: Case) -> bool:
        """Whether it may show on a call, as far as sizes tell."""
        return True

    def given(self, call: Call) -> list[Array] | None:
        """Return what the function gets instead of its inputs; None where these are left alone."""
        return None

    def made(self, call: Call, outputs: list[Array], twin: list[Array]) -> list[Array] | None:
        """Return what comes out instead of the outputs; None where these are left alone."""
        return None


def places(op: Op) -> tuple[list[Place], list[Place]]:
    """Return the axes of the outputs and each output as a whole; and the axes of inputs that no output has."""
    outputs, reduced = dict[Place, None](), dict[Place, None]()
    for form in op.forms.values():
        kept = {a for s in form.signature.outputs for dim in s.index for a in _names(dim)}
        for number, spec in enumerate(form.signature.outputs):
            outputs |= dict.fromkeys([Place(spec.name, 0 if spec.listed else number, None, text="flat"), *_axes(spec, number)])
        for number, spec in enumerate(form.signature.inputs):
            own = zip(_axes(spec, number, is_input=True), spec.index[spec.listed :], strict=True)
            reduced |= {place: None for place, dim in own if not kept & set(_names(dim))}
    return named(outputs), named(reduced)


def choices(op: Op) -> set[str]:
    """Return the axes of the experts that a token chooses: which are few."""
    forms = op.forms.values()
    given = {(f, s) for f in forms for s in f.signature.inputs if f.values.get(s.name, ("",))[0] in ("id", "place")}
    made = {(f, s) for f in forms for s in f.signature.outputs if s.name in f.selects}
    return {dimension_text(s.index[-1]) for _, s in given | made if len(s.index) == 2}


def kinds_of(op: Op) -> dict[Place, str]:
    """Return the inputs that the card says something of, with the kind of it."""
    return {place: form.values[place.name][0] for form, place in _inputs(op) if place.name in form.values}


def indices_of(op: Op) -> list[Place]:
    """Return the inputs that are indices."""
    return named(place for form, place in _inputs(op) if form.group(place.name) == "index")


def values_of(op: Op) -> list[Place]:
    """Return the inputs that hold values."""
    return named(place for form, place in _inputs(op) if place.name in form.data)


def named(found: Iterable[Place]) -> list[Place]:
    """Return places, of those of one name the first: an input may stand elsewhere in another form."""
    first: dict[str, Place] = {}
    for place in found:
        first.setdefault(str(place), place)
    return list(first.values())


def _inputs(op: Op) -> Iterator[tuple[Form, Place]]:
    """Yield the inputs of every form as a whole."""
    for form in op.forms.values():
        for number, spec in enumerate(form.signature.inputs):
            yield form, Place(spec.name, number, None, True, "flat")


def _names(dim: Any) -> list[str]:
    return [n.name for n in walk(dim) if isinstance(n, Axis | Rest)]


def _axes(spec: TensorSpec, number: int, is_input: bool = False) -> Iterator[Place]:
    """Yield the axes of a tensor: those behind axes of any number are counted from the end."""
    dims = spec.index[spec.listed :]
    opened = [i for i, dim in enumerate(dims) if any(isinstance(n, Rest) for n in walk(dim))]
    for i, dim in enumerate(dims):
        axis = i if not opened or i <= opened[0] else i - len(dims)
        yield Place(spec.name, 0 if spec.listed and not is_input else number, axis, is_input, dimension_text(dim))
