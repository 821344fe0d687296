"""Patterns of einops as ops: what they mean, how a bad one is refused, and functions that are judged by one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import einops
import numpy as np
import pytest

import einspec
from einspec import patterns, testing
from einspec.conformance.cli import main
from einspec.errors import DtypeError, PatternError, ShapeError
from einspec.pages.text import show

MEANT = [
    ("b (h w) c -> b c h w", (2, 6, 3), {"h": 2}),
    ("b c h w -> b (c h w)", (2, 3, 2, 2), {}),
    ("b ... c -> b c ...", (2, 3, 4, 5), {}),
    ("b ... -> b (...)", (2, 3, 4), {}),
    ("(a b c) -> c (b a)", (24,), {"a": 2, "b": 3}),
    ("1 h w -> h w 1", (1, 2, 3), {}),
    ("b () h -> b h", (2, 1, 3), {}),
    ("x y -> y x", (2, 3), {}),
    ("b1 H_2 c -> H_2 (b1 c)", (2, 3, 4), {}),
    ("sum exp -> exp sum", (2, 3), {}),
    ("n -> n r", (3,), {"r": 2}),
    ("b n -> (b r) n", (2, 3), {"r": 2}),
    ("h w -> h w 3", (2, 3), {}),
    ("1 b -> b 3", (1, 2), {}),
    ("b ... c -> b (... c)", (2, 3, 4, 5), {}),
]
"""Patterns of einops, each with a shape and sizes."""
REDUCED = [
    ("b (h p) (w q) c -> b h w c", (2, 4, 6, 3), {"p": 2, "q": 3}, {}),
    ("b c -> b", (2, 3), {}, {"c": 3}),
    ("b ... c -> b ...", (2, 3, 2, 4), {}, {"c": 4}),
    ("b h w -> ", (2, 2, 3), {}, {"b": 2, "h": 2, "w": 3}),
    ("b 1 w -> b", (2, 1, 4), {}, {"w": 4}),
]
"""Patterns with a shape, sizes, and those that a product has to know besides."""
BAD = [
    ("b h w", "       ^", "with one ->"),
    ("b h -> b h -> b", "             ^", "with one ->"),
    ("b (h w c -> b", "    ^", "is not closed"),
    ("b h) -> b h", "     ^", "nothing opens"),
    ("b ((h w) c) -> b", "     ^", "cannot stand in parentheses"),
    ("b (... h) -> b ... h", "     ^", "cannot stand in parentheses on the left"),
    ("b c -> b", "    ^", "say how it is reduced"),
    ("b -> b c, mean", "         ^", "a reduction adds no axis"),
    ("b b -> b", "    ^", "stands twice"),
    ("b -> b b", "         ^", "stands twice"),
    ("b 3 -> b", "    ^", "has no name on the left"),
    ("b -> b 0", "         ^", "size 0"),
    ("b $ -> b", "    ^", "is no axis"),
    ("b -> b ...", "         ^", "only on the right"),
    ("... h -> h, sum", "  ^", "only on the left"),
    ("b h -> b h, mean", "              ^", "nothing is left"),
    ("b h -> h b, k=2", "              ^", "no axis k"),
    ("b h -> h b, h=0", "              ^", "expected a size"),
    ("b h -> h b, median", "              ^", "or one of mean, sum"),
    ("b h -> h b,", "            ^", "expected a size"),
    (" -> 1", "  ^", "expected an axis"),
    ("1a -> 1a", "  ^", "'1a' is no axis"),
    ("b -> b 2r", "         ^", "'2r' is no axis"),
    ("b (h p) -> b h p, p=2, p=3", "                         ^", "the size of p is given twice"),
    ("b (h p) -> b h p, p=2p", "                    ^", "expected a size"),
]


def text_with(pattern: str, **sizes: int) -> str:
    """Return a pattern with the sizes of axes behind it."""
    return pattern + "".join(f", {axis}={size}" for axis, size in sizes.items())


@pytest.mark.parametrize(("pattern", "shape", "sizes"), MEANT, ids=lambda value: str(value))
def test_a_pattern_means_what_einops_gives(pattern: str, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    """With its sizes as parameters, and with the sizes written behind it."""
    x = np.arange(float(np.prod(shape))).reshape(shape)
    want = einops.repeat(x, pattern, **sizes)
    for text, params in ((pattern, sizes), (text_with(pattern, **sizes), {})):
        got = einspec.evaluate(text, x, **params)
        np.testing.assert_array_equal(got, want)


def test_a_size_may_have_any_name() -> None:
    """Those that the tensors would have too: these get others then."""
    x = np.arange(48.0).reshape(2, 24)
    got = einspec.evaluate("b (x tensor result y) -> b y result tensor x", x, x=2, tensor=3, result=2)
    np.testing.assert_array_equal(got, x.reshape(2, 2, 3, 2, 2).transpose(0, 4, 3, 2, 1))


@pytest.mark.parametrize("how", ["mean", "sum", "max", "min", "prod"])
@pytest.mark.parametrize(("pattern", "shape", "sizes", "more"), REDUCED, ids=lambda value: str(value))
def test_a_reduction_is_that_of_einops(
    pattern: str, shape: tuple[int, ...], sizes: dict[str, int], more: dict[str, int], how: Any
) -> None:
    """Each of the five, over axes of compositions and over whole ones; a product has to know its sizes."""
    x = np.arange(float(np.prod(shape))).reshape(shape) + 1
    known = sizes | (more if how == "prod" else {})
    got = einspec.evaluate(text_with(f"{pattern}, {how}", **known), x)
    np.testing.assert_allclose(got, einops.reduce(x, pattern, how, **sizes), rtol=1e-12)


def test_a_product_is_written_out() -> None:
    """Its sizes have to be known, and be few."""
    for text in ("b c -> b, prod", "b c -> b, prod, c=17"):
        with pytest.raises(PatternError, match="a product is written out: give the sizes of c"):
            einspec.load(text)


@pytest.mark.parametrize(("text", "caret", "said"), BAD, ids=[text for text, _, _ in BAD])
def test_a_bad_pattern_shows_the_place(text: str, caret: str, said: str) -> None:
    """A caret stands below what is wrong, and the message says what is expected."""
    with pytest.raises(PatternError) as error:
        patterns.parse(text)
    first, line, below = str(error.value).split("\n")
    assert said in first
    assert line == f"  {text.strip()}"
    assert below == caret


def test_a_bad_pattern_ends_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With the status of wrong usage, and the caret on the terminal."""
    assert main(["show", "b c -> b"]) == 2
    assert (
        capsys.readouterr().err
        == "einspec: pattern: c stands only on the left: say how it is reduced, as in '-> ..., mean'\n  b c -> b\n    ^\n"
    )


