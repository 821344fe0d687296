"""Calls of ops with float inputs, their gradients by the derived definition and by frameworks: for the tests of gradients."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import einspec
from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.calls.space import Case
from einspec.card import Form, compile_card, load
from einspec.language.tables import Card
from einspec.semantics import oracle
from einspec.semantics.gradient import differential, prefix, vjp
from einspec.solve import solve

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


def valued(form: Form) -> list[Any]:
    """Return the outputs that have a cotangent."""
    return [s for s in form.signature.outputs if form.dtype[s.name] not in ("int32", "bool", "int", "same as index")]


def differentiable() -> list[str]:
    """Return the ops with a form in which a real number comes in and one comes out."""
    return [n for n in einspec.ops() if any(f.data and valued(f) for f in load(n).forms.values())]


@functools.cache
def calls(name: str, most: int = 3) -> tuple[Case, ...]:
    """Return a few calls of every form of an op whose axes have different sizes, the smallest first."""
    found: dict[int, list[Case]] = {}
    for case in sorted(cases.bank(load(name)), key=lambda c: c.elements):
        if case.form.data and valued(case.form):
            found.setdefault(id(case.form), []).append(case)
    return tuple(c for own in found.values() for c in own[:most])


def inputs_of(case: Case, seed: int = 1) -> dict[str, Array]:
    """Return ordinary inputs in float64, indices in int64."""
    arrays = filled(case, "float64", "gauss", seed)
    free = [k for k in case.form.data if k not in case.form.values]
    whole = {k: v.astype(np.int64) for k, v in arrays.items() if k not in case.form.data}
    return {k: whole[k] if k in whole else v.astype(np.float64) / (3 if k in free else 1) for k, v in arrays.items()}


def cotangents_of(case: Case, seed: int = 2) -> dict[str, Array]:
    """Return a cotangent for every output that holds values."""
    rng = np.random.default_rng(seed)
    return {s.name: rng.standard_normal(case.solution.shape(s)) for s in valued(case.form)}


def evaluated(case: Case, form: Form, given: Arrays) -> dict[str, Array]:
    """Return the tensors of a derived form of a call."""
    return oracle.evaluate(replace(case.solution, form=form), given)


def derived_gradient(case: Case, inputs: Arrays, cotangents: Arrays) -> dict[str, Array]:
    """Return the gradients of all inputs by their derived definition."""
    start = prefix(case.form)
    outer = {differential(start, k): v for k, v in cotangents.items()}
    found = evaluated(case, vjp(case.form), {**inputs, **outer})
    return {k: found[differential(start, k)] for k in case.form.data}


def by_torch(case: Case, inputs: Arrays, cotangents: Arrays) -> dict[str, Array]:
    """Return the gradients of all inputs by PyTorch's autograd of the oracle."""
    leaves = {k: torch.tensor(v, requires_grad=k in case.form.data) for k, v in inputs.items()}
    found = oracle.evaluate(case.solution, leaves, torch, finite=True)
    return torch_gradients({k: found[k] for k in cotangents}, cotangents, {k: leaves[k] for k in case.form.data})


def torch_gradients(outputs: Mapping[str, Any], cotangents: Arrays, leaves: Mapping[str, Any]) -> dict[str, Array]:
    """Return what autograd gives, zeros where nothing depends on an input."""
    pairs = [(outputs[k], torch.tensor(v)) for k, v in cotangents.items() if outputs[k].requires_grad]
    found: Any = [None] * len(leaves)
    if pairs:
        ys, gs = zip(*pairs, strict=True)
        found = torch.autograd.grad(ys, list(leaves.values()), gs, allow_unused=True)
    return {k: np.zeros(x.shape) if g is None else g.numpy() for (k, x), g in zip(leaves.items(), found, strict=True)}


def by_jax(case: Case, inputs: Arrays, cotangents: Arrays) -> dict[str, Array]:
    """Return the gradients of all inputs by JAX's vjp of the oracle."""
    jax = pytest.importorskip("jax")
    names, fixed = list(case.form.data), {k: v for k, v in inputs.items() if k not in case.form.data}

    def run(*leaves: Any) -> list[Any]:
        given = {**fixed, **dict(zip(names, leaves, strict=True))}
        found = oracle.evaluate(case.solution, given, jax.numpy, finite=True)
        return [found[k] for k in cotangents]

    with jax.enable_x64(True):
        pull = jax.jit(lambda leaves, outer: jax.vjp(run, *leaves)[1](outer))
        found = pull([inputs[n] for n in names], list(cotangents.values()))
        return dict(zip(names, map(np.asarray, found), strict=True))


def assert_same(got: Array, right: Array, message: str) -> None:
    """Assert that arrays are equal wherever a framework gives a number, not zero times infinity."""
    known = np.isfinite(right)
    scale = np.abs(right[known]).max(initial=1)
    assert got.shape == right.shape, message
    np.testing.assert_allclose(got[known], right[known], rtol=1e-9, atol=1e-11 * scale, err_msg=message)


def case_of(signature: str, definition: str, *shapes: tuple[int, ...], sizes: Mapping[str, str] | None = None) -> Case:
    """Return the call of a definition of its own."""
    op = compile_card("op", "test", Card("A definition.", "1.0", signature, definition, sizes=dict(sizes or {})))
    return Case(op, {}, shapes, solve(op, shapes, {}))
