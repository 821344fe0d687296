"""Gradients are derived definitions: equal to what frameworks differentiate, bounded, shown, and differentiated again."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import einspec
from einspec import oracle
from einspec.card import Form, compile_card, load
from einspec.conformance import cases
from einspec.conformance.calls import Case
from einspec.conformance.compare import Expected
from einspec.conformance.derivatives import expected_gradient, gradient
from einspec.conformance.expect import output_dtype
from einspec.conformance.show import show
from einspec.conformance.trials import filled, shuffled
from einspec.conformance.values import fill
from einspec.formula import walk
from einspec.gradient import differential, jvp, prefix, vjp
from einspec.render import text
from einspec.shapes import solve
from einspec.slopes import Choice
from einspec.tables import Card

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
RULES = ["score", "top_k", "combine", "cv_squared", "glu", "max_pool_blocks", "z_loss", "soft_weights", "route_weights"]
"""Ops whose formulas have everything between them that the language has."""
SLIGHTLY = 1e-4
"""How far off a gradient is that the judge has to see."""


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
    """Assert that arrays are equal wherever a framework gives a number: it multiplies zero by infinity where a bracket stands."""
    known = np.isfinite(right)
    scale = np.abs(right[known]).max(initial=1)
    assert got.shape == right.shape, message
    np.testing.assert_allclose(got[known], right[known], rtol=1e-9, atol=1e-11 * scale, err_msg=message)


@pytest.mark.parametrize("name", differentiable())
def test_the_derived_gradient_is_that_of_autograd(name: str) -> None:
    """In float64, for every form, at several shapes."""
    forms = [f for f in load(name).forms.values() if f.data and valued(f)]
    assert {c.form for c in calls(name)} == set(forms)
    for case in calls(name):
        inputs, cotangents = inputs_of(case), cotangents_of(case)
        found, want = derived_gradient(case, inputs, cotangents), by_torch(case, inputs, cotangents)
        for wrt in case.form.data:
            assert_same(found[wrt], want[wrt], f"{case.op.name}({case}): {wrt}")
            assert np.isfinite(found[wrt]).all()


@pytest.mark.parametrize("name", RULES)
def test_the_derived_gradient_is_that_of_jax(name: str) -> None:
    """In float64, for every form of ops that have all rules between them: JAX compiles each, so that all take minutes."""
    for case in calls(name, most=1):
        inputs, cotangents = inputs_of(case, 3), cotangents_of(case, 4)
        found, want = derived_gradient(case, inputs, cotangents), by_jax(case, inputs, cotangents)
        for wrt in case.form.data:
            assert_same(found[wrt], want[wrt], f"{case.op.name}({case}): {wrt}")


TWICE = ["gate", "load_balance", "combine", "glu", "score", "route_weights"]
"""Ops that are differentiated twice: products, a softmax, a maximum, a sum that normalises."""


class Twice:
    """A call whose gradient PyTorch can differentiate again, by the inputs and by the cotangents."""

    def __init__(self, case: Case) -> None:
        self.case, self.inputs = case, inputs_of(case)
        leaves = {k: torch.tensor(v, requires_grad=k in case.form.data) for k, v in self.inputs.items()}
        outputs = oracle.evaluate(case.solution, leaves, torch, finite=True)
        self.cotangents = {k: v for k, v in cotangents_of(case).items() if outputs[k].requires_grad}
        self.leaves = {k: leaves[k] for k in case.form.data}
        self.outer = {k: torch.tensor(v, requires_grad=True) for k, v in self.cotangents.items()}
        ys = [outputs[k] for k in self.outer]
        found = torch.autograd.grad(ys, list(self.leaves.values()), list(self.outer.values()), create_graph=True, allow_unused=True)
        rng = np.random.default_rng(5)
        self.along = {k: rng.standard_normal(x.shape) for k, x in self.leaves.items()}
        weighted = zip(found, self.along.values(), strict=True)
        self.total = sum((g * torch.tensor(v)).sum() for g, v in weighted if g is not None)

    def slope(self, leaf: Any) -> Array:
        """Return the derivative of the weighted gradient by an input or a cotangent."""
        found = torch.autograd.grad(self.total, leaf, retain_graph=True, allow_unused=True)[0]
        result: Array = np.zeros(leaf.shape) if found is None else found.numpy()
        return result


@pytest.mark.parametrize("name", TWICE)
def test_the_derived_tangent_is_the_transposed_gradient(name: str) -> None:
    """A Jacobian-vector product is how the gradient depends on the cotangent, which PyTorch differentiates."""
    for case in calls(name, most=1):
        twice, start = Twice(case), prefix(case.form)
        along = {differential(start, k): v for k, v in twice.along.items()}
        found = evaluated(case, jvp(case.form), {**twice.inputs, **along})
        for output, leaf in twice.outer.items():
            assert_same(found[differential(start, output)], twice.slope(leaf), f"{name}({case}): {output}")


@pytest.mark.parametrize("name", TWICE)
def test_a_derived_gradient_can_be_differentiated_again(name: str) -> None:
    """The vector-Jacobian product of the vector-Jacobian product is PyTorch's second derivative, by everything."""
    for case in calls(name, most=1):
        twice, form = Twice(case), vjp(case.form)
        first, second = prefix(case.form), prefix(form)
        given = {differential(first, k): v for k, v in twice.cotangents.items()}
        given |= {differential(second, differential(first, k)): v for k, v in twice.along.items()}
        found = evaluated(case, vjp(form), {**twice.inputs, **given})
        wanted = {**twice.leaves, **{differential(first, k): x for k, x in twice.outer.items()}}
        for tensor, leaf in wanted.items():
            assert_same(found[differential(second, tensor)], twice.slope(leaf), f"{name}({case}): {tensor}")
