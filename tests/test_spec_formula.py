"""The formula language: what a definition parses to, and how it is refused."""

from __future__ import annotations

import re

import pytest

from einspec.errors import FormulaError
from einspec.language.formula import (
    FUNCTIONS,
    MACROS,
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
    Group,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Rest,
    Size,
    Tuple,
    axes_of,
    base,
    factors,
    free_axes,
    parse,
    parse_term,
    rename_axis,
    terms,
    walk,
)

A, B, C = Axis("a"), Axis("b"), Axis("c")
ONE, TWO, THREE = Number(1), Number(2), Number(3)
X = Read("x", (A,))


def body(text: str, params: frozenset[str] = frozenset()) -> Node:
    """Return the tree of the right side of ``y[a, b, c] = text``."""
    return parse(f"y[a, b, c] = {text}", params=params)[0].body


def test_an_equation_holds_tensor_index_body_and_its_text() -> None:
    """A read is parsed into a small tree; the text is kept with single spaces."""
    (equation,) = parse("y[b, c, (h,i)]  =   x[b, (c,i), h]")
    left = (Axis("b"), Axis("c"), Group((Axis("h"), Axis("i"))))
    right = Read("x", (Axis("b"), Group((Axis("c"), Axis("i"))), Axis("h")))
    assert equation == Equation("y", left, right, "y[b, c, (h,i)] = x[b, (c,i), h]")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("a", (A,)),
        ("a, b", (A, B)),
        ("..., a", (Rest("..."), A)),
        ("*s, a", (Rest("s"), A)),
        ("(a,b), c", (Group((A, B)), C)),
        ("(a,b),", (Group((A, B)),)),
        ("(a,b)", (Group((A, B)),)),
        ("(a),(b)", (A, B)),
        ("(a,)", (Group((A,)),)),
        ("(*s,), a", (Group((Rest("s"),)), A)),
        ("((a,b),c), b", (Group((Group((A, B)), C)), B)),
        ("*s[order]", (Rest("s", "order"),)),
        ("*s[-order]", (Rest("s", "-order"),)),
        ("()", ()),
    ],
)
def test_an_index_is_axes_rests_and_compositions(index: str, expected: object) -> None:
    """Parentheses make one dimension, also where they hold the whole index."""
    (equation,) = parse(f"y[a, b, c, *s, ...] = x[{index}]")
    assert equation.body == Read("x", expected)  # type: ignore[arg-type]


def test_a_scalar_has_no_index() -> None:
    """A tensor without axes is written as a bare name."""
    (equation,) = parse("loss = sum[a](x[a])")
    assert (equation.tensor, equation.index) == ("loss", ())


def test_a_definition_may_have_several_equations_over_several_lines() -> None:
    """Equations follow each other line by line and may go on inside brackets; comments are not part of them."""
    first, second = parse("r[a] = x[a]  # aux\ny[a] = (r[a]\n        + 1)\n")
    assert (first.tensor, second.tensor) == ("r", "y")
    assert second.body == Binary("+", Read("r", (A,)), ONE)
    assert second.text == "y[a] = (r[a] + 1)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", Binary("+", ONE, Binary("*", TWO, THREE))),
        ("(1 + 2) * 3", Binary("*", Binary("+", ONE, TWO), THREE)),
        ("1 - 2 - 3", Binary("-", Binary("-", ONE, TWO), THREE)),
        ("1 - (2 - 3)", Binary("-", ONE, Binary("-", TWO, THREE))),
        ("1 // 2 * 3", Binary("*", Binary("//", ONE, TWO), THREE)),
        ("1 % 2 / 3", Binary("/", Binary("%", ONE, TWO), THREE)),
        ("-a * 2", Binary("*", Binary("-", Number(0), A), TWO)),
        ("-(a * 2)", Binary("-", Number(0), Binary("*", A, TWO))),
        ("a + 1 < b * 2", Bracket("<", Binary("+", A, ONE), Binary("*", B, TWO))),
        ("(a == b) * 2", Binary("*", Bracket("==", A, B), TWO)),
        ("(a < b) == (b < c)", Bracket("==", Bracket("<", A, B), Bracket("<", B, C))),
        ("2.5", Number(2.5)),
    ],
)
def test_operators_bind_as_in_python(text: str, expected: Node) -> None:
    """Products bind before sums, sums before comparisons, and all group to the left."""
    assert body(text) == expected


def test_a_chain_of_comparisons_is_a_product_of_brackets() -> None:
    """``a < b <= c`` says both, as in mathematics."""
    assert body("a < b <= c") == Binary("*", Bracket("<", A, B), Bracket("<=", B, C))


def test_tuples_are_compared_as_one() -> None:
    """A comparison of tuples is one bracket over the parts."""
    assert body("(a, x[b]) < (b, x[a])") == Bracket("<", Tuple((A, Read("x", (B,)))), Tuple((B, X)))


