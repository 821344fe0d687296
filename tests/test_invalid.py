"""Every constraint is known from the card, has a call that violates it, and is checked."""

from __future__ import annotations

import importlib
import pickle
import random
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from judged import opened, results

import einspec
import einspec.impls.einops.on_numpy as einops_backend
import einspec.impls.numpy as numpy_backend
from einspec import CallError, load, meaning, solve
from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.calls.invalid import InvalidCall, Tensor, invalid_calls
from einspec.calls.space import Case
from einspec.card import Op, compile_card
from einspec.clauses import clause_ids
from einspec.conformance.checks import invalid
from einspec.conformance.checks.scene import Scene
from einspec.constraints import constraints
from einspec.dtypes import numpy_dtype
from einspec.errors import DtypeError, ParameterError, ParameterTypeError, ShapeError
from einspec.impls.einops import patterns
from einspec.language.tables import Card

OPS = einspec.ops()
OF_TENSORS = ("dtype", "list", "broadcast")
"""Constraints on more than shapes, which the solver does not see."""


def card(text: str) -> Op:
    """Return the op of a card that is made up."""
    table = {"summary": "Made up.", "since": "1.0", **tomllib.loads(text)}
    return compile_card("made_up", "tests", msgspec.convert(table, Card))


@pytest.mark.parametrize("name", OPS)
def test_every_constraint_has_a_call_that_violates_it_first(name: str) -> None:
    """None is without, and the solver reports it first, in the form that has the constraint."""
    op = load(name)
    calls = invalid_calls(op)
    assert list(calls) == list(constraints(op))
    for constraint, call in calls.items():
        assert call.constraint == constraint
        if constraint != f"param.{op.choice}":
            assert call.form is constraints(op)[constraint]
            assert op.choice not in call.params or op.form(call.params) is call.form
        if constraint.partition(".")[0] in OF_TENSORS:
            assert solve(op, call.shapes, call.params)
        else:
            with pytest.raises(CallError) as caught:
                solve(op, call.shapes, call.params)
            assert caught.value.constraint == constraint


def arrays(call: InvalidCall) -> list[Any]:
    """Return the tensors of a call as NumPy arrays of zeros."""

    def zeros(tensor: Tensor) -> Any:
        return np.zeros(tensor.shape, numpy_dtype(tensor.dtype))

    return [zeros(t) if isinstance(t, Tensor) else [zeros(each) for each in t] for t in call.inputs]


THERE = [(backend, name) for backend in (numpy_backend, einops_backend) for name in OPS if hasattr(backend, name)]
"""The backends on NumPy, each with the ops that it has."""


@pytest.mark.parametrize(("backend", "name"), THERE, ids=[f"{b.__name__.rpartition('.')[2]}-{n}" for b, n in THERE])
def test_the_error_of_a_backend_names_the_constraint(backend: Any, name: str) -> None:
    """What a backend raises for the call is an error of einspec, about this constraint and no other."""
    calls = invalid_calls(load(name))
    assert calls
    for constraint, call in calls.items():
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(backend, name)(*arrays(call), **call.params)
        if constraint != "count":  # which Python itself finds wrong where a function has one input
            assert isinstance(caught.value, CallError)
            assert caught.value.constraint == constraint


def test_the_errors_of_every_op_are_looked_at() -> None:
    """The backend of NumPy has all ops, that of einops those whose cards are patterns."""
    of_numpy = [name for backend, name in THERE if backend is numpy_backend]
    assert of_numpy == list(OPS)
    assert [name for backend, name in THERE if backend is einops_backend] == list(patterns.functions())


def wild(case: Case, rng: random.Random) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """Return the arguments of a call that differ from a legal one in some places, in any way."""
    shapes = [list(shape) for shape in case.shapes]
    for shape in shapes:
        if rng.random() < 0.4 and shape:
            shape[rng.randrange(len(shape))] = rng.randrange(7)
        if rng.random() < 0.2:
            more = [rng.randrange(4) for _ in range(rng.randrange(3))]
            shape[rng.randrange(len(shape) + 1) :] = more
    for spec, shape in zip(case.form.signature.inputs, shapes, strict=True):
        if spec.listed and not shape:
            shape.append(2)
    if rng.random() < 0.05:
        shapes.append([2])
    params = dict(case.params)
    for name, param in case.op.card.params.items():
        if rng.random() < 0.4:
            width = len(param.targets(name))
            each = tuple(rng.randrange(-2, 6) for _ in range(rng.choice((width, rng.randrange(4)))))
            others = [rng.randrange(-2, 6), rng.randrange(6), each, "2", 2.5, None, *param.choices]
            params[name] = rng.choice(others)
        if rng.random() < 0.05:
            params.pop(name, None)
    return params, [tuple(shape) for shape in shapes]


