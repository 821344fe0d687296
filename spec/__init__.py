"""einspec: an executable, citable specification of tensor ops, and a judge for implementations of them."""

from einspec.card import Op, add_cards, load, paths, resolve
from einspec.clauses import clauses
from einspec.errors import CallError, CardError, DtypeError, FormulaError, ParameterError, ParameterTypeError, ShapeError
from einspec.evaluate import evaluate
from einspec.picture import picture
from einspec.solve import solve

__version__ = "1.0.0"
SPEC_VERSION = "1.1"
"""The version of the meaning: it changes when, and only when, a card changes what an op does."""
SPEC_DATE = "2026-11-30"
"""The day of this version of the meaning, which citations give."""

__all__ = [
    "SPEC_DATE",
    "SPEC_VERSION",
    "CallError",
    "CardError",
    "DtypeError",
    "FormulaError",
    "Op",
    "ParameterError",
    "ParameterTypeError",
    "ShapeError",
    "__version__",
    "add_cards",
    "clauses",
    "evaluate",
    "load",
    "ops",
    "picture",
    "resolve",
    "solve",
]


def ops() -> list[str]:
    """Return the names of all ops, sorted by family and name."""
    return list(paths())
