"""Gradients are derived definitions: equal to what frameworks differentiate, shown, and differentiated again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradients import (
    Array,
    assert_same,
    by_jax,
    by_torch,
    calls,
    case_of,
    cotangents_of,
    derived_gradient,
    differentiable,
    evaluated,
    inputs_of,
    valued,
)

from einspec.calls.space import Case
from einspec.card import load
from einspec.language.text import text
from einspec.pages.text import show
from einspec.semantics import oracle
from einspec.semantics.gradient import differential, jvp, prefix, vjp

torch = pytest.importorskip("torch")
RULES = ["score", "top_k", "combine", "cv_squared", "glu", "max_pool_blocks", "z_loss", "soft_weights", "route_weights"]
"""Ops whose formulas have everything between them that the language has."""


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
        found = torch.autograd.grad(
            ys, list(self.leaves.values()), list(self.outer.values()), create_graph=True, allow_unused=True
        )
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


def lines(case: Case) -> list[str]:
    """Return the equations that are derived from a definition."""
    return [text(e) for e in vjp(case.form).equations if e not in case.form.equations]


@pytest.mark.parametrize(
    ("signature", "definition", "shapes", "wanted"),
    [
        ("x: n m -> y: n", "y[n] = sum[m](x[n,m] * x[n,m])", [(2, 3)], "dx[n, m] = 2 * x[n, m] * dy[n]"),
        ("x: n n1 -> y: n", "y[n] = x[n,n]", [(3, 3)], "dx[n, n1] = (n == n1) * dy[n]"),
        ("x: n n -> y: n", "y[n] = x[n,n]", [(3, 3)], "dx[n, n1] = (n == n1) * dy[n]"),
        ("x: -> y: n", "y[n] = n * x[()]", [()], "dx = sum[n](n * dy[n])"),
        ("x: (a b) -> y: b a", "y[b,a] = x[(a,b),]", [(6,)], "dx[(a,b),] = dy[b, a]"),
        ("x: *a n -> y: n *a", "y[n,*a] = x[*a,n]", [(2, 3)], "dx[*a, n] = dy[n, *a]"),
        ("xs: [n] d -> y: d n", "y[d,n] = xs[n,d]", [(2, 3)], "dxs[n, d] = dy[d, n]"),
        ("x: n -> y: n", "y[n] = abs(x[n])", [(3,)], "dx[n] = ((x[n] > 0) - (x[n] < 0)) * dy[n]"),
        ("x: n -> y: n", "y[n] = floor(x[n]) + x[n] // 2 + (x[n] > 0)", [(3,)], "dx[n] = 0"),
        ("x: n -> y: n", "y[n] = tanh(x[n])", [(3,)], "dx[n] = (1 - y[n] * y[n]) * dy[n]"),
        ("x: n, dx: n -> y: n", "y[n] = x[n] + dx[n]", [(3,), (3,)], "d2x[n] = d2y[n]"),
    ],
)
def test_a_gradient_is_written_in_the_formula_language(
    signature: str, definition: str, shapes: list[tuple[int, ...]], wanted: str
) -> None:
    """Diagonals, scalars, compositions, rests, lists, names that would clash, and what has no slope."""
    sizes = {"a": "2"} if "(a b)" in signature else {}
    assert wanted in lines(case_of(signature, definition, *shapes, sizes=sizes))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("top_k", ["dx[t, e] = sum[k]((before[t, e] == k) * dvalue[t, k])", "index has no cotangent"]),
        ("combine", ["dweights[t, k] = sum[d, e, c](", "index and position have no gradient"]),
        ("pixel_shuffle", ["dx[..., (c,i,j), h, w] = dy[..., c, (h,i), (w,j)]"]),
        ("gate", ["scores[t, e] * dscores[t, e] - sum[e1](scores[t, e1] * scores[t, e] * dscores[t, e1])"]),
        ("gate", ["dbias[e] = 0", "dweights is the cotangent of weights"]),
        ("drop", ["index and position have no gradient"]),
    ],
)
def test_show_prints_the_gradients(name: str, wanted: list[str]) -> None:
    """One equation a tensor, in the formula language, and what has no gradient."""
    shown = " ".join(show(name, grad=True).split())
    assert all(w in shown for w in wanted), shown


def test_show_prints_the_gradients_as_latex() -> None:
    """For math mode, like the definition."""
    assert show("pixel_shuffle", latex=True, grad=True).startswith("% pixel_shuffle\n\\mathit{dx}_{")
    assert "\\begin{aligned}" in show("combine", latex=True, grad=True)
