"""Each line of a card that says who computes the same, run: it must give what the definition gives."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

import einspec
from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.card import Form, load
from einspec.conformance.judge.context import WHERE
from einspec.conformance.runner.expressions import Expressions, prepared
from einspec.conformance.targets.library import Adapter
from einspec.language.tables import SameAs
from einspec.semantics import oracle

Array = np.ndarray[Any, Any]
RUNNABLE = {"numpy": "numpy", "torch": "torch", "jax": "jax", "einops": "numpy"}
"""The packages whose lines are run, and whose arrays they take."""
SETUP = {"numpy": "from numpy.lib.stride_tricks import sliding_window_view", "einops": "import einops"}
"""What their lines may name beside what every adapter of a framework may."""
SCOPE, JAX_SCOPE = 30, 2
"""On how many small calls a line is run; JAX compiles each shape."""


class Line(NamedTuple):
    """One line of a card, for the forms that state it."""

    op: str
    number: int
    entry: SameAs
    forms: tuple[Form, ...]


def lines() -> Iterator[Line]:
    """Yield every line of every card that can be run."""
    for name in einspec.ops():
        stated: dict[SameAs, list[Form]] = {}
        for form in load(name).forms.values():
            for entry in form.same_as:
                stated.setdefault(entry, []).append(form)
        for number, (entry, forms) in enumerate(stated.items()):
            if entry.package in RUNNABLE:
                yield Line(name, number, entry, tuple(forms))


def calls(line: Line) -> Iterator[Case]:
    """Yield calls of the forms that state a line, where its condition holds: small ones, empty ones, distinct sizes."""
    op = load(line.op)
    small = [c for c in cases.scope(op, cases.SCOPE_LIMIT)[0] if c.form in line.forms and holds(line, c)]
    step = max(1, len(small) // (JAX_SCOPE if line.entry.package == "jax" else SCOPE))
    yield from small[::-step]
    bank = [c for c in cases.bank(op) if c.form in line.forms and holds(line, c)]
    yield from bank[: 1 if line.entry.package == "jax" else None]


def holds(line: Line, case: Case) -> bool:
    """Whether a call meets the condition of a line."""
    why = expressions(line).outside(given(ramps(case), case), case.params)
    assert why in ("", WHERE), f"{line.op}: {line.entry.when}: {why}"
    return not why


@functools.cache
def expressions(line: Line) -> Expressions:
    """Return a line as an adapter of its package, which is compiled as that of a file is."""
    package = line.entry.package
    names = prepared(RUNNABLE[package], SETUP.get(package, ""))
    return Expressions(load(line.op), Adapter(call=line.entry.call, where=line.entry.when), names)


def given(arrays: Mapping[str, Array], case: Case) -> dict[str, Any]:
    """Return the inputs of a call by name, listed ones as lists."""
    return {s.name: list(arrays[s.name]) if s.listed else arrays[s.name] for s in case.form.signature.inputs}


def tensor(array: Array, package: str) -> Any:
    """Return an array in the framework of a package."""
    if RUNNABLE[package] == "numpy":
        return np.asarray(array)
    if package == "torch":
        return importlib.import_module("torch").from_numpy(np.array(array))
    return importlib.import_module("jax.numpy").asarray(array)


def run(line: Line, case: Case) -> dict[str, Array]:
    """Return the outputs that a line gives, by name, listed ones stacked."""
    signature, package = case.form.signature, line.entry.package
    inputs = [
        [tensor(part, package) for part in value] if isinstance(value, list) else tensor(value, package)
        for value in given(ramps(case), case).values()
    ]
    result = expressions(line).call(*inputs, **case.params)
    results = [result] if len(signature.outputs) == 1 else list(result)
    assert len(results) == len(signature.outputs)
    outputs = {}
    for spec, found in zip(signature.outputs, results, strict=True):
        parts = [np.asarray(part) for part in found] if spec.listed else []
        empty = np.zeros((0, *case.solution.shape(spec)[1:]))
        outputs[spec.name] = np.stack(parts) if parts else empty if spec.listed else np.asarray(found)
    return outputs


@pytest.mark.parametrize("line", list(lines()), ids=lambda line: f"{line.op}-{line.entry.package}-{line.number}")
def test_who_computes_the_same_does(line: Line) -> None:
    """A line gives the shape and the values of the definition wherever its condition holds.

    So it does on empty axes, except that a package may refuse those.
    """
    module = RUNNABLE[line.entry.package] if line.entry.package != "einops" else "einops"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    compared = set()
    for case in calls(line):
        want = oracle.evaluate(case.solution, {k: v.astype(np.float64) for k, v in ramps(case).items()})
        try:
            outputs = run(line, case)
        except Exception:
            if case.empty:
                continue
            raise
        for name, got in outputs.items():
            told = f"{line.op}({case}): {name}"
            assert got.shape == want[name].shape, told
            np.testing.assert_allclose(got, want[name], rtol=1e-6, err_msg=told)
        compared |= set() if case.empty else {case.form}
    assert compared == set(line.forms), f"the line was not compared on every form of {line.op} that states it"


def test_every_op_says_who_computes_the_same() -> None:
    """Nearly every op is found in one of the frameworks, and what is written there can be run."""
    with_lines = {line.op for line in lines()}
    assert len(with_lines) >= 0.9 * len(einspec.ops())


def test_conditions_are_about_sizes_and_parameters() -> None:
    """A condition is an expression that a call decides."""
    for line in lines():
        assert isinstance(holds(line, cases.bank(load(line.op))[0]), bool)
