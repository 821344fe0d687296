"""Classes, and gradients of linear definitions, both derived from the tree, against what the oracle says about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import einspec
from einspec.answers.derivatives import gradient
from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.card import Op, compile_card, load
from einspec.language.linear import OpClass
from einspec.language.tables import Card
from einspec.semantics import oracle
from einspec.solve import TensorSpec, solve

Array = np.ndarray[Any, Any]
OPS = einspec.ops()
LINEAR = (OpClass.PERMUTATION, OpClass.GATHER, OpClass.LINEAR)
MOST_ELEMENTS = 30


def small(op: Op) -> list[Case]:
    """Return a few calls of every form, with and without empty axes, whose matrix can be found column by column."""
    found = []
    for form in op.forms.values():
        own = [
            c
            for c in cases.scope(op, cases.SCOPE_LIMIT)[0]
            if c.form is form and 0 < c.elements <= MOST_ELEMENTS and not c.empty
        ]
        empty = [c for c in cases.scope(op, cases.SCOPE_LIMIT)[0] if c.form is form and c.empty]
        found += [*own[:: max(1, len(own) // 4)], *own[-1:], *empty[:: max(1, len(empty) // 2)]]
    return found


def flat(case: Case, outputs: Mapping[str, Array]) -> Array:
    """Return the outputs of a call that have a gradient, laid end to end."""
    return np.concatenate([outputs[s.name].reshape(-1).astype(float) for s in valued(case)])


def valued(case: Case) -> list[TensorSpec]:
    """Return the outputs that hold values, not indices."""
    return [s for s in case.form.signature.outputs if case.form.dtype[s.name] not in ("int32", "bool", "int")]


def matrix(case: Case, inputs: Mapping[str, Array], wrt: str) -> Array:
    """Return the matrix of a call in one input, a column for each of its elements: what a quarter more of it adds."""
    before = flat(case, oracle.evaluate(case.solution, inputs))
    columns = []
    for i in range(inputs[wrt].size):
        moved = inputs[wrt].copy()
        moved.reshape(-1)[i] += 0.25
        columns.append(4 * (flat(case, oracle.evaluate(case.solution, {**inputs, wrt: moved})) - before))
    return np.stack(columns, axis=1) if columns else np.zeros((before.size, 0))


def assert_transposed(case: Case, wrt: str) -> None:
    """Assert that the derived transpose is the matrix transposed, applied to cotangents of whole numbers."""
    rng, cotangents, inputs = np.random.default_rng(0), {}, ramps(case, "float64")
    for spec in valued(case):
        cotangents[spec.name] = rng.integers(-9, 10, case.solution.shape(spec)).astype(float)
    got = gradient(case, inputs, cotangents, wrt)
    want = matrix(case, inputs, wrt).T @ flat(case, cotangents)
    np.testing.assert_allclose(got.array.reshape(-1), want, rtol=1e-9, atol=1e-9, err_msg=f"{case.op.name}({case})")


def linear_ops() -> list[str]:
    """Return the ops that have an input in which some form is linear."""
    return [n for n in OPS if any(f.kind in LINEAR for f in load(n).forms.values())]


@pytest.mark.parametrize("name", linear_ops())
def test_the_gradient_of_a_linear_form_is_the_transposed_matrix(name: str) -> None:
    """For every input of a linear form, also where axes are empty."""
    found = small(load(name))
    assert {c.form for c in found} == set(load(name).forms.values())
    for case in found:
        for wrt in case.form.data if valued(case) and case.form.kind in LINEAR else ():
            assert_transposed(case, wrt)


@pytest.mark.parametrize("name", linear_ops())
def test_a_card_of_a_linear_class_is_linear(name: str) -> None:
    """The class that was derived from the tree holds of the matrix: a permutation, a gather or any other."""
    for case in small(load(name)):
        if case.form.kind not in LINEAR or len(case.form.signature.inputs) != 1:
            continue
        found = matrix(case, ramps(case, "float64"), case.form.lead)
        if case.form.kind is OpClass.PERMUTATION:
            assert np.array_equal(found @ found.T, np.eye(len(found)))
        if case.form.kind is OpClass.GATHER:
            assert set(np.unique(found)) <= {0, 1}
            assert (found.sum(axis=1) <= 1).all()


def case_of(signature: str, definition: str, *shapes: tuple[int, ...]) -> Case:
    """Return the call of a definition of its own."""
    op = compile_card("op", "test", Card("A definition.", "1.0", signature, definition))
    return Case(op, {}, shapes, solve(op, shapes, {}))


SQUARE = "x: n n1 -> y: n n1"


@pytest.mark.parametrize(
    ("signature", "definition", "shapes"),
    [
        (SQUARE, "y[n, n1] = x[n1, n]", [(3, 3)]),
        (SQUARE, "y[n, n1] = sum[n2]((n2 <= n) * x[n1, n2])", [(3, 3)]),
        (SQUARE, "y[n, n1] = sum[n2,n3]((n2 + n3 == n + n1) * x[n3, n2])", [(3, 3)]),
        ("x: n -> y: n", "y[n] = sum[n1]((n1 < n) * x[n1]) + 2 * x[n]", [(4,)]),
        ("x: n -> y: n n1", "y[n, n1] = x[n1]", [(3,)]),
        ("x: n -> y: n, z:", "y[n] = x[n] * 3\nz = sum[n](x[n])", [(3,)]),
        ("x: n -> y: n", "y[n] = x[n] / N + sum[n1](x[n1] * n1) / 2", [(3,)]),
        ("x: (a b) -> y: b", "y[b] = sum[a]((a == b) * x[(a,b),])", [(4,)]),
    ],
)
def test_a_gradient_follows_axes_under_any_name(signature: str, definition: str, shapes: list[tuple[int, ...]]) -> None:
    """Reads under other axis names than the signature's, several terms, several outputs, factors and coefficients."""
    card = Card("A definition.", "1.0", signature, definition, sizes={"a": "2"} if "(a b)" in signature else {})
    op = compile_card("op", "test", card)
    case = Case(op, {}, tuple(shapes), solve(op, shapes, {}))
    assert case.form.kind in LINEAR
    assert_transposed(case, "x")


