"""How an op treats its arguments: inputs left alone, results repeatable, device kept, any memory layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from einspec.calls.inputs import filled
from einspec.calls.space import Case
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Outcome, Trial
from einspec.conformance.judge.witness import witness

LAYOUTS = ("transposed", "permuted", "strided", "padded", "reversed", "offset", "read_only", "expanded")
"""Memory in which the same values may come."""


def conduct(context: Context) -> dict[str, Result]:
    """Return the results of ``pure``, ``repeat`` and ``device`` by clause, judged together and once."""
    if "conduct" not in context.cache:
        context.cache["conduct"] = {r.clause: r for r in _conduct(context)}
    found: dict[str, Result] = context.cache["conduct"]
    return found


def _conduct(context: Context) -> Iterator[Result]:
    """Judge ``pure``, ``repeat`` and ``device`` by calling twice and looking at the inputs afterwards."""
    case = context.bank[0]
    session, adapter = context.session, context.session.adapter
    arrays = filled(case, "float32", "gauss", 7)
    found = plain_trial(case, arrays)
    call = session.plain(case)
    if session.compiles and context.op.name not in session.not_traceable and not found.direct:
        call = adapter.transforms["jit"](call)
    args = session.arguments(case, arrays)
    other = plain_trial(case, filled(case, "float32", "gauss", 8))
    others = session.arguments(case, other.arrays)
    try:
        raw = call(*args)
        kept = session.outcome(found, raw)
        kept.outputs = {name: np.array(array) for name, array in kept.outputs.items()}
        changed_values = session.outcome(other, call(*others))
        first = session.outcome(found, raw)
        first.outputs = {name: np.array(array) for name, array in first.outputs.items()}
        again = [session.outcome(found, call(*args)) for _ in range(2)]
    except (Exception, SystemExit) as error:
        if context.refuses(found, Outcome(error=error)):
            for clause in ("pure", "repeat", "device"):
                yield Result(context.id(clause), "scope", "refused", 1, context.summary(found, Outcome(error=error)))
            return
        for clause in ("pure", "repeat", "device"):
            yield Result(
                context.id(clause),
                "scope",
                "wrong",
                1,
                f"raised {type(error).__name__}: {error}"[:300],
                witness(context, clause, found, Outcome(error=error)),
            )
        return
    after = {s.name: _back(session, a) for s, a in zip(case.form.signature.inputs, args, strict=True)}
    if kept.error is None:
        context.sample = list(kept.outputs.values())
    changed = [name for name, array in after.items() if array.tobytes() != np.ascontiguousarray(arrays[name]).tobytes()]
    yield _judged(context, "pure", not changed, f"the call changed its input {', '.join(changed)}", found, first)
    problem = "a later call with other values changed an earlier result"
    same = _equal(kept, first)
    if same:
        same, problem = all(_equal(kept, o) for o in again), "the same call gave other bits after a call with other values"
    if same and _equal(kept, changed_values) and changed_values.difference(other) is not None:
        same, problem = False, "a call with other values gave the result of an earlier call"
    yield _judged(context, "repeat", same, problem, found, kept)
    if not arrays:
        yield context.not_run("device", "scope", "the op takes no tensors")
        return
    where = {adapter.device_of(p) for p in _flat(raw)} if hasattr(adapter, "device_of") else {session.device}
    yield _judged(
        context,
        "device",
        where == {session.device},
        f"inputs on {session.device}, result on {', '.join(where)}",
        found,
        first,
    )


def _equal(one: Outcome, other: Outcome) -> bool:
    if one.error is not None or other.error is not None:
        return False
    pairs = zip(one.outputs.values(), other.outputs.values(), strict=True)
    return all(np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes() for a, b in pairs)


def _back(session: Any, argument: Any) -> np.ndarray[Any, Any]:
    if isinstance(argument, list):
        return np.stack([np.asarray(session.adapter.to_numpy(a)) for a in argument])
    return np.ascontiguousarray(session.adapter.to_numpy(argument))


def _flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _judged(context: Context, clause: str, good: bool, problem: str, found: Trial, outcome: Outcome) -> Result:
    if outcome.error is not None:
        good, problem = False, context.summary(found, outcome)
    if good:
        return Result(context.id(clause), "scope", "holds", 1)
    data = witness(context, clause, found, outcome)
    return Result(context.id(clause), "scope", "wrong", 1, problem, {**data, "difference": problem})


def check_layout(context: Context, layout: str) -> Iterator[Result]:
    """Judge ``layout.<name>``: the same bits whatever memory the same values come in."""
    clause, adapter = f"layout.{layout}", context.session.adapter
    few = [c for c in context.bank[:3] if c.shapes and min(_ranks(c)) > 0]
    if not hasattr(adapter, "layouts") or not few:
        reason = "the op takes no tensors" if not few else f"arrays of {context.session.target.framework} have no memory layout"
        yield context.not_run(clause, "scope", reason)
        return
    if layout == "expanded":
        yield context.trials(clause, "scope", [t for c in few for t in _expanded(context, c)])
        return
    sample = adapter.layouts(adapter.asarray(np.zeros((2, 3), np.float32), context.session.device))
    if layout not in sample:
        yield context.not_run(clause, "scope", f"{context.session.target.framework} has no {layout} arrays")
        return
    prepared = [plain_trial(c, ordinary(c), prepare=lambda x: adapter.layouts(x)[layout], how=f"{layout} input") for c in few]
    yield context.trials(clause, "scope", prepared)


def _ranks(case: Case) -> list[int]:
    """Return the number of axes of every input tensor."""
    return [len(shape) - spec.listed for spec, shape in zip(case.form.signature.inputs, case.shapes, strict=True)]


def _expanded(context: Context, case: Case) -> Iterator[Trial]:
    """Yield calls whose input is one slice repeated with stride 0 along an axis."""
    expand = context.session.adapter.expanded
    for axis in {0, len(case.shapes[0]) - 1}:
        arrays = ordinary(case)
        for spec in case.form.signature.inputs:
            rank = arrays[spec.name].ndim
            along = min(axis, rank - 1)
            if not spec.listed:
                first = np.take(arrays[spec.name], [0], axis=along)
                arrays[spec.name] = np.repeat(first, arrays[spec.name].shape[along], axis=along)
        if any(s.listed for s in case.form.signature.inputs):
            return
        yield plain_trial(
            case,
            arrays,
            prepare=lambda x, a=axis: expand(x, min(a, x.ndim - 1), x.shape[min(a, x.ndim - 1)]),
            how="expanded input",
        )
