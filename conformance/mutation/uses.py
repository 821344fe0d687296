"""What an implementer gets wrong in the use of another op: its choice, its numbers, its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from einspec.card import Form, load
from einspec.language import text
from einspec.language.formula import Binary, Index, Number, OpCall, Read


def other_uses(form: Form, i: int, use: OpCall) -> Iterator[tuple[str, str, OpCall]]:
    """Yield the use of another card with another choice, number or tensor, or without a number."""
    params = load(use.op).card.params
    for name, choice in use.choices:
        for other in params[name].choices or ():
            if other != choice:
                choices = _with(use.choices, name, other)
                yield "use", f"{name} is {other}", _written(use, choices=choices)
    for name, value in use.numbers:
        shown = text.term_text(value)
        fewer = tuple(pair for pair in use.numbers if pair[0] != name)
        yield "use", f"no {name}={shown}", _written(use, numbers=fewer)
        for sign in "+-":
            beside = _with(use.numbers, name, Binary(sign, value, Number(1)))
            yield "use", f"{name}={shown} {sign} 1", _written(use, numbers=beside)
    known = _known(form, i)
    for place, read in enumerate(use.inputs):
        for name, index in known.items():
            if name != read.tensor and index == read.index:
                other_read = Read(name, read.index)
                inputs = (*use.inputs[:place], other_read, *use.inputs[place + 1 :])
                yield "input", f"{read.tensor} is {name}", _written(use, inputs=inputs)


def _known(form: Form, i: int) -> dict[str, tuple[Index, ...]]:
    """Return the tensors that there are before an entry of a definition, with their axes."""
    known = {s.name: s.index for s in form.signature.inputs}
    for entry in form.stated[:i]:
        if isinstance(entry, OpCall):
            known |= {r.tensor: r.index for r in entry.targets}
        else:
            known[entry.tensor] = entry.index
    return known


def _with(pairs: Sequence[tuple[str, Any]], name: str, value: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((n, value if n == name else v) for n, v in pairs)


def _written(use: OpCall, **changes: Any) -> OpCall:
    """Return a changed use of another card, with its text."""
    new = replace(use, **changes)
    targets, inputs = (", ".join(text.term_text(r) for r in side) for side in (new.targets, new.inputs))
    choices = "".join(f', {n}="{v}"' for n, v in new.choices)
    numbers = "".join(f", {n}={text.term_text(v)}" for n, v in new.numbers)
    return replace(new, text=f"{targets} = {new.op}({inputs}{choices}{numbers})")
