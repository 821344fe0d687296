"""einspec: an executable, citable specification of tensor ops, and a judge for implementations of them."""

from einspec.card import CardError, Op, load, paths, resolve
from einspec.language.formula import FormulaError
from einspec.solve import ParameterError, ShapeError, solve

__version__ = "1.0.0"
SPEC_VERSION = "1.0"
"""The version of the meaning: it changes when, and only when, a card changes what an op does."""

__all__ = [
    "SPEC_VERSION",
    "CardError",
    "FormulaError",
    "Op",
    "ParameterError",
    "ShapeError",
    "__version__",
    "load",
    "ops",
    "resolve",
    "solve",
]


def ops() -> list[str]:
    """Return the names of all ops, sorted by family and name."""
    return list(paths())
