"""einspec from Python: definitions evaluated, clauses listed, functions and results checked in tests, calls drawn."""

from __future__ import annotations

import doctest
import functools
import itertools
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings

import einspec
from einspec import DtypeError, ParameterError, ShapeError, load, testing
from einspec.answers.exact import round_once
from einspec.clauses import KINDS, clause_ids

ROOT = Path(__file__).parent.parent


def pixel_shuffle(x: Any, upscale_factor: int) -> Any:
    r = upscale_factor
    *lead, c, h, w = x.shape
    if c % (r * r):
        raise ValueError("channels do not divide")
    n = len(lead)
    y = x.reshape(*lead, c // r**2, r, r, h, w)
    return y.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2).reshape(*lead, c // r**2, h * r, w * r)


class Shuffler:
    """Something that is called, and has a method of another signature."""

    def __call__(self, x: Any, *, upscale_factor: int) -> Any:
        """Shuffle."""
        return pixel_shuffle(x, upscale_factor)

    def method(self, x: Any, r: int) -> Any:
        """Name the parameter otherwise."""
        return pixel_shuffle(x, r)


def noisy(x: Any, upscale_factor: int) -> Any:
    warnings.warn("a function may warn", UserWarning, stacklevel=1)
    return pixel_shuffle(x, upscale_factor)


RIGHT = {
    "function": pixel_shuffle,
    "lambda": lambda x, upscale_factor: pixel_shuffle(x, upscale_factor),
    "partial": functools.partial(lambda least, x, upscale_factor: pixel_shuffle(x, max(least, upscale_factor)), 1),
    "object": Shuffler(),
    "method": Shuffler().method,
    "warns": noisy,
}


def test_a_definition_is_evaluated() -> None:
    """Arrays in, arrays of the card's dtypes out; the lower position first where values tie."""
    value, index = einspec.evaluate("top_k", np.float32([[1, 3, 3]]), k=2)
    assert value.dtype == np.float32
    assert index.dtype == np.int32
    assert (value.tolist(), index.tolist()) == ([[3, 3]], [[1, 2]])


def test_lists_and_integers_are_what_the_card_names() -> None:
    """A list goes in and comes out where the card has one, a Python integer where it says so."""
    xs = [np.float32([1, 2]), np.float32([3, 4])]
    stacked = einspec.evaluate("stack", xs, axis=0)
    assert [x.tolist() for x in einspec.evaluate("unstack", stacked, axis=0)] == [[1, 2], [3, 4]]
    assert type(einspec.evaluate("capacity", tokens=8, k=2, experts=4)) is int


def test_what_moves_keeps_its_bits() -> None:
    """A NaN with a payload comes out as it went in, and nothing that went in is what comes out."""
    x = np.array([0x7FC01234, 0x80000000], np.uint32).view(np.float32).reshape(1, 2)
    found = einspec.evaluate("matrix_transpose", x)
    assert found.tobytes() == x.tobytes()
    assert not np.shares_memory(found, x)


def test_numbers_are_rounded_once() -> None:
    """Just above a tie of bfloat16 it goes up, where two roundings in a row would go down."""
    above = np.array([1 + 2**-8 + 2**-40, -(1 + 2**-8 + 2**-40), 1 + 2**-8, np.inf, 1e300, 1e-300])
    found = round_once(above, np.dtype(ml_dtypes.bfloat16))
    assert found.astype(float).tolist() == [1 + 2**-7, -(1 + 2**-7), 1, np.inf, np.inf, 0]


def test_arrays_of_other_frameworks_are_taken() -> None:
    """Tensors of PyTorch, of bfloat16 and with a gradient too, and arrays of JAX."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    x = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16, requires_grad=True)
    found = einspec.evaluate("matrix_transpose", x)
    assert found.dtype == ml_dtypes.bfloat16
    jnp = pytest.importorskip("jax.numpy", reason="needs JAX")
    assert einspec.evaluate("matrix_transpose", jnp.ones((1, 2))).shape == (2, 1)


@pytest.mark.parametrize(
    ("inputs", "params", "error", "constraint"),
    [
        (([[1.0, 2.0]],), {"k": 3}, ShapeError, "require.enough"),
        (([1.0],), {"k": 1}, ShapeError, "rank.x"),
        ((), {"k": 1}, ShapeError, "count"),
        (([[1j]],), {"k": 1}, DtypeError, "dtype.x"),
        (([["a"]],), {"k": 1}, DtypeError, "dtype.x"),
        (([[1.0]],), {}, ParameterError, "param.k"),
    ],
)
def test_a_call_that_the_card_forbids_raises(inputs: Any, params: Any, error: Any, constraint: str) -> None:
    """The error is the card's own and names the constraint."""
    with pytest.raises(error) as raised:
        einspec.evaluate("top_k", *inputs, **params)
    assert raised.value.constraint == constraint


def test_importing_einspec_stays_light() -> None:
    """Neither NumPy nor the judge is imported before something is computed."""
    heavy = "{'numpy', 'hypothesis', 'einspec.testing'}"
    code = f"import sys, einspec; einspec.clauses('top_k'); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_submodule_hides_no_function() -> None:
    """What is imported from the modules of these names leaves the functions in their place."""
    code = "import einspec.evaluate, einspec.clauses, einspec; assert callable(einspec.evaluate) and callable(einspec.clauses)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", einspec.ops())
