"""The picture of an op."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from einspec.card import load

if TYPE_CHECKING:
    from einspec.pages.picture import Picture


def picture(op: str, /, *inputs: Any, **params: Any) -> Picture:
    """Return a picture of what an op does, made from its definition: what goes where in a small call.

    A notebook shows it; ``str`` gives it as text, ``.svg()`` as SVG that is right in the light, in the dark and in print.

    Args:
        op: the name of an op, or an alias.
        inputs: the tensors of the call that is drawn; without any, and without parameters, the example of its page.
        params: its parameters.

    Raises:
        KeyError: there is no such op.
        CallError: the card does not allow the call; the message says what to mend.
        ValueError: the call is too large to be drawn, or has an axis of size 0.
    """
    # Here, because NumPy is imported only where something is computed.
    from einspec.calls.given import given_call
    from einspec.pages.example import example
    from einspec.pages.picture import MOST, picture_of

    found = load(op)
    if not inputs and not params:
        return picture_of(example(found))
    case, arrays = given_call(found, inputs, params)
    if case.empty or max(case.elements, case.made) > MOST:
        what = "an axis of size 0" if case.empty else f"{case.elements} elements of inputs and {case.made} of outputs"
        raise ValueError(f"picture: {found.name} with {what} is not drawn; give tensors of 1 to {MOST} elements")
    return picture_of(case, arrays)
