"""What a framework can do with a function: compile, trace and map it. Every result equals the plain one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from einspec.calls.inputs import filled
from einspec.calls.space import Case
from einspec.conformance.checks.batches import batched, fixed_maps, several
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Trial

SEEDS = 12
"""How many inputs that hold special values a compiled or mapped function is given, where that costs no compilation."""
TRANSFORMS = ("jit", "eager", "compile", "vmap")


def check_transform(context: Context, name: str) -> Iterator[Result]:
    """Judge ``transform.<name>``: the transformed function gives what the plain one gives."""
    clause = f"transform.{name}"
    reason = unavailable(context, name)
    if reason:
        yield context.not_run(clause, "transform", reason)
        return
    few = [c for c in context.bank if not c.options][:2] or sorted(context.bank, key=_axes)[-2:]
    yield context.trials(clause, "transform", list(_transformed(context, name, few)), refusable=context.bare)


def _axes(case: Case) -> int:
    """Return how many axes the inputs of a call have: an order of axes shows best where there are many."""
    return sum(map(len, case.shapes))


def unavailable(context: Context, name: str) -> str:
    """Return why a transform cannot be judged here, or nothing."""
    adapter, framework = context.session.adapter, context.session.target.framework
    if name == "eager":
        return "" if context.session.compiles else f"{framework} runs every call eagerly"
    if name not in getattr(adapter, "transforms", {}):
        return f"{framework} has no {name}"
    if "int" in {f.dtype[s.name] for f in context.op.forms.values() for s in f.signature.outputs}:
        return "the op gives a Python number"
    if name == "vmap" and not any(f.signature.inputs for f in context.op.forms.values()):
        return "the op takes no tensors"
    return ""


def _transformed(context: Context, name: str, few: list[Case]) -> Iterator[Trial]:
    session = context.session
    if name == "eager":
        case = min(few, key=lambda c: c.elements)
        yield plain_trial(case, ordinary(case), call=session.plain(case), direct=True, how="without jit")
        return
    change: Callable[..., Any] = session.adapter.transforms[name]
    special = () if session.compiles else range(SEEDS)
    for case in few[:1] if name == "compile" or session.compiles else few:
        call = change(session.plain(case))
        if name == "vmap":
            yield batched(case, several(case, 3, "small", 2), fixed_maps(case), call)
            if special:
                yield batched(case, several(case, len(special), "special", 2, context.subnormals), fixed_maps(case), call)
            continue
        yield plain_trial(case, ordinary(case), call=call, direct=True, how=f"under {name}")
        for seed in special:
            arrays = filled(case, "float32", "special", seed, context.subnormals)
            yield plain_trial(case, arrays, call=call, direct=True, how=f"under {name}")
