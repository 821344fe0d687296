"""The running error analysis bounds what float32 does, says zero where nothing rounds, and infinity where it cannot know."""

from __future__ import annotations

import functools
import itertools
import operator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from einspec.card import compile_card
from einspec.language.tables import Card
from einspec.semantics import oracle
from einspec.semantics.bounds import Tensor, storing
from einspec.semantics.rounding import analyse
from einspec.solve import Solution, solve

Array = np.ndarray[Any, Any]


def solution(signature: str, definition: str, *shapes: tuple[int, ...]) -> Solution:
    """Return the solved call of a definition of its own."""
    op = compile_card("op", "test", Card("A definition.", "1.0", signature, definition))
    return solve(op, shapes, {})


def analysed(
    signature: str, definition: str, working: str = "float32", stored: str = "", along: str = "", **inputs: Any
) -> Tensor:
    """Return the output of a definition with its error."""
    arrays = {k: np.asarray(v) for k, v in inputs.items()}
    wide = {k: v.astype(np.int64 if v.dtype.kind == "i" else np.float64) for k, v in arrays.items()}
    found = solution(signature, definition, *(a.shape for a in arrays.values()))
    held = {along: "bfloat16"} if along else {}
    return analyse(found, wide, working, stored, along=held)[found.form.signature.outputs[0].name]


CHAINS = [
    "y[t,e] = softmax[e](x[t,e])",
    "y[t,e] = log(1 + exp(x[t,e])) * x[t,e] / (2 + abs(x[t,e]))",
    "y[t,e] = sum[e1]((e1 <= e) * x[t,e1] * x[t,e1])",
    "y[t,e] = sqrt(abs(x[t,e])) - tanh(x[t,e]) + erf(x[t,e])",
    "y[t,e] = max[e1](x[t,e1]) - x[t,e] * x[t,e]",
    "z[t,e] = exp(x[t,e])\ny[t,e] = z[t,e] / sum[e1](z[t,e1])",
]


@pytest.mark.parametrize("definition", CHAINS)
def test_float32_stays_within_the_bound_and_the_bound_is_not_vast(definition: str) -> None:
    """The definition evaluated in float32 is within the bound of its exact value, which is a few hundred roundings wide."""
    x = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32) * 3
    found = analysed("x: t e -> y: t e", definition, x=x)
    torch = pytest.importorskip("torch", reason="NumPy's constants are of 64 bits; PyTorch keeps to float32")
    rounded = oracle.evaluate(solution("x: t e -> y: t e", definition, x.shape), {"x": torch.from_numpy(x)}, torch)["y"].numpy()
    assert rounded.dtype == np.float32
    assert (np.abs(rounded - found.array) <= found.error).all()
    assert np.max(found.error) < 3e-4
    assert (found.error > 0).any()


def test_a_wrong_value_is_outside_the_bound() -> None:
    """Rounding the weights to bfloat16 on the way is seen, as is a sum that loses its smallest term."""
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((8, 5)).astype(np.float32), rng.random((8, 5)).astype(np.float32)
    found = analysed("x: t e, w: t e -> y: t", "y[t] = sum[e](x[t,e] * w[t,e])", x=x, w=w)
    coarse = (w.view(np.uint32) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    assert (np.abs((x * coarse).sum(1) - found.array) > found.error).all()


def test_moves_and_whole_numbers_have_no_error() -> None:
    """What one true bracket picks, and what is counted, is exact."""
    x, index = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32), np.array([2, 0, 5])
    moved = analysed("x: t e, index: t -> y: t", "y[t] = sum[e]((index[t] == e) * x[t,e])", x=x, index=index)
    assert moved.array.tolist() == [x[0, 2], x[1, 0], 0]
    assert not moved.error.any()
    ranks = analysed("x: t e -> y: t e", "y[t,e] = sum[e1]((x[t,e1], e) > (x[t,e], e1))", x=x)
    assert not ranks.error.any()


def test_a_comparison_that_rounding_may_turn_round_is_in_doubt() -> None:
    """Sums that differ by less than they may be off cannot be compared; those that differ by more can, and equal ones too."""
    near = np.float32(1) + np.float32(2) ** -23
    x = np.array([[0.1, 0.2, 0.1, 0.2], [0.1, 0.2, 0.1 * near, 0.2], [0.1, 0.2, 0.4, 0.2]], np.float32)
    text = "a[t] = sum[e]((e < 2) * x[t,e] / 3)\nb[t] = sum[e]((e > 1) * x[t,e] / 3)\ny[t] = (a[t] < b[t]) * 1"
    found = analysed("x: t e -> y: t", text, x=x)
    assert found.error.tolist() == [0, np.inf, 0]
    assert found.array[2] == 1