@pytest.mark.parametrize("name", OPS)
def test_wild_calls_violate_no_other_constraint(name: str) -> None:
    """Whatever the solver raises for random changes is among the ids, or left unspecified."""
    op, rng = load(name), random.Random(name)
    known = constraints(op).keys() | set(op.card.unspecified)
    for case in cases.bank(op):
        for _ in range(150):
            params, shapes = wild(case, rng)
            found = violated(op, shapes, params)
            assert not found or found in known, (found, shapes, params)


def violated(op: Op, shapes: list[tuple[int, ...]], params: dict[str, Any]) -> str:
    """Return the constraint that the solver reports for a call, nothing for a legal one."""
    try:
        solve(op, shapes, params)
    except CallError as error:
        return error.constraint
    return ""


def test_the_record_has_every_constraint_and_no_other() -> None:
    """An id that was recorded stays, and a new one is recorded."""
    _, recorded = meaning.recorded()
    for name in OPS:
        ids = {c.removeprefix("err.") for c in recorded[name] if c.startswith("err.")}
        assert ids == set(constraints(load(name))), name


def only_sizes(op: Op) -> list[str]:
    """Return the constraints on sizes and ranks of an op."""
    others = ("keyword", "count", "param", "type", "dtype")
    return [c for c in constraints(op) if c.partition(".")[0] not in others]


