"""Names of other packages: each list resolves, and what the table says is run beside the function itself."""

from __future__ import annotations

import importlib
import importlib.util
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

import einspec
from einspec import names
from einspec.conformance.cli import main
from einspec.errors import CardError
from einspec.names import Name
from einspec.pages.text import show

Array = np.ndarray[Any, Any]
LISTS = tomllib.loads((Path(__file__).parent / "names.toml").read_text(encoding="utf-8"))
"""Lists of function names, by the package before which they stand."""
LISTED = [".".join(filter(None, [part["prefix"], n])) for part in LISTS.values() for n in part["names"].split()]
OPS = {name: (lambda *a, _op=name, **k: einspec.evaluate(_op, *a, **k)) for name in einspec.ops()}


def distinct(*shape: int) -> Array:
    """Return an array of distinct numbers."""
    return np.arange(float(np.prod(shape, dtype=int))).reshape(shape)


def whole(*values: Any) -> Array:
    """Return whole numbers, of several axes where lists are given."""
    return np.array(values, np.int64)


def arguments(given: str) -> dict[str, Any]:
    """Return the arguments of a line, as NumPy arrays and Python numbers."""
    found: dict[str, Any] = eval(f"dict({given})", {"A": distinct, "I": whole})
    return found


def lines() -> list[tuple[Name, str]]:
    """Return the calls of packages that a test may run, each with arguments."""
    return [(n, given) for n in names.every() for given in n.given if names.packages()[n.package].module]


def scope(package: str) -> dict[str, Any]:
    """Return what a call of a package may name; packages that are not installed skip the test."""
    module = names.packages()[package].module
    roots = {module, *(["jax", "jax.numpy", "jax.lax"] if module.startswith("jax") else [])}
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed")
    own = {key: p.module for key, p in names.packages().items() if p.module in roots}
    return {key: importlib.import_module(name) for key, name in own.items()}


def tensor(value: Any, package: str) -> Any:
    """Return arguments in the framework of a package."""
    if isinstance(value, list | tuple) and any(isinstance(v, np.ndarray | list) for v in value):
        return type(value)(tensor(v, package) for v in value)
    if not isinstance(value, np.ndarray):
        return value
    root = names.packages()[package].module.partition(".")[0]
    if root == "torch":
        return importlib.import_module("torch").from_numpy(value.copy())
    return importlib.import_module("jax.numpy").asarray(value) if root == "jax" else value.copy()


def plain(value: Any) -> list[Array]:
    """Return results as NumPy arrays, one alone as a list of one."""
    several = isinstance(value, list | tuple)
    return [np.asarray(v, np.float64) for v in value] if several else [np.asarray(value, np.float64)]


def meant(text: str, given: str) -> list[Array]:
    """Return what a composition gives."""
    return plain(eval(text, {**OPS, **arguments(given)}))


@pytest.mark.parametrize(("name", "given"), lines(), ids=lambda x: x if isinstance(x, str) else x.call)
def test_what_a_name_is_said_to_be_it_is(name: Name, given: str) -> None:
    """The call of the package and the composition give the same shapes and values."""
    taken = {k: tensor(v, name.package) for k, v in arguments(given).items()}
    got = plain(eval(name.call, {**scope(name.package), **taken}))
    want = meant(name.means, given)
    assert [g.shape for g in got] == [w.shape for w in want]
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("entry", [e for e in names.entries() if e.means], ids=lambda e: e.calls[0])
def test_every_composition_can_be_computed(entry: names.Entry) -> None:
    """Its arguments are legal and its parameters are those of the cards, where no package is run too."""
    assert entry.given
    for given in entry.given:
        assert all(a.size for a in meant(entry.means, given))


def test_weights_on_what_goes_in_are_on_one_side_alone() -> None:
    """Slots of weighted tokens, added up as they are, give what moe_dense gives with the weights on its input."""
    rng = np.random.default_rng(0)
    x, weights, gate_up, down = (rng.normal(size=s) for s in ((5, 4), (5, 2), (3, 4, 6), (3, 3, 4)))
    index = whole([0, 1], [2, 0], [1, 1], [2, -1], [0, 2])
    position = einspec.evaluate("position", index, experts=3)
    known = OPS | {"x": x, "weights": weights, "index": index, "position": position, "experts": 3, "capacity": 10}
    said = {n.function: n.means for n in names.every() if "is_postscore=False" in n.call}
    y = OPS["expert_mlp"](eval(said["tutel.fast_encode"], known), gate_up, down, kind="swiglu")
    found = eval(said["tutel.fast_decode"], known | {"y": y})
    np.testing.assert_allclose(found, OPS["moe_dense"](x, weights, index, gate_up, down, weight_on="input"), rtol=1e-6)


