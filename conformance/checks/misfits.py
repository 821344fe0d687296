"""Calls that do not fit their card: one for each constraint, and whether an op rejects it."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from einspec.calls import cases
from einspec.calls.space import Case, spaces
from einspec.card import Op
from einspec.conformance.judge.judge import Context, Result
from einspec.dtypes import ALL, GROUPS, USUAL, numpy_dtype
from einspec.solve import ShapeError, solve

DEMANDED = ("divides", "match", "list", "broadcast", "require", "axes")
"""Misfits that a bare file must reject as well: accepting one means guessing what was meant.

That two tensors fit each other is asked of backends alone: ordinary code broadcasts, or reads what it needs.
"""
SEARCHED = 250
"""How many calls are tried to find one that violates a named requirement."""


@dataclass(frozen=True)
class Misfit:
    """A call that violates one constraint of its card."""

    constraint: str
    case: Case
    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any]
    dtype: tuple[str, str] = ("", "float32")
    """The input that is of a dtype which the card does not allow, and this dtype."""
    last: tuple[int, ...] | None = None
    """The shape of the last tensor of a list, where it is not that of the others."""


@functools.lru_cache(maxsize=256)
def misfits(op: Op) -> dict[str, Misfit]:
    """Return one call a constraint of the card that violates this constraint alone, by its id."""
    found: dict[str, Misfit] = {}
    for case in cases.bank(op):
        for shapes in _other_shapes(case):
            _add(found, op, case, shapes, case.params)
        for params in _other_params(case):
            _add(found, op, case, case.shapes, params)
        for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True):
            if spec.listed and shape[0] > 1 and len(shape) > 1:
                for kind, size in (("list", shape[-1] + 1), ("broadcast", 1)):
                    constraint, last = f"{kind}.{spec.name}", (*shape[1:-1], size)
                    found.setdefault(constraint, Misfit(constraint, case, case.shapes, case.params, last=last))
            for dtype in ALL:
                if dtype not in GROUPS[case.form.group(spec.name)]:
                    constraint = f"dtype.{spec.name}"
                    found.setdefault(constraint, Misfit(constraint, case, case.shapes, case.params, (spec.name, dtype)))
    for name in dict.fromkeys(n for f in op.forms.values() for n in f.require):
        _search(found, op, f"require.{name}")
    return {k: v for k, v in found.items() if k not in op.card.unspecified and not k.startswith("open.")}


def _add(found: dict[str, Misfit], op: Op, case: Case, shapes: tuple[tuple[int, ...], ...], params: dict[str, Any]) -> None:
    try:
        solve(op, shapes, params)
    except ShapeError as error:
        found.setdefault(error.constraint, Misfit(error.constraint, case, shapes, params))
    except (ValueError, TypeError) as error:
        changed = [k for k in op.card.params if repr(params.get(k)) != repr(case.params.get(k))]
        kind = "type" if isinstance(error, TypeError) else "param"
        for name in changed[:1]:
            found.setdefault(f"{kind}.{name}", Misfit(f"{kind}.{name}", case, shapes, params))


def _other_shapes(case: Case) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield the shapes with one dimension longer, one empty, one or more missing, or one more."""
    for i, (spec, shape) in enumerate(zip(case.form.signature.inputs, case.shapes, strict=True)):
        for d in range(len(shape)):
            if d == 0 and spec.listed:
                changed = [(shape[0] + 1, *shape[1:]), (0, *shape[1:])]
            else:
                changed = [(*shape[:d], n, *shape[d + 1 :]) for n in (shape[d] + 1, 0)]
                changed.append((*shape[:d], *shape[d + 1 :]))
            for other in changed:
                yield (*case.shapes[:i], other, *case.shapes[i + 1 :])
        fewer = (shape[: spec.listed + kept] for kept in range(len(shape) - spec.listed))
        for other in (*fewer, (*shape, 2)):
            yield (*case.shapes[:i], other, *case.shapes[i + 1 :])


