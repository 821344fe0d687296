"""How a function of a file is called: the parameters of a card by name or by position, whatever it calls them itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from einspec.card import Op


def adapted(function: Callable[..., Any], op: Op, positional_ops: set[str] | None = None) -> Callable[..., Any]:
    """Return the function taking the card's parameter names, whatever it calls them itself."""

    @functools.wraps(function, assigned=("__name__", "__doc__"), updated=())
    def call(*args: Any, **params: Any) -> Any:
        positional, named = arguments(function, op, params)
        try:
            return function(*args, *positional, **named)
        except TypeError as error:
            if positional or "keyword argument" not in str(error) or _slots(function, op) is not None:
                raise
        result = function(*args, *in_order(op, params))
        if positional_ops is not None:
            positional_ops.add(op.name)
        return result

    return call


def in_order(op: Op, params: Mapping[str, Any]) -> list[Any]:
    """Return the parameters by position in the order of the card, the last of them left out where they are the defaults."""
    names = list(op.card.params)
    while names and params.get(names[-1], op.card.params[names[-1]].default) == op.card.params[names[-1]].default:
        names.pop()
    return [params.get(n, op.card.params[n].default) for n in names]


def arguments(function: Callable[..., Any], op: Op, params: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the parameters by position and by name.

    Where the function has the names of the card they are used. A parameter of another name takes what is left, in the order
    of the card. One for which the function has no place is left out if it is the default.

    Raises:
        TypeError: the function has no place for a parameter that is not the default.
    """
    slots = _slots(function, op)
    if slots is None:
        return [], dict(params)
    known = [s for s in slots if s.name in op.card.params]
    rest = [n for n in op.card.params if n not in {s.name for s in known}]
    if len(known) == len(slots):
        spare = [n for n in rest if n in params and params[n] != op.card.params[n].default]
        if spare:
            raise TypeError(f"the function takes no {spare[0]}")
        return [], {n: v for n, v in params.items() if n not in rest}
    slots = [s for s in slots if s in known or s.kind is not s.KEYWORD_ONLY or s.default is s.empty]
    meant = {s.name: s.name if s in known else rest.pop(0) for s in slots if s in known or rest}
    spare = [n for n in rest if n in params and params[n] != op.card.params[n].default]
    if spare:
        raise TypeError(f"the function takes no {spare[0]}")
    values = {s: params.get(meant[s.name], op.card.params[meant[s.name]].default) for s in slots if s.name in meant}
    positional = [v for s, v in values.items() if s.kind is not s.KEYWORD_ONLY]
    return positional, {s.name: v for s, v in values.items() if s.kind is s.KEYWORD_ONLY}


def _slots(function: Callable[..., Any], op: Op) -> list[inspect.Parameter] | None:
    """Return the parameters of a function after its tensors; None where it takes any name."""
    count = len(next(iter(op.forms.values())).signature.inputs)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [inspect.Parameter(f"_{n}", inspect.Parameter.POSITIONAL_ONLY) for n in op.card.params]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name in op.card.params]
    if named:
        return [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    tensors = {s.name for f in op.forms.values() for s in f.signature.inputs}
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return [inspect.Parameter(f"_{n}", inspect.Parameter.POSITIONAL_ONLY) for n in op.card.params]
    slots = [p for p in parameters[count:] if p.name not in tensors]
    unnamed = [p for p in slots if p.name not in op.card.params]
    extra = len(unnamed) - len(set(op.card.params) - {p.name for p in slots})  # inputs that some forms alone have
    return [p for p in slots if p not in unnamed[: max(extra, 0)]] if len(unnamed) < len(slots) else slots
