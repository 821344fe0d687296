"""How far a gradient may be off: exact, bounded, or in doubt where another is as good."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from gradients import (
    Array,
    Arrays,
    assert_same,
    by_torch,
    calls,
    case_of,
    cotangents_of,
    derived_gradient,
    differentiable,
    inputs_of,
    valued,
)

from einspec.answers.derivatives import expected_gradient, gradient
from einspec.answers.expect import output_dtype
from einspec.answers.rules import Expected
from einspec.calls.space import Case
from einspec.calls.values import fill
from einspec.conformance.checks.trials import shuffled
from einspec.language.formula import walk
from einspec.semantics import oracle
from einspec.semantics.gradient import vjp
from einspec.semantics.slopes import Choice

torch = pytest.importorskip("torch")
SLIGHTLY = 1e-4
"""How far off a gradient is that the judge has to see."""


@pytest.mark.parametrize("kind", ["max", "min"])
def test_a_maximum_is_the_first_that_attains_it_and_in_doubt_where_several_do(kind: str) -> None:
    """The slope goes to the first in the order of coordinates; nobody is accused who shares it."""
    case = case_of("x: r n m -> y: r", f"y[r] = {kind}[n,m](x[r,n,m])", (2, 2, 2))
    sign = 1 if kind == "max" else -1
    x = sign * np.array([[[1.0, 7], [7, 2]], [[5, 3], [0, 1]]])
    found = gradient(case, {"x": x}, {"y": np.array([3.0, 4.0])}, "x")
    assert found.array.tolist() == [[[0, 3], [0, 0]], [[4, 0], [0, 0]]]
    assert np.isinf(found.error).tolist() == [[[False, True], [True, False]], [[False, False], [False, False]]]


def test_a_magnitude_has_no_slope_at_zero_and_is_in_doubt_there() -> None:
    """Softplus is written with it and has one half there."""
    case = case_of("x: n -> y: n", "y[n] = softplus(x[n])", (3,))
    found = gradient(case, {"x": np.array([-1.0, 0.0, 1.0])}, {"y": np.ones(3)}, "x")
    assert np.isinf(found.error).tolist() == [False, True, False]
    assert found.array[[0, 2]] == pytest.approx(1 / (1 + np.exp([1.0, -1.0])))


def test_the_shift_of_a_softmax_is_constant_and_no_other_maximum_is() -> None:
    """Tied scores leave a softmax without doubt; where the maximum does not cancel, its slope is kept."""
    softmax = case_of("x: n -> y: n", "y[n] = softmax[n](x[n])", (3,))
    assert not [n for e in vjp(softmax.form).equations for n in walk(e) if isinstance(n, Choice)]
    tied = gradient(softmax, {"x": np.zeros(3)}, {"y": np.array([3.0, 0.0, 0.0])}, "x")
    assert tied.array == pytest.approx([2 / 3, -1 / 3, -1 / 3])
    assert np.isfinite(tied.error).all()
    shifted = case_of("x: n -> y: n", "y[n] = exp(x[n] - max[n1](x[n1]))", (3,))
    inputs, cotangents = {"x": np.array([0.5, 1.5, 1.0])}, {"y": np.array([1.0, 2.0, 3.0])}
    want = by_torch(shifted, inputs, cotangents)["x"]
    assert_same(derived_gradient(shifted, inputs, cotangents)["x"], want, "exp(x - max)")


def test_a_false_bracket_annihilates_the_gradient() -> None:
    """NaN behind it is not read, neither forward nor backward."""
    case = case_of("x: n, w: n -> y: n", "y[n] = (n < 2) * (w[n] * x[n] / x[n])", (3,), (3,))
    x, w = np.array([1.0, 2.0, np.nan]), np.array([5.0, 7.0, np.inf])
    assert gradient(case, {"x": x, "w": w}, {"y": np.ones(3)}, "w").array.tolist() == [1, 1, 0]
    assert gradient(case, {"x": x, "w": w}, {"y": np.ones(3)}, "x").array.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["pixel_shuffle", "repeat_kv", "unfold", "fold", "combine", "expert_matmul", "top_k"])
def test_whole_numbers_give_an_exact_gradient(name: str) -> None:
    """Where no order of adding and multiplying can round, the gradient is compared exactly."""
    for case in calls(name, most=1):
        inputs = {k: np.rint(v).astype(np.float32) if k in case.form.data else v for k, v in inputs_of(case).items()}
        outer = {k: np.rint(3 * v).astype(np.float32) for k, v in cotangents_of(case).items()}
        for wrt in case.form.data:
            assert expected_gradient(case, inputs, outer, wrt).how == "values"


BACKENDS = {"torch": "einspec.impls.torch", "jax": "einspec.impls.jax"}


def judged(case: Case) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return inputs and cotangents in the dtypes of the card, float32 where it leaves them open."""
    inputs, rng = shuffled(case), np.random.default_rng(4)
    kinds = {s.name: output_dtype(case, s.name, inputs) for s in valued(case.form)}
    return inputs, {s.name: fill(case.solution.shape(s), kinds[s.name], "gauss", rng) for s in valued(case.form)}