def test_every_clause_says_what_it_demands(name: str) -> None:
    """In a sentence of its own, without a place that was not filled in."""
    found = einspec.clauses(name)
    assert tuple(found) == clause_ids(load(name))
    for clause, text in found.items():
        assert clause.partition(".")[0] in KINDS
        assert text.endswith(".")
        assert not {"{", "}"} & set(text), text
    assert len(set(found.values())) == len(found)


def test_clauses_are_found_by_alias() -> None:
    """An alias is as good as the name; no op at all is an error that suggests some."""
    assert einspec.clauses("depth_to_space_crd") == einspec.clauses("pixel_shuffle")
    with pytest.raises(KeyError, match="pixel_shuffle"):
        einspec.clauses("pixel_shufle")


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_function_passes(kind: str) -> None:
    """Whatever it is: a lambda, a partial, a method, an object, one that warns."""
    found = testing.check(RIGHT[kind], "pixel_shuffle", framework="numpy", tiers=["scope"])
    assert "def" in found.held
    assert found.inputs > 100
    assert "pixel_shuffle in numpy" in str(found)


def test_a_wrong_function_fails_with_its_witness() -> None:
    """The message names the clause, the smallest call, what was expected and what came, and holds a script."""
    with pytest.raises(AssertionError) as raised:
        testing.check(lambda x, upscale_factor: x, "pixel_shuffle")
    text = str(raised.value)
    for part in ("WRONG pixel_shuffle/def", "call: pixel_shuffle(x[4, 1, 1], upscale_factor=2)", "expected y", "script:"):
        assert part in text


def test_a_function_that_ends_the_program_fails() -> None:
    """A call of sys.exit is a failure, not the end of the tests."""
    with pytest.raises(AssertionError, match="SystemExit"):
        testing.check(lambda x: sys.exit(3), "matrix_transpose", framework="numpy")


def test_nothing_is_called_after_a_failure_is_found() -> None:
    """A function that is wrong at once is not called on all the calls of the clause."""
    count = itertools.count()

    def wrong(x: Any) -> Any:
        next(count)
        return x

    with pytest.raises(AssertionError, match="matrix_transpose/def"):
        testing.check(wrong, "matrix_transpose", framework="numpy", tiers=["scope"])
    assert next(count) < 40


