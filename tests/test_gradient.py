"""Gradients are derived definitions: equal to what frameworks differentiate, bounded, shown, and differentiated again."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
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


def case_of(signature: str, definition: str, *shapes: tuple[int, ...]) -> Case:
    """Return the call of a definition of its own."""
    op = compile_card("op", "test", Card("A definition.", "1.0", signature, definition))
    return Case(op, {}, shapes, solve(op, shapes, {}))


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
    if "(a b)" in signature:
        op = compile_card("op", "test", Card("A definition.", "1.0", signature, definition, sizes={"a": "2"}))
        assert wanted in lines(Case(op, {}, tuple(shapes), solve(op, shapes, {})))
    else:
        assert wanted in lines(case_of(signature, definition, *shapes))


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
