"""What each rank has of a call, and what the outcomes of all ranks say of it: a tensor of ranks has its part on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from einspec.card import Form, Op
from einspec.conformance.protocol import RANKS, Call, Input, Item, Outcome, Raised, Tensor, parameters, tensor
from einspec.conformance.runner.ways import whole
from einspec.errors import CallError
from einspec.solve import solve

MERGED = ("written", "read")
"""The runs that are outputs one after the other, in a list."""


class NoRanksError(ValueError):
    """A call cannot be spread over ranks, so that it is not made."""


@dataclass(frozen=True)
class Cut:
    """How a call lies on ranks."""

    op: Op
    form: Form
    size: int
    """How many ranks it is spread over."""
    call: Call

    @property
    def own(self) -> frozenset[str]:
        """The tensors of which each rank has a part."""
        return frozenset(self.op.ranked(self.form))

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return [s.name for s in self.form.signature.outputs]

    def parts(self) -> list[Call]:
        """Return the call of each rank, in memory that says the same of a part: where ranks hold alike, each has its own."""
        way, whole_too = self.call.way, {g.name for g in self.call.inputs} - self.own
        expand = -1 if whole_too or way.expand < 1 else way.expand - 1
        return [
            msgspec.structs.replace(
                self.call,
                way=msgspec.structs.replace(way, expand=expand),
                inputs=tuple(self._part(given, rank) for given in self.call.inputs),
                extra=tuple(self._part(given, rank) for given in self.call.extra),
            )
            for rank in range(self.size)
        ]

    def other_parts(self) -> list[Call]:
        """Return the parts of the other call that goes with this one."""
        other = msgspec.structs.replace(self.call, inputs=self.call.extra, extra=())
        return Cut(self.op, self.form, self.size, other).parts()

    def _part(self, given: Input, rank: int) -> Input:
        """Return what a rank has of an input, or of what goes with it by its name."""
        if given.name not in self.own:
            return given
        return Input(given.name, tuple(slice_of(t, rank) for t in given.parts), given.listed)

    def joined(self, outcomes: Sequence[Outcome], number: int) -> Outcome:
        """Return the outcome of a call from those of its ranks."""
        if any(o.error is not None for o in outcomes):
            return Outcome(number, error=self._raised(outcomes))
        way = self.call.way
        names = self._results()
        result = self._item([o.result for o in outcomes], names, number)
        runs = {}
        for name in outcomes[0].runs:
            own = [o.runs.get(name, Item("other")) for o in outcomes]
            about = [name.removeprefix("input ")] if name.startswith("input ") or way.kind == "vjp" else self.outputs
            about = self.outputs if name == "outputs" else about
            runs[name] = self._item(own, about, number, name in (*MERGED, "outputs"))
        devices = tuple(dict.fromkeys(d for o in outcomes for d in o.devices))
        return Outcome(number, result, eager=any(o.eager for o in outcomes), runs=runs, devices=devices)

    def _results(self) -> list[str]:
        """Return which tensors the parts of a result are, or are the gradients of."""
        way = self.call.way
        match way.kind:
            case "vjp":
                return [way.wrt]
            case "jvp":
                return [self.outputs[i] for i in way.places]
            case "double_backward":
                given = {g.name for g in self.call.inputs}
                return [*way.asked, *(g.name for g in self.call.extra if g.name not in given)]
        return self.outputs

    def _item(self, items: Sequence[Item | None], names: Sequence[str], turn: int, listed: bool = False) -> Item:
        """Return what ranks gave as one: outputs one after the other, or the only one."""
        found = [Item("other", text="nothing") if item is None else item for item in items]
        if len(names) == 1 and not listed and found[0].kind != "list":
            return self._one(found, names[0], turn)
        counts = {len(item.parts) if item.kind == "list" else -1 for item in found}
        if len(counts) > 1 or counts == {-1}:
            return different(found)
        (count,) = counts
        parts = [[item.parts[i] for item in found] for i in range(count)]
        labels = [names[i] if i < len(names) else "" for i in range(count)]
        return Item("list", parts=tuple(self._one(part, label, turn) for part, label in zip(parts, labels, strict=True)))

    def _one(self, items: Sequence[Item], name: str, turn: int) -> Item:
        """Return what ranks gave of one tensor: their parts one after the other, their sum if it is the gradient of a whole."""
        tensors = [item.tensor for item in items]
        if items[0].kind == "list" and all(i.kind == "list" and len(i.parts) == len(items[0].parts) for i in items):
            return Item(
                "list", parts=tuple(self._one(part, name, turn) for part in zip(*(i.parts for i in items), strict=True))
            )
        alike = len({(t.dtype, t.shape) if t is not None else None for t in tensors}) == 1
        if not alike or any(t is None for t in tensors) or any(item.kind != "array" for item in items):
            return items[0] if len(set(items)) == 1 else different(items)
        if name in self.own:
            return Item("array", stacked(tensors))  # type: ignore[arg-type]  # none of them is None
        inputs = {s.name for s in self.form.signature.inputs}
        if self.call.way.kind in ("vjp", "double_backward") and name in inputs:
            return Item("array", summed(tensors))  # type: ignore[arg-type]
        if self.call.way.kind == "alike" and len({t.data for t in tensors}) > 1:  # type: ignore[union-attr]
            return Item("other", text=f"other values of {name} on some ranks than on others")
        return items[turn % len(items)]  # each must be right, and each has its turn

    def _raised(self, outcomes: Sequence[Outcome]) -> Raised:
        """Return the exception of all ranks, or that some raised alone."""
        found = [o.error for o in outcomes if o.error is not None]
        if len(found) == len(outcomes):
            return msgspec.structs.replace(found[0], broken=any(e.broken for e in found))
        return ranks_error(outcomes)


def cut(op: Op, call: Call) -> Cut:
    """Return how a call lies on ranks, legal or not.

    Raises:
        NoRanksError: its tensors are not of one number of ranks.
    """
    params = parameters(call)
    chosen = params.get(op.choice, op.card.params[op.choice].default if op.choice else "")
    form = op.forms.get(chosen, next(iter(op.forms.values())))
    own = set(op.ranked(form))
    shapes = [g.parts[0].shape for g in call.inputs if g.name in own and g.parts]
    found = {shape[0] if shape else -1 for shape in shapes}
    if not shapes:
        try:
            solution = solve(op, tuple(g.parts[0].shape for g in call.inputs), params)
        except CallError as error:
            raise NoRanksError(f"on how many ranks it is to run is not known: {error}") from None
        found = {solution.shape(s)[0] for s in form.signature.outputs if s.name in own}
    if len(found) != 1 or min(found) < 1:
        text = ", ".join(map(str, sorted(found))) or "none"
        raise NoRanksError(f"it is to run on one number of ranks, at least 1, not on {text}")
    return Cut(op, form, found.pop(), call)


def slice_of(given: Tensor, rank: int) -> Tensor:
    """Return what a rank has of a tensor."""
    if given.recipe is not None or given.ramp >= 0:
        return tensor(np.ascontiguousarray(whole(given)[rank]))
    size = len(given.data) // given.shape[0]
    return Tensor(given.dtype, given.shape[1:], given.data[rank * size : (rank + 1) * size])


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """Return the tensor of which ranks have the parts."""
    return Tensor(parts[0].dtype, (len(parts), *parts[0].shape), b"".join(t.data for t in parts))


def summed(parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of what each rank adds to the gradient of an input that all have, rounded once."""
    arrays = [t.array() for t in parts]
    wide = np.result_type(np.float64, arrays[0].dtype) if arrays[0].dtype.kind in "fc" else np.float64
    return tensor(np.asarray(sum(a.astype(wide) for a in arrays)).astype(arrays[0].dtype))