def test_what_a_call_changes_is_seen_and_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that goes to another directory fails its clause, and the test goes on where it was."""
    monkeypatch.chdir(ROOT)

    def transpose(x: Any) -> Any:
        os.chdir(tmp_path)
        return x.swapaxes(-1, -2)

    with pytest.raises(AssertionError, match="matrix_transpose/state"):
        testing.check(transpose, "matrix_transpose", framework="numpy")
    assert Path.cwd() == ROOT


def top_k(x: Any, k: int) -> Any:
    """Return the largest, NaN first, the higher position first where they tie."""
    order = [sorted(range(x.shape[1]), key=lambda i: (x[t, i] != x[t, i], x[t, i], i))[::-1] for t in range(len(x))]
    index = np.array(order, np.int32).reshape(x.shape)[:, :k]
    if index.shape[1] < k or k < 1:
        raise ValueError("too few")
    return np.take_along_axis(x, index, 1), index


def test_ties_may_be_free() -> None:
    """A selection that takes the last of equal values is wrong, unless it promises no order of them."""
    with pytest.raises(AssertionError, match="top_k/"):
        testing.check(top_k, "top_k", clauses=["def"], tiers=["scope"])
    assert testing.check(top_k, "top_k", clauses=["def"], tiers=["scope"], ties="any").held["def"]


def test_a_refusal_fails_where_it_is_asked_to() -> None:
    """A file may refuse some dtypes; strictly it may not, and what is refused is told."""

    def transpose(x: Any) -> Any:
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return x.swapaxes(-1, -2)

    asked: dict[str, Any] = {"framework": "numpy", "clauses": ["def", "dtype.float64"], "tiers": ["scope"]}
    assert "float32 only" in testing.check(transpose, "matrix_transpose", **asked).refused["dtype.float64"]
    with pytest.raises(AssertionError, match=r"REFUSED matrix_transpose/dtype\.float64"):
        testing.check(transpose, "matrix_transpose", strict=True, **asked)


def test_drawn_calls_can_be_others_every_time() -> None:
    """A seed and a number of examples choose what is drawn."""
    found = testing.check(pixel_shuffle, "pixel_shuffle", clauses=["def"], tiers=["property"], seed=7, examples=3)
    assert found.held["def"] >= 3


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"clauses": ["law.invers"]}, "did you mean law.inverse"),
        ({"tiers": ["scop"]}, "no tier 'scop'"),
        ({"framework": "nump"}, "no framework 'nump'"),
    ],
)
def test_what_there_is_not_cannot_be_asked_for(asked: Any, message: str) -> None:
    """A misspelt clause or tier is an error, not a check of nothing."""
    with pytest.raises(ValueError, match=message):
        testing.check(pixel_shuffle, "pixel_shuffle", **asked)


def test_a_check_that_judges_nothing_fails() -> None:
    """NumPy has no gradients, so that there is nothing to be right about."""
    with pytest.raises(AssertionError, match="numpy has no gradients"):
        testing.check(pixel_shuffle, "pixel_shuffle", framework="numpy", clauses=["grad.x"])


def test_the_framework_is_that_of_the_function() -> None:
    """By annotation, or by what it gives for arrays of each."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")

    def annotated(x: torch.Tensor) -> torch.Tensor:
        return x.mT

    asked: dict[str, Any] = {"clauses": ["def"], "tiers": ["scope"]}
    assert testing.check(annotated, "matrix_transpose", **asked).framework == "torch"
    assert testing.check(lambda x: torch.transpose(x, -1, -2), "matrix_transpose", **asked).framework == "torch"
    assert testing.check(lambda x: np.swapaxes(x, -1, -2), "matrix_transpose", **asked).framework == "numpy"


def test_a_right_result_matches() -> None:
    """Of any framework, with indices of any width."""
    x = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    value, index = einspec.evaluate("top_k", x, k=2)
    testing.assert_matches((value, index), "top_k", x, k=2)
    testing.assert_matches([value, index.astype(np.int64)], "top_k", x, k=2)
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    testing.assert_matches(torch.topk(torch.from_numpy(x), 2), "top_k", x, k=2)


def test_a_result_may_be_off_by_rounding_alone() -> None:
    """A softmax in another order of operations is right, one in half the digits is not."""
    x = np.random.default_rng(2).standard_normal((4, 7)).astype(np.float32)
    found = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    testing.assert_matches(found, "score", x, fn="softmax")
    with pytest.raises(AssertionError, match="allowed error"):
        testing.assert_matches(found.astype(np.float16).astype(np.float32), "score", x, fn="softmax")


TIED = np.float32([[1, 1, 0]])


@pytest.mark.parametrize(
    ("result", "ties", "message"),
    [
        ((TIED[:, :1], np.int32([[1]])), "first", "index: "),
        ((TIED[:, :1], np.int32([[2]])), "any", "should have been chosen|too late"),
        (TIED, "first", "2 outputs, value, index"),
        ((TIED[:, :2], np.int32([[0, 1]])), "first", r"shape \[1, 2\] instead of \[1, 1\]"),
        ((TIED[:, :1].astype(float), np.int32([[0]])), "first", "dtype float64 instead of float32"),
        ((TIED[:, :1], np.float32([[0]])), "first", "dtype float32 instead of int32"),
        (("one", np.int32([[0]])), "first", "returned str for value"),
        ((None, None), "first", "returned NoneType for value"),
        ((TIED[:, :1], np.array([[None]])), "first", "array of object"),
    ],
)
def test_a_wrong_result_does_not_match(result: Any, ties: Any, message: str) -> None:
    """Another value, shape, dtype or kind is told as what it is."""
    with pytest.raises(AssertionError, match=message):
        testing.assert_matches(result, "top_k", TIED, k=1, ties=ties)


def test_an_integer_matches_as_one() -> None:
    """Where the card gives a Python integer, an array of it does not do, nor does another number."""
    call = {"tokens": 8, "k": 2, "experts": 4}
    right = einspec.evaluate("capacity", **call)
    testing.assert_matches(right, "capacity", **call)
    for wrong, message in ((right + 1, "differ"), (np.int64(right), "not a Python integer"), (float(right), "float")):
        with pytest.raises(AssertionError, match=message):
            testing.assert_matches(wrong, "capacity", **call)


