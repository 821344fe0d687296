"""The smallest call that shows what an op does, worked on 1, 2, 3, ...: the example on its page."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from einspec.calls.cases import batch_axis
from einspec.calls.space import Case, Space, spaces
from einspec.errors import CardError
from einspec.language.formula import Axis, Bracket, Group, Reduce, axes_of, walk

if TYPE_CHECKING:
    import numpy as np

    from einspec.card import Form, Op
    from einspec.solve import TensorSpec

MOST_ELEMENTS = 24
"""How many elements the input of an example has at most."""
TRIES = 800
"""How many calls of a form are weighed to find the one that shows most."""


def example(op: Op) -> Case:
    """Return a call that is small and yet tells the definition from its neighbours.

    It has the default parameters, axes of different sizes above 1 where the definition does something with them, and
    an output that is not just the input. Where no legal call is small it is the smallest there is.

    Raises:
        CardError: no call is legal.
    """
    default = op.card.params[op.choice].default if op.choice else ""
    form = op.forms.get(str(default)) or next(iter(op.forms.values()))
    own = [_plainest(s) for s in spaces(op, sizes=(1, 2, 3)) if s.form is form]
    drawn = [(s, v) for s in own for v in _sample(s, TRIES // len(own))]
    ranked = sorted(drawn, key=lambda draw: _worth(*draw), reverse=True)
    legal = [c for s, v in ranked if (c := s.case(v)) is not None and not c.empty]
    best = list(itertools.islice(filter(is_small, legal), 40)) or sorted(legal, key=lambda c: c.elements + c.made)[:1]
    if not best:
        raise CardError(f"{op.name}: no call with sizes up to 3 is legal: see what it requires, its sizes and defaults")
    return next((c for c in best if _tells(c)), best[0])


def _plainest(space: Space) -> Space:
    """Return the part of a space where the batch is one and what has a default has it."""
    batch, card = batch_axis(space.form, space.ranks), space.op.card
    optional = [(n, p) for n, p in card.params.items() if p.is_number and not p.required]
    fixed = {f"={target}": (p.default,) for n, p in optional for target in p.targets(n)}
    if batch is not None and "." not in batch:
        fixed[batch] = (1,)
    variables = zip(space.variables, space.candidates, strict=True)
    return replace(space, candidates=tuple(fixed.get(names[0], own) for names, own in variables))


def _sample(space: Space, count: int) -> Iterator[tuple[Any, ...]]:
    """Yield assignments: all of them, or a fixed sample."""
    picks: Sequence[int] = range(space.count)
    if space.count > count:
        picks = sorted(random.Random(space.op.name).sample(picks, count))
    return map(space.assignment, picks)


def is_small(case: Case) -> bool:
    """Whether a reader can follow every element of a call."""
    return case.elements <= MOST_ELEMENTS and case.made <= 2 * MOST_ELEMENTS


def _worth(space: Space, values: Sequence[Any]) -> float:
    """Return how much an assignment shows: sizes above 1, different ones, above all where the definition acts."""
    params, shapes = space.call(values)
    if sum(map(math.prod, shapes)) > MOST_ELEMENTS:
        return -1000.0
    busy, apart = _busy(space.form), _merged(space.form.signature.inputs)
    optional = {n for n, p in space.op.card.params.items() if not p.required and n not in space.form.choice}
    worth = -2.0 * len(optional & params.keys())
    worth -= sum(0.9 * rank for name, rank in space.ranks.items() if name not in busy)
    above = [int(t.text) for t in space.form.sizes.values() if t.text.isdecimal()]
    for names, value in zip(space.variables, values, strict=True):
        own = {n.rpartition(".")[0] or n for n in names}
        weight = 0.2 if "b" in names else 4.5 if apart & own else 3.0 if busy & own else 1.0
        if names[0].startswith("="):
            worth += 0.1 * (value in (1, 2))
        elif value > 1:
            worth, above = worth + weight, [*above, value]
    return worth + len(set(above)) - 0.5 * len(above) - 0.01 * sum(map(math.prod, shapes))


def _busy(form: Form) -> set[str]:
    """Return the axes with which a definition does something: merges them, sums over them or compares them."""
    merged = _merged((*form.signature.inputs, *form.signature.outputs))
    nodes = [n for e in form.equations for n in walk(e.body)]
    compared = {n.name for b in nodes if isinstance(b, Bracket) for n in walk(b) if isinstance(n, Axis)}
    return merged | compared | {a for n in nodes if isinstance(n, Reduce) for a in n.axes}


def _merged(tensors: Sequence[TensorSpec]) -> set[str]:
    """Return the axes that are composed with others in some tensor: in an input, those whose order is the question."""
    return {a for s in tensors for d in s.index if isinstance(d, Group) for a in axes_of((d,))}


def _tells(case: Case) -> bool:
    """Whether callers keep what they promise, and the output is more than an input, or all of them, in the same order."""
    from einspec.calls.assumptions import broken  # here, because the catalogue shall not wait for NumPy

    inputs, outputs = evaluated(case)
    if broken(case, inputs):
        return False
    varied = any(len(set(a.reshape(-1).tolist())) > 1 for a in outputs.values())
    if not inputs or (not varied and any(a.ndim for a in outputs.values())):
        return varied
    flat = [x for a in inputs.values() for x in a.reshape(-1).tolist()]
    same = [flat, *(a.reshape(-1).tolist() for a in inputs.values())]
    return any(a.size and a.reshape(-1).tolist() not in same for a in outputs.values())


def evaluated(case: Case) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]]]:
    """Return the inputs of an example, 1 2 3 ... where the card leaves that open, and its outputs."""
    from einspec.calls.inputs import ramps
    from einspec.semantics import oracle  # here, because the catalogue shall not wait for NumPy

    inputs = ramps(case, "float64")
    found = oracle.evaluate(case.solution, inputs)
    outputs = {s.name: found[s.name] for s in case.form.signature.outputs}
    truth = [name for name, rule in case.form.dtype.items() if rule == "bool"]
    return inputs, {name: array.astype(bool) if name in truth else array for name, array in outputs.items()}


def nested(name: str, array: np.ndarray[Any, Any]) -> list[str]:
    """Return the lines of ``name = [[...], ...]``, one row a line."""
    shown = [_number(x) for x in array.reshape(-1).tolist()]
    width = max(map(len, shown), default=0)
    first, *rest = _nested(array.shape, iter([f"{x:>{width}}" for x in shown]))
    return [f"  {name} = {first}", *(" " * (len(name) + 5) + line for line in rest)]


def _number(value: int | float) -> str:
    if not isinstance(value, float):
        return str(value)
    return str(int(value)) if value.is_integer() else f"{value:.4g}"


def _nested(shape: Sequence[int], cells: Iterator[str]) -> list[str]:
    """Return the lines of an array; rows of a single element stand on one line."""
    if len(shape) == 0:
        return [next(cells)]
    if len(shape) == 1:
        return [f"[{', '.join(next(cells) for _ in range(shape[0]))}]"]
    parts = [_nested(shape[1:], cells) for _ in range(shape[0])]
    if len(shape) == 2 and shape[1] == 1:
        return [f"[{', '.join(p[0] for p in parts)}]"]
    lines = [line + "," * (last and i < len(parts) - 1) for i, p in enumerate(parts) for line, last in _ends(p)]
    return [("[" if i == 0 else " ") + line + "]" * (i == len(lines) - 1) for i, line in enumerate(lines)]


def _ends(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each line and whether it is the last."""
    return ((line, i == len(lines) - 1) for i, line in enumerate(lines))