def different(items: Sequence[Item]) -> Item:
    """Return that ranks gave things that are no parts of one tensor, as something that no op returns."""
    shown = list(dict.fromkeys(_shown(item) for item in items))
    return Item("other", text=" and ".join(shown) + " by rank" * (len(shown) > 1))


def _shown(item: Item) -> str:
    if item.tensor is not None:
        return f"{item.tensor.dtype}{list(item.tensor.shape)}"
    return f"{len(item.parts)} results" if item.kind == "list" else item.text or item.kind


def came(answer: Outcome | str) -> str:
    """Return how a rank came out of a call, in words; they are given where it did not."""
    if isinstance(answer, str):
        return answer
    return "returned" if answer.error is None else f"raised {line_of(answer.error)}"


def ranks_error(answers: Sequence[Outcome | str]) -> Raised:
    """Return that ranks did not come out of a call together, as an exception that is no refusal."""
    said = (f"rank {rank} {came(answer)}" for rank, answer in enumerate(answers))
    return Raised(RANKS, "; ".join(said), broken=True)


def line_of(error: Raised) -> str:
    """Return an exception on one line, with where it came from."""
    first = (error.text.splitlines() or [""])[0][:300]
    place = f" ({error.place.rpartition('/')[2]})" if error.place else ""
    return f"{error.name}: {first}{place}".replace(": (", " (")
