"""The gradients of an op: those of its definition, whatever else is differentiated and in whatever memory cotangents come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from einspec.card import Form
from einspec.classes import OpClass
from einspec.conformance.calls import Case
from einspec.conformance.compare import Expected
from einspec.conformance.derivatives import expected_gradient
from einspec.conformance.expect import output_dtype
from einspec.conformance.judge import Context, Result
from einspec.conformance.nan import unread
from einspec.conformance.session import Trial
from einspec.conformance.trials import own_dtype, shuffled
from einspec.conformance.values import fill
from einspec.dtypes import COMPLEX, FLOAT8, FLOATS, GROUPS, WIDE

Array = np.ndarray[Any, Any]
WIDER = 2.0**30 + 1
"""What cotangents of float64 are multiplied by, so that float32 does not hold them, and their sums are exact all the same."""
CALLS, WAYS = 24, 4
"""On how many calls gradients are judged where none costs a compilation, and on how many of them in every way."""


def check_gradient(context: Context, wrt: str) -> Iterator[Result]:
    """Judge ``grad.<input>``: the gradient that is derived from the definition."""
    clause = f"grad.{wrt}"
    if "vjp" not in getattr(context.session.adapter, "transforms", {}):
        yield context.not_run(clause, "transform", f"{context.session.target.framework} has no gradients")
        return
    able = sorted((c for c in context.bank if wrt in c.form.data), key=lambda c: len(c.options))
    chosen = list({id(c): c for c in (*able[:1], *able[-1:])}.values()) if context.session.compiles else able[:CALLS]
    plain = [Gradient(context, case, wrt, shuffled(case)) for case in chosen]
    result = context.trials(clause, "transform", [g.trial() for g in plain], refusable=context.bare)
    if result.verdict == "holds":
        ways = context.trials(clause, "transform", [t for g in plain[:WAYS] for t in _ways(g)])
        ways.instances += result.instances
        result = ways if ways.verdict == "wrong" else result
        result.instances = ways.instances
    yield result


def _ways(plain: Gradient) -> Iterator[Trial]:
    """Yield the gradient with NaN in what is not read, and asked for in all the ways that a caller may."""
    context, case, wrt, arrays = plain.context, plain.case, plain.wrt, plain.arrays
    adapter = context.session.adapter
    if case.form.values or len(case.form.data) < len(case.form.signature.inputs):
        spoiled = {k: v.copy() for k, v in arrays.items()}
        for name in case.form.data:
            spoiled[name].reshape(-1)[unread(case, spoiled, name)] = np.nan
        if any(np.isnan(spoiled[n]).any() for n in case.form.data):
            yield plain.trial("with NaN in every place that the definition does not read", arrays=spoiled)
    if context.session.compiles:
        return
    if len(case.form.data) > 1:
        yield plain.trial("no other one asked for", alone=True)
    if hasattr(adapter, "layouts"):
        yield plain.trial("those transposed in memory", memory=lambda x: adapter.layouts(x).get("transposed", x))
        flat = Gradient(context, case, wrt, arrays, expanded=True)
        yield flat.trial("those expanded", memory=lambda x: adapter.expanded(x, x.ndim - 1, x.shape[-1]) if x.ndim else x)
    if "float64" in context.dtypes and all(own_dtype(case, n, "float64") == "float64" for n in case.form.data):
        wide = {k: v.astype(np.float64) if k in case.form.data else v for k, v in arrays.items()}
        yield Gradient(context, case, wrt, wide).trial("in float64")


class Gradient:
    """The gradient of one input of a call, given those of the outputs."""

    def __init__(self, context: Context, case: Case, wrt: str, arrays: Mapping[str, Array], expanded: bool = False) -> None:
        """Take whether the cotangents are to be the same along the last axis."""
        self.context, self.case, self.wrt, self.arrays = context, case, wrt, dict(arrays)
        rng = np.random.default_rng(4)
        dtypes = {s: output_dtype(case, s.name, arrays) for s in case.form.signature.outputs}
        self.valued = [s for s, dtype in dtypes.items() if differentiable(dtype)]
        self.outer = {s.name: fill(case.solution.shape(s), dtypes[s], "small", rng) for s in self.valued}
        if arrays[wrt].dtype == np.float64:
            self.outer = {k: np.asarray(v * WIDER) for k, v in self.outer.items()}
        if expanded:
            self.outer = {k: np.repeat(v[..., :1], v.shape[-1], -1) if v.ndim else v for k, v in self.outer.items()}
        self.wanted = expected_gradient(case, arrays, self.outer, wrt)

    def trial(
        self,
        how: str = "",
        alone: bool = False,
        memory: Callable[[Any], Any] = lambda x: x,
        arrays: Mapping[str, Array] | None = None,
    ) -> Trial:
        """Return the call that asks for it.

        Args:
            how: what is special about it, in words.
            alone: no other input is differentiated.
            memory: lays out a cotangent.
            arrays: inputs that differ in nothing that is read.
        """
        adapter, session = self.context.session.adapter, self.context.session
        case, signature, outer = self.case, self.case.form.signature, self.outer
        plain = session.plain(case)
        asked = [self.wrt] if alone else list(case.form.data)
        places = [signature.outputs.index(s) for s in self.valued]
        kept = [] if session.compiles else [s.name for s in self.valued if not s.listed]

        def call(*args: Any) -> Any:
            named = dict(zip((s.name for s in signature.inputs), args, strict=True))
            flat, rebuild = _flattened([named[name] for name in asked])
            leaves = [a for s in self.valued for a in (outer[s.name] if s.listed else [outer[s.name]])]
            cotangents = [memory(adapter.asarray(np.asarray(a), session.device)) for a in leaves]

            def values(*parts: Any) -> Any:
                given = {**named, **dict(zip(asked, rebuild(parts), strict=True))}
                result = plain(*given.values())
                return _unlisted(result) if len(signature.outputs) == len(places) else _picked(result, places)

            found = rebuild(adapter.transforms["vjp"](values, flat, cotangents))[asked.index(self.wrt)]
            return (found, *cotangents) if kept else found

        wants = {"gradient": self.wanted, **{f"cotangent of {name}": Expected(outer[name]) for name in kept}}
        text = f"the gradient of {self.wrt}, given those of the outputs" + f", {how}" * bool(how)
        return Trial(case, arrays or self.arrays, wants, call, direct=True, how=text)


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


def gradients_of(op: Any) -> list[str]:
    """Return the inputs of an op that have a gradient."""
    forms = [f for f in op.forms.values() if f.kind is not OpClass.SELECTION and _has_values(f)]
    names = dict.fromkeys(name for f in forms for name in f.data)
    return [n for n in names if any("float32" in GROUPS[f.group(n)] for f in forms if n in f.dtype)]


def _has_values(form: Form) -> bool:
    """Whether some output has a gradient."""
    rules = [form.dtype[s.name].removeprefix(WIDE).removeprefix("same as ") for s in form.signature.outputs]
    return any(rule in form.data or differentiable(rule) for rule in rules)