def test_names_are_told_apart_by_case_and_by_the_card() -> None:
    """Lower case is an axis, upper case its size, and a parameter of the card comes before both."""
    assert body("a + A + E1 + k", frozenset({"k"})) == Binary(
        "+", Binary("+", Binary("+", A, Size("a")), Size("e1")), Param("k")
    )
    assert parse("y[b] = a", params=frozenset({"a"}))[0].body == Param("a")


@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_a_reduction_binds_its_axes(kind: str) -> None:
    """The axes of a reduction need not stand on the left."""
    assert body(f"{kind}[h, w](x[h, w])") == Reduce(kind, ("h", "w"), Read("x", (Axis("h"), Axis("w"))))


def test_a_mean_is_a_sum_divided_by_the_sizes() -> None:
    """``mean`` is defined in the language itself; a second axis of a name has the size of the first."""
    total = Reduce("sum", ("h", "w1"), Read("x", (Axis("h"), Axis("w1"))))
    assert body("mean[h, w1](x[h, w1])") == Binary("/", total, Binary("*", Size("h"), Size("w")))


def test_a_softmax_binds_axes_of_its_own_below_the_line() -> None:
    """``softmax`` keeps the axis in the numerator and sums over one of the same size."""
    (equation,) = parse("y[a, b] = softmax[b](x[a, b])")
    assert free_axes(equation.body) == {"a", "b"}
    bound = {axis for node in walk(equation.body) if isinstance(node, Reduce) for axis in node.axes}
    assert bound == {"b1", "b2"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_applies_to_one_term(name: str) -> None:
    """The functions of the language stand in the tree under their names."""
    assert body(f"{name}(x[a] + 1)") == Apply(name, Binary("+", X, ONE))


@pytest.mark.parametrize("name", MACROS)
def test_every_macro_is_its_definition(name: str) -> None:
    """A function that the language defines in itself is replaced by its definition."""
    assert body(f"{name}(x[a])") == body(MACROS[name].replace("u", "x[a]").replace("x[a]nit", "unit"))


BAD = {
    "": (1, "expected at least one equation"),
    "# only a comment": (1, "expected at least one equation"),
    "y[a]": (1, "expected an equation, name[axes] = expression"),
    "y[a] += x[a]": (1, "expected an equation"),
    "y[a] = z[a] = x[a]": (1, "expected an equation"),
    "y.z[a] = x[a]": (1, "expected the name of a tensor on the left"),
    "(y, z) = x[a]": (1, "expected the name of a tensor on the left"),
    "y[a, a] = x[a]": (1, "an axis may stand only once on the left"),
    "y[a, (a,b)] = x[a]": (1, "an axis may stand only once on the left"),
    "y[a, 2] = x[a]": (6, "an index is an axis"),
    "y[a] = x[a, b]": (8, "axis b stands only on the right: bind it with a reduction, as in sum[b](...)"),
    "y[a] = b + 1": (8, "axis b stands only on the right"),
    "y[a] = x[..., a]": (8, "axis ... stands only on the right"),
    "y[a] = x[a] * sum[b](b) + b": (8, "axis b stands only on the right"),
    "y[a] = x[a + 1]": (10, "write a shift or a gather as a sum over a bracket"),
    "y[a] = x[A - a]": (10, "write a shift or a gather as a sum over a bracket"),
    "y[a] = x[0]": (10, "an index is an axis"),
    "y[a] = x[z[a]]": (10, "an index is an axis"),
    "y[a] = x[a:]": (10, "an index is an axis"),
    "y[a] = x[()], x[a]": (8, "expected a number"),
    "y[a] = x[a, ()]": (13, "an index is an axis"),
    "y[a] = 1 + sin(x[a])": (12, "sin is no function of the language; it has exp, log"),
    "y[a] = sum(x[a])": (8, "sum is no function of the language"),
    "y[a] = prod[b](x[b])": (8, "prod is no reduction; the language has sum, max, min"),
    "y[a] = sum[b, b](x[b])": (8, "a reduction binds at least one axis, and each only once"),
    "y[a] = sum[()](x[a])": (8, "a reduction binds at least one axis"),
    "y[a] = mean[()](x[a])": (8, "a reduction binds at least one axis"),
    "y[a] = sum[(b,c)](x[b,c])": (8, "a reduction binds single axes"),
    "y[a] = sum[...](x[...])": (8, "a reduction binds single axes"),
    "y[a] = sum[b](x[b], 1)": (8, "expected a number, an axis"),
    "y[a] = exp(x[a], x[a])": (8, "expected a number, an axis"),
    "y[a] = (a < 1 and a > 2) * x[a]": (9, "expected a product of brackets, (a < b) * (b < c), not 'and' or 'or'"),
    "y[a] = (a < 1 or a > 2) * x[a]": (9, "not 'and' or 'or'"),
    "y[a] = (not a) * x[a]": (9, "expected a number, an axis"),
    "y[a] = (a in x[a]) * x[a]": (9, "expected one of < <= > >= == !="),
    "y[a] = ((a, a) < (a, a, a)) * x[a]": (9, "both sides of a comparison of tuples need the same number of parts"),
    "y[a] = ((a, a) < a) * x[a]": (9, "same number of parts"),
    "y[a] = (() < a) * x[a]": (9, "expected at least one part in a tuple"),
    "y[a] = (a, a)": (8, "expected a number, an axis"),
    "y[a] = Total * x[a]": (8, "Total is no axis (lower case), no size (upper case) and no parameter of the card"),
    "y[a] = my_axis * x[a]": (8, "my_axis is no axis"),
    "y[a] = x[a] ** 2": (8, "expected a number, an axis"),
    "y[a] = x[a] @ x[a]": (8, "expected a number, an axis"),
    "y[a] = 'text'": (8, "expected a number, an axis"),
    "y[a] = True": (8, "expected a number, an axis"),
    "y[a] = 2j": (8, "expected a number, an axis"),
    "y[a] = x[a] if a else 0": (8, "expected a number, an axis"),
    "y[a] = x.y[a]": (8, "expected a number, an axis"),
}


@pytest.mark.parametrize("text", BAD)
def test_what_the_language_lacks_is_an_error_at_its_column(text: str) -> None:
    """An error names the card, the equation and the column, says what was expected and puts a caret below it."""
    column, expected = BAD[text]
    with pytest.raises(FormulaError) as caught:
        parse(text, "family/op.toml")
    head, shown, caret = str(caught.value).split("\n")
    assert head.startswith(f"family/op.toml: equation 1, column {column}: ")
    assert expected in head
    assert (shown, caret) == (f"  {text}", " " * (column + 1) + "^")


@pytest.mark.parametrize("text", ["y[a] = x[a", "y[a] = x[a] +", "y[a] ==", "y[a] = 1 = x[a]", "y[a] x[a]", "1 = x[a]"])
def test_a_syntax_error_points_into_the_text(text: str) -> None:
    """What is no Python syntax is reported as everything else is."""
    with pytest.raises(FormulaError, match=r"op.toml: equation 1, column \d+: expected an equation: ") as caught:
        parse(text, "op.toml")
    column = int(re.findall(r"column (\d+)", str(caught.value))[0])
    assert str(caught.value).split("\n")[1:] == [f"  {text}", " " * (column + 1) + "^"]


@pytest.mark.parametrize(
    ("text", "number", "column"),
    [
        ("y[a] = x[a]\nz[a] = sin(x[a])", 2, 8),
        ("y[a] = (x[a]\n    + sin(x[a]))", 1, 7),
        ("y[a] = (x[a]\n    + 1)\n# why\nz[a] = (x[a]\n + sin(x[a]))", 2, 4),
        ("y[a] = x[a]\nz[a] = = 1", 2, 8),
    ],
)
def test_an_error_counts_equations_not_lines(text: str, number: int, column: int) -> None:
    """The number of the equation is right also where an equation goes on over several lines."""
    with pytest.raises(FormulaError, match=rf"equation {number}, column {column}: "):
        parse(text)


def test_a_term_of_sizes_and_parameters_is_parsed_alone() -> None:
    """A size of a card is one expression over sizes and parameters."""
    tree = parse_term("(H + 2*padding) // stride", "op.toml", frozenset({"padding", "stride"}))
    doubled = Binary("*", TWO, Param("padding"))
    assert tree == Binary("//", Binary("+", Size("h"), doubled), Param("stride"))


@pytest.mark.parametrize("text", ["h + 1", "x[a]", "H +", "", "H; W"])
def test_a_term_of_sizes_refuses_axes_and_tensors(text: str) -> None:
    """A size cannot depend on coordinates or values."""
    with pytest.raises(FormulaError, match=r"op\.toml: equation 1, column \d+: expected"):
        parse_term(text, "op.toml")


def test_digits_only_distinguish_axes() -> None:
    """``e1`` is an axis of the size of ``e``; the axes of an opened rest keep their numbers."""
    assert [base(a) for a in ("e", "e1", "e12", "a.0", "....1")] == ["e", "e", "e", "a.0", "....1"]


def test_helpers_walk_products_sums_and_indices() -> None:
    """Products and sums open left to right, a difference stays one term, compositions are opened."""
    assert list(factors(body("a * b * (a + c)"))) == [A, B, Binary("+", A, C)]
    assert list(terms(body("a + b - c + 1"))) == [Binary("-", Binary("+", A, B), C), ONE]
    assert axes_of(
        (
            Group(
                (A, Group((B, Rest("...")))),
            ),
            C,
        )
    ) == ("a", "b", "...", "c")


def test_renaming_an_axis_reaches_reads_and_reductions() -> None:
    """Every place of an axis is renamed, also where a reduction binds it."""
    renamed = rename_axis(body("sum[h]((h == a) * x[h])"), "h", "n1")
    assert renamed == body("sum[n1]((n1 == a) * x[n1])")
