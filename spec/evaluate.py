"""The definition itself, on arrays."""

from __future__ import annotations

from typing import Any

from einspec.card import load


def evaluate(op: str, /, *inputs: Any, **params: Any) -> Any:
    """Return what an op gives by its definition, as NumPy arrays of the dtypes that the card names.

    Every element is computed in float64 or, of whole numbers, exactly, and rounded once to the dtype of the output; what only
    moves keeps its bits. It is as slow as it is plain: a program calls a backend instead.

    Args:
        op: the name of an op, or an alias.
        inputs: the tensors, whatever NumPy makes an array of, and tensors of PyTorch; a list of them where the card has one.
        params: the parameters.

    Returns:
        One array, or a tuple of several; a list where the card has one, an ``int`` where it says so.

    Raises:
        KeyError: there is no such op.
        ShapeError: a shape does not fit.
        ParameterError: a parameter is missing, unknown or outside its range.
        ParameterTypeError: a parameter is of another type.
        DtypeError: an input is of a dtype that the card does not allow there.
    """
    # Here, because NumPy is imported only where something is computed.
    from einspec.answers.exact import results
    from einspec.calls.given import given_call

    case, arrays = given_call(load(op), inputs, params)
    return results(case, arrays)
