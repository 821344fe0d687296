"""Definitions as text, as LaTeX and as einops patterns; and the pages that are made of them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import einspec
from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.card import Op, compile_card, load
from einspec.clauses import stated_laws
from einspec.demands import law_words
from einspec.language.formula import (
    COMPARISONS,
    FUNCTIONS,
    OPERATORS,
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
    Group,
    Index,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Rest,
    Size,
    Tuple,
    parse,
)
from einspec.language.tables import KINDS as KINDS_OF_VALUES
from einspec.language.tables import Card
from einspec.language.text import is_integer_zero
from einspec.language.text import text as shown_text
from einspec.pages import render
from einspec.pages import text as show
from einspec.pages.example import MOST_ELEMENTS, evaluated, example
from einspec.semantics import oracle

OPS = einspec.ops()
PARAMS = frozenset({"left", "pad_value"})
AXES = ("a", "b", "c", "c1", "heads")


def numbers(op: Op) -> frozenset[str]:
    """Return the names that the formulas of an op read as numbers."""
    return frozenset(t for n, p in op.card.params.items() if p.is_number for t in p.targets(n))


def tree(equation: Equation) -> tuple[str, Any, Node]:
    """Return an equation without its text."""
    return equation.tensor, equation.index, equation.body


@pytest.mark.parametrize("name", OPS)
def test_the_text_of_a_definition_parses_to_the_same_tree(name: str) -> None:
    """Every equation of every card."""
    for form in load(name).forms.values():
        for equation in (e for e in form.stated if isinstance(e, Equation)):
            (again,) = parse(shown_text(equation), name, numbers(load(name)))
            assert tree(again) == tree(equation)


def positions(draw: st.DrawFn, depth: int = 2) -> Index:
    """Draw one dimension of a read."""
    if depth and draw(st.booleans()):
        return Group(tuple(positions(draw, depth - 1) for _ in range(draw(st.integers(1, 3)))))
    return draw(st.sampled_from([*map(Axis, AXES), Rest("..."), Rest("s")]))


LEAVES = [*map(Axis, AXES), *map(Param, sorted(PARAMS)), *map(Size, AXES)]
KINDS = ("leaf", "int", "float", "read", "bracket", "tuples", "chain", "binary", "apply", "reduce", "mean")


@st.composite
def nodes(draw: st.DrawFn, depth: int = 4) -> Node:
    """Draw a term of the language, every kind of node at every place."""

    def inner() -> Node:
        return draw(nodes(depth - 1))

    def comparison() -> str:
        return draw(st.sampled_from([*COMPARISONS.values()]))

    match draw(st.sampled_from(KINDS if depth else KINDS[:4])):
        case "int":
            return Number(draw(st.integers(0, 10**6)))
        case "float":
            return Number(draw(st.floats(0, allow_nan=False)))
        case "read":
            index = tuple(positions(draw) for _ in range(draw(st.integers(0, 3))))
            return Read(draw(st.sampled_from(["x", "y_in"])), index)
        case "bracket":
            return Bracket(comparison(), inner(), inner())
        case "tuples":
            size = draw(st.integers(1, 3))
            left, right = (Tuple(tuple(inner() for _ in range(size))) for _ in range(2))
            return Bracket(comparison(), left, right)
        case "chain":
            middle = inner()
            return Binary("*", Bracket(comparison(), inner(), middle), Bracket(comparison(), middle, inner()))
        case "binary":
            return Binary(draw(st.sampled_from([*OPERATORS.values()])), inner(), inner())
        case "apply":
            return Apply(draw(st.sampled_from(FUNCTIONS)), inner())
        case "reduce":
            kind, axes = draw(st.sampled_from(["sum", "max", "min"])), draw(st.sampled_from([("a",), ("c1", "b")]))
            return Reduce(kind, axes, inner())
        case "mean":
            return Binary("/", Reduce("sum", ("a", "c1"), inner()), Binary("*", Size("a"), Size("c")))
    return draw(st.sampled_from(LEAVES))


LEFT = (Group((Axis("a"), Axis("b"))), Axis("c"), Axis("c1"), Axis("heads"), Rest("..."), Rest("s"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes())
def test_the_text_of_any_tree_parses_to_the_same_tree(body: Node) -> None:
    """Parentheses stand wherever the tree needs them: no two trees have one text."""
    equation = Equation("y", LEFT, body, "")
    (again,) = parse(shown_text(equation), params=PARAMS)
    assert tree(again) == tree(equation)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes())
def test_the_latex_of_any_tree_is_balanced(body: Node) -> None:
    """Every brace, parenthesis and bracket that is opened is closed."""
    text = render.latex(Equation("y", LEFT, body, ""))
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") - text.count(r"\left\l") == text.count(r"\right") - text.count(r"\right\r")
    assert text.count(r"[\,") == text.count(r"\,]")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("y[a]=((x[a]))+ 1", "y[a] = x[a] + 1"),
        ("y[a] = (a - 1) - (a - (1 + a))", "y[a] = a - 1 - (a - (1 + a))"),
        ("y[a] = (0 <= a) * (a < A) * x[a]", "y[a] = (0 <= a < A) * x[a]"),
        ("y[a] = sum[b](x[b]) / B", "y[a] = mean[b](x[b])"),
        ("y[a] = sum[b,c,d](b) / (B*C*D)", "y[a] = mean[b, c, d](b)"),
        ("y[a] = sum[b,c,d](b) / (B*(C*D))", "y[a] = sum[b, c, d](b) / (B * (C * D))"),
        ("y[a] = (a, 1) < (1, a)", "y[a] = (a, 1) < (1, a)"),
        ("y[(a,b)] = x[(a,b)]", "y[(a,b),] = x[(a,b),]"),
        ("y[(*a,), ...] = x[*a, ...]", "y[(*a,), ...] = x[*a, ...]"),
        ("s = sum[a](x[()] * a)", "s = sum[a](x[()] * a)"),
        ("y[a] = -a * -(a + 1)", "y[a] = -a * -(a + 1)"),
    ],
)
def test_text_has_the_fewest_parentheses(text: str, plain: str) -> None:
    """The text of a tree is what a careful author would have written."""
    assert shown_text(parse(text)[0]) == plain


LATEX = {
    "pixel_shuffle": r"y_{\ldots,\,c,\,(h,i),\,(w,j)} = x_{\ldots,\,(c,i,j),\,h,\,w}",
    "skew": r"y_{\ldots,\,n,\,n_{1}} = \sum\limits_{r} [\,r = n_{1} - n + N - 1\,]\, x_{\ldots,\,n,\,r}",
    "sliding_window_mask": r"\mathit{mask}_{n,\,n_{1}} = [\,n - \mathrm{left} \le n_{1} \le n + \mathrm{right}\,]",
    "global_avg_pool": r"y_{b,\,c} = \frac{1}{H\, W} \sum\limits_{h,\,w} x_{b,\,c,\,h,\,w}",
    "channel_max_pool": r"y_{b,\,h,\,w} = \max\limits_{c} x_{b,\,c,\,h,\,w}",
}


@pytest.mark.parametrize("name", LATEX)
def test_latex_is_as_in_a_paper(name: str) -> None:
    """Brackets, sums with limits, compositions as indices, parameters upright."""
    assert render.latex_definition(load(name).forms[""]) == LATEX[name]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("(a + 1) // 2 % A", r"\left\lfloor \frac{a + 1}{2} \right\rfloor \bmod A"),
        ("2 * a * 3", r"2\, a \cdot 3"),
        ("(a - (a - 1)) * a", r"\left(a - \left(a - 1\right)\right)\, a"),
        ("((a, x[a]) < (1, 2)) * x[a]", r"[\,(a,\, x_{a}) < (1,\, 2)\,]\, x_{a}"),
        ("sum[b](b + 1) * a", r"\left(\sum\limits_{b} \left(b + 1\right)\right)\, a"),
        ("sum[b](b) + a", r"\left(\sum\limits_{b} b\right) + a"),
        ("sum[b](max[c](b * c))", r"\sum\limits_{b} \max\limits_{c} b\, c"),
        ("exp(-x[a]) / sqrt(A)", r"\frac{\exp\left(-x_{a}\right)}{\sqrt{A}}"),
        ("abs(floor(x[a]))", r"\left|\left\lfloor x_{a} \right\rfloor\right|"),
        ("pad_value * 1e-5 * left", r"\mathrm{pad\_value} \cdot (1 \cdot 10^{-5})\, \mathrm{left}"),
        ("erf(y_in[heads, c1])", r"\operatorname{erf}\left(\mathit{y\_in}_{\mathit{heads},\,c_{1}}\right)"),
    ],
)
def test_latex_of_each_kind_of_term(term: str, expected: str) -> None:
    """Quotients are fractions, floors and remainders have their signs, names of several letters are one word."""
    (equation,) = parse(f"y[a, c1, heads] = {term}", params=PARAMS)
    assert render.latex(equation).partition(" = ")[2] == expected


def test_latex_of_several_equations_is_aligned() -> None:
    """Each equation stands on its own line, aligned at its first equals sign."""
    first, *lines, last = render.latex_definition(load("split_qkv_grouped").forms[""]).splitlines()
    assert (first, last) == (r"\begin{aligned}", r"\end{aligned}")
    assert [line[: line.index(" &= ")] for line in lines] == [
        r"q_{b,\,(g,r),\,n,\,d}",
        r"k_{b,\,g,\,n,\,d}",
        r"v_{b,\,g,\,n,\,d}",
    ]


PATTERNS = {
    ("pixel_shuffle", ""): "... (c i j) h w -> ... c (h i) (w j)",
    ("split_qkv", "h3d"): "b n (h t d) -> t b h n d",
    ("merge_qkv", "3hd"): "t b h n d -> b n (t h d)",
    ("repeat_kv", ""): "b g n d -> b (g r) n d",
    ("channels_last", ""): "b c ... -> b ... c",
    ("tile", ""): None,
    ("sliding_window", ""): None,
    ("global_avg_pool", ""): None,
    ("sliding_window_mask", ""): None,
    ("split_qkv_grouped", ""): None,
    ("patch_merge", "zero"): None,
}


@pytest.mark.parametrize(("name", "form"), PATTERNS)
def test_a_plain_read_has_an_einops_pattern(name: str, form: str) -> None:
    """Whatever else a definition is, it has none; lists have their axis first; a rest in the middle needs its rank."""
    assert render.einops_pattern(load(name).forms[form]) == PATTERNS[name, form]


@pytest.mark.parametrize(
    ("name", "ranks", "pattern"),
    [
        ("tile", {"a": 1, "b": 2}, "a0 n b0 b1 -> a0 (r n) b0 b1"),
        ("tile", {"a": 0, "b": 0}, "n -> (r n)"),
        ("stack", {"a": 1, "b": 1}, "n a0 b0 -> a0 n b0"),
        ("repeat_new_axis", {"a": 0, "b": 0}, "-> r"),
        ("unflatten", {"s": 2, "...": 1}, "(s0 s1) dots0 -> s0 s1 dots0"),
        ("pixel_shuffle", {"...": 2}, "dots0 dots1 (c i j) h w -> dots0 dots1 c (h i) (w j)"),
        ("flatten_leading", {"a": 3, "...": 0}, "a0 a1 a2 -> (a0 a1 a2)"),
    ],
)
def test_ranks_open_rests_into_names(name: str, ranks: dict[str, int], pattern: str) -> None:
    """Given how many axes a rest stands for, each gets a name that einops takes."""
    assert render.einops_pattern(load(name).forms[""], ranks) == pattern


def test_opened_names_are_no_other_axes() -> None:
    """An axis that is already called ``a0`` keeps its name to itself."""
    op = compile_card("op", "test", Card("A definition.", "1.0", "x: *a a0 -> y: a0 *a", "y[a0, *a] = x[*a, a0]"))
    assert render.einops_pattern(op.forms[""], {"a": 2}) == "aa0 aa1 a0 -> a0 aa0 aa1"


@pytest.mark.parametrize(
    "definition", ["y[a] = x[a, a]", "y[a] = x[a, a1] * 1", "w[a] = x[a, a]\ny[a] = w[a]", "y[a] = sum[a1](x[a, a1])"]
)
def test_what_einops_cannot_write_has_no_pattern(definition: str) -> None:
    """A diagonal, a factor, an auxiliary tensor and a sum are no rearrangement."""
    definition = definition.replace("x[a, a1] * 1", "x[a, a] * 1")
    op = compile_card("op", "test", Card("A definition.", "1.0", "x: a a1 -> y: a", definition))
    assert render.einops_pattern(op.forms[""]) is None


CALLS = {
    ("pixel_shuffle", ""): "rearrange(x, '... (c i j) h w -> ... c (h i) (w j)', i=upscale_factor, j=upscale_factor)",
    ("merge_qkv", "3hd"): "rearrange(list(qkv), 't b h n d -> b n (t h d)')",
    ("split_qkv", "h3d"): "list(rearrange(x, 'b n (h t d) -> t b h n d', t=3, h=num_heads))",
    ("repeat_kv", ""): "repeat(x, 'b g n d -> b (g r) n d', r=num_repeats)",
    ("grid_reverse", ""): ("rearrange(x, '(b h w) p q c -> b (p h) (q w) c', h=height // grid_size, w=width // grid_size)"),
    ("tile", ""): None,
    ("fold", "cpq"): None,
}


@pytest.mark.parametrize(("name", "form"), CALLS)
def test_an_einops_call_names_what_einops_cannot_see(name: str, form: str) -> None:
    """Lists are passed as lists, hidden sizes as what they are in the parameters; sizes that are seen are left out."""
    assert render.einops_call(load(name).card, load(name).forms[form]) == CALLS[name, form]


def plain_reads() -> list[str]:
    """Return the ops that have an einops pattern for some form."""
    forms = {n: load(n).forms.values() for n in OPS}
    return [n for n in OPS if any(render.einops_pattern(f, dict.fromkeys((*"abs", "..."), 1)) for f in forms[n])]


@pytest.mark.parametrize("name", plain_reads())
def test_einops_calls_compute_the_definition(name: str) -> None:
    """The call to copy, run by einops on NumPy arrays with the parameters of the op, gives what the oracle gives."""
    import einops

    op, run = load(name), 0
    for case in [c for c in (*cases.bank(op), *cases.scope(op, cases.SCOPE_LIMIT)[0][::23]) if not c.empty]:
        text = render.einops_call(op.card, case.form, case.solution.ranks)
        if text is None:
            assert not isinstance(case.form.equations[0].body, Read)
            continue
        inputs, params = ramps(case, "int64"), op.bind(case.params)
        for key, param in op.card.params.items():
            if param.several and isinstance(params[key], int):
                params[key] = (params[key],) * len(param.targets(key))
            if param.sizes:
                opened = [case.solution.sizes[f"{param.sizes}.{i}"] for i in range(len(params[key]))]
                params[key] = tuple(opened)
        listed = {s.name: [np.asarray(x) for x in inputs[s.name]] for s in case.form.signature.inputs if s.listed}
        names = {"rearrange": einops.rearrange, "repeat": einops.repeat, **inputs, **listed, **params}
        got = eval(text, names)
        (output,) = case.form.signature.outputs
        np.testing.assert_array_equal(np.asarray(got), oracle.evaluate(case.solution, inputs)[output.name], str(case))
        run += 1
    assert run


def test_the_integer_zero_is_no_other_number() -> None:
    """Only what a minus stands before in the language is taken for it: the integer 0."""
    assert is_integer_zero(Number(0))
    assert not any(is_integer_zero(node) for node in (Number(5), Number(0.0), Number(True), Axis("a")))


@pytest.mark.parametrize("name", einspec.ops())
def test_a_page_has_every_law_of_every_form(name: str) -> None:
    """A law that a form states is on the page, in the words in which its clause has it."""
    page = show.show(name).partition("\nLaws\n")[2].partition("\n\n")[0]
    plain = " ".join(page.split())
    for form in load(name).forms.values():
        stated = dict(stated_laws(form))
        assert set(stated) == {kind for kind, said in msgspec.structs.asdict(form.laws).items() if said}
        for kind, details in stated.items():
            for detail in details if kind == "equation" else [" or ".join(details)]:
                assert " ".join(f"{kind} {law_words(form, kind, detail)}".split()) in plain


@pytest.mark.parametrize("name", einspec.ops())
def test_a_page_says_what_an_input_holds_with_the_number_in_its_place(name: str) -> None:
    """The sentence of each kind of values has the number that goes with it where it speaks of it."""
    call = " ".join(show.show(name).partition("\nCall\n")[2].partition("\n\n")[0].split())
    for form in load(name).forms.values():
        for tensor, (kind, number) in form.values.items():
            assert f"{tensor} holds {KINDS_OF_VALUES[kind].replace('{0}', number.text)}" in call
    assert "{" not in call


@pytest.mark.parametrize("name", OPS)
def test_a_page_holds_what_its_card_holds(name: str) -> None:
    """Everything that the card says stands on the page, which is 100 columns wide."""
    op = load(name)
    page = show.show(name)
    plain = " ".join(page.split())
    assert max(map(len, page.splitlines())) <= show.WIDTH
    assert page.splitlines()[0].startswith(f"{name} ")
    assert op.card.summary in plain
    for form in op.forms.values():
        assert str(form.signature) in plain
        assert all(e.text in plain for e in form.stated)
        assert all(" ".join(s.call.split()) in plain for s in form.same_as)
        assert all(" ".join(text.split()) in plain for text in form.laws.equation.values())
    assert all(p.doc in plain for p in op.card.params.values())
    assert all(" ".join(text.split()) in plain for d in op.card.differs for text in (d.who, d.how, d.see))
    assert all(r.title in plain and r.url in plain for r in op.card.references)
    assert " ".join(op.card.notes.split()) in plain


@pytest.mark.parametrize("name", OPS)
def test_the_example_of_a_page_is_small_and_tells_something(name: str) -> None:
    """It fits on the page, has an axis above 1 and an output that is not the input over again."""
    case = example(load(name))
    inputs, outputs = evaluated(case)
    assert case.elements <= MOST_ELEMENTS
    assert not case.empty
    assert sum(a.size for a in outputs.values()) <= 2 * MOST_ELEMENTS
    before, after = ([a.tolist() for a in found.values()] for found in (inputs, outputs))
    assert before != after
    assert any(len(np.unique(a)) > 1 for a in outputs.values()) or all(a.ndim == 0 for a in outputs.values())


def test_the_example_of_a_page_can_be_read() -> None:
    """A call, its input and its output as nested lists, one row a line."""
    page = show.show("split_heads")
    start = page.index("Example\n")
    assert (
        page[start : page.index("\n\n", start)]
        == """Example
  x = [[[ 1,  2,  3,  4,  5,  6],
        [ 7,  8,  9, 10, 11, 12]]]
  y = split_heads(x, num_heads=2)
  y = [[[[ 1,  2,  3],
         [ 7,  8,  9]],
        [[ 4,  5,  6],
         [10, 11, 12]]]]"""
    )


def test_a_page_shows_what_differs_by_form() -> None:
    """What only one form has is marked with the value that selects it."""
    page = show.show("patch_merge")
    assert 'pad="error" (default)   permutation' in page
    assert "h = (U + 1) // 2   [pad: zero]" in page
    assert "patch_unmerge(y) == x   [pad: error]" in page


def test_a_page_of_an_alias_is_that_of_its_op() -> None:
    """An op is shown under every name that it has; an unknown name is an error with a hint."""
    assert show.show("nhwc_to_nchw") == show.show("channels_first")
    with pytest.raises(KeyError, match="did you mean"):
        show.show("pixel_shufle")


def test_the_latex_page_names_each_form() -> None:
    """One formula a form, below a comment that says which."""
    page = show.show("swap_hw", latex=True).splitlines()
    assert page == [
        '% swap_hw, layout="nchw"',
        r"y_{b,\,c,\,w,\,h} = x_{b,\,c,\,h,\,w}",
        '% swap_hw, layout="nhwc"',
        r"y_{b,\,w,\,h,\,c} = x_{b,\,h,\,w,\,c}",
    ]
    assert show.show("tile", latex=True).splitlines()[0] == "% tile"


def test_the_catalogue_lists_every_op_once() -> None:
    """Family, name, aliases, class and summary, in the order of the families."""
    rows = show.catalogue()
    assert [row[1] for row in rows] == OPS
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    assert all(row[3] in ("permutation", "gather", "selection", "linear", "nonlinear") for row in rows)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("pixel shuffle", {"pixel_shuffle", "pixel_unshuffle"}),
        ("pixel-shuffle", {"pixel_shuffle", "pixel_unshuffle"}),
        ("IM2COL", {"unfold"}),
        ("swin merging", {"patch_merge"}),
        ("no such words", set()),
    ],
)
def test_the_catalogue_is_filtered_by_words(words: str, found: set[str]) -> None:
    """All words must stand in the name, an alias or the summary, in any order and spelling."""
    rows = {row[1] for row in show.catalogue(words)}
    assert rows >= found if found else not rows
    assert "tile" not in rows


def test_showing_a_page_loads_no_framework() -> None:
    """A page is there at once: it waits for no framework, no test library and no terminal library."""
    code = "import sys; from einspec.pages import text; text.show('unfold'); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {m.partition(".")[0] for m in ran.stdout.split()}
    assert not loaded & {"torch", "jax", "hypothesis", "rich", "einops", "pytest"}
    code = code.replace("text.show('unfold')", "text.catalogue()")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not re.search(r"\bnumpy\b", ran.stdout)