def test_rounded_sides_that_are_equal_by_chance_are_in_doubt() -> None:
    """The logistic of x and that of -x sum to one for every x; only equal inputs bind an order of ties."""
    x = np.array([[1, -1, 2, -2], [1, -1, 1, -1], [3, -2, -2, 3]], np.float32)
    sums = "\n".join(f"{name}[t] = sum[e]((e {where}) / (1 + exp(-x[t,e])))" for name, where in (("a", "< 2"), ("b", "> 1")))
    found = analysed("x: t e -> y: t", f"{sums}\ny[t] = (a[t] < b[t]) * 1", x=x)
    assert found.error.tolist() == [np.inf, 0, 0]


def test_sums_in_another_order_are_in_doubt() -> None:
    """A softmax of three numbers in another order is rounded otherwise; one of two numbers is not."""
    x = np.array([[-1, 1, 0], [0, 1, -1], [-1, 1, 0]], np.float32)
    text = "a[t,e] = softmax[e](x[t,e])\nb[e] = sum[t]((t == 0) * a[t,e])\ny[t,e] = (a[t,e] > b[e]) * 1"
    assert analysed("x: t e -> y: t e", text, x=x).error.tolist() == [[0, 0, 0], [0, np.inf, 0], [0, 0, 0]]
    two = np.array([[-1, 1, -np.inf], [-np.inf, 1, -1], [-1, 1, -np.inf]], np.float32)
    assert not analysed("x: t e -> y: t e", text, x=two).error.any()


def test_a_count_is_off_by_as_many_as_are_in_doubt() -> None:
    """Of seven thirds two may be in either order: their ranks are off by one, and places further away are known."""
    near = np.float32(1) + np.float32(2) ** -23
    x = np.array([[9, 1, 2, 2 * near, 4, 6, 0]], np.float32)
    rank = "a[t,e] = x[t,e] / 3\nrank[t,e] = sum[e1](a[t,e1] > a[t,e])"
    assert analysed("x: t e -> rank: t e", rank, x=x).error.tolist() == [[0, 0, 1, 1, 0, 0, 0]]
    place = f"{rank}\ny[t,c] = sum[e]((rank[t,e] == c) * (e + 1))"
    found = analysed("x: t e, z: t c -> y: t c", place, x=x, z=np.zeros((1, 7)))
    assert found.error.tolist() == [[0, 0, *[np.inf] * 4, 0]]
    assert found.array[0, [0, 1, 6]].tolist() == [1, 6, 7]
    tied = analysed("x: t e -> y: t e", f"{rank}\ny[t,e] = (rank[t,e] == 3) * 1", x=x)
    assert tied.error.tolist() == [[0, 0, np.inf, np.inf, 0, 0, 0]]
    both = analysed(
        "x: t e -> y: t e", "a[t,e] = x[t,e] / 3\nb[t] = sum[e]((e == 2) * a[t,e])\ny[t,e] = (a[t,e] > b[t]) * (e > 2)", x=x
    )
    assert both.error.tolist() == [[0, 0, 0, np.inf, 0, 0, 0]]


def test_ties_between_sums_of_whole_numbers_bind() -> None:
    """No order of adding them rounds: 1 + 4 + 16 + 16 is 36 + 1 whatever the order; of fractions it is chance."""
    x, w = np.array([[1, 2, 4, 4, 6, 1]], np.float32), np.ones(6, np.float32)
    sums = "\n".join(
        f"{name}[t] = sum[e]((e {where}) * x[t,e] * x[t,e] * w[e])" for name, where in (("a", "< 4"), ("b", "> 3"))
    )
    text = f"{sums}\ny[t] = (a[t] < b[t]) * 1"
    assert not analysed("x: t e, w: e -> y: t", text, x=x, w=w).error.any()
    assert np.isinf(analysed("x: t e, w: e -> y: t", text, x=x / 4, w=w).error).all()


def test_ties_of_a_whole_sum_with_a_number_bind() -> None:
    """1 + 0 + 1 is 2 whatever the order, also where what is added was picked by brackets."""
    x, index = np.array([[1, 0, 1]], np.float32), np.array([[0, 1, 2]])
    text = "raw[t,k] = sum[e]((index[t,k] == e) * x[t,e])\ntotal[t] = sum[k](raw[t,k])\ny[t] = (total[t] >= 2) * 5"
    assert analysed("x: t e, index: t k -> y: t", text, x=x, index=index).error.tolist() == [0]


def test_a_quotient_may_be_a_product_with_the_reciprocal() -> None:
    """Even one that is a short number: 2 * s * (1 / (s + s)) is not 1 in float32; by a power of two it is exact."""
    s = np.array([3.108025312423706], np.float32)
    found = analysed("s: t -> y: t", "y[t] = 2 * s[t] / (s[t] + s[t])", s=s)
    assert abs(float(np.float32(2) * s[0] * (np.float32(1) / (s[0] + s[0]))) - 1) > 0
    assert 0 < found.error[0] < 2e-7
    assert not analysed("s: t -> y: t", "y[t] = s[t] / 4", s=s).error.any()


