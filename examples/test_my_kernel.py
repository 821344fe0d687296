"""Tests of a kernel of one's own, as anybody writes them: `pytest examples/test_my_kernel.py` passes.

The kernel sorts keys of its own making; whether that is top_k, ties and NaN and all, is what the tests ask.
"""

import hypothesis
import numpy as np
import pytest

import einspec
from einspec import testing


def my_top_k(x, k):
    if x.ndim != 2 or not 0 < k <= x.shape[1]:
        raise ValueError(f"no {k} of {x.shape}")
    position = np.broadcast_to(np.arange(x.shape[1]), x.shape)
    value = np.where(np.isnan(x), 0, x)
    order = np.lexsort((-position, value, np.isnan(x)))[:, ::-1][:, :k]  # by the last key first: NaN, value, position
    return np.take_along_axis(x, order, 1), order.astype(np.int32)


def test_it_is_top_k():
    print(testing.check(my_top_k, "top_k"))


def test_the_library_that_it_replaces_promises_no_order_of_ties():
    torch = pytest.importorskip("torch")
    testing.check(lambda x, k: torch.topk(x, k), "top_k", framework="torch", clauses=["def"], ties="any")


@pytest.mark.parametrize("seed", range(3))
def test_it_is_right_at_the_size_that_we_use(seed):
    x = np.random.default_rng(seed).standard_normal((64, 128)).astype(np.float32)
    testing.assert_matches(my_top_k(x, 8), "top_k", x, k=8)


@hypothesis.settings(deadline=None)
@hypothesis.given(testing.calls("top_k", dtypes=["float32"]))
def test_the_values_are_those_at_the_positions(call):
    value, index = call(my_top_k)
    np.testing.assert_array_equal(value, np.take_along_axis(call.inputs[0], index, 1))


@hypothesis.settings(deadline=None)
@hypothesis.given(testing.calls("top_k", dtypes=["float32", "int8"], special=False))
def test_it_agrees_with_the_definition(call):
    value, index = call(my_top_k)
    exact, first = einspec.evaluate("top_k", *call.inputs, **call.params)
    assert (value == exact).all()
    assert (index == first).all()