DERIVED = 'signature = "x: n -> y: m"\ndefinition = "y[m] = sum[n](x[n]) + m"\n[sizes]\n'
PLAIN = 'signature = "x: n -> y: n"\ndefinition = "y[n] = x[n]"\n'
RULES = {
    "an axis that the card derives may be too short": (
        DERIVED + 'm = "N - 2"',
        ["rank.x", "axes.m"],
    ),
    "and is not where a requirement says so": (
        DERIVED + 'm = "N - 2"\n[require]\nlong = "N > 1"',
        ["rank.x", "require.long"],
    ),
    "a requirement that says too little is no proof": (
        DERIVED + 'm = "N - 2"\n[require]\nlong = "N > 0"',
        ["rank.x", "require.long", "axes.m"],
    ),
    "a requirement that follows from one before it, or from bounds, always holds": (
        PLAIN + '[require]\nlong = "N > 2"\nfew = "N >= 1"\nany = "N >= 0"',
        ["rank.x", "require.long"],
    ),
    "an axis is never longer than a bound below it": (
        PLAIN + '[axes.n]\nmin = 0',
        ["rank.x"],
    ),
    "what is divided by one is divided by nothing": (
        'signature = "x: (g n) -> y: g n"\ndefinition = "y[g,n] = x[(g,n)]"\n[sizes]\ng = "1"',
        ["rank.x"],
    ),
    "an axis that may be empty leaves open what it multiplies": (
        'signature = "x: a (a b) -> y: a b"\ndefinition = "y[a,b] = x[a,(a,b)]"',
        ["rank.x", "divides.x.1", "open.x.1"],
    ),
    "and is compared with what another input says of it": (
        'signature = "x: a (a b), z: b -> y: a b"\ndefinition = "y[a,b] = x[a,(a,b)] + z[b]"',
        ["rank.x", "rank.z", "divides.x.1", "match.x.1", "match.z.0"],
    ),
    "two parameters can give one size": (
        'signature = "x: n -> y: n m"\ndefinition = "y[n,m] = x[n]"\n'
        '[params.one]\nsize = "m"\ndoc = ""\n[params.two]\nsize = "m"\ndoc = ""',
        ["rank.x", "match.two", "axes.m"],
    ),
    "a parameter can be no multiple of another": (
        'signature = "x: n -> y: n h p"\ndefinition = "y[n,h,p] = x[n]"\n'
        '[params.height]\nsize = "(h p)"\nmin = 0\ndoc = ""\n'
        '[params.window]\nsize = "p"\nmin = 1\ndoc = ""',
        ["rank.x", "divides.height"],
    ),
    "a size that the card derives has to be that of an input": (
        'signature = "x: n, z: m -> y: n m"\ndefinition = "y[n,m] = x[n] * z[m]"\n'
        '[sizes]\nm = "N + 1"',
        ["rank.x", "rank.z", "match.z.0"],
    ),
    "any number of axes is never wrong, and the same number is asked for again": (
        'signature = "x: ..., z: ... -> y: ..."\ndefinition = "y[...] = x[...] + z[...]"',
        ["rank.z", "match.z.0"],
    ),
    "a comparison chooses between two sizes": (
        DERIVED + 'm = "rows + (rows < 0) * (N + 1)"\n'
        '[params.rows]\nmin = -1\ndoc = ""',
        ["rank.x"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_what_no_call_can_violate_is_no_constraint(rule: str) -> None:
    """The rules that leave an id out hold of cards made up for them, and only there."""
    text, expected = RULES[rule]
    op = card(text)
    assert sorted(only_sizes(op)) == sorted(expected)


def test_a_constraint_without_a_call_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, with the reason, and never counts as a pass."""
    monkeypatch.setattr(invalid, "invalid_calls", lambda op: {})
    block = invalid.invalid_block(Scene(load("top_k")), "require.enough")
    assert block.count == 0
    assert "no call" in block.not_run


def test_every_constraint_is_a_clause() -> None:
    """The clauses of an op have its constraints in their order."""
    op = load("fold")
    assert [c for c in clause_ids(op) if c.startswith("err.")] == [f"err.{c}" for c in constraints(op)]


CROPS = """\
def window_reverse(x, window_size, height, width):
    n, p, q, c = x.shape
    h, w = height // p, width // q
    rows = x.reshape(n // (h * w), h, w, p, q, c).transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(n // (h * w), h * p, w * q, c)
"""


def test_a_file_that_crops_is_wrong_where_the_card_divides(tmp_path: Path) -> None:
    """A bare file is asked to reject a height that is no multiple of the window, and told why."""
    (result,) = results(opened(tmp_path, CROPS), "window_reverse", ["err.divides.height"])
    assert result.verdict == "wrong"
    assert "height must be a multiple of" in result.reason


def errors() -> Iterator[CallError]:
    """Yield an error of every class that is about a call."""
    for kind in (ShapeError, ParameterError, ParameterTypeError, DtypeError):
        yield kind("what is wrong", "rank.x")


def test_an_error_keeps_its_constraint_between_processes() -> None:
    """Pickled and read again it is the same, and of the class that callers without einspec know."""
    for error in errors():
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.constraint) == ("what is wrong", "rank.x")
        assert isinstance(error, ValueError | TypeError)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("wrong", [True, 1.0])
def test_numbers_in_a_tuple_are_checked_whatever_was_called_before(backend: str, wrong: object) -> None:
    """A call that equals an earlier one, as 1 equals True and 1.0, is not taken for it."""
    xp = pytest.importorskip(backend, reason=f"needs {backend}")
    ops = importlib.import_module(f"einspec.impls.{backend}")
    x = xp.zeros((2, 3, 4))
    assert tuple(ops.permute_dims(x, axes=(0, 1, 2)).shape) == (2, 3, 4)
    with pytest.raises(ParameterTypeError):
        ops.permute_dims(x, axes=(0, wrong, 2))


def of(framework: str, x: np.ndarray[Any, Any]) -> Any:
    """Return an array of a framework, which a test without it skips."""
    pytest.importorskip(framework, reason=f"needs {framework}")
    adapter = importlib.import_module(f"einspec.impls.adapters.{framework}")
    return adapter.asarray(x, adapter.devices()[0])


PAIRS = [("numpy", "torch"), ("numpy", "jax"), ("torch", "numpy"), ("torch", "jax"), ("jax", "torch")]


@pytest.mark.parametrize(("backend", "other"), PAIRS)
def test_arrays_of_another_framework_are_refused_by_name(backend: str, other: str) -> None:
    """One, several or a list of them, also where the first is of the own framework; both are told."""
    x = np.ones((2, 2), np.float32)
    own, theirs = of(backend, x), of(other, x)
    ops = importlib.import_module(f"einspec.impls.{backend}")
    calls = (
        lambda: ops.flip(theirs, axis=0),
        lambda: ops.expert_bias(own, theirs),
        lambda: ops.stack([own, theirs], axis=0),
    )
    for call in calls:
        with pytest.raises(TypeError, match=rf"takes {backend}.* here, not {other}.*: convert it"):
            call()
    with pytest.raises(TypeError, match=r"flip: expected arrays of the backend's framework, not list"):
        ops.flip([1.0, 2.0], axis=0)


@pytest.mark.parametrize("name", ["top_k", "scatter_add", "expert_choice", "group_mask", "hash_route", "flip", "take"])
def test_jax_takes_arrays_of_numpy(name: str) -> None:
    """Wherever its own are expected, as its own functions do."""
    pytest.importorskip("jax", reason="needs jax")
    case = next(c for c in cases.scope(load(name), 64)[0] if not c.empty)
    arrays = filled(case, "float32", "small", 0)
    found = getattr(importlib.import_module("einspec.impls.jax"), name)(*arrays.values(), **case.params)
    want = einspec.evaluate(name, *arrays.values(), **case.params)
    for one, other in zip(*((x if isinstance(x, tuple) else (x,)) for x in (found, want)), strict=True):
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-6)