def _other_params(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the parameters with one of them below its least value, of another type, or no choice."""
    for name, param in case.op.card.params.items():
        if param.choices:
            yield {**case.params, name: "no such choice"}
            continue
        if isinstance(param.min, int):
            yield {**case.params, name: param.min - 1}
        if param.axis:
            yield {**case.params, name: 99}
        value = case.params.get(name, param.default)
        if isinstance(value, int) and not param.number:
            yield {**case.params, name: float(value)}


def _search(found: dict[str, Misfit], op: Op, constraint: str) -> None:
    """Find a call that violates a named requirement, among all small ones."""
    rng = random.Random(op.name)
    for space in spaces(op, sizes=(1, 2, 3, 4, 5)):
        for number in rng.sample(range(space.count), min(space.count, SEARCHED)):
            params, shapes = space.call(space.assignment(number))
            try:
                solve(op, shapes, params)
            except ShapeError as error:
                if error.constraint == constraint:
                    case = next(c for c in cases.bank(op) if c.form is space.form)
                    found.setdefault(constraint, Misfit(constraint, case, shapes, params))
                    return
            except (ValueError, TypeError):
                pass


def check_error(context: Context, constraint: str) -> Iterator[Result]:
    """Judge ``err.<constraint>``: a call that violates it raises, whatever the class of the exception."""
    clause = f"err.{constraint}"
    misfit = misfits(context.op)[constraint]
    kind = constraint.partition(".")[0]
    loose = kind not in DEMANDED or (kind == "match" and len(misfit.shapes) > 1)
    if context.bare and not context.strict and loose:
        yield context.not_run(clause, "scope", "a file of functions may accept more than the card; --strict asks for this too")
        return
    if context.bare and misfit.case.options and not context.takes(misfit.case):
        yield context.not_run(clause, "scope", f"the function refuses {', '.join(sorted(misfit.case.options))}")
        return
    session = context.session
    if misfit.dtype[1] not in context.dtypes:
        yield context.not_run(clause, "scope", f"{session.target.framework} has no {misfit.dtype[1]}")
        return
    arrays = {}
    for spec, shape in zip(misfit.case.form.signature.inputs, misfit.shapes, strict=True):
        own = USUAL.get(misfit.case.form.group(spec.name), "float32")
        dtype = misfit.dtype[1] if spec.name == misfit.dtype[0] else own
        arrays[spec.name] = np.arange(1, 1 + int(np.prod(shape))).reshape(shape).astype(numpy_dtype(dtype))
    call = session.target.call(context.op)
    args = session.arguments(misfit.case, arrays)
    if misfit.last is not None:
        args[0] = [*args[0][:-1], session.adapter.asarray(np.ones(misfit.last, np.float32), session.device)]
    try:
        result = call(*args, **misfit.params)
        got = {str(getattr(p, "shape", p)) for p in (result if isinstance(result, tuple | list) else [result])}
    except (Exception, SystemExit):
        yield Result(context.id(clause), "scope", "holds", 1)
        return
    shapes = ", ".join(
        f"{s.name}{list(a.shape)}" for s, a in zip(misfit.case.form.signature.inputs, arrays.values(), strict=True)
    )
    problem = f"accepted a call that does not fit ({error_text(misfit)}), and returned shape {', '.join(sorted(got))}"
    given = replace(misfit.case, params=misfit.params, shapes=misfit.shapes)
    uneven = f", the last tensor of the list of shape {list(misfit.last)}" if misfit.last is not None else ""
    data = {
        "summary": context.op.card.summary,
        "signature": str(misfit.case.form.signature),
        "formula": [e.text for e in misfit.case.form.stated],
        "call": f"{context.op.name}({given})",
        "how": f"a call that must raise: {shapes}{uneven}",
        "inputs": {},
        "params": {k: repr(v) for k, v in misfit.params.items()},
        "expected": {"error": error_text(misfit)},
        "got": {"result": f"shape {', '.join(sorted(got))}"},
        "difference": problem,
    }
    yield Result(context.id(clause), "scope", "wrong", 1, problem, data)


def error_text(misfit: Misfit) -> str:
    """Return what is wrong with a misfit, in the words of the card."""
    try:
        solve(misfit.case.op, misfit.shapes, misfit.params)
    except (ValueError, TypeError) as error:
        return str(error).splitlines()[0]
    if misfit.last is not None:
        return "tensors of unequal shapes in the list"
    name, dtype = misfit.dtype
    return f"{name} may not be {dtype}"
