"""How the parameters of a card are spelled in a call of a function that has names of its own for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from einspec.card import Op
from einspec.conformance.protocol import Slot


def in_order(op: Op, params: Mapping[str, Any]) -> list[Any]:
    """Return the parameters by position in the order of the card, the last of them left out where they are the defaults."""
    names = list(op.card.params)
    while names and params.get(names[-1], op.card.params[names[-1]].default) == op.card.params[names[-1]].default:
        names.pop()
    return [params.get(n, op.card.params[n].default) for n in names]


def placed(slots: Sequence[Slot] | None, op: Op) -> set[str]:
    """Return the parameters of the card for which a function has a place, whatever it calls them itself."""
    return set(op.card.params) if slots is None else set(_meant(slots, op).values())


def _meant(slots: Sequence[Slot], op: Op) -> dict[str, str]:
    """Return the parameter of the card that each parameter of a function is: by its name, else what is left, in order."""
    known = [s for s in slots if s.name in op.card.params]
    if len(known) == len(slots):
        return {s.name: s.name for s in slots}
    rest = [n for n in op.card.params if n not in {s.name for s in known}]
    used = [s for s in slots if s in known or not s.keyword_only or s.required]
    return {s.name: s.name if s in known else rest.pop(0) for s in used if s in known or rest}


def arguments(slots: Sequence[Slot] | None, op: Op, params: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the parameters by position and by name.

    Where the function has the names of the card they are used. A parameter of another name takes
    what is left, in the order of the card. One for which the function has no place is left out if
    it is the default.

    Raises:
        TypeError: the function has no place for a parameter that is not the default.
    """
    if slots is None:
        return [], dict(params)
    defaults = {n: p.default for n, p in op.card.params.items()}
    meant = _meant(slots, op)
    _check_spare([n for n in op.card.params if n not in meant.values()], params, defaults)
    if all(s.name in op.card.params for s in slots):
        return [], {n: v for n, v in params.items() if n in meant}
    values = {s: params.get(meant[s.name], defaults[meant[s.name]]) for s in slots if s.name in meant}
    by_place = [v for s, v in values.items() if not s.keyword_only]
    return by_place, {s.name: v for s, v in values.items() if s.keyword_only}


def _check_spare(rest: Sequence[str], params: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    spare = [n for n in rest if n in params and params[n] != defaults[n]]
    if spare:
        raise TypeError(f"the function takes no {spare[0]}")
