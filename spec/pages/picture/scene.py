"""What a picture shows of a call: its tensors, and which elements read which."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from einspec.calls.space import Case
from einspec.card import Form
from einspec.language.formula import Equation
from einspec.semantics.provenance import Place, Role, Trace, provenance
from einspec.solve import atoms, dimension_text, expand

Array = np.ndarray[Any, Any]
Part = Literal["input", "step", "output"]
MOST_OF_A_STEP, MOST_OF_STEPS = 16, 24
"""How many elements a tensor on the way may have to be shown, and all of them together."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a call."""

    name: str
    part: Part
    dims: tuple[tuple[str, ...], ...]
    """The axes of every dimension, slowest first."""
    index: str
    """Its dimensions as a signature writes them."""
    values: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of every dimension."""
        shape: tuple[int, ...] = self.values.shape
        return shape

    @property
    def places(self) -> list[Place]:
        """Its elements, the last dimension fastest."""
        return [(self.name, at) for at in np.ndindex(self.shape)]


class Scene:
    """The tensors of a call, and where their elements come from and go to."""

    def __init__(self, case: Case, inputs: Mapping[str, Array]) -> None:
        self.case, self.form, self.size = case, case.form, case.solution.size
        self.inputs = dict(inputs)
        self.traces = provenance(case.solution, self.inputs)
        self.tensors = [*self._given(), *self._steps(), *self._made()]
        self.by_name = {t.name: t for t in self.tensors}

    @property
    def data(self) -> list[Tensor]:
        """The inputs that hold values."""
        return [t for t in self.of("input") if t.name in self.form.data]

    def of(self, part: Part) -> list[Tensor]:
        """Return the tensors that are inputs, on the way, or outputs."""
        return [t for t in self.tensors if t.part == part]

    def trace(self, place: Place) -> Trace:
        """Return the trace of an element that is no input."""
        found: Trace = self.traces[place[0]][place[1]]
        return found

    def value(self, place: Place) -> Any:
        """Return the value of an element."""
        return self.by_name[place[0]].values[place[1]]

    def coordinates(self, place: Place) -> dict[str, int]:
        """Return the coordinate of every axis at an element."""
        found: dict[str, int] = {}
        for axes, position in zip(self.by_name[place[0]].dims, place[1], strict=True):
            rest = position
            for axis in reversed(axes):
                rest, found[axis] = divmod(rest, self.size(axis))
        return found

    @functools.cached_property
    def flows(self) -> dict[Place, list[Place]]:
        """For every element that is no input the elements of inputs that it is made of, or was compared with in a maximum."""
        made = [p for t in self.tensors if t.part != "input" for p in t.places]
        return {p: self.trace(p).sources(self.inputs, Role.COMPETES) for p in made}

    @functools.cached_property
    def decides(self) -> dict[Place, list[Place]]:
        """For every element that is no input those that decide what it is made of, the tensors on the way among them."""
        found = {}
        for place, flows in self.flows.items():
            reads = self.trace(place).reads.items()
            shown = [p for p, role in reads if p[0] in self.by_name and role >= Role.DECIDES]
            found[place] = [p for p in shown if p not in flows]
        return found

    @functools.cached_property
    def used(self) -> frozenset[Place]:
        """The elements of inputs and of tensors on the way that some output is made of or decided by."""
        made = [p for t in self.of("output") for p in t.places]
        return frozenset(p for place in made for p, role in self.trace(place).reads.items() if role >= Role.DECIDES)

    @functools.cached_property
    def most(self) -> int:
        """The greatest number of elements of data inputs that an output element is made of."""
        data = set(self.form.data)
        made = [p for t in self.of("output") for p in t.places]
        return max((sum(source[0] in data for source in self.flows[p]) for p in made), default=0)

    def _given(self) -> list[Tensor]:
        ranks, specs = self.case.solution.ranks, self.form.signature.inputs
        return [Tensor(s.name, "input", s.axes(ranks), _index(self.form, s.name), self.inputs[s.name]) for s in specs]

    def _steps(self) -> list[Tensor]:
        """Return the tensors that the card names on the way, where they are few and small."""
        outputs = {s.name for s in self.form.signature.outputs}
        stated = [e for e in self.form.stated if isinstance(e, Equation) and e.tensor not in outputs]
        if sum(self.traces[e.tensor].size for e in stated) > MOST_OF_STEPS:
            return []
        found = []
        for equation in stated:
            dims = tuple(atoms(d) for d in expand(equation.index, self.case.solution.ranks))
            values = self._values(equation.tensor)
            if 0 < values.size <= MOST_OF_A_STEP:
                found.append(Tensor(equation.tensor, "step", dims, _index(self.form, equation.tensor), values))
        return found

    def _made(self) -> list[Tensor]:
        found = []
        for spec in self.form.signature.outputs:
            values = self._values(spec.name)
            values = values.astype(bool) if self.form.dtype.get(spec.name) == "bool" else values
            found.append(Tensor(spec.name, "output", spec.axes(self.case.solution.ranks), _index(self.form, spec.name), values))
        return found

    def _values(self, tensor: str) -> Array:
        traces = self.traces[tensor]
        values = np.empty(traces.shape, object)
        values.reshape(-1)[:] = [t.value for t in traces.reshape(-1)]
        return values


def _index(form: Form, tensor: str) -> str:
    """Return the dimensions of a tensor as a signature writes them: ``... (c i j) h w``."""
    specs = {s.name: s for s in (*form.signature.inputs, *form.signature.outputs)}
    if tensor in specs:
        return str(specs[tensor]).partition(":")[2].strip()
    return " ".join(map(dimension_text, form.equation(tensor).index))
