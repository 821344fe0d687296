"""Mutants of the formulas: definitions with one mistake in them, each run as if it were a backend.

Whoever implements an op errs in ways that its formula shows: two axes of a composition in the wrong order, ``<`` for ``<=``,
a tie that falls the other way, a normalisation that is missing. A judge can be trusted as far as it tells these from the op.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.answers.expect import widen
from einspec.calls.space import Case
from einspec.card import Form, Op, load
from einspec.conformance.mutation.formula import as_function
from einspec.conformance.mutation.operators import Mistake, mistakes
from einspec.language import text
from einspec.language.formula import Equation
from einspec.language.linear import EXACT
from einspec.semantics import oracle

Array = np.ndarray[Any, Any]
MOST, MOST_INLINED = 12, 2
"""How many mutants of one operator each form of an op has at most: in what its own card says, and in what other cards bring,
which have mutants of their own. Where there are more, these are spread evenly over them."""


@dataclass(frozen=True, eq=False)
class Mutant:
    """An op with one mistake in the definition of one of its forms."""

    id: str
    """The op, its form in brackets if there are several, and what was done: ``pixel_shuffle~swap(y: h, i)``."""
    op: Op
    form: Form
    operator: str
    formula: str
    """The equation that holds the mistake."""
    equations: tuple[Equation, ...]
    """The definition with the mistake, other cards inlined."""

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """The mutant as a function: NumPy arrays in and out, parameters by name; it raises where the op has to."""
        return as_function(self.op, {id(self.form): self.equations})

    @functools.cached_property
    def place(self) -> int:
        """The number of the one equation that differs from the definition, -1 where several do."""
        pairs = list(zip(self.equations, self.form.equations, strict=False))
        other = [i for i, (a, b) in enumerate(pairs) if (a.tensor, a.index, a.body) != (b.tensor, b.index, b.body)]
        return other[0] if len(other) == 1 and len(self.equations) == len(self.form.equations) else -1

    def alike(self, case: Case, inputs: Mapping[str, Array], tensors: Mapping[str, Array]) -> bool:
        """Whether the equation with the mistake gives on a call what it gives without, so that everything else does too.

        Args:
            case: the call.
            inputs: its inputs.
            tensors: what the definition gives, also on the way.
        """
        if self.place < 0 or self.form.kind in EXACT:
            return False
        changed = self.equations[self.place]
        known = {k: widen(v) for k, v in inputs.items()}
        known |= {e.tensor: tensors[e.tensor] for e in self.equations[: self.place]}
        try:
            found = oracle.evaluate(case.solution, known, equations=(changed,))[changed.tensor]
        except (ArithmeticError, ValueError):
            return False
        want = tensors[changed.tensor]
        return found.shape == want.shape and found.dtype == want.dtype and np.array_equal(found, want, found.dtype.kind in "fc")


def mutants(op: Op | str) -> list[Mutant]:
    """Return the mutants of an op, form after form, in an order that never changes; see :data:`MOST`."""
    return list(_mutants(load(op) if isinstance(op, str) else op)[0])


def candidates(op: Op | str) -> int:
    """Return how many mutants an op would have without a limit."""
    return _mutants(load(op) if isinstance(op, str) else op)[1]


@functools.lru_cache(maxsize=128)
def _mutants(op: Op) -> tuple[tuple[Mutant, ...], int]:
    found: list[Mutant] = []
    total = 0
    for value, form in op.forms.items():
        label = f"{op.name}[{value}]" if len(op.forms) > 1 else op.name
        groups: dict[tuple[str, bool], list[Mistake]] = {}
        seen = {_shown(form.equations)}
        for mistake in mistakes(form):
            shown = _shown(mistake.equations)
            if shown not in seen:
                seen.add(shown)
                groups.setdefault((mistake.operator, mistake.inlined), []).append(mistake)
        taken: dict[str, int] = {}
        for (operator, inlined), group in groups.items():
            total += len(group)
            for mistake in _spread(group, MOST_INLINED if inlined else MOST):
                name = f"{label}~{operator}({mistake.where})"
                taken[name] = taken.get(name, 0) + 1
                number = f"#{taken[name]}" if taken[name] > 1 else ""
                found.append(Mutant(name + number, op, form, operator, mistake.formula, mistake.equations))
    return tuple(found), total


def _spread(entries: list[Any], most: int) -> list[Any]:
    """Return so many of the entries, evenly over their order."""
    step = max(1.0, len(entries) / most)
    return [entries[int(i * step)] for i in range(min(len(entries), most))]


def _shown(equations: Sequence[Equation]) -> str:
    return "\n".join(text.text(e) for e in equations)
