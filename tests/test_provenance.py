"""The provenance of an element is what the judge takes it to be, and its value what the oracle says."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import einspec
from einspec.answers.expect import index_maps, widen
from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.card import Op, compile_card, load
from einspec.language.linear import EXACT
from einspec.language.tables import Card
from einspec.pages.example import example
from einspec.semantics import oracle
from einspec.semantics.provenance import Role, Tracer, provenance
from einspec.semantics.traits import moves
from einspec.solve import solve

OPS = einspec.ops()
MOVING = [name for name in OPS if any(form.kind in EXACT for form in load(name).forms.values())]
MOST, MOST_WORK = 40, 400
"""How many calls of an op are traced, and how many elements one has at most."""


@functools.cache
def small(name: str) -> tuple[Case, ...]:
    """Return the example of an op and calls of all its forms, evenly over the small ones."""
    op = load(name)
    found = [c for c in cases.scope(op, cases.SCOPE_LIMIT)[0] if not c.empty and c.work <= MOST_WORK]
    return (example(op), *found[:: max(1, len(found) // MOST)])


def sources(case: Case) -> int:
    """Compare the elements that flow into each output with the map of the judge, and return how many were compared."""
    inputs = {k: widen(v) for k, v in ramps(case, "float64").items()}
    if not moves(case.solution, inputs):
        return 0
    ends = np.cumsum([0, *(inputs[n].size for n in case.form.data)])
    first = dict(zip(case.form.data, ends, strict=False))
    traced = provenance(case.solution, inputs)
    compared = 0
    for output, known in index_maps(case, inputs).items():
        for at in np.ndindex(known.index.shape):
            read = traced[output][at].sources(case.form.data)
            found = [first[t] + np.ravel_multi_index(c, inputs[t].shape) + 1 for t, c in read]
            want = [known.index[at]] if known.index[at] else []
            assert found == want, f"{case}: {output}{list(at)} comes from {read}, not from element {want}"
            compared += 1
    return compared


@pytest.mark.parametrize("name", MOVING)
def test_sources_are_the_index_maps_of_the_judge(name: str) -> None:
    """Of an op that moves elements each output element has the one source that the judge has, or none where it is a fill."""
    assert sum(map(sources, small(name))) > 0


@pytest.mark.parametrize("name", ["dispatch", "permute", "group_tokens", "scatter"])
def test_so_are_those_of_ops_that_route(name: str) -> None:
    """So it is where indices say what goes where, in calls in which nothing is added."""
    assert sum(map(sources, small(name))) > 0


@pytest.mark.parametrize("name", OPS)
def test_values_are_those_of_the_oracle(name: str) -> None:
    """Tracing an element computes it."""
    case = small(name)[0]
    inputs = {k: widen(v) for k, v in ramps(case, "float64").items()}
    found = oracle.evaluate(case.solution, inputs)
    for tensor, traced in provenance(case.solution, inputs).items():
        values = np.vectorize(lambda t: t.value, otypes=[np.float64])(traced)
        np.testing.assert_allclose(values, np.asarray(found[tensor], np.float64), rtol=1e-12, atol=1e-12)


def op(definition: str, signature: str, **tables: object) -> Op:
    """Return an op of a definition."""
    return compile_card("made", "made", Card(summary="", since="1.0", definition=definition, signature=signature, **tables))


def test_roles() -> None:
    """The greatest flows, what it beat competes, a true bracket decides, and what a false one read was looked at."""
    picked = op(
        "y[k] = sum[e]((index[k] == e) * (mask[e] > 0) * x[e])", "x: e, mask: e, index: k -> y: k", dtype={"index": "index"}
    )
    inputs = {"x": np.array([5.0, 7.0]), "mask": np.array([1.0, 1.0]), "index": np.array([1])}
    tracer = Tracer(solve(picked, [(2,), (2,), (1,)], {}), inputs)
    trace = tracer.trace("y", (0,))
    assert trace.reads == {("index", (0,)): Role.DECIDES, ("mask", (1,)): Role.DECIDES, ("x", (1,)): Role.FLOWS}
    assert (trace.value, trace.pins, trace.terms) == (7.0, {"e": 1}, 1)
    none = Tracer(tracer.solution, inputs | {"index": np.array([2])}).trace("y", (0,))
    assert none.reads == {("index", (0,)): Role.LOOKED}
    assert none.terms == 0

    weighed = op("y = sum[t](sum[k]((index[t, k] == 0) * 2) * x[t])", "x: t, index: t k -> y:", dtype={"index": "index"})
    inputs = {"x": np.array([5.0, 7.0]), "index": np.array([[1], [0]])}
    trace = Tracer(solve(weighed, [(2,), (2, 1)], {}), inputs).trace("y", ())
    assert trace.reads[("x", (0,))] == Role.LOOKED, "no term of the inner sum counts, so nothing of x[0] comes out"
    assert (trace.reads[("x", (1,))], trace.value, trace.pins) == (Role.FLOWS, 14.0, {"t": 1, "k": 0})

    largest = op("y = max[e](x[e])", "x: e -> y:")
    trace = Tracer(solve(largest, [(3,)], {}), {"x": np.array([1.0, 4.0, 4.0])}).trace("y", ())
    assert trace.reads == {("x", (0,)): Role.COMPETES, ("x", (1,)): Role.FLOWS, ("x", (2,)): Role.COMPETES}
    assert trace.pins == {"e": 1}


def test_a_tensor_on_the_way_is_a_source_besides_its_own() -> None:
    """What a definition names is read, and so is what that was made of."""
    twice = op("s[b] = sum[d](x[b, d])\ny[b] = s[b] / D", "x: b d -> y: b")
    trace = Tracer(solve(twice, [(1, 2)], {}), {"x": np.array([[1.0, 3.0]])}).trace("y", (0,))
    assert set(trace.reads) == {("s", (0,)), ("x", (0, 0)), ("x", (0, 1))}
    assert trace.value == 2.0
    assert trace.sources(["x"]) == [("x", (0, 0)), ("x", (0, 1))]
