"""Cards: all that einspec ships load and agree with each other, and a wrong one is refused by file and place."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import einspec
from einspec.calls.assumptions import KEPT
from einspec.card import Op, aliases, compile_card, load, paths, read_card, resolve
from einspec.errors import CardError, FormulaError
from einspec.language.linear import OpClass
from einspec.language.tables import PROMISES, Card, schema
from einspec.solve import parse_signature

OPS = einspec.ops()
PLAIN = """
summary = "Swap two axes."
since = "1.0"
signature = "x: a b -> y: b a"
definition = "y[b, a] = x[a, b]"
"""


def card(tmp_path: Path, text: str) -> Op:
    """Return the op of a card's text, read as a file ``axes/swap.toml``."""
    path = tmp_path / "axes" / "swap.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return compile_card("swap", "axes", read_card(path))


@pytest.mark.parametrize("name", OPS)
def test_every_shipped_card_loads(name: str) -> None:
    """A card is found by its file name and has what a reader needs: a summary that is one sentence, a form, a class."""
    op = load(name)
    assert (op.name, paths()[name].parent.name) == (name, op.family)
    assert re.fullmatch(r"[A-Z].*[.]", op.card.summary)
    assert op.forms
    assert all(isinstance(form.kind, OpClass) for form in op.forms.values())


@pytest.mark.parametrize("name", OPS)
def test_every_parameter_is_documented_and_used(name: str) -> None:
    """A parameter says what it is, and is the form, sets a size or stands in a formula."""
    op = load(name)
    for param, spec in op.card.params.items():
        assert spec.doc
        formulas = " ".join(e.text for f in op.forms.values() for e in f.equations)
        sizes = " ".join(t.text for f in op.forms.values() for t in (*f.sizes.values(), *f.require.values()))
        sets = spec.choices or spec.size or spec.sizes or spec.rank or spec.axis or spec.order
        assert sets or any(re.search(rf"\b{t}\b", formulas + " " + sizes) for t in spec.targets(param))


def test_names_are_ordered_by_family() -> None:
    """The catalogue goes through the families in order, and through the names of each in order."""
    assert sorted((load(n).family, n) for n in OPS) == [(load(n).family, n) for n in OPS]


def test_aliases_are_unique_and_shadow_no_op() -> None:
    """An alias stands for one op, and never for one whose own name it is."""
    every = [alias for name in OPS for alias in load(name).card.aliases]
    assert len(set(every)) == len(every)
    assert not set(every) & set(OPS)
    assert all(re.fullmatch(r"[a-z0-9_]+", alias) for alias in every)


@pytest.mark.parametrize("name", OPS)
def test_every_alias_leads_to_its_op(name: str) -> None:
    """Loading an alias gives the op itself."""
    assert all(load(alias) is load(name) for alias in load(name).card.aliases)


EXERCISES = {
    "batch matrix transpose": "matrix_transpose",
    "global average pooling": "global_avg_pool",
    "split heads": "split_heads",
    "merge heads": "merge_heads",
    "tile": "tile",
    "stack on a new axis": "stack",
    "channel-wise max pooling": "channel_max_pool",
    "swap height and width": "swap_hw",
    "cyclic permutation": "cyclic_permute",
    "flatten leading": "flatten_leading",
    "unflatten": "unflatten",
    "pixel unshuffle": "pixel_unshuffle",
    "pixel shuffle": "pixel_shuffle",
    "hierarchical patch merging": "patch_merge",
    "sliding window preparation": "chunk_overlap",
}


@pytest.mark.parametrize("name", EXERCISES)
def test_common_names_resolve(name: str) -> None:
    """An op is found under the names that people use; spaces, hyphens and case do not matter."""
    assert resolve(name) == EXERCISES[name]
    assert resolve(name.upper().replace(" ", "-")) == EXERCISES[name]


def test_an_unknown_name_suggests_close_ones() -> None:
    """A misspelt name is answered with what may be meant, a strange one with where to look."""
    with pytest.raises(KeyError, match=r"did you mean .*pixel_shuffle"):
        load("pixel_shufle")
    with pytest.raises(KeyError, match="einspec ops lists them all"):
        load("qqqqqqqq")


def test_every_kind_of_promise_is_looked_at_and_made_by_a_card() -> None:
    """No card promises what is not looked at, and nothing is looked at that no card promises."""
    made = {kind for name in OPS for form in load(name).forms.values() for kind, _ in form.assume.values()}
    assert set(KEPT) == set(PROMISES) == made


def law_texts(op: Op) -> list[str]:
    """Return the calls in which the laws of an op are written."""
    laws = [f.laws for f in op.forms.values()]
    return [t for law in laws for t in (law.inverse, law.adjoint, *law.equation.values()) if t]