def by_backend(module: Any, case: Case, inputs: Arrays, cotangents: Arrays) -> dict[str, Array]:
    """Return the gradients of a backend's function, in the dtype of the inputs; a list of tensors is its leaves."""
    signature = case.form.signature
    listed = {s.name for s in (*signature.inputs, *signature.outputs) if s.listed}

    def leaves(name: str, array: Array) -> list[Any]:
        return [module.asarray(np.asarray(x), "cpu") for x in (array if name in listed else [array])]

    opened = {s.name: leaves(s.name, inputs[s.name]) for s in signature.inputs}
    counts = [len(opened[k]) for k in case.form.data]

    def run(*parts: Any) -> Any:
        given = {**opened, **dict(zip(case.form.data, _split(parts, counts), strict=True))}
        args = [x if name in listed else x[0] for name, x in given.items()]
        found = getattr(module, case.op.name)(*args, **case.params)
        named = dict(zip((s.name for s in signature.outputs), found if len(signature.outputs) > 1 else [found], strict=True))
        picked = [y for k in cotangents for y in (named[k] if k in listed else [named[k]])]
        return tuple(picked) if len(picked) > 1 else picked[0]

    outer = [x for k, v in cotangents.items() for x in leaves(k, v)]
    found = module.transforms["vjp"](run, [x for k in case.form.data for x in opened[k]], outer)
    grads = _split([module.to_numpy(g) for g in found], counts)
    return {k: np.stack(g) if k in listed else g[0] for k, g in zip(case.form.data, grads, strict=True)}


def _split(parts: Sequence[Any], counts: Sequence[int]) -> list[list[Any]]:
    """Return consecutive parts, as many as counted in each."""
    ends = np.cumsum(counts).tolist()
    return [list(parts[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def outside(got: Array, want: Expected) -> bool:
    """Whether a gradient is none that a right implementation may give."""
    bound = np.zeros(want.array.shape) if want.bound is None else want.bound
    return bool((np.abs(got.astype(np.float64) - want.array) > bound).any())


@pytest.mark.parametrize(
    ("name", "backend"), [*((n, "torch") for n in differentiable()), *((n, "jax") for n in ("gate", "z_loss", "glu"))]
)
def test_the_gradients_of_our_backends_lie_within_their_bounds(name: str, backend: str) -> None:
    """In float32, for every form, though they fuse, save and associate as frameworks do."""
    module = importlib.import_module(BACKENDS[backend])
    for case in calls(name, most=1):
        inputs, cotangents = judged(case)
        got = by_backend(module, case, inputs, cotangents)
        for wrt in case.form.data:
            want = expected_gradient(case, inputs, cotangents, wrt)
            assert not outside(got[wrt], want), f"{name}({case}): {wrt}"


WRONG: dict[str, Callable[[Array], Array]] = {
    "scaled": lambda got: got * np.float32(1 + SLIGHTLY),
    "detached": np.zeros_like,
    "one missing": lambda got: np.where(np.abs(got) == np.abs(got).max(), 0, got),
}
TOLD = ["score", "combine", "glu", "z_loss", "route_weights", "expert_mlp", "cv_squared", "load_balance"]
"""Ops on which a wrong gradient has to be seen, in every form."""


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", TOLD)
def test_a_wrong_gradient_lies_outside_of_the_bounds(name: str, wrong: str) -> None:
    """One that is off by a ten-thousandth, one that is cut off, one without a term."""
    module = importlib.import_module(BACKENDS["torch"])
    for form in {c.form: None for c in calls(name)}:
        found = []
        for case in (c for c in calls(name) if c.form is form):
            inputs, cotangents = judged(case)
            got = by_backend(module, case, inputs, cotangents)[case.form.lead]
            found.append(outside(WRONG[wrong](got), expected_gradient(case, inputs, cotangents, case.form.lead)))
        assert any(found), f"{name}: {form.choice}"


def test_a_softmax_whose_normalisation_is_detached_lies_outside() -> None:
    """The gradient without its second term, the sum over all scores."""
    case = next(c for c in calls("score", 1) if "softmax" in c.form.choice.values())
    inputs, cotangents = judged(case)
    scores = oracle.evaluate(case.solution, {k: v.astype(float) for k, v in inputs.items()})["scores"]
    want = expected_gradient(case, inputs, cotangents, "logits")
    g = cotangents["scores"]
    assert not outside(scores * (g - (g * scores).sum(1, keepdims=True)), want)
    assert outside(scores * g, want)
