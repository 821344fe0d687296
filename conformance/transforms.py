"""What a framework can do with a function: differentiate, compile, trace and map it. Every result equals the plain one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from einspec import oracle
from einspec.classes import OpClass
from einspec.conformance.calls import Case
from einspec.conformance.compare import Expected
from einspec.conformance.definition import batched
from einspec.conformance.expect import EXACT, gradient, index_maps
from einspec.conformance.judge import Context, Result
from einspec.conformance.session import Trial
from einspec.conformance.trials import plain_trial, ramps
from einspec.conformance.values import fill
from einspec.dtypes import GROUPS

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
    few = [c for c in context.bank if not c.options][:2] or list(context.bank[:2])
    yield context.trials(clause, "transform", list(_transformed(context, name, few)), refusable=context.bare)


def unavailable(context: Context, name: str) -> str:
    """Return why a transform cannot be judged here, or nothing."""
    adapter, framework = context.session.adapter, context.session.target.framework
    if name == "eager":
        return "" if context.session.compiles else f"{framework} runs every call eagerly"
    if name not in getattr(adapter, "transforms", {}):
        return f"{framework} has no {name}"
    if name == "vmap" and not any(f.signature.inputs for f in context.op.forms.values()):
        return "the op takes no tensors"
    return ""


def _transformed(context: Context, name: str, few: list[Case]) -> Iterator[Trial]:
    session = context.session
    if name == "eager":
        case = min(few, key=lambda c: c.elements)
        yield plain_trial(case, ramps(case), call=session.plain(case), direct=True, how="without jit")
        return
    change: Callable[..., Any] = session.adapter.transforms[name]
    for case in few[:1] if name == "compile" or session.compiles else few:
        if name == "vmap":
            yield _mapped(case, change(session.plain(case)))
        else:
            yield plain_trial(case, ramps(case), call=change(session.plain(case)), direct=True, how=f"under {name}")


def _mapped(case: Case, call: Callable[..., Any]) -> Trial:
    rng = np.random.default_rng(2)
    inputs = zip(case.form.signature.inputs, case.shapes, strict=True)
    arrays = {s.name: fill((3, *shape), "float32", "small", rng) for s, shape in inputs}
    return batched(case, arrays, index_maps(case) if case.form.kind in EXACT else None, call)


def check_gradient(context: Context, wrt: str) -> Iterator[Result]:
    """Judge ``grad.<input>``: the transpose derived from the definition, or the differentiated oracle."""
    clause = f"grad.{wrt}"
    adapter = context.session.adapter
    if "vjp" not in getattr(adapter, "transforms", {}):
        yield context.not_run(clause, "transform", f"{context.session.target.framework} has no gradients")
        return
    few = [c for c in context.bank if not c.options][:2] or list(context.bank[:2])
    found = [t for c in few[: 1 if context.session.compiles else 2] for t in _gradients(context, c, wrt)]
    yield context.trials(clause, "transform", found, refusable=context.bare)


def _gradients(context: Context, case: Case, wrt: str) -> Iterator[Trial]:
    adapter, session = context.session.adapter, context.session
    signature, arrays = case.form.signature, _distinct(case)
    rng = np.random.default_rng(4)
    outer = {s.name: fill(case.solution.shape(s), "float32", "small", rng) for s in signature.outputs}
    wanted = gradient(case, arrays, outer, wrt)
    if wanted is None:
        wanted = _differentiated(context, case, arrays, outer, wrt)
    spec = next(s for s in signature.inputs if s.name == wrt)
    position = signature.inputs.index(spec)
    plain = session.plain(case)

    def call(*args: Any) -> Any:
        flat, rebuild = _flattened(args)
        leaves = [a for s in signature.outputs for a in (outer[s.name] if s.listed else [outer[s.name]])]
        cotangents = [adapter.asarray(np.asarray(a), session.device) for a in leaves]
        grads = adapter.transforms["vjp"](lambda *parts: _unlisted(plain(*rebuild(parts))), flat, cotangents)
        return rebuild(grads)[position]

    exact = case.form.kind in EXACT
    bound = None if exact else _gradient_bound(case, wanted)
    want = Expected(wanted.astype(np.float32), "values") if exact else Expected(wanted, "bound", bound, "float32")
    yield Trial(case, arrays, {"gradient": want}, call, direct=True, how=f"the gradient of {wrt}, given those of the outputs")


def _distinct(case: Case) -> dict[str, Array]:
    """Return inputs without ties, in an order that is not that of memory: a maximum has one place."""
    rng, arrays = np.random.default_rng(6), ramps(case)
    return {k: rng.permutation(v.reshape(-1)).reshape(v.shape) for k, v in arrays.items()}


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
    names = [s.name for s in case.form.signature.inputs]
    outputs = [s.name for s in case.form.signature.outputs]

    def run(*leaves: Any) -> Any:
        device = session.device if session.target.framework == "torch" else None
        found = oracle.evaluate(case.solution, dict(zip(names, leaves, strict=True)), xp, device=device, finite=True)
        return tuple(found[o] for o in outputs) if len(outputs) > 1 else found[outputs[0]]

    with session.holding({"float64"}):
        leaves = [adapter.asarray(arrays[n].astype(np.float64), session.device) for n in names]
        cotangents = [adapter.asarray(outer[o].astype(np.float64), session.device) for o in outputs]
        grads = adapter.transforms["vjp"](run, leaves, cotangents)
        return np.asarray(adapter.to_numpy(grads[names.index(wrt)]))


def _gradient_bound(case: Case, wanted: Array) -> Array:
    eps = float(np.finfo(np.float32).eps)
    return np.asarray(8 * eps * np.maximum(np.abs(wanted), 4.0))


def gradients_of(op: Any) -> list[str]:
    """Return the inputs of an op that have a gradient."""
    forms = list(op.forms.values())
    if all(f.kind is OpClass.SELECTION for f in forms):
        return []
    names = dict.fromkeys(s.name for f in forms for s in f.signature.inputs)
    return [n for n in names if "float32" in GROUPS[op.card.dtype.get(n, "any")]]
