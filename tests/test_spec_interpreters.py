"""The two interpreters have one meaning, and it is the one that the language promises."""

from __future__ import annotations

import importlib.util
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import einspec
from einspec.answers.expect import widen
from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.calls.space import Case, make_case, spaces
from einspec.card import Op, compile_card, load
from einspec.language.formula import FUNCTIONS, MACROS, Reduce, walk
from einspec.language.tables import Card
from einspec.semantics import oracle, pointwise
from einspec.semantics.traits import traits_of
from einspec.solve import Solution, solve

Array = np.ndarray[Any, Any]
OPS = einspec.ops()
NAN, INF = math.nan, math.inf
FULL, EMPTY, MOST_WORK = 20, 8, 2500
"""How many calls of a form are compared, without and with empty axes, and how much work one may be."""
MOST_SPENT = 1_000_000
"""How many terms are interpreted for all small sizes of an op."""


def given(case: Case, dtype: str = "float64") -> dict[str, Array]:
    """Return the inputs of a ramp, as wide as the oracle computes."""
    return {name: widen(array) for name, array in ramps(case, dtype).items()}


def work(case: Case) -> int:
    """Return about how many terms the pointwise interpreter computes for a call."""
    solution = case.solution
    bound = [n.axes for e in case.form.equations for n in walk(e.body) if isinstance(n, Reduce)]
    longest = max((math.prod(solution.size(a) for a in axes) for axes in bound), default=1)
    return longest * case.made


