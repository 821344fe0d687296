"""How a function of a file is called: the parameters of a card by name or by position, whatever it calls them itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from einspec.card import Op
from einspec.conformance.protocol import Slot
from einspec.conformance.targets.spelling import arguments, in_order

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class LackingError(TypeError):
    """A function has no place for what a call gives it, so that it is not called."""


def adapted(function: Callable[..., Any], op: Op, positional: set[str]) -> Callable[..., Any]:
    """Return the function taking the card's parameter names, whatever it calls them itself.

    Args:
        function: the function of a file.
        op: the op that it stands for.
        positional: gets the name of the op where the function takes its parameters by position
            although its signature says that it takes any name.

    Raises:
        LackingError: the call gives more tensors, or other parameters, than the function takes.
    """
    slots = slots_of(function, op)
    most = tensors_taken(function, op)

    @functools.wraps(function, assigned=("__name__", "__doc__"), updated=())
    def call(*args: Any, **params: Any) -> Any:
        if len(args) > most:
            form = op.form({**{n: p.default for n, p in op.card.params.items()}, **params})
            names = [s.name for s in form.signature.inputs]
            if len(args) <= len(names):
                raise LackingError(f"the function takes no {names[most]}")
        try:
            by_place, by_name = arguments(slots, op, params)
        except TypeError as error:
            raise LackingError(str(error)) from None
        try:
            return function(*args, *by_place, **by_name)
        except TypeError as error:
            if by_place or "keyword argument" not in str(error) or slots is not None:
                raise
        result = function(*args, *in_order(op, params))
        positional.add(op.name)
        return result

    return call


def tensors_taken(function: Callable[..., Any], op: Op) -> int:
    """Return how many tensors a function takes by position: what comes before the first parameter of the card."""
    most = max(len(f.signature.inputs) for f in op.forms.values())
    try:
        given = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return most
    if any(p.kind is p.VAR_POSITIONAL for p in given):
        return most
    first = next((i for i, p in enumerate(given) if p.name in op.card.params), len(given))
    return min(most, sum(p.kind in POSITIONAL for p in given[:first]))


def tensor_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters that a function takes by position."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in given if p.kind in POSITIONAL)


def slots_of(function: Callable[..., Any], op: Op) -> tuple[Slot, ...] | None:
    """Return the parameters of a function after its tensors; None where it takes any name."""
    found = _slots(function, op)
    if found is None:
        return None
    return tuple(Slot(p.name, p.kind is p.KEYWORD_ONLY, p.default is p.empty) for p in found)


def _slots(function: Callable[..., Any], op: Op) -> list[inspect.Parameter] | None:
    count = len(next(iter(op.forms.values())).signature.inputs)
    unnamed_slots = [inspect.Parameter(f"_{n}", inspect.Parameter.POSITIONAL_ONLY) for n in op.card.params]
    try:
        given = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return unnamed_slots
    if any(p.kind is p.VAR_KEYWORD for p in given):
        return None
    if any(p.kind is p.KEYWORD_ONLY and p.name in op.card.params for p in given):
        return [p for p in given if p.kind is p.KEYWORD_ONLY]
    if any(p.kind is p.VAR_POSITIONAL for p in given):
        return unnamed_slots
    tensors = {s.name for f in op.forms.values() for s in f.signature.inputs}
    slots = [p for p in given[count:] if p.name not in tensors]
    unnamed = [p for p in slots if p.name not in op.card.params]
    if len(unnamed) == len(slots):
        return slots
    # inputs that some forms alone have stand before the parameters
    extra = len(unnamed) - len(set(op.card.params) - {p.name for p in slots})
    return [p for p in slots if p not in unnamed[: max(extra, 0)]]


def bound(function: Callable[..., Any], params: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function with its parameters bound."""
    return lambda *args: function(*args, **params)
