"""What a clause demands is said in the names of its op, and as the card and the solver have it."""

from __future__ import annotations

import math
import re

import pytest

import einspec
from einspec import load
from einspec.calls.invalid import InvalidCall, invalid_calls
from einspec.card import Op
from einspec.language.formula import Axis
from einspec.violations import divisor

OPS = einspec.ops()


def in_sentence(name: str, text: str) -> bool:
    """Return whether a name stands in a sentence as a word of its own."""
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", text) is not None


@pytest.mark.parametrize("name", OPS)
def test_a_sentence_names_what_its_id_names(name: str) -> None:
    """The input, parameter, axis or dtype that an id ends with stands in the sentence."""
    for clause, text in einspec.clauses(name).items():
        kind, _, detail = clause.partition(".")
        if kind == "err":
            kind, _, detail = detail.partition(".")
        if kind in ("param", "type", "rank", "dtype", "list", "match", "divides", "axes", "grad", "grad64", "index"):
            assert in_sentence(detail.partition(".")[0], text), (clause, text)


@pytest.mark.parametrize("name", OPS)
def test_a_sentence_is_of_its_op(name: str) -> None:
    """It names the op, or a tensor or parameter of it, but where an id says the constraint of any call."""
    op = load(name)
    names = {name, *op.card.params, *(s.name for f in op.forms.values() for s in (*f.signature.inputs, *f.signature.outputs))}
    general = {"err.keyword", "err.count"}
    general |= {f"err.require.{key}" for f in op.forms.values() for key in f.require}
    general |= {f"err.axes.{axis}" for axis in op.card.axes}
    for clause, text in einspec.clauses(name).items():
        about_size = clause.startswith("law.equation") or clause in general
        assert about_size or any(in_sentence(n, text) for n in names), (clause, text)


@pytest.mark.parametrize("name", OPS)
def test_requirements_and_equations_stand_as_on_the_card(name: str) -> None:
    """The expression itself is in the sentence, that of every form."""
    promised = einspec.clauses(name)
    for form in load(name).forms.values():
        for key, term in form.require.items():
            if f"err.require.{key}" in promised:
                assert f"unless {term.text}" in promised[f"err.require.{key}"]
        for key, text in form.laws.equation.items():
            assert " ".join(text.split()) in promised[f"law.equation.{key}"]


def test_what_only_some_forms_say_names_them() -> None:
    """A law of one preset and the dimensions of one layout are told with the value of the parameter."""
    assert einspec.clauses("gate")["law.equation.bias_only_chooses"].count("[preset: ") == 2
    assert (
        einspec.clauses("gate")["err.require.groups"]
        == "A call raises unless keep <= groups [preset: deepseek_v2, deepseek_v3, mistral4, axk2]."
    )
    assert "[" not in einspec.clauses("gate")["err.rank.logits"]
    assert "b h w c [layout: nhwc]" in einspec.clauses("swap_hw")["err.rank.x"]


@pytest.mark.parametrize("name", OPS)
def test_errors_are_said_as_the_solver_finds_them(name: str) -> None:
    """Number of axes, least values and divisors are those in the message of a call that violates the constraint."""
    op, promised = load(name), einspec.clauses(name)
    for constraint, call in invalid_calls(op).items():
        text = promised[f"err.{constraint}"]
        kind, _, detail = constraint.partition(".")
        axes = re.search(r"must have (at least )?(\d+) axes", call.problem)
        if kind == "rank" and axes and "the rest of the call" not in text:
            assert re.search(rf"has {axes[1] or ''}({axes[2]}|no) ax[ei]s", text), (call.problem, text)
        least = re.search(r"must be at least (-?\d+), not", call.problem)
        if kind == "param" and least:
            assert f"below {least[1]}" in text
        total = re.search(r"must be a multiple of (\d+)", call.problem)
        if kind == "divides" and total and "given for it" not in text:
            assert size_of_divisor(op, call, detail) == int(total[1]), (call.problem, text)


def size_of_divisor(op: Op, call: InvalidCall, where: str) -> int:
    """Return how much the axes that must divide come to in a call."""
    sizes = dict(call.near.solution.sizes)
    for spec, shape in zip(call.form.signature.inputs, call.shapes, strict=False):
        if len(spec.index) == len(shape):
            sizes |= {d.name: n for d, n in zip(spec.index, shape, strict=True) if isinstance(d, Axis)}
    terms, values = call.form.sizes, call.near.solution.values
    found = divisor(op, call.form, where)
    return math.prod(terms[axis].value(sizes, values) if axis in terms else sizes[axis] for axis in found)