@pytest.mark.parametrize("name", [n for n in OPS if law_texts(load(n))])
def test_laws_are_calls_of_known_ops_in_known_names(name: str) -> None:
    """A law names ops that have cards, with parameters that those have, and tensors of its own op."""
    op = load(name)
    for text in law_texts(op):
        for node in ast.walk(ast.parse(f"({text.strip()})")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in paths():
                called = load(node.func.id).card.params
                assert {k.arg for k in node.keywords} <= called.keys()
                assert {n for n, p in called.items() if p.required} <= {k.arg for k in node.keywords}


@pytest.mark.parametrize("name", [n for n in OPS if load(n).card.same_as or load(n).choice])
def test_same_as_lines_of_known_packages_are_expressions(name: str) -> None:
    """What a test can run is Python; what it cannot is a call in words of another package."""
    op = load(name)
    for entry in [s for f in op.forms.values() for s in f.same_as]:
        assert entry.call.strip()
        if entry.package in ("numpy", "torch", "jax", "einops"):
            ast.parse(entry.call.strip(), mode="eval")
            ast.parse(entry.when.strip() or "True", mode="eval")


def test_a_card_gives_its_form(tmp_path: Path) -> None:
    """A well-formed card compiles; the other tests each spoil it in one place."""
    op = card(tmp_path, PLAIN)
    assert op.forms[""].kind is OpClass.PERMUTATION


BROKEN = {
    "not TOML": ("summary = ", "axes/swap.toml: "),
    "an unknown key": (PLAIN + 'colour = "red"', "axes/swap.toml: .*unknown field `colour`"),
    "a missing key": ('since = "1.0"', "axes/swap.toml: .*missing required field `summary`"),
    "a wrong type": (PLAIN.replace('"1.0"', "1.0"), r"axes/swap.toml: .*Expected `str`, got `float` - at `\$.since`"),
    "an unknown law": (PLAIN + "[laws]\nreversible = true", r"axes/swap.toml: .*unknown field `reversible`.*\$.laws"),
    "a law of no op": (PLAIN + '[laws]\ninverse = "unswap(y)"', "axes/swap.toml: laws.inverse: no op 'unswap'"),
    "a law that is no call": (PLAIN + '[laws]\ninverse = "swap(y"', "axes/swap.toml: laws.inverse: .*'swap\\(y'"),
    "an equation without sides": (
        PLAIN + '[laws.equation]\ntwice = "swap(y)"',
        "axes/swap.toml: laws.equation.twice: expected 'left == right'",
    ),
    "a law about no axis": (
        PLAIN + '[laws]\nequivariant = "a z"',
        "axes/swap.toml: laws.equivariant: axis z stands in no",
    ),
    "a dtype of no tensor": (PLAIN + '[dtype]\nz = "any"', "axes/swap.toml: dtype.z: no such tensor"),
    "a dtype group that is none": (
        PLAIN + '[dtype]\nx = "fancy"',
        "axes/swap.toml: dtype.x: expected 'same as' and an input, or one of any, ordered, .*, not 'fancy'",
    ),
    "a dtype that is none": (
        PLAIN + '[dtype]\ny = "float31"',
        "axes/swap.toml: dtype.y: expected 'same as' .*'float31'",
    ),
    "a dtype like no input": (PLAIN + '[dtype]\ny = "same as z"', "axes/swap.toml: dtype.y: .*'same as z'"),
    "a rule for no axis": (PLAIN + "[axes.z]\nmin = 1", "axes/swap.toml: axis z stands in no tensor"),
    "a parameter for no axis": (
        PLAIN + '[params.k]\nsize = "z"\ndoc = "?"',
        "axes/swap.toml: axis z stands in no tensor",
    ),
    "a choice without forms": (
        PLAIN + '[params.k]\nchoices = ["p", "q"]\ndoc = "?"\n[when.k.p]\n',
        r"axes/swap.toml: when.k: params.k.choices must be \['p'\]",
    ),
    "a choice that keeps what is not on the way": (
        PLAIN + 'stores = true\n[params.k]\nchoices = ["input", "float32"]\ndefault = "input"\nkeeps = "y z"\ndoc = "?"',
        "axes/swap.toml: params.k.keeps: z is no tensor of the definition and no op that it uses",
    ),
    "a choice that keeps what is never rounded": (
        PLAIN + '[params.k]\nchoices = ["input", "float32"]\ndefault = "input"\nkeeps = "y"\ndoc = "?"',
        "axes/swap.toml: params.k.keeps: needs stores, float32 among the choices, and a default",
    ),
    "ranks along no first dimension": (
        PLAIN + '[ranks]\naxes = ["c"]',
        "axes/swap.toml: ranks.axes: no tensor has axis c in its first dimension",
    ),
    "sums over ranks that are none": (
        PLAIN + '[ranks]\naxes = ["b"]\nreduces = ["a"]',
        "axes/swap.toml: ranks.reduces: a is not among ranks.axes",
    ),
    "ranks in one dimension with what is none": (
        PLAIN.replace("-> y: b a", "-> y: (b a)").replace("y[b, a]", "y[(b,a)]") + '[ranks]\naxes = ["b"]',
        "axes/swap.toml: ranks.axes: y has axis a, which is none of them, in one dimension with ranks",
    ),
    "forms of two parameters": (PLAIN + "[when.k.p]\n[when.l.p]\n", "axes/swap.toml: when: only one parameter"),
    "an order that is none": (
        PLAIN.replace("-> y: b a", "-> y: *c[turned]"),
        "axes/swap.toml: orders.turned: \\*c has no order of that name",
    ),
    "an order by no parameter": (PLAIN + '[orders]\nturned = "from k"', "axes/swap.toml: orders.turned: expected 'places from"),
    "an order by a number": (
        PLAIN + '[orders]\nturned = "from k"\n[params.k]\ndoc = "?"',
        "axes/swap.toml: orders.turned: expected 'places from axes', which name axes of one rest, not 'from k'",
    ),
    "two orders of a rest": (
        PLAIN + '[orders]\none = "from k"\nother = "k from k"\n[params.k]\norder = "c"\ndoc = "?"',
        "axes/swap.toml: orders: a rest has one order, not several",
    ),
    "an output without equation": (
        PLAIN.replace("-> y: b a", "-> y: b a, z: a"),
        "axes/swap.toml: output z has no equation",
    ),
    "an output with other axes": (PLAIN.replace("-> y: b a", "-> y: a b"), "axes/swap.toml: the axes of y differ"),
    "an input that is defined": (
        PLAIN.replace('"y[b, a] =', '"x[a, b] = 1\\ny[b, a] ='),
        "axes/swap.toml: x is an input and cannot be defined",
    ),
    "a tensor defined twice": (
        PLAIN.replace('"y[b, a] =', '"y[b, a] = 1\\ny[b, a] ='),
        "axes/swap.toml: y is defined twice",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_card_that_contradicts_itself_is_refused_by_file(tmp_path: Path, what: str) -> None:
    """The error names the file and the place in it."""
    text, message = BROKEN[what]
    with pytest.raises(CardError, match=message):
        card(tmp_path, text)


UNREADABLE = {
    "y[b, a] = sin(x[a, b])": "axes/swap.toml: equation 1, column 11: sin is no function",
    "y[b, a] = x[a, b] + Z": "axes/swap.toml: axis z stands in no tensor of the signature",
    "y[b, a] = sum[z](x[a, b])": "axes/swap.toml: axis z stands in no tensor of the signature",
    "y[b, a] = sum[z](z * x[a, b])": "axes/swap.toml: axis z stands in no tensor of the signature",
    "y[b, a] = x[a]": "axes/swap.toml: x has 2 dimensions, not 1",
    "y[b, a] = x[b, a]": "axes/swap.toml: x is read with other dimensions than it has",
    "y[b, a] = sum[a1,b1](x[(a1,b1), b])": "axes/swap.toml: x is read with other dimensions than it has",
    "y[b, a] = w[a, b]": "axes/swap.toml: w is neither an input nor defined before",
    "y[b, a] = w[a]\nw[a] = 1": "axes/swap.toml: w is neither an input nor defined before",
    "w[a] = 1\ny[b, a] = w[b]": "axes/swap.toml: w is read with other dimensions than it has",
}


@pytest.mark.parametrize("definition", UNREADABLE)
def test_a_definition_that_does_not_fit_its_signature_is_refused(tmp_path: Path, definition: str) -> None:
    """A definition reads only what is there, with the dimensions that it has."""
    text = PLAIN.replace('"y[b, a] = x[a, b]"', f'"""{definition}"""')
    with pytest.raises(FormulaError, match=UNREADABLE[definition]):
        card(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A / 2", r"axes/swap.toml: 'A / 2' is made of sizes, parameters and \+ - \* // %, not of binary"),
        ("exp(A)", "axes/swap.toml: 'exp.A.' is made of sizes"),
        ("sum[a](A)", "axes/swap.toml: 'sum.a..A.' is made of sizes"),
        ("a + 1", "axes/swap.toml: equation 1, column 1: expected sizes"),
    ],
)
def test_a_size_that_is_no_whole_number_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Sizes are computed in whole numbers from sizes and parameters."""
    with pytest.raises(FormulaError, match=message):
        card(tmp_path, PLAIN + f'[require]\nfits = "{text}"')


@pytest.mark.parametrize(
    "text",
    [
        "x: a b",
        "x a -> y: a",
        "x: a ->",
        "x: (a -> y: a",
        "x: a) -> y: a",
        "x: A -> y: A",
        "x: [a b -> y: a",
        "x: a$ -> y: a",
    ],
)
def test_a_signature_that_cannot_be_read_is_refused(text: str) -> None:
    """The error names the card and shows the signature."""
    with pytest.raises(ValueError, match=r"axes/swap\.toml: signature") as caught:
        parse_signature(text, "axes/swap.toml")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("name", OPS)
def test_a_signature_reads_back_as_it_is_written(name: str) -> None:
    """The text of a parsed signature parses to the same signature."""
    for form in load(name).forms.values():
        assert parse_signature(str(form.signature)) == form.signature


def test_a_variant_adds_to_the_laws_of_its_card(tmp_path: Path) -> None:
    """What a form says for itself stands beside what the card says for all forms."""
    choice = """
[params.k]
choices = ["p", "q"]
default = "p"
doc = "?"
[laws.equation]
first = "swap(y) == x"
[when.k.p.laws.equation]
second = "x == swap(y)"
[when.k.q]
"""
    op = card(tmp_path, PLAIN + choice)
    assert set(op.forms["p"].laws.equation) == {"first", "second"}
    assert set(op.forms["q"].laws.equation) == {"first"}


def matches(value: Any, rule: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Whether plain data fits the part of JSON Schema that a card's schema is made of."""
    if "$ref" in rule:
        return matches(value, definitions[rule["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in rule:
        return any(matches(value, r, definitions) for r in rule["anyOf"])
    if "enum" in rule:
        return value in rule["enum"]
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    if not isinstance(value, kinds[rule["type"]]) or (isinstance(value, bool) and rule["type"] != "boolean"):
        return False
    if rule["type"] == "array":
        return all(matches(v, rule.get("items") or {"type": "string"}, definitions) for v in value)
    if rule["type"] == "object":
        own, others = rule.get("properties", {}), rule.get("additionalProperties", True)
        fits = all(k in own or others for k in value) and set(rule.get("required", [])) <= value.keys()
        rules = {k: own.get(k, others) for k in value}
        return fits and all(r is True or matches(value[k], r, definitions) for k, r in rules.items())
    return True


@pytest.mark.parametrize("name", OPS)
def test_every_card_fits_the_published_schema(name: str) -> None:
    """The JSON Schema accepts each card that einspec ships, as plain data."""
    import tomllib

    published = schema()
    assert matches(tomllib.loads(paths()[name].read_text(encoding="utf-8")), published, published["$defs"])


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"since": 1.0},
        {"params": {"k": {"doc": "?", "colour": "red"}}},
        {"params": {"k": {"size": "a"}}},
        {"laws": {"reversible": True}},
        {"laws": {"involution": 1}},
        {"laws": {"conserves": "nothing"}},
        {"same_as": [{"package": "numpy"}]},
        {"axes": {"a": {"min": "1"}}},
        {"when": {"k": {"p": {"notes": "?"}}}},
    ],
)
def test_the_published_schema_refuses_what_no_card_may_hold(change: dict[str, Any]) -> None:
    """Unknown keys, missing ones and wrong types do not fit the schema, at any depth."""
    good = {"summary": "Swap.", "since": "1.0", "signature": "x: a -> y: a", "definition": "y[a] = x[a]"}
    published = schema()
    assert matches(good, published, published["$defs"])
    assert not matches({**good, **change}, published, published["$defs"])


def test_the_schema_holds_every_key_of_a_card() -> None:
    """What the code reads is what is published."""
    assert set(schema()["$defs"]["Card"]["properties"]) == set(Card.__struct_fields__)


def test_a_tensor_of_ranks_has_them_first() -> None:
    """Each rank has an entry of the tensors that begin with ranks; the others are the same for all."""
    exchange, split = load("ep_exchange"), load("context_parallel_split")
    assert {name: exchange.ranked(form) for name, form in exchange.forms.items()} == {
        "dense": ["x", "y"],
        "ragged": ["x", "counts", "y"],
    }
    assert all(split.ranked(form) == ["y"] for form in split.forms.values())
    assert not any(load("dispatch_layout").ranked(form) for form in load("dispatch_layout").forms.values())


def test_aliases_are_listed_once() -> None:
    """The table of aliases is that of the cards."""
    assert aliases() == {alias: name for name in OPS for alias in load(name).card.aliases}