def spread(found: list[Case], count: int) -> list[Case]:
    """Return so many calls, evenly over their order, the last and largest one among them."""
    return [*found[:: max(1, len(found) // count)], *found[-1:]]


def within(found: list[Case], most: int) -> Iterator[Case]:
    """Yield calls, smallest first, until so many terms have been interpreted, one at least."""
    spent = 0
    for case in sorted(found, key=work):
        if spent < most:
            yield case
        spent += work(case) * traits_of(case.form).nodes


def chosen(op: Op) -> Iterator[Case]:
    """Yield calls of every form, with empty axes and without, and those of distinct sizes."""
    for form in op.forms.values():
        own = [c for c in cases.scope(op, cases.SCOPE_LIMIT)[0] if c.form is form]
        for empty, count in ((False, FULL), (True, EMPTY)):
            found = [c for c in own if c.empty == empty]
            few = spread([c for c in found if work(c) <= MOST_WORK] or sorted(found, key=work)[:1], count)
            yield from within(few, MOST_SPENT // len(op.forms))
    yield from (c for c in cases.bank(op) if work(c) <= MOST_WORK)


def by_points(solution: Solution, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return all outputs, one element at a time, as arrays of Python numbers."""
    outputs = {}
    for spec in solution.form.signature.outputs:
        outputs[spec.name] = np.empty(solution.shape(spec), object)
        for coordinate in itertools.product(*map(range, solution.shape(spec))):
            outputs[spec.name][coordinate] = pointwise.evaluate(solution, inputs, spec.name, coordinate)
    return outputs


def assert_same(got: Array, want: Array, what: str, ulps: int = 0) -> None:
    """Assert equal shapes and numbers, where every NaN is NaN; up to so many roundings where a definition has to round."""
    assert got.shape == want.shape, what
    for a, b in zip(got.reshape(-1).tolist(), want.reshape(-1).tolist(), strict=True):
        near = ulps and math.isclose(a, b, rel_tol=ulps * 2**-52, abs_tol=ulps * 2**-52)
        assert a == b or (a != a and b != b) or near, f"{what}: {a} instead of {b}"


def roundings(case: Case) -> int:
    """Return how many roundings in float64 a call may differ by: none where values are only moved, added and multiplied."""
    traits = traits_of(case.form)
    return 0 if traits.multilinear and not traits.divides else traits.operations + work(case)


@pytest.mark.parametrize("name", OPS)
def test_oracle_equals_pointwise_on_every_small_size_tuple(name: str) -> None:
    """All sizes up to 3 of every axis in every form, up to 2 where there are many; numbers of a card at their first value.

    A definition that is long to interpret gets the first of them.
    """
    compared, spent = 0, 0
    few = all(sum(not names[0].startswith("=") for names in s.variables) <= 4 for s in spaces(load(name), most_rank=1))
    for space in spaces(load(name), most_rank=1, sizes=(0, 1, 2, 3) if few else (0, 1, 2)):
        named = [names[0].startswith("=") for names in space.variables]
        choices = [own[:1] if number else own for number, own in zip(named, space.candidates, strict=True)]
        for values in itertools.product(*choices):
            case = space.case(values)
            spent += work(case) * traits_of(case.form).nodes if case is not None else 0
            if case is not None and spent < MOST_SPENT:
                compared += 1
                inputs = given(case)
                found = oracle.evaluate(case.solution, inputs)
                for output, want in by_points(case.solution, inputs).items():
                    assert_same(found[output], want, f"{case}: {output}", roundings(case))
    assert compared > 1


@pytest.mark.parametrize("name", OPS)
def test_oracle_equals_pointwise_on_every_card(name: str) -> None:
    """Every form of every card means the same to both, on small calls with and without empty axes."""
    compared = {form: [0, 0] for form in load(name).forms}
    for case in chosen(load(name)):
        inputs = given(case, "int64")
        want, got = by_points(case.solution, inputs), oracle.evaluate(case.solution, inputs)
        for output, array in want.items():
            assert_same(got[output], array, f"{name}({case}): {output}", roundings(case))
        compared[case.form.choice.get(load(name).choice, "")][case.empty] += 1
    there = {(c.form.choice.get(load(name).choice, ""), c.empty) for c in cases.scope(load(name), cases.SCOPE_LIMIT)[0]}
    assert all(compared[form][empty] for form, empty in there)
    assert all(full or empty for full, empty in compared.values())


@pytest.mark.parametrize("name", [n for n in OPS if any(f.signature.inputs for f in load(n).forms.values())])
def test_oracle_equals_pointwise_on_special_values(name: str) -> None:
    """Neither reads what a false bracket multiplies: with NaN and infinities planted they still agree."""
    for case in [c for c in cases.bank(load(name)) if work(c) <= 2 * MOST_WORK][:3]:
        inputs = given(case)
        for array in (inputs[n] for n in case.form.data):
            array.reshape(-1)[:: max(1, array.size // 5)] = NAN
            array.reshape(-1)[1 :: max(2, array.size // 5)] = INF
        want, got = by_points(case.solution, inputs), oracle.evaluate(case.solution, inputs)
        for output, array in want.items():
            assert_same(got[output], array, f"{name}({case}): {output}", roundings(case))


def few(name: str) -> list[Case]:
    """Return three calls of an op: one of distinct sizes, one small one and one with an empty axis."""
    small = [c for c in cases.scope(load(name), cases.SCOPE_LIMIT)[0] if c.elements <= 24]
    kinds = [c for c in small if not c.empty], [c for c in small if c.empty]
    return [cases.bank(load(name))[-1], *(found[len(found) // 2] for found in kinds if found)]


@pytest.mark.parametrize("name", OPS)
def test_oracle_in_torch_equals_oracle_in_numpy(name: str) -> None:
    """The oracle gives the same whole arrays in PyTorch, in integers and in floats."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for case, dtype in itertools.product(few(name), ("int64", "float64")):
        inputs = given(case, dtype)
        want = oracle.evaluate(case.solution, inputs)
        got = oracle.evaluate(case.solution, {k: torch.from_numpy(v) for k, v in inputs.items()}, torch)
        for output, array in want.items():
            assert_same(got[output].numpy(), array, f"{name}({case}): {output}", roundings(case))


@pytest.fixture(scope="module")
def in_jax() -> dict[str, list[dict[str, Array]]]:
    """Return the outputs of the oracle in JAX for a few calls of every op: one compilation for all of them."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    calls = {name: few(name) for name in OPS}
    inputs = {name: [given(c) for c in found] for name, found in calls.items()}

    def every(arrays: Any) -> Any:
        pairs = {name: zip(found, arrays[name], strict=True) for name, found in calls.items()}
        return {n: [oracle.evaluate(c.solution, a, jax.numpy, finite=True) for c, a in p] for n, p in pairs.items()}

    with jax.enable_x64(True):
        found = jax.jit(every)(inputs)
        return {name: [{k: np.asarray(v) for k, v in o.items()} for o in outputs] for name, outputs in found.items()}


@pytest.mark.parametrize("name", OPS)
def test_oracle_in_jax_equals_oracle_in_numpy(name: str, in_jax: dict[str, list[dict[str, Array]]]) -> None:
    """The oracle gives the same whole arrays in JAX, also under jit."""
    for case, got in zip(few(name), in_jax[name], strict=True):
        for output, array in oracle.evaluate(case.solution, given(case)).items():
            assert_same(got[output], array, f"{name}({case}): {output}", roundings(case))


def points(solution: Solution, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Evaluate one element at a time."""
    return by_points(solution, inputs)


def in_numpy(solution: Solution, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Evaluate whole arrays in NumPy."""
    return oracle.evaluate(solution, inputs)


def in_torch(solution: Solution, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Evaluate whole arrays in PyTorch."""
    import torch

    found = oracle.evaluate(solution, {k: torch.from_numpy(v) for k, v in inputs.items()}, torch)
    return {k: v.numpy() for k, v in found.items()}


def in_eager_jax(solution: Solution, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Evaluate whole arrays in JAX, where values can be looked at."""
    import jax

    with jax.enable_x64(True):
        arrays = {k: jax.numpy.asarray(v) for k, v in inputs.items()}
        return {k: np.asarray(v) for k, v in oracle.evaluate(solution, arrays, jax.numpy).items()}


Interpreter = Callable[[Solution, Mapping[str, Array]], dict[str, Array]]
INTERPRETERS: list[Any] = [
    pytest.param(points, id="pointwise"),
    pytest.param(in_numpy, id="numpy"),
    *(
        pytest.param(run, id=package, marks=pytest.mark.skipif(not importlib.util.find_spec(package), reason=reason))
        for run, package, reason in (
            (in_torch, "torch", "PyTorch is not installed"),
            (in_eager_jax, "jax", "JAX is not installed"),
        )
    ),
]
everywhere = pytest.mark.parametrize("interpreter", INTERPRETERS)


def value(interpreter: Interpreter, signature: str, definition: str, *inputs: Any) -> list[Any]:
    """Return output ``y`` of a definition, as nested lists."""
    op = compile_card("op", "test", Card("A definition.", "1.0", signature, definition))
    names = [s.name for s in op.forms[""].signature.inputs]
    arrays = {name: np.asarray(x) for name, x in zip(names, inputs, strict=True)}
    result: list[Any] = interpreter(solve(op, [a.shape for a in arrays.values()], {}), arrays)["y"].tolist()
    return result


@everywhere
@pytest.mark.parametrize(
    ("signature", "definition", "inputs", "expected"),
    [
        ("x: n -> y: n", "y[n] = sum[n1]((n1 == n) * x[n1])", [[NAN, 1.0, INF]], [NAN, 1, INF]),
        ("x: n -> y: n", "y[n] = sum[n1]((n1 < n) * x[n1])", [[1.0, 2.0, NAN]], [0, 1, 3]),
        ("x: n -> y: n", "y[n] = (n > 0) * x[n]", [[-INF, 2.0]], [0, 2]),
        ("x: n -> y: n", "y[n] = x[n] * (n > 0)", [[NAN, 2.0]], [0, 2]),
        ("x: n -> y: n", "y[n] = (n > 0) * (n < 2) * x[n] * x[n]", [[NAN, 2.0, INF]], [0, 4, 0]),
        ("x: n -> y: n", "y[n] = (n > 0) * (x[n] + 1)", [[NAN, 2.0]], [0, 3]),
        ("x: n -> y: n", "y[n] = (n > 0) * (1 / x[n])", [[0.0, 2.0]], [0, 0.5]),
        ("x: n -> y: n", "y[n] = (n > 0) * sum[n1](x[n1] * (n1 <= n))", [[1.0, NAN]], [0, NAN]),
        ("x: n, w: n -> y: n", "y[n] = (w[n] != 0) * (x[n] / w[n])", [[NAN, 1.0], [0.0, 2.0]], [0, 0.5]),
        ("x: n, w: n -> y:", "y = sum[n]((w[n] == 1) * x[n])", [[NAN, 2.0], [0, 1]], 2),
        ("x: n -> y: n", "y[n] = relu(x[n])", [[-INF, NAN, 2.0]], [0, NAN, 2]),
    ],
)
def test_a_false_bracket_is_a_strong_zero(
    interpreter: Interpreter, signature: str, definition: str, inputs: list[Any], expected: Any
) -> None:
    """A false bracket annihilates NaN and infinity wherever it stands in a product; a true one lets them through."""
    assert_same(np.asarray(value(interpreter, signature, definition, *inputs)), np.asarray(expected), definition)


@everywhere
@pytest.mark.parametrize("zero", ["0", "(0 * n)", "x[n]"])
def test_an_ordinary_zero_is_not_strong(interpreter: Interpreter, zero: str) -> None:
    """Only a bracket annihilates: zero times infinity is NaN, as in the arithmetic of floats."""
    (got, _) = value(interpreter, "x: n, w: n -> y: n", f"y[n] = {zero} * w[n]", [0.0, 0.0], [INF, 1.0])
    assert math.isnan(got)


ORDERED = [-INF, -1.0, -0.0, 0.0, 1.0, INF, NAN, -NAN]
PLACES = [0, 1, 2, 2, 3, 4, 5, 5]
COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@everywhere
@pytest.mark.parametrize("op", COMPARE)
def test_floats_are_totally_ordered(interpreter: Interpreter, op: str) -> None:
    """Every NaN equals every NaN and is above infinity, and both zeros are equal: all pairs, in every comparison."""
    got = value(interpreter, "x: n, w: k -> y: n k", f"y[n, k] = x[n] {op} w[k]", ORDERED, ORDERED)
    assert got == [[int(COMPARE[op](a, b)) for b in PLACES] for a in PLACES]


@pytest.mark.parametrize("interpreter", INTERPRETERS[:3])
def test_subnormals_count(interpreter: Interpreter) -> None:
    """The least number above zero is not zero (XLA on CPUs takes it for zero, so that JAX is left out)."""
    assert value(interpreter, "x: n -> y: n", "y[n] = x[n] > 0", [5e-324, 0.0, -5e-324]) == [1, 0, 0]


@everywhere
@pytest.mark.parametrize(
    ("op", "expected"),
    [("<", [1, 1, 0, 0]), ("<=", [1, 1, 1, 0]), (">", [0, 0, 0, 1]), (">=", [0, 0, 1, 1]), ("==", [0, 0, 1, 0]),
     ("!=", [1, 1, 0, 1])],
)  # fmt: skip
def test_tuples_are_ordered_lexicographically(interpreter: Interpreter, op: str, expected: list[int]) -> None:
    """The first part that differs decides, NaN above all; equal tuples are equal in every part."""
    x = [[1.0, NAN], [2.0, 3.0], [NAN, 2.0], [NAN, NAN]]
    w = [[2.0, 0.0], [2.0, NAN], [NAN, 2.0], [NAN, 1.0]]
    definition = f"y[n] = (sum[k]((k == 0) * x[n, k]), sum[k]((k == 1) * x[n, k])) {op} (w[n], v[n])"
    first, second = [row[0] for row in w], [row[1] for row in w]
    got = value(interpreter, "x: n k, w: n, v: n -> y: n", definition, x, first, second)
    assert got == expected


@everywhere
def test_a_chain_of_comparisons_says_both(interpreter: Interpreter) -> None:
    """``a <= b < c`` is one where both hold."""
    assert value(interpreter, "x: n -> y: n", "y[n] = 1 <= n < N - 1", [0.0] * 4) == [0, 1, 1, 0]


@everywhere
@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("y[a] = sum[n](x[n])", [0, 0]),
        ("y[a] = sum[n](a + 1)", [0, 0]),
        ("y[a] = sum[n](w[a])", [0, 0]),
        ("y[a] = sum[n, a1](x[n] * a1) + 1", [1, 1]),
        ("y[a] = mean[n](x[n])", [NAN, NAN]),
    ],
)
def test_a_sum_over_an_empty_axis_is_zero(interpreter: Interpreter, definition: str, expected: list[float]) -> None:
    """So it is whatever is summed, NaN included; the mean of nothing is 0/0."""
    got = value(interpreter, "x: n, w: a -> y: a", definition, np.zeros(0), [NAN, INF])
    assert_same(np.asarray(got), np.asarray(expected), definition)


@everywhere
@pytest.mark.parametrize(("kind", "least"), [("max", -INF), ("min", INF)])
def test_a_maximum_over_an_empty_axis_is_the_least_number(interpreter: Interpreter, kind: str, least: float) -> None:
    """What leaves every other number as it is: cards that are not to say so ask for at least one coordinate."""
    assert float(value(interpreter, "x: n -> y:", f"y = {kind}[n](x[n])", np.zeros(0))) == least


@everywhere
@pytest.mark.parametrize(
    ("values", "most", "least"),
    [
        ([1.0, NAN, 3.0], NAN, 1.0),
        ([NAN, NAN, NAN], NAN, NAN),
        ([INF, NAN, INF], NAN, INF),
        ([-INF, 2.0, INF], INF, -INF),
        ([3, -1, 2], 3, -1),
    ],
)
def test_maxima_follow_the_total_order(interpreter: Interpreter, values: list[Any], most: float, least: float) -> None:
    """NaN is the largest number: the maximum where there is one, the minimum only where there is nothing else."""
    for kind, expected in (("max", most), ("min", least)):
        got = value(interpreter, "x: n -> y: n", f"y[n] = {kind}[n1](x[n1])", values)
        assert_same(np.asarray(got), np.asarray([expected] * 3), kind)


@everywhere
def test_a_reduction_repeats_what_does_not_depend_on_its_axes(interpreter: Interpreter) -> None:
    """A sum over an axis that the term lacks counts it; a maximum does not."""
    got = value(interpreter, "x: n -> y: n", "y[n] = sum[n1](x[n]) + 100 * max[n1](x[n])", [1.0, 2.0, 3.0])
    assert got == [103, 206, 309]


@everywhere
def test_a_read_may_name_an_axis_twice(interpreter: Interpreter) -> None:
    """``x[n, n]`` is the diagonal, NaN on it or beside it."""
    x = [[1.0, NAN], [NAN, 4.0]]
    assert value(interpreter, "x: n n1 -> y: n", "y[n] = x[n, n]", x) == [1, 4]
    assert value(interpreter, "x: n n1 -> y:", "y = sum[n](x[n, n])", x) == 5


@everywhere
def test_compositions_are_row_major_and_nest(interpreter: Interpreter) -> None:
    """The last axis of a composition varies fastest, at every depth."""
    definition = "y[(c,(b,a))] = x[(a,b), c]"
    x = np.arange(12).reshape(6, 2)
    card = Card("A definition.", "1.0", "x: (a b) c -> y: (c (b a))", definition, sizes={"a": "2"})
    op = compile_card("op", "test", card)
    got = interpreter(solve(op, [x.shape], {}), {"x": x})["y"]
    assert got.tolist() == x.reshape(2, 3, 2).transpose(2, 1, 0).reshape(-1).tolist()


@everywhere
def test_later_equations_read_earlier_ones(interpreter: Interpreter) -> None:
    """An auxiliary tensor is defined once and read by name, a scalar with an empty index."""
    definition = "total = sum[n](x[n])\nrank[n] = sum[n1]((x[n1], n) < (x[n], n1))\ny[n] = rank[n] * total[()]"
    assert value(interpreter, "x: n -> y: n", definition, [30.0, 10.0, 20.0]) == [120, 0, 60]


SAMPLES = [-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 800.0, INF, -INF, NAN]
NUMPY = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "abs": np.abs, "floor": np.floor, "ceil": np.ceil,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "relu": lambda u: np.where(u > 0, u, np.where(np.isnan(u), u, 0)),
    "sigmoid": lambda u: 1 / (1 + np.exp(-u)), "silu": lambda u: u / (1 + np.exp(-u)),
    "softplus": lambda u: np.logaddexp(0, u), "gelu": lambda u: u * (1 + NUMPY["erf"](u / np.sqrt(2))) / 2,
}  # fmt: skip


@everywhere
@pytest.mark.parametrize("name", [*FUNCTIONS, *MACROS])
def test_functions_are_those_of_their_names(interpreter: Interpreter, name: str) -> None:
    """Each function takes floats and integers, infinities and NaN, and none raises outside its domain."""
    for values in (SAMPLES, [1, 2]):
        got = value(interpreter, "x: n -> y: n", f"y[n] = {name}(x[n])", values)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(got, NUMPY[name](np.array(values, float)), rtol=1e-12)


@everywhere
def test_a_softmax_sums_to_one_without_overflow(interpreter: Interpreter) -> None:
    """``softmax`` subtracts the maximum, so that large numbers are as good as small ones."""
    got = value(interpreter, "x: a b -> y: a b", "y[a, b] = softmax[b](x[a, b])", [[1000.0, 1001.0], [0.0, 1.0]])
    np.testing.assert_allclose(got[0], got[1])
    np.testing.assert_allclose(np.sum(got, axis=1), [1, 1])


@everywhere
@pytest.mark.parametrize(
    ("term", "expected"),
    [("7 // 2", 3), ("-7 // 2", -4), ("-7 % 3", 2), ("7 / 2", 3.5), ("-(n + 1)", -1), ("1 - 2 - 3", -4), ("N * 2", 2)],
)
def test_arithmetic_is_that_of_python(interpreter: Interpreter, term: str, expected: float) -> None:
    """Quotients of integers round down, ``/`` does not round, remainders have the sign of the divisor."""
    assert value(interpreter, "x: n -> y: n", f"y[n] = {term}", [0.0]) == [expected]


@everywhere
def test_integers_stay_integers(interpreter: Interpreter) -> None:
    """A definition without quotients and functions gives whole numbers for whole numbers."""
    op = compile_card("op", "test", Card("A definition.", "1.0", "x: n -> y: n", "y[n] = sum[n1]((n1 <= n) * x[n1])"))
    got = interpreter(solve(op, [(3,)], {}), {"x": np.array([2**53, 1, 1])})["y"].tolist()
    assert got == [2**53, 2**53 + 1, 2**53 + 2]
    assert all(type(n) is int for n in got)


def test_unsigned_integers_wrap_beside_signed_ones() -> None:
    """Of uint64 beside int64 NumPy makes floats: a sum of both keeps every bit."""
    case = make_case(load("scatter_add"), {"axis": 0}, ((1,), (1,), (1,)))
    assert case is not None
    x, updates = np.array([2**64 - 1], np.uint64), np.array([2**53 + 1], np.int64)
    found = oracle.evaluate(case.solution, {"x": x, "index": np.array([0]), "updates": updates})["y"]
    assert found.astype(np.uint64).tolist() == [2**53]


def test_a_number_may_be_moved() -> None:
    """The output of a move has no axes where the card gives it none."""
    assert einspec.evaluate("squeeze", np.array([3.0], np.float32)).shape == ()
