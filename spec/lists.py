"""Inputs that are lists of tensors: all of one dtype, and of one shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from einspec.card import Op
from einspec.dtypes import dtype_name
from einspec.errors import DtypeError, ShapeError, clause_line


def stacked_shape(op: Op, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of the stack of the tensors of the list that an op takes.

    Raises:
        ShapeError: they are of several shapes; the constraint is ``broadcast.xs`` where
            broadcasting would make them one, else ``list.xs``.
    """
    other = next((j for j, shape in enumerate(shapes) if shape != shapes[0]), 0)
    if not other:
        return (len(shapes), *(shapes[0] if shapes else ()))
    signature = next(iter(op.forms.values())).signature
    listed = next((s.name for s in signature.inputs if s.listed), "")
    kind = "broadcast" if _broadcasts(shapes[0], shapes[other]) else "list"
    lines = [
        f"{op.name}: the tensors of the list must have one shape",
        f"  signature: {signature}",
        f"  got: element 0 is {list(shapes[0])}, element {other} is {list(shapes[other])}",
    ]
    constraint = f"{kind}.{listed}"
    if constraint not in op.card.unspecified:
        lines.append(clause_line(op.name, constraint))
    raise ShapeError("\n".join(lines), constraint)


def _broadcasts(first: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether two shapes of one rank differ only where one of them is 1."""
    if len(first) != len(other):
        return False
    return all(m == n or 1 in (m, n) for m, n in zip(first, other, strict=True))


def check_one_dtype(op: str, listed: str, dtypes: Iterable[Any]) -> None:
    """Check that the tensors of a list are of one dtype.

    Raises:
        DtypeError: they are of several.
    """
    names = list(dict.fromkeys(map(dtype_name, dtypes)))
    if len(names) > 1:
        problem = f"the tensors must have one dtype, not {', '.join(names)}"
        raise DtypeError(f"{op}: {problem}", f"dtype.{listed}")