def test_a_reciprocal_that_is_subnormal_may_be_zero() -> None:
    """Compilers divide by multiplying, and flush: beyond 2**126 any quotient between 0 and the right one will do."""
    s = np.array([2.0**125, 2.0**127, 2.0**127], np.float32)
    found = analysed("s: t, a: t -> y: t", "y[t] = a[t] / s[t]", s=s, a=np.array([2.0**124, 2.0**126, np.inf], np.float32))
    assert found.error[0] < 1e-7
    assert 0.5 <= found.error[1] < 0.51
    assert np.isinf(found.error[2])


def test_of_two_alternatives_in_doubt_it_is_one() -> None:
    """A lower bound that is about reached is no reason to say nothing: either side of it is near."""
    x = np.array([[1.0, 3.0], [-3.0, 1.0], [3.0, np.inf]], np.float32)
    size, root = "size[t] = sqrt(sum[d](x[t,d] * x[t,d]))", "3.1622776601683795"
    near = f"{size}\ny[t] = (size[t] >= {root}) * size[t] + (size[t] < {root}) * {root}"
    bound = analysed("x: t d -> y: t", near, x=x).error
    assert (bound[:2] > 0).all()
    assert (bound[:2] < 1e-5).all()
    far = near.replace("* size[t] +", "* 7 +")
    found = analysed("x: t d -> y: t", far, x=x)
    assert (np.abs(found.array[:2] - 7) <= found.error[:2]).all()
    assert (np.abs(found.array[:2] - 10**0.5) <= found.error[:2]).all()
    assert (found.error[:2] < 4).all()
    same = near.replace("<", "<=")
    assert np.isinf(analysed("x: t d -> y: t", same, x=x).error[:2]).all()


def test_a_false_bracket_hides_nan_and_doubt() -> None:
    """What it multiplies is not read: neither its value nor its error."""
    x, mask = np.array([1.0, np.nan, np.inf]), np.array([1, 0, 0])
    found = analysed("x: t, mask: t -> y:", "y = sum[t]((mask[t] > 0) * exp(x[t]))", x=x, mask=mask)
    assert found.array == pytest.approx(np.e)
    assert np.isfinite(found.error)


def test_overflow_of_the_working_precision_is_unknown() -> None:
    """Beyond the greatest float32 an implementation may give infinity."""
    found = analysed("x: t -> y: t", "y[t] = exp(x[t])", x=np.array([80.0, 100.0]))
    assert np.isfinite(found.error[0])
    assert np.isinf(found.error[1])
    double = analysed("x: t -> y: t", "y[t] = exp(x[t])", "float64", x=np.array([80.0, 100.0]))
    assert np.isfinite(double.error).all()


def test_gelu_at_infinity_is_unknown() -> None:
    """Functions that ship give infinity or NaN at infinity, and 0 or NaN below; what it does not reach is known."""
    found = analysed("x: t -> y: t", "y[t] = gelu(x[t])", x=np.array([np.inf, -np.inf, 2, np.nan]))
    assert np.isinf(found.error).tolist() == [True, True, False, False]


def test_tensors_on_the_way_may_be_stored_in_a_narrow_dtype() -> None:
    """Then each of them adds one rounding to it."""
    x = np.random.default_rng(3).standard_normal((4, 4)).astype(np.float32)
    text = "a[t,e] = sum[e1](x[t,e1] * x[t,e])\ny[t,e] = a[t,e] * 2"
    kept, stored = (analysed("x: t e -> y: t e", text, stored=s, x=x) for s in ("", "bfloat16"))
    assert (stored.error > 100 * kept.error).all()


def test_sums_along_ranks_may_be_held_in_a_narrow_dtype() -> None:
    """Every order of adding in it is within the bound, to which each rank but the first adds one rounding."""
    x = np.random.default_rng(3).standard_normal((5, 400)).astype(ml_dtypes.bfloat16)
    signature, text = "x: p d -> y: d", "y[d] = sum[p](x[p,d])"
    wide, found = (analysed(signature, text, along=along, x=x.astype(np.float32)) for along in ("", "p"))
    for order in itertools.permutations(range(5)):
        rounded = functools.reduce(operator.add, (x[p] for p in order))  # each sum in bfloat16
        assert (np.abs(rounded.astype(float) - found.array) <= found.error).all()
        assert (np.abs(rounded.astype(float) - wide.array) > wide.error).any()
    assert (found.error < 5 * 2**-7 * np.abs(x.astype(float)).sum(0)).all()
    for whole, same in ((x[:1], True), (np.full((3, 1), 2), True), (np.full((3, 1), 85), False)):
        plain, held = (analysed(signature, text, along=along, x=whole.astype(np.float32)) for along in ("", "p"))
        assert np.array_equal(plain.error, held.error) is same  # 85 + 85 + 85 is no number of 7 bits behind the first


@pytest.mark.parametrize(("number", "exact"), [(1 + 2j, True), (2j, True), (1 + 0.1j, False), (0.1 + 1j, False)])
def test_storing_a_complex_number_looks_at_both_parts(number: complex, exact: bool) -> None:
    """What the dtype holds has no error, and no part is dropped with a warning."""
    array = np.array([number])
    found = storing(Tensor(array, np.zeros(1)), np.dtype(np.complex64))
    assert (found == 0).all() == exact
