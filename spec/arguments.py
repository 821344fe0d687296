"""The arguments of a call against its card: how many tensors, their shapes and dtypes, the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from einspec.card import Op
from einspec.dtypes import GROUPS, dtype_name
from einspec.errors import DtypeError
from einspec.lists import check_one_dtype
from einspec.solve import Solution, solve

Shapes = Sequence[tuple[int, ...]]
Params = Mapping[str, Any]


def check_arguments(op: Op, shapes: Shapes, dtypes: Sequence[Any], params: Params) -> Solution:
    """Return what follows from the arguments of a call.

    Args:
        op: the op.
        shapes: the shapes of the inputs, that of a list with its length first.
        dtypes: their dtypes, of any framework; where the op takes a list, those of its tensors.
        params: the parameters.

    Raises:
        ShapeError: a shape does not fit.
        ParameterError: a parameter is missing, unknown or outside its range.
        ParameterTypeError: a parameter is of another type.
        DtypeError: an input is of a dtype that the card does not allow there.
    """
    solution = solve(op, shapes, params)
    form = solution.form
    inputs = form.signature.inputs
    each = {s.name: list(dtypes) if s.listed else [d] for s, d in zip(inputs, dtypes, strict=False)}
    for spec in inputs:
        rule = form.dtype[spec.name]
        first = each.get(rule.removeprefix("same as "), []) if rule.startswith("same as ") else []
        for dtype in each.get(spec.name, []):
            name = dtype_name(dtype)
            if first and dtype != first[0]:
                wanted = f"the {rule.replace('same as', 'dtype of')}, not {name} and {dtype_name(first[0])}"
                raise DtypeError(f"{op.name}: {spec.name} must have {wanted}", f"dtype.{spec.name}")
            allowed = GROUPS[form.group(spec.name)]
            if name not in allowed:
                wanted = f"one of {', '.join(sorted(allowed))}, not {name}"
                raise DtypeError(f"{op.name}: {spec.name} must be {wanted}", f"dtype.{spec.name}")
        check_one_dtype(op.name, spec.name, each.get(spec.name, []))
    return solution
