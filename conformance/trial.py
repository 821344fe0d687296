"""One call with what it must give, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from einspec.answers.rules import Difference, Expected, difference, in_dtype
from einspec.calls.hashed import Hashed
from einspec.calls.space import Case
from einspec.conformance.protocol import PLAIN, Call, Input, Item, Raised, Tensor, Way, given_tensor
from einspec.dtypes import ALL, USUAL, numpy_dtype
from einspec.solve import TensorSpec

Array = np.ndarray[Any, Any]
RelationKind = Literal["choice", "distinct", "bijection", "descends"]
"""What an output must be where more than one result is right: a choice that rounding or ties leave
open, numbers that do not repeat, each of 0..n-1 once, a descending selection."""
WRONG_KIND = "WrongKind"
"""The name of the error of a function that returned something that is not what its card names."""


@dataclass(frozen=True)
class Law:
    """What is done with an op and others to see a law: an expression, or the op applied several times."""

    kind: str
    text: str = ""
    times: int = 0
    operations: int = 0
    """How many roundings both sides of an equation may differ by; 0 where they are the same."""


@dataclass
class Trial:
    """One call and what it must give."""

    case: Case
    arrays: Mapping[str, Array]
    """The inputs; one that is too large to be made here is :class:`einspec.calls.hashed.Hashed`."""
    expected: Mapping[str, Expected]
    way: Way = PLAIN
    how: str = ""
    """In what way the call is not the plain one, in words for the failure."""
    relation: tuple[RelationKind, str] | None = None
    """What an output must be besides, and which."""
    extra: Mapping[str, Array] = field(default_factory=dict)
    """Cotangents by output, or the inputs of the call between."""
    law: Law | None = None

    @property
    def dtypes(self) -> set[str]:
        """The dtypes of the inputs."""
        return {a.dtype.name for a in self.arrays.values()}

    @property
    def unusual(self) -> set[str]:
        """The dtypes that a target may refuse: those of values other than float32, of indices other than int32."""
        form = self.case.form
        usual = {n: USUAL.get(form.group(n), "float32") for n in self.arrays}
        return {a.dtype.name for n, a in self.arrays.items() if a.dtype.name != usual[n]}

    @property
    def plain(self) -> bool:
        """Whether it is a call as a caller makes it, in a way that a script can."""
        return self.way.kind in ("plain", "eager") and self.law is None and not self.way.at

    def call(self) -> Call:
        """Return the call as it goes over the wall."""
        inputs = tuple(_input(s, self.arrays[s.name]) for s in self.case.form.signature.inputs)
        names = {s.name: s for s in (*self.case.form.signature.inputs, *self.case.form.signature.outputs)}
        extra = tuple(_input(names[name], array) for name, array in self.extra.items())
        return Call(dict(self.case.params), inputs, self.way, extra)


def _input(spec: TensorSpec, array: Array) -> Input:
    parts = [array[i] for i in range(array.shape[0])] if spec.listed else [array]
    return Input(spec.name, tuple(_tensor(part) for part in parts), spec.listed)


def _tensor(array: Array | Hashed) -> Tensor:
    """Return an array as it goes over the wall: its bytes, or how it is made."""
    if isinstance(array, Hashed):
        return Tensor(array.dtype.name, array.shape, b"", (array.start, array.fine))
    return given_tensor(np.asarray(array))


def arrays_of(inputs: Sequence[Input], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return the arrays of a call that goes over the wall, listed ones stacked."""
    found = {}
    for given in inputs:
        if given.listed:
            parts = [t.array() for t in given.parts]
            found[given.name] = np.stack(parts) if parts else np.zeros(shapes[given.name], np.float32)
        else:
            found[given.name] = given.parts[0].array()
    return found


@dataclass
class Outcome:
    """What a call gave: its outputs by name, or the exception that it raised."""

    outputs: dict[str, Array] = field(default_factory=dict)
    error: Raised | None = None
    eager: bool = False
    beside: Mapping[str, Array] = field(default_factory=dict)
    """The outputs of the call, where what came are derivatives whose order hangs on them."""
    scalars: bool = False
    """Whether a Python number and an array without axes were taken for each other."""
    outside: str = ""
    """Why the call was not made, where an adapter promises nothing for it."""

    def difference(self, trial: Trial) -> tuple[str, Difference] | None:
        """Return the first output that is not as a trial expects, and how."""
        for name, want in trial.expected.items():
            found = difference(self.outputs[name], want)
            if found is not None:
                return name, found
        return None


