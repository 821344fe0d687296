"""What a framework can do with a function: differentiate, compile, trace and map it. Every result equals the plain one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from einspec import oracle
from einspec.card import Form
from einspec.classes import OpClass
from einspec.conformance.batches import batched, fixed_maps, several
from einspec.conformance.calls import Case
from einspec.conformance.compare import Expected
from einspec.conformance.expect import gradient, moves, output_dtype, summands, traits_of
from einspec.conformance.judge import Context, Result
from einspec.conformance.nan import unread
from einspec.conformance.session import Trial
from einspec.conformance.trials import ordinary, plain_trial, shuffled
from einspec.conformance.values import fill
from einspec.dtypes import COMPLEX, FLOAT8, FLOATS, GROUPS, WIDE

Array = np.ndarray[Any, Any]
TRANSFORMS = ("jit", "eager", "compile", "vmap")
NAMESPACES = {"torch": "torch", "jax": "jax.numpy"}


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
    for case in few[:1] if name == "compile" or session.compiles else few:
        if name == "vmap":
            yield _mapped(case, change(session.plain(case)))
        else:
            yield plain_trial(case, ordinary(case), call=change(session.plain(case)), direct=True, how=f"under {name}")


def _mapped(case: Case, call: Callable[..., Any]) -> Trial:
    return batched(case, several(case, 3, "small", 2), fixed_maps(case), call)


def check_gradient(context: Context, wrt: str) -> Iterator[Result]:
    """Judge ``grad.<input>``: the transpose derived from the definition, or the differentiated oracle."""
    clause = f"grad.{wrt}"
    adapter = context.session.adapter
    if "vjp" not in getattr(adapter, "transforms", {}):
        yield context.not_run(clause, "transform", f"{context.session.target.framework} has no gradients")
        return
    able = [c for c in context.bank if wrt in c.form.data]
    few = [c for c in able if not c.options][:2] or able[:2]
    found = [t for c in few[: 1 if context.session.compiles else 2] for t in _gradients(context, c, wrt)]
    yield context.trials(clause, "transform", found, refusable=context.bare)


def _gradients(context: Context, case: Case, wrt: str) -> Iterator[Trial]:
    yield _gradient_trial(context, case, wrt, shuffled(case), "")
    routed = case.form.values or len(case.form.data) < len(case.form.signature.inputs)
    if routed and traits_of(case.form).multilinear:
        spoiled = shuffled(case)
        for name in case.form.data:
            spoiled[name].reshape(-1)[unread(case, spoiled, name)] = np.nan
        if any(np.isnan(spoiled[n]).any() for n in case.form.data):
            yield _gradient_trial(context, case, wrt, spoiled, ", with NaN in every place that the definition does not read")


def _gradient_trial(context: Context, case: Case, wrt: str, arrays: dict[str, Array], where: str) -> Trial:
    adapter, session, signature = context.session.adapter, context.session, case.form.signature
    rng = np.random.default_rng(4)
    valued = [s for s in signature.outputs if differentiable(output_dtype(case, s.name, arrays))]
    outer = {s.name: fill(case.solution.shape(s), output_dtype(case, s.name, arrays), "small", rng) for s in valued}
    wanted = gradient(case, arrays, outer, wrt)
    if wanted is None:
        wanted = _differentiated(context, case, arrays, outer, wrt)
    plain = session.plain(case)
    position = case.form.data.index(wrt)
    places = [signature.outputs.index(s) for s in valued]

    def call(*args: Any) -> Any:
        named = dict(zip((s.name for s in signature.inputs), args, strict=True))
        flat, rebuild = _flattened([named[name] for name in case.form.data])
        leaves = [a for s in valued for a in (outer[s.name] if s.listed else [outer[s.name]])]
        cotangents = [adapter.asarray(np.asarray(a), session.device) for a in leaves]

        def values(*parts: Any) -> Any:
            given = {**named, **dict(zip(case.form.data, rebuild(parts), strict=True))}
            result = plain(*given.values())
            return _unlisted(result) if len(signature.outputs) == len(places) else _picked(result, places)

        return rebuild(adapter.transforms["vjp"](values, flat, cotangents))[position]

    exact = moves(case, arrays)
    bound = None if exact else _gradient_bound(case, wanted, outer)
    want = Expected(wanted.astype(np.float32), "values") if exact else Expected(wanted, "bound", bound, "float32")
    how = f"the gradient of {wrt}, given those of the outputs{where}"
    return Trial(case, arrays, {"gradient": want}, call, direct=True, how=how)


def differentiable(dtype: str) -> bool:
    """Whether an output of this dtype has a gradient."""
    return dtype in (*FLOATS, *FLOAT8, *COMPLEX)


def _picked(result: Any, places: list[int]) -> Any:
    """Return the outputs that have a gradient: one by itself, several as a tuple."""
    found = tuple(result[i] for i in places)
    return found if len(found) > 1 else found[0]


def _unlisted(result: Any) -> Any:
    return tuple(result) if isinstance(result, tuple | list) else result


def _flattened(args: Any) -> tuple[list[Any], Callable[[Any], list[Any]]]:
    """Return the leaves of the arguments, lists opened, and the function that puts leaves back."""
    sizes = [len(a) if isinstance(a, list) else None for a in args]
    flat = [leaf for a in args for leaf in (a if isinstance(a, list) else [a])]

    def rebuild(leaves: Any) -> list[Any]:
        rest, out = list(leaves), []
        for size in sizes:
            taken, rest = rest[: size if size is not None else 1], rest[size if size is not None else 1 :]
            out.append(taken if size is not None else taken[0])
        return out

    return flat, rebuild


def _differentiated(context: Context, case: Case, arrays: dict[str, Array], outer: dict[str, Array], wrt: str) -> Array:
    """Return the gradient of the oracle itself, computed by the framework in float64."""
    adapter, session = context.session.adapter, context.session
    xp = importlib.import_module(NAMESPACES[session.target.framework])
    names = list(case.form.data)
    fixed = {k: v.astype(np.int64) for k, v in arrays.items() if k not in names}

    def run(*leaves: Any) -> Any:
        device = session.device if session.target.framework == "torch" else None
        given = dict(zip(names, leaves, strict=True))
        constants = {k: adapter.asarray(v, session.device) for k, v in fixed.items()}
        found = oracle.evaluate(case.solution, {**constants, **given}, xp, device=device, finite=True)
        return tuple(found[o] for o in outer) if len(outer) > 1 else found[next(iter(outer))]

    with session.holding({"float64"}):
        leaves = [adapter.asarray(arrays[n].astype(np.float64), session.device) for n in names]
        cotangents = [adapter.asarray(array.astype(np.float64), session.device) for array in outer.values()]
        grads = adapter.transforms["vjp"](run, leaves, cotangents)
        return np.asarray(adapter.to_numpy(grads[names.index(wrt)]))


def _gradient_bound(case: Case, wanted: Array, outer: dict[str, Array]) -> Array:
    """Return how far a gradient may be off: one rounding of the largest number in it for each operation of the definition.

    What is exactly zero because nothing reaches it must be so.
    """
    eps = float(np.finfo(np.float32).eps)
    operations = traits_of(case.form).operations + summands(case)
    largest = max((float(np.max(np.abs(a), initial=0)) for a in (wanted, *outer.values())), default=0.0)
    bound = np.full(wanted.shape, operations * eps * largest)
    return np.where(wanted == 0, 0.0, bound) if traits_of(case.form).multilinear else bound


def gradients_of(op: Any) -> list[str]:
    """Return the inputs of an op that have a gradient."""
    forms = [f for f in op.forms.values() if f.kind is not OpClass.SELECTION and _has_values(f)]
    names = dict.fromkeys(name for f in forms for name in f.data)
    return [n for n in names if any("float32" in GROUPS[f.group(n)] for f in forms if n in f.dtype)]


def _has_values(form: Form) -> bool:
    """Whether some output has a gradient."""
    rules = [form.dtype[s.name].removeprefix(WIDE).removeprefix("same as ") for s in form.signature.outputs]
    return any(rule in form.data or differentiable(rule) for rule in rules)
