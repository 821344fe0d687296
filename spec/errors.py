"""The errors of cards and of calls; that of a call names the constraint that the call violates."""

from __future__ import annotations


class CardError(ValueError):
    """A card that cannot be used: names the file and the place."""


class FormulaError(ValueError):
    """A definition that the formula language cannot read: names card, equation and column."""


class PatternError(CardError):
    """A pattern that cannot be read: shows the place and says what is expected there."""


class CallError(Exception):
    """A call that its card does not allow.

    ``constraint`` is the id of what does not hold, such as ``rank.x``, ``divides.x.1`` or
    ``param.k``; the clause of the op that it belongs to is ``err.<constraint>``.
    """

    def __init__(self, message: str, constraint: str = "") -> None:
        super().__init__(message)
        self.constraint = constraint


class ShapeError(CallError, ValueError):
    """The shapes of a call do not fit; the message holds all that is needed to mend the call."""


class ParameterError(CallError, ValueError):
    """A parameter of a call is missing, unknown or outside its range."""


class ParameterTypeError(CallError, TypeError):
    """A parameter is of the wrong type, such as a bool or a float where an integer belongs."""


class DtypeError(CallError, TypeError):
    """An input of a call is of a dtype that the card does not allow there."""


def clause_line(op: str, constraint: str) -> str:
    """Return the last line of a message, which names the clause that asks for the error."""
    return f"  clause: {op}/err.{constraint}"