def test_ties_of_a_result_may_be_free() -> None:
    """Either of two equal values is right where ties are free."""
    testing.assert_matches((TIED[:, :1], np.int32([[1]])), "top_k", TIED, k=1, ties="any")


def test_a_result_of_a_call_that_is_not_legal_is_no_result() -> None:
    """What the card forbids has no right result: its error comes."""
    with pytest.raises(ShapeError):
        testing.assert_matches(TIED, "top_k", TIED, k=9)


@settings(max_examples=30, database=None, deadline=None, derandomize=True)
@given(testing.calls("stack", special=False))
def test_drawn_calls_are_legal(call: testing.LegalCall) -> None:
    """The definition takes them, and a function that is right gives what matches."""
    einspec.evaluate(call.op, *call.inputs, **call.params)
    testing.assert_matches(call(np.stack), "stack", *call.inputs, **call.params)
    assert all(np.isfinite(x.astype(complex)).all() for x in call.inputs[0] if x.dtype.itemsize > 1)


@pytest.mark.parametrize(
    ("op", "wanted", "shown"),
    [
        ("top_k", lambda c: c.inputs[0].shape[1] > 2 and np.isnan(c.inputs[0].astype(float)).any(), "[[np.nan, 2.0, 3.0]]"),
        ("pixel_shuffle", lambda c: c.inputs[0].shape[-1] > 2, "np.arange(1, 4).reshape((1, 1, 3))"),
        ("stack", lambda c: len(c.inputs[0]) > 1, "[np.array(1.0, dtype=np.float32), np.array(2.0, dtype=np.float32)]"),
    ],
)
def test_drawn_calls_shrink(op: str, wanted: Any, shown: str) -> None:
    """To the smallest sizes, plain numbers and the least that shows it."""
    own = settings(database=None, derandomize=True, deadline=None, max_examples=2000)
    found = hypothesis.find(testing.calls(op), wanted, settings=own)
    assert shown in repr(found)


@settings(max_examples=40, database=None, deadline=None, derandomize=True)
@given(testing.calls("top_k", max_size=2, dtypes=["int8"]))
def test_drawn_calls_are_as_small_as_they_are_asked_to_be(call: testing.LegalCall) -> None:
    """No axis is longer, none is empty, and the dtype is the one that was named."""
    assert set(call.inputs[0].shape) <= {1, 2}
    assert call.inputs[0].dtype == np.int8


def test_a_drawn_call_can_be_made_in_another_framework() -> None:
    """Its arrays are converted on the way, those of a list each, and stay as they are."""
    call = testing.LegalCall("stack", ([np.zeros(2), np.ones(2)],), {"axis": 0})
    assert call(lambda xs, axis: [type(x) for x in xs] + [axis], convert=list) == [list, list, 0]

    def spoil(xs: Any, axis: int) -> None:
        xs[0][:] = 9

    call(spoil)
    assert call.inputs[0][0].tolist() == [0, 0]


@pytest.mark.parametrize("asked", [{"dtypes": ["complex64"]}, {"dtypes": []}, {"max_size": 0}])
def test_calls_that_there_are_not_cannot_be_drawn(asked: Any) -> None:
    """A dtype that the card forbids, none at all, or no size is an error."""
    with pytest.raises(ValueError, match="top_k"):
        testing.calls("top_k", **asked)


USERS = """
import pytest
from einspec import testing

@pytest.mark.parametrize("op", ["matrix_transpose", "pixel_shuffle"])
def test_mine(op):
    testing.check(lambda x, **params: x.swapaxes(-1, -2), op, framework="numpy", tiers=["scope"], clauses=["def"])
"""


def test_it_works_in_the_tests_of_anybody(tmp_path: Path) -> None:
    """Without a plugin, in several processes, with warnings that are errors: one passes, one fails with its witness."""
    pytest.importorskip("xdist", reason="needs pytest-xdist")
    (tmp_path / "test_mine.py").write_text(USERS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-n", "2", "-q", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "AssertionError: WRONG pixel_shuffle/def" in done.stdout
    assert "conformance/testing/checking.py" not in done.stdout  # where it is raised is no news


def test_the_page_about_testing_is_run() -> None:
    """Every example of docs/testing.md gives what the page shows."""
    page = str(ROOT / "docs" / "testing.md")
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testfile(page, module_relative=False, optionflags=options, encoding="utf-8")
    assert found.attempted > 15
    assert not found.failed


def test_the_example_of_a_file_of_tests_passes(tmp_path: Path) -> None:
    """With warnings that are errors, as pytest runs it anywhere."""
    path = ROOT / "examples" / "test_my_kernel.py"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-q", "-c", os.devnull, str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