@pytest.mark.parametrize("name", LISTED)
def test_every_name_of_the_lists_leads_somewhere(name: str) -> None:
    """To a card, to a composition of cards, or to a reason why it is not in the spec."""
    found = names.find(name)
    assert found, f"{name} leads nowhere"
    assert all(n.op or n.ops or n.out in names.boundary() for n in found)


def test_the_lists_are_whole() -> None:
    """They are as long as they are said to be, and hold no name twice."""
    sizes = {key: len(part["names"].split()) for key, part in LISTS.items()}
    assert len(set(LISTED)) == len(LISTED) == sum(sizes.values())
    assert sizes["array_api"] == 25
    assert sizes["moe"] == 67
    assert sizes["numpy"] >= 75
    assert set(LISTS["array_api"]["names"].split()) < set(names.packages()["xp"].only)


@pytest.mark.parametrize("package", [key for key, p in names.packages().items() if p.module])
def test_every_name_of_a_package_is_in_it(package: str) -> None:
    """Under the place that the table writes, and under those where it stands too."""
    found = scope(package)
    functions = [n.function for n in names.every() if n.package == package]
    also = [f"{place}.{name}" for place, own in names.packages()[package].also.items() for name in own]
    assert functions
    for function in (*functions, *also):
        value = found[package]
        for part in function.split(".")[1:]:
            value = getattr(value, part)


@pytest.mark.parametrize("package", ["np", "torch"])
def test_functions_that_are_methods_are_found_as_such(package: str) -> None:
    """Each function of the table that is a method of the class of tensors, but for those that are something else there."""
    method = names.packages()[package].method
    methods = dir(getattr(scope(package)[package], method))
    plain_functions = {n.function.split(".")[1] for n in names.every() if n.package == package and n.function.count(".") == 1}
    other = {"np": {"resize"}, "torch": set()}[package]
    assert {name for name in plain_functions & {*methods} if not names.find(f"{package}.{method}.{name}")} == other


def test_functions_that_a_package_takes_over_are_there() -> None:
    """What JAX has as NumPy has it is in the table, and nothing else of NumPy."""
    assert names.find("jnp.moveaxis")
    assert not names.find("jnp.ascontiguousarray")
    assert names.find("np.ascontiguousarray")


@pytest.mark.parametrize(
    "word", ["torch.fold", "torch.unfold", "Tensor.pad", "F.hstack", "np.fft.moveaxis", "torch.nowhere.fold"]
)
def test_a_name_that_a_package_does_not_have_is_unknown(word: str) -> None:
    """Even where the package has that name in another place, which is told then."""
    assert not names.find(word)
    with pytest.raises(KeyError, match=rf"did you mean .*\.{word.rpartition('.')[2]}\b"):
        show(word)


@pytest.mark.parametrize("word", ["torch.Tensor.unfold", "Tensor.unfold"])
def test_a_place_within_a_package_tells_functions_apart(word: str) -> None:
    """The method of that name is no function of images."""
    assert "x.unfold(0, n, 1)" in show(word)
    assert "im2col" not in show(word).replace("torch.nn.functional.unfold, the im2col of images", "")
    assert show("F.unfold").endswith(show("unfold"))


def test_all_that_a_name_means_is_shown() -> None:
    """What the table says of it, and what cards say; the card of what it is in general follows."""
    for word in ("F.pad", "torch.nn.functional.pad"):
        assert "is pad(x, before=widths[0]" in show(word)
        assert "is pad_to_multiple(" in show(word)
        assert show(word).endswith(show("pad"))


def test_a_near_name_is_told_once() -> None:
    """Also where an op and functions have it."""
    with pytest.raises(KeyError) as error:
        show("rolll")
    near = str(error.value).partition("did you mean ")[2].rstrip("?'\"").split(" or ")
    assert "roll" in near
    assert len(set(near)) == len(near)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("permute", ["Copy the token of every route", "torch.permute", "megatron.permute"]),
        ("select", ["Choose for every token", "torch.select(x, axis, index)", "np.select", "elementwise"]),
        (
            "gather",
            ["is take(x, index, axis=axis)", "is take_along(x, index, axis=axis)", "lax.gather", "torch.gather reads a prefix"],
        ),
        ("routing_map", ["tokens by experts", "dispatch_mask has the slots"]),
        ("transpose", ["swaps two axes", "an order of all of them", "tf.image.transpose"]),
    ],
)
def test_a_name_that_means_two_things_says_both(word: str, told: list[str]) -> None:
    """The page has each meaning, and a sentence on how they differ."""
    page = " ".join(show(word).split())
    for part in told:
        assert part in page