def test_a_pattern_is_explained_as_a_card_would(capsys: pytest.CaptureFixture[str]) -> None:
    """Class, definition, parameters, picture, inverse, and the call of einops."""
    assert main(["show", "b (h w) c -> b c h w"]) == 0
    page = capsys.readouterr().out
    for part in (
        "patterns · permutation",
        "x: b (h w) c -> y: b c h w",
        "y[b, c, h, w] = x[b, (h,w), c]",
        "h   the size of axis h; at least 1",
        "Picture\n  y = rearrange(x, h=2)",
        "Its inverse is the pattern 'b c h w -> b (h w) c'.",
        "rearrange(x, 'b (h w) c -> b c h w', h=h)",
    ):
        assert part in page
    assert main(["show", "b (h w) c -> b c h w", "--latex"]) == 0
    assert r"y_{b,\,c,\,h,\,w}" in capsys.readouterr().out
    assert main(["show", "b n -> n b/def"]) == 0
    assert "rearrange/def" in capsys.readouterr().out
    assert main(["show", "b n -> b, max, n=4", "--picture"]) == 0
    assert "y = reduce(x)" in capsys.readouterr().out


def test_classes_are_derived() -> None:
    """A permutation, copies, a linear reduction and one that is not."""
    kinds = {"a b -> b a": "permutation", "a -> a 2": "gather", "a b -> a, mean": "linear", "a b -> a, max": "nonlinear"}
    for text, kind in kinds.items():
        assert next(iter(einspec.load(text).forms.values())).kind == kind
    assert "einops.reduce(x, 'a (b p) -> a b', 'mean', p=2)" in show("a (b p) -> a b, mean, p=2")