def test_what_is_linear_in_each_input_has_its_transpose_as_gradient() -> None:
    """A product of two inputs is nonlinear as a whole; the gradient of one reads the other."""
    case = case_of("x: n d, w: n -> y: d", "y[d] = sum[n](w[n] * x[n, d])", (3, 2), (3,))
    x, w, y = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0, 4.0]), np.array([3.0, 5.0])
    assert case.form.kind is OpClass.NONLINEAR
    for wrt, want in (("x", np.outer(w, y)), ("w", x @ y)):
        got = gradient(case, {"x": x, "w": w}, {"y": y}, wrt)
        assert got.array.tolist() == want.tolist()
        assert not got.error.any()


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        ("y[n] = x[n]", OpClass.PERMUTATION),
        ("y[n] = sum[n1]((n1 == N - 1 - n) * x[n1])", OpClass.GATHER),
        ("y[n] = sum[n1]((n1 == n) * x[n1]) + (n < 1) * 7", OpClass.GATHER),
        ("y[n] = sum[n1]((n1 == n) * x[n1]) + sum[n1]((n1 == n + 1) * x[n1])", OpClass.LINEAR),
        ("y[n] = sum[n1]((n1 < n) * x[n1])", OpClass.LINEAR),
        ("y[n] = 2 * x[n]", OpClass.LINEAR),
        ("y[n] = x[n] / N", OpClass.LINEAR),
        ("y[n] = mean[n1](x[n1])", OpClass.LINEAR),
        ("y[n] = max[n1](x[n1])", OpClass.NONLINEAR),
        ("y[n] = x[n] * x[n]", OpClass.NONLINEAR),
        ("y[n] = exp(x[n])", OpClass.NONLINEAR),
        ("y[n] = 1 / x[n]", OpClass.NONLINEAR),
        ("y[n] = x[n] < 1", OpClass.NONLINEAR),
        ("y[n] = (n < 1) * 7", OpClass.SELECTION),
    ],
)
def test_the_class_follows_from_the_tree(definition: str, kind: OpClass) -> None:
    """Moves are told from sums, and linear from not, by the shape of the definition alone."""
    assert case_of("x: n -> y: n", definition, (3,)).form.kind is kind