@pytest.mark.parametrize("word", ["torch.hstack", "numpy.hstack", "np.hstack", "jnp.hstack", "jax.numpy.hstack", "hstack"])
def test_names_are_found_under_every_prefix(word: str) -> None:
    """The composition is shown, and the ops of which it is made."""
    page = show(word)
    assert "is concat(xs, axis=1)" in page
    assert "Join tensors of one shape and dtype" in page


def test_what_a_function_does_comes_before_what_one_call_does() -> None:
    """The page of a name begins with the call that takes any arguments."""
    calls = [n.call for n in names.find("np.moveaxis")]
    assert calls[0] == "np.moveaxis(x, source, destination)"
    assert "np.moveaxis(x, -1, 1)" in calls
    page = show("np.moveaxis")
    assert page.index(calls[0]) < page.index("np.moveaxis(x, -1, 1)")


def test_a_name_of_one_card_shows_that_card() -> None:
    """Camel case or not, with or without its package; a card that says it itself is enough."""
    for word in (
        "GatherElements",
        "onnx.gather_elements",
        "torch.gather",
        "F.pixel_shuffle",
        "torch.nn.functional.pixel_shuffle",
    ):
        op = "take_along" if "ather" in word else "pixel_shuffle"
        assert show(word).endswith(show(op))
    assert show("np.concatenate").endswith(show("concat"))


def test_a_name_that_is_out_says_why() -> None:
    """The reason is that of the boundary, with what is particular to the name."""
    page = " ".join(show("np.searchsorted").split())
    assert names.boundary()["sets"].why in page


def test_an_unknown_name_gets_near_ones() -> None:
    """Of the package that was named, or of all; a composition has no formula, and what asks for one is told where to look."""
    with pytest.raises(KeyError, match=r"did you mean np\.moveaxis"):
        show("np.movaxis")
    with pytest.raises(KeyError, match=r"did you mean .*moveaxis"):
        show("movaxis")
    with pytest.raises(KeyError, match=r"einspec show np\.extract says what it is"):
        show("np.extract", latex=True)
    with pytest.raises(KeyError, match="einspec show ravel says"):
        einspec.load("ravel")
    assert not names.find("np.no_such_function")
    assert not names.find("nobody.moveaxis")
    assert names.find("jax.nn.softmax")
    assert not names.find("jax.numpy.softmax"), "what another part of a package has"


def test_the_catalogue_looks_through_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Functions of other packages stand behind the ops; a word that only they have is enough."""
    assert main(["ops", "moveaxis"]) == 0
    assert "np.moveaxis" in capsys.readouterr().out
    assert main(["ops", "pixel_shuffle"]) == 0
    out = capsys.readouterr().out
    assert out.index("images") < out.index("torch.nn.PixelShuffle")
    assert main(["ops"]) == 0
    assert "np." not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"is": "no_such_op(x)", "calls": ("np.f(x)",)}, "no op 'no_such_op'"),
        ({"is": "flip(x", "calls": ("np.f(x)",)}, "never closed"),
        ({"is": "flip(x, axis=0)"}, "an entry has 'is' and 'calls'"),
        ({"out": "sets", "calls": ("np.f(x)",)}, "an entry has 'is' and 'calls'"),
        ({"out": "no_reason", "names": ("np.f",)}, "no reason 'no_reason'"),
        ({"out": "sets", "names": ("nobody.f",)}, "begins with no package"),
    ],
)
def test_a_wrong_entry_is_an_error(entry: dict[str, Any], said: str) -> None:
    """What contradicts itself or names what there is not is refused when the table is read."""
    with pytest.raises(CardError, match=said):
        names.check_entry("names/x.toml", msgspec.convert(entry, names.Entry))


def test_every_file_of_the_table_fits_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """The schema that is printed is that of what is read."""
    assert main(["schema", "names"]) == 0
    schema = json.loads(capsys.readouterr().out)
    files = [p for p in names.FOLDER.glob("*.toml") if p.name not in ("packages.toml", "boundary.toml")]
    assert files
    for path in files:
        jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"entry": [{"is": "x", "cals": []}]}, schema)


def test_every_reason_is_used_or_says_what_is_in() -> None:
    """A reason that no name has would be a sentence about nothing."""
    used = {entry.out for entry in names.entries() if entry.out}
    assert set(names.boundary()) - used == {"moves", "moe", "masks"}


def test_the_page_of_the_boundary_has_the_sentences() -> None:
    """One row a reason, in the order of the data, what is in apart from what is out; `show` says the same words."""
    page = (Path(__file__).parent.parent / "docs/boundary.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| **")]
    assert rows == [f"| **{r.title}** | {r.why} | {r.examples} |" for r in names.boundary().values()]
    before, after = page.split("## Out")
    for key, reason in names.boundary().items():
        assert f"**{reason.title}**" in (before if key in ("moves", "moe", "masks") else after)