@pytest.mark.parametrize(("pattern", "shape", "sizes"), MEANT, ids=lambda value: str(value))
def test_the_inverse_undoes_it(pattern: str, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    """Where there is one, with the sizes that have to be known; copies have none."""
    inverse = patterns.parse(pattern).inverse
    if not inverse:
        assert pattern.partition("->")[2].strip() in ("b (...)", "n r", "(b r) n", "h w 3", "b 3", "b (... c)")
        return
    x = np.arange(float(np.prod(shape))).reshape(shape)
    y = einspec.evaluate(pattern, x, **sizes)
    op = einspec.load(inverse)
    known = dict(zip(patterns.parse(pattern).plain.partition("->")[0].split(), shape, strict=False)) | sizes
    back = einspec.evaluate(inverse, y, **{name: known[name] for name in op.card.params})
    np.testing.assert_array_equal(back, x)


def test_what_a_pattern_forbids_is_an_error() -> None:
    """A size that does not divide, and one that is not what the pattern says."""
    with pytest.raises(ShapeError, match="multiple of 2"):
        einspec.evaluate("(h w) -> w h, h=2", np.zeros(5))
    with pytest.raises(ShapeError):
        einspec.evaluate("b c -> c b, c=3", np.zeros((2, 4)))
    with pytest.raises(ShapeError):
        einspec.evaluate("1 b -> b", np.zeros((2, 4)))


def test_what_nothing_is_reduced_to() -> None:
    """A sum of nothing is 0; what has no mean and no greatest is an error, which nobody else has to raise."""
    nothing = np.zeros((2, 0))
    np.testing.assert_array_equal(einspec.evaluate("b c -> b, sum", nothing), [0, 0])
    for how in ("mean", "max", "min"):
        with pytest.raises(ShapeError, match="c must be at least 1"):
            einspec.evaluate(f"b c -> b, {how}", nothing)
        assert not [c for c in einspec.clauses(f"b c -> b, {how}") if c.startswith("err.axes")]


def test_dtypes_are_those_that_a_reduction_has() -> None:
    """The greatest of whole numbers is one of them; a mean of them is not."""
    x = np.ones((2, 2), np.int32)
    assert einspec.evaluate("b c -> b, max", x).dtype == np.int32
    with pytest.raises(DtypeError, match=r"x must be one of bfloat16, .*, not int32"):
        einspec.evaluate("b c -> b, mean", x)


def test_laws_of_a_pattern_are_clauses() -> None:
    """What only moves keeps all elements; an axis that stands alone on both sides may be put in another order."""
    laws = {
        "a b -> b a": {"conserves", "equivariant.a", "equivariant.b"},
        "a (b c) -> a b c, b=2": {"conserves", "equivariant.a"},
        "a b -> a, mean": {"equivariant.a"},
        "a -> a 2": {"equivariant.a"},
    }
    for text, wanted in laws.items():
        assert {c.removeprefix("law.") for c in einspec.clauses(text) if c.startswith("law.")} == wanted


def test_names_in_a_card_stand_for_one_thing() -> None:
    """No axis is called as a tensor or a function is, and the page says which word of the pattern has another name."""
    for text in ("x y -> y x", "sum exp -> exp sum", "b1 H_2 c -> H_2 (b1 c)", "1 x -> x 1"):
        form = next(iter(einspec.load(text).forms.values()))
        signature = (*form.signature.inputs, *form.signature.outputs)
        axes = {axis for tensor in signature for axis in re.findall("[a-z]+", str(tensor).partition(":")[2])}
        tensors = {tensor.name for tensor in signature}
        assert len(tensors) == 2
        assert not axes & (tensors | patterns.RESERVED)
    assert "a is b1, b is H_2." in " ".join(show("b1 H_2 c -> H_2 (b1 c)").split())


def test_what_has_no_inverse_says_so() -> None:
    """Copies and reductions have none; the sizes of several axes that became one are not known."""
    for text in ("n -> n r", "b c -> b, mean"):
        assert "It has no inverse." in show(text)
    assert "Its inverse is no pattern" in " ".join(show("b ... -> b (...)").split())


def test_all_that_cards_get_comes_with_a_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clauses, mutants, vectors and a reference; two patterns have two names."""
    assert main(["clauses", "a b -> b a", "--json"]) == 0
    assert "rearrange/def" in capsys.readouterr().out
    assert main(["mutants", "b n (h d) -> b h n d", "n -> n 2", "a b -> b a"]) == 0
    out = capsys.readouterr().out
    assert "score: 100.00%" in out
    assert {"rearrange", "repeat", "rearrange_2"} <= set(out.split())
    assert main(["reference", "a b -> b a"]) == 0
    assert "def rearrange(x" in capsys.readouterr().out
    assert main(["vectors", str(tmp_path / "v"), "--op", "a b -> b a"]) == 0
    assert einspec.clauses("a b -> b a")["def"]
    with pytest.raises(KeyError):
        einspec.load("rearrange")


RIGHT = '''
import numpy as np


def heads(x, h):
    """Cut the features into heads.

    pattern: `b n (h d) -> b h n d`
    """
    b, n, f = x.shape
    return np.ascontiguousarray(x.reshape(b, n, h, f // h).swapaxes(1, 2))


def pooled(x):
    """pattern: b (h p) -> b h, mean, p=2"""
    return x.reshape(x.shape[0], -1 if x.size else x.shape[1] // 2, 2).mean(-1)


def _helper(x):
    """Nothing of this is a pattern -> so it is left alone."""
    return x
'''
WRONG = '''
def heads(x, h):
    """pattern: b n (h d) -> b h n d"""
    b, n, f = x.shape
    return x.reshape(b, h, n, f // h)
'''


def written(tmp_path: Path, source: str) -> str:
    """Return the path of a file of functions."""
    path = tmp_path / "functions.py"
    path.write_text(source)
    return str(path)


def test_a_docstring_says_a_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right functions pass in every tier, each under its own name."""
    assert main(["check", written(tmp_path, RIGHT)]) == 0
    out = capsys.readouterr().out
    assert "heads" in out
    assert "pooled" in out
    assert "_helper" not in out


def test_a_wrong_function_is_caught_by_its_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a witness and a script, as by a card."""
    assert main(["check", written(tmp_path, WRONG), "--tier", "scope"]) == 1
    out = capsys.readouterr().out
    for part in ("heads/def", "y[b, h, n, d] = x[b, n, (h,d)]", "got = heads(x, h=2)", "by the pattern 'b n (h d) -> b h n d'"):
        assert part in out


def test_a_pattern_is_given_for_a_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the only one, or by its name; it is that of the call, not of the docstring, and no other function is judged."""
    only = written(tmp_path, "def cut(x, w):\n    return x.reshape(x.shape[0], x.shape[1] // w, w)\n")
    assert main(["check", only, "--pattern", "b (h w) -> b h w", "--tier", "scope"]) == 0
    assert main(["check", only, "--pattern", "b (h w) -> b w h", "--tier", "scope"]) == 1
    both = written(tmp_path, RIGHT)
    capsys.readouterr()
    assert main(["check", both, "--pattern", "heads: b n (h d) -> b n h d", "--tier", "scope"]) == 1
    assert "pooled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (RIGHT, ["--pattern", "a -> a"], "say which is meant, --pattern 'FUNCTION: a -> a'"),
        (RIGHT, ["--pattern", "none: a -> a"], "defines no function none; it defines heads, pooled"),
        (WRONG, ["--pattern", "a b -> a"], "b stands only on the left"),
        ("def tile(x):\n    return x\n", ["--pattern", "a -> a"], "tile is a name of an op"),
        (WRONG.replace("(h d)", "(h d"), [], "this parenthesis is not closed"),
    ],
)
def test_what_cannot_be_judged_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, options: list[str], said: str
) -> None:
    """Wrong usage, before anything runs."""
    assert main(["check", written(tmp_path, source), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(h d) ->", "(h d ->", "line 8: heads: pattern: this parenthesis is not closed\n  b n (h d -> b h n d\n      ^\n"),
        ("Cut the features into heads.", "pattern: a -> a", "line 8: heads has a pattern already: a function goes by one\n"),
        (", p=2", ", q=2", "line 15: pooled: pattern: no axis q in the pattern"),
    ],
)
def test_a_docstring_with_no_pattern_is_said_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    """The file, the line and the function; of two patterns none is taken."""
    path = written(tmp_path, RIGHT.replace(old, new, 1))
    assert main(["check", path]) == 2
    assert f"einspec: {path}, {said}" in capsys.readouterr().err


def test_patterns_are_about_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backend has the names of cards; a function that has one is judged by its op, and that is said."""
    assert main(["check", "numpy", "--pattern", "a -> a"]) == 2
    assert "--pattern is about a function of one file" in capsys.readouterr().err
    source = 'def matrix_transpose(x):\n    """pattern: a b -> a b"""\n    return x.swapaxes(-1, -2)\n'
    assert main(["check", written(tmp_path, source), "--tier", "scope"]) == 0
    assert "matrix_transpose is judged by the op of that name" in capsys.readouterr().err


def test_a_test_checks_a_function_by_a_pattern() -> None:
    """In this process, under any name; a wrong one is an assertion with its witness, and nothing is left behind."""

    def right(x: Any, w: int) -> Any:
        return x.reshape(x.shape[0], x.shape[1] // w, w)

    def wrong(x: Any, w: int) -> Any:
        return x.reshape(x.shape[0], w, x.shape[1] // w)

    assert testing.check(right, "b (h w) -> b h w", framework="numpy", tiers=["scope"]).held
    with pytest.raises(AssertionError, match="by the pattern"):
        testing.check(wrong, "b (h w) -> b h w", framework="numpy", tiers=["scope"])
    assert "rearrange" not in einspec.ops()


@pytest.mark.parametrize(
    "pattern", ["b (h p) (w q) c -> b (h w) (p q c), p=16, q=16", "b n (h d) -> b h n d, d=64", "a -> a 300"]
)
def test_a_pattern_with_usual_sizes_is_shown(pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has the definition; a call that nobody could follow is no example."""
    assert main(["show", pattern]) == 0
    page = capsys.readouterr().out
    assert "Definition" in page
    assert "Example" not in page
    assert main(["show", pattern.replace("16", "2").replace("64", "2").replace("300", "2")]) == 0
    assert "Example" in capsys.readouterr().out
