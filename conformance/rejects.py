"""Whether an op rejects the calls that its card does not allow: ``err.<constraint>``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from einspec.conformance.invalid import InvalidCall, Tensor, invalid_calls
from einspec.conformance.judge import Context, Result
from einspec.dtypes import numpy_dtype

DEMANDED = ("divides", "match", "open", "list", "broadcast", "require", "axes")
"""Constraints that a bare file must keep as well: violated, they leave to guess what was meant.

That two tensors fit each other is asked of backends alone: ordinary code broadcasts, or reads what
it needs.
"""


def check_error(context: Context, constraint: str) -> Iterator[Result]:
    """Judge ``err.<constraint>``: a call that violates it raises, whatever the exception."""
    clause = f"err.{constraint}"
    call = invalid_calls(context.op).get(constraint)
    if call is None:
        yield context.not_run(clause, "scope", "no call was found that violates this first")
        return
    excuse = _excuse(context, call)
    if excuse:
        yield context.not_run(clause, "scope", excuse)
        return
    shapes = _result(context, call)
    if shapes is None:
        yield Result(context.id(clause), "scope", "holds", 1)
    else:
        yield _accepted(context, call, shapes)


def _result(context: Context, call: InvalidCall) -> str | None:
    """Return the shapes of what an op returns for a call, None where it raises."""
    function = context.session.target.call(context.op)
    with context.session.holding(call.dtypes):
        args = _arguments(context, call)
        try:
            result = function(*args, **call.params)
        except (Exception, SystemExit):
            return None
    parts = result if isinstance(result, tuple | list) else [result]
    return ", ".join(sorted({str(getattr(part, "shape", part)) for part in parts}))


def _excuse(context: Context, call: InvalidCall) -> str:
    """Return why a call is not made, or nothing."""
    kind = call.constraint.partition(".")[0]
    demanded = kind in DEMANDED and not (kind == "match" and len(call.inputs) > 1)
    if context.bare and not context.strict and not demanded:
        return "a file of functions may accept more than the card; --strict asks for this too"
    if context.bare and call.near.options and not context.takes(call.near):
        return f"the function refuses {', '.join(sorted(call.near.options))}"
    lacking = sorted(call.dtypes - set(context.dtypes))
    return f"{context.session.target.framework} has no {lacking[0]}" if lacking else ""


def _arguments(context: Context, call: InvalidCall) -> list[Any]:
    """Return the tensors of a call as the framework's arrays."""
    inputs = call.form.signature.inputs
    groups = [call.form.group(spec.name) for spec in inputs]
    more = len(call.inputs) - len(groups)
    groups += [groups[-1] if groups else "any"] * more
    args: list[Any] = []
    for group, tensors, given in zip(groups, call.lists, call.inputs, strict=True):
        arrays = [_array(context, tensor, group) for tensor in tensors]
        args.append(arrays if isinstance(given, tuple) else arrays[0])
    return args


def _array(context: Context, tensor: Tensor, group: str) -> Any:
    """Return a tensor that a function has nothing else against: indices point to what is there."""
    numbers = np.arange(1, 1 + int(np.prod(tensor.shape))).reshape(tensor.shape)
    values = 0 * numbers if group in ("index", "bool") else numbers
    given = np.array(values.astype(numpy_dtype(tensor.dtype)), order="C")
    return context.session.adapter.asarray(given, context.session.device)


def _accepted(context: Context, call: InvalidCall, shapes: str) -> Result:
    """Return the result for an op that accepted a call."""
    problem = f"accepted a call that does not fit ({call.problem}), and returned shape {shapes}"
    data = {
        "summary": context.op.card.summary,
        "signature": str(call.form.signature),
        "formula": [e.text for e in call.form.stated],
        "call": f"{context.op.name}({call})",
        "how": "a call that must raise",
        "inputs": {},
        "params": {k: repr(v) for k, v in call.params.items()},
        "expected": {"error": call.problem},
        "got": {"result": f"shape {shapes}"},
        "difference": problem,
    }
    return Result(context.id(f"err.{call.constraint}"), "scope", "wrong", 1, problem, data)
