"""A definition that uses another card means what that card's own equations mean in the caller's names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from einspec.card import Op, compile_card
from einspec.errors import FormulaError
from einspec.inline import inline
from einspec.language.formula import OpCall
from einspec.language.tables import Card, Param
from einspec.semantics import oracle
from einspec.solve import solve


def op(signature: str, definition: str, params: dict[str, Param] | None = None) -> Op:
    """Return an op of its own."""
    return compile_card("layer", "test", Card("A definition.", "1.0", signature, definition, params=params or {}))


def run(found: Op, params: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """Return the outputs of a call."""
    arrays = {k: np.asarray(v, float) for k, v in inputs.items()}
    return oracle.evaluate(solve(found, [a.shape for a in arrays.values()], params), arrays)


K = {"k": Param("how many", size="k")}


def test_a_use_is_the_equations_of_the_card_in_other_names() -> None:
    """Axes, inputs, outputs and what the card defines on the way are all renamed."""
    found = op("score: b n -> best: b k, at: b k", "best[b,k], at[b,k] = top_k(score[b,n])", K)
    form = found.forms[""]
    assert isinstance(form.stated[0], OpCall)
    assert {e.tensor for e in form.equations} >= {"best", "at"}
    assert all("x" not in e.tensor.split(".")[-1:] for e in form.equations)
    got = run(found, {"k": 2}, score=[[1, 3, 3, 0]])
    assert got["best"].tolist() == [[3, 3]]
    assert got["at"].tolist() == [[1, 2]]


def test_two_uses_of_one_card_do_not_meet() -> None:
    """Each use keeps what the card defines on the way to itself, and may swap the axes."""
    text = "a[t,k], i[t,k] = top_k(x[t,e])\nx2[e,t] = x[t,e]\nb[e,k], j[e,k] = top_k(x2[e,t])"
    found = op("x: t e -> a: t k, b: e k", text, K)
    got = run(found, {"k": 1}, x=[[1, 5], [7, 2]])
    assert got["a"].tolist() == [[5], [7]]
    assert got["b"].tolist() == [[7], [5]]


def test_strings_select_the_form_and_numbers_are_passed_on() -> None:
    """A string parameter of the card is a literal; a number may be a term over the caller's own parameters."""
    text = 'w[t,k] = route_weights(x[t,e], index[t,k], norm="sum", scale=2*s)'
    card = Card(
        "A definition.",
        "1.0",
        "x: t e, index: t k -> w: t k",
        text,
        params={"s": Param("scale", number=True)},
        dtype={"index": "index"},
    )
    found = compile_card("layer", "test", card)
    got = run(found, {"s": 0.5}, x=[[1, 3, 4]], index=[[0, 1]])
    assert got["w"].tolist() == [[0.25, 0.75]]


def test_what_an_inlined_selection_is_made_from_is_known() -> None:
    """The output of a card that selects still selects where another card passes it on."""
    form = op("score: b n -> best: b k, at: b k", "best[b,k], at[b,k] = top_k(score[b,n])", K).forms[""]
    assert form.selects == {"at": ("score", "")}


@pytest.mark.parametrize(
    ("factor", "slots"),
    [("", 1), (", factor=3", 3), (", factor=0", 0), (", factor=5/2", 3), (", factor=10/4", 3)],
)
def test_a_fraction_is_given_exactly(factor: str, slots: int) -> None:
    """A fraction has its own numerator and denominator, given or by default: of 8 routes 8 experts get one each."""
    found = op("-> slots:", f"slots = capacity(tokens=8, experts=8, k=1{factor})")
    assert run(found, {})["slots"].tolist() == slots


@pytest.mark.parametrize("factor", ["1.25", "n", "5/n", "1/0"])
def test_a_fraction_that_is_not_written_out_is_an_error(factor: str) -> None:
    """What is no integer and no quotient of two is no fraction that a formula could read."""
    with pytest.raises(FormulaError, match="factor of capacity must be written as"):
        op("-> slots:", f"slots = capacity(tokens=8, experts=2, k=1, factor={factor})", {"n": Param("a number")})


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("best[b,k] = top_k(score[b,n])", "gives 2 tensors, not 1"),
        ("best[b,k], at[b,k] = top_k(score[b,n], score[b,n])", "takes 1 tensors, not 2"),
        ("best[b,k], at[b,k] = top_k(score[n])", "has 2 dimensions where 1 are given"),
        ("best[b,k], at[k,b] = top_k(score[b,n])", "is both"),
        ("best[b,k], at[b,k] = top_k(score[b,n], q=1)", "has no parameter q"),
        ("best[b,k], at[b,k] = top_k(score[b,n], k=7)", "k of top_k is no number of its formulas"),
        ('best[b,k], at[b,k] = top_k(score[b,n], fn="no")', "has no fn='no'"),
        ("best[b,k], at[b,k] = top_k(score[b,n] + 1)", "expected a tensor with its axes"),
        ("best[b,k], at[b,k] = top_q(score[b,n])", "top_q is no function|expected the name of a tensor"),
    ],
)
def test_a_use_that_does_not_fit_is_an_error(definition: str, message: str) -> None:
    """The error says what does not fit, and shows the use."""
    with pytest.raises(FormulaError, match=message):
        op("score: b n -> best: b k, at: b k", definition, K)


def test_an_op_that_is_not_there_is_an_error() -> None:
    """Inlining names the card that it cannot find."""

    def find(name: str) -> Op:
        raise KeyError(f"no op {name!r}")

    with pytest.raises(FormulaError, match="no op 'top_q'"):
        inline("test/layer.toml", [OpCall((), "top_q", (), (), (), "y = top_q(x)")], find)