class WrongKindError(Exception):
    """A function returned something that is not what its card names: not an array, or not as many."""


def unpacked(result: Item, wants: Mapping[str, Expected], specs: Mapping[str, TensorSpec], target: Any) -> dict[str, Array]:
    """Return the outputs by name; a list where the card has one is stacked.

    Raises:
        WrongKindError: the function returned something else.
    """
    names = list(wants)
    parts = [result] if len(names) == 1 else list(result.parts) if result.kind == "list" else None
    if parts is None or len(parts) != len(names):
        got = f"{len(result.parts)} results" if result.kind == "list" else _kind(result)
        raise WrongKindError(f"returned {got} where the card has {len(names)} outputs, {', '.join(names)}")
    outputs = {}
    for name, part in zip(names, parts, strict=True):
        want = wants[name]
        listed = name not in specs or specs[name].listed
        if part.kind == "list" and listed:
            outputs[name] = _stacked(name, part.parts, want, target)
        elif want.dtype_name == "int":
            if part.kind != "int":
                raise WrongKindError(f"returned {_kind(part)} for {name}, not a Python integer")
            outputs[name] = np.asarray(part.value)
        else:
            outputs[name] = _array(name, part, target)
    return outputs


def without_scalars(result: Item, wants: Mapping[str, Expected]) -> Item:
    """Return what came with single numbers as the card names them: a Python integer, or an array without axes."""
    parts = [result] if len(wants) == 1 else list(result.parts)
    if len(parts) != len(wants):
        return result
    changed = tuple(_as_named(part, want) for part, want in zip(parts, wants.values(), strict=True))
    return changed[0] if len(wants) == 1 else Item("list", parts=changed)


def _as_named(part: Item, want: Expected) -> Item:
    if want.dtype_name == "int" and part.tensor is not None and part.tensor.is_whole and part.tensor.shape == ():
        value = part.tensor.array()
        whole = value.dtype.kind in "iuf" and bool(np.isfinite(value)) and float(value).is_integer()
        return Item("int", value=int(value)) if whole else part
    if want.dtype_name != "int" and want.array.shape == () and part.kind in ("int", "number"):
        value = np.asarray(part.value) if part.tensor is None else part.tensor.array()
        return Item("array", _tensor(in_dtype(value.astype(value.dtype), want.dtype_name)))
    return part


def _kind(item: Item) -> str:
    """Return what was returned, in a word."""
    if item.kind == "array" and item.tensor is not None:
        return f"array of {item.tensor.dtype}"
    return item.text if item.kind in ("other", "number") else item.kind


def _stacked(name: str, parts: Sequence[Item], want: Expected, target: Any) -> Array:
    """Return a listed output as one array."""
    arrays = [_array(f"{name}[{i}]", p, target) for i, p in enumerate(parts)]
    if not arrays:
        return np.zeros((0, *want.array.shape[1:]), numpy_dtype(want.dtype_name))
    if len({a.shape for a in arrays}) > 1:
        shapes = [list(a.shape) for a in arrays]
        raise WrongKindError(f"returned tensors of unequal shapes in {name}: {shapes}")
    return np.stack(arrays)


def _array(name: str, part: Item, target: Any) -> Array:
    """Return one result as a NumPy array."""
    if part.kind == "int" and "is_array" not in target.offers:
        return np.asarray(part.value)
    if part.tensor is None or part.kind == "number":
        raise WrongKindError(f"returned {_kind(part)} for {name}, not an array of {target.framework}")
    if part.tensor.dtype not in ALL:
        raise WrongKindError(f"returned an array of dtype {part.tensor.dtype} for {name}")
    if not part.tensor.is_whole:
        raise WrongKindError(f"returned an array for {name} whose bytes are not those of its shape")
    return part.tensor.array()
