"""A definition as source of Python for a framework, to paste: :func:`reference` prints it, and runs nothing."""

from einspec.reference.frameworks import FRAMEWORKS
from einspec.reference.functions import reference

__all__ = ["FRAMEWORKS", "reference"]
