"""The pages of clauses: what is on them, on which lines of a card a clause rests, and how one is asked for."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import einspec
from einspec import CardError, FormulaError, load
from einspec.card import Op, compile_card, parse_card, paths, used
from einspec.clauses import clause_ids, find
from einspec.conformance.clauses import tiers_of
from einspec.conformance.cli import main
from einspec.meaning import RESTS_ON, digest
from einspec.pages.clause import page
from einspec.pages.sources import Entry, entries, rests_on

OPS = einspec.ops()


def kinds(name: str) -> list[str]:
    """Return a clause of an op for each set of parts that clauses rest on, and for each kind of law."""
    found: dict[Any, str] = {}
    for clause in clause_ids(load(name)):
        kind, _, detail = clause.partition(".")
        own = detail.partition(".")[0] if kind in ("err", "law") else ""
        found.setdefault((RESTS_ON[kind], own if kind == "law" or own in ("require", "dtype") else ""), clause)
    return list(found.values())


@pytest.mark.parametrize("name", OPS)
def test_the_entries_of_a_card_are_all_that_it_holds(name: str) -> None:
    """Each key of the file is among them, and its lines read as its value."""
    text = paths()[name].read_text(encoding="utf-8")
    lines, whole, found = text.splitlines(), tomllib.loads(text), list(entries(text))
    assert {entry.path for entry in found} == set(keys(whole))
    for entry in found:
        alone = tomllib.loads("\n".join(lines[entry.first - 1 : entry.last]))
        assert any(
            value in values(whole, entry.path) for value in values(alone, entry.path[-1:]) + values(alone, entry.path[-2:])
        )


def keys(table: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys of a table and of those in it that hold no table."""
    for name, value in table.items():
        for part in value if isinstance(value, list) else [value]:
            yield from keys(part, (*before, name)) if isinstance(part, dict) else [(*before, name)]


def values(table: Any, path: tuple[str, ...]) -> list[Any]:
    """Return the values of a key, of an array of tables that of each."""
    if isinstance(table, list) and path:
        return [value for part in table for value in values(part, path)]
    if not path:
        return [table]
    return values(table[path[0]], path[1:]) if isinstance(table, dict) and path[0] in table else []


@pytest.mark.parametrize("name", OPS)
def test_no_other_line_changes_what_a_clause_means(name: str) -> None:
    """A key whose lines a clause does not rest on may go, or be another number: the digest of the clause stays."""
    op, path = load(name), paths()[name]
    text = path.read_text(encoding="utf-8")
    lines, asked = text.splitlines(), kinds(name)
    lines_of = {clause: rests_on(op, clause) for clause in asked}
    compared = 0
    for entry in entries(text):
        for other in compiled(op, changed(lines, entry)):
            compared += 1
            for clause in set(asked) & set(clause_ids(other)):
                assert entry.first in lines_of[clause] or digest(other, clause) == digest(op, clause), (clause, entry)
    assert compared


def changed(lines: list[str], entry: Entry) -> Iterator[str]:
    """Yield a card without a key, and with another number where the key is one."""
    before, after = lines[: entry.first - 1], lines[entry.last :]
    yield "\n".join(before + after)
    name, _, number = lines[entry.first - 1].partition(" = ")
    if number.isdecimal():
        yield "\n".join([*before, f"{name} = {int(number) + 1}", *after])


def compiled(op: Op, texts: Iterable[str]) -> Iterator[Op]:
    """Yield those of some cards of an op that are cards."""
    for text in texts:
        with contextlib.suppress(CardError, FormulaError, ValueError):
            yield compile_card(op.name, op.family, parse_card(text))


def test_the_lines_of_a_clause_are_those_that_say_it() -> None:
    """Signature, parameters and the law itself for a law; the definition too for what an op computes."""
    assert list(rests_on(load("matrix_transpose"), "law.involution").values()) == [
        'signature = "x: ... m n -> y: ... n m"',
        "[laws]",
        "involution = true",
    ]
    told = rests_on(load("dispatch"), "total.slots")
    card = paths()["dispatch"].read_text(encoding="utf-8").splitlines()
    assert all(card[number - 1] == text for number, text in told.items())
    assert 'slots = "distinct_slots index position"' in told.values()
    assert any(text.startswith("y[e,c,d] = ") for text in told.values())
    assert not any("doc = " in text for text in told.values())


@pytest.mark.parametrize("name", OPS)
def test_a_page_of_a_clause_says_all_there_is(name: str) -> None:
    """The address, the digest, the sentence, the lines of the card and the tiers stand on it."""
    op = load(name)
    for clause in kinds(name):
        shown = page(op, clause, "1.0", tiers_of(clause))
        plain = " ".join(shown.split())
        assert shown.startswith(f"{name}/{clause} ")
        assert digest(op, clause) in shown
        assert einspec.clauses(name)[clause] in plain
        assert all(text in shown for text in rests_on(op, clause).values())
        assert f"ops/{op.family}/{name}.toml" in shown
        assert ", ".join(tiers_of(clause)) in shown


def test_a_page_names_the_cards_that_a_definition_uses() -> None:
    """Those that it uses through others too, for a clause that rests on the definition, and for no other."""
    assert {"gate", "top_k", "position"} <= set(used(load("moe_layer")))
    assert "the definitions that it uses: gate, score, top_k," in page(load("moe_layer"), "def", "1.0", ["scope"])
    assert "that it uses" not in page(load("moe_layer"), "pure", "1.0", ["scope"])


@pytest.mark.parametrize(
    ("address", "found"),
    [("pixel_shuffle/def", "def"), ("depth_to_space_crd/def", "def"), ("Pixel-Shuffle/law.inverse", "law.inverse")],
)
def test_a_clause_is_shown_by_its_address(address: str, found: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also under another name of the op."""
    assert main(["show", address]) == 0
    assert capsys.readouterr().out == page(load("pixel_shuffle"), found, einspec.SPEC_VERSION, tiers_of(found)) + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "pixel_shuffle/defn"], "no clause 'defn' of pixel_shuffle; did you mean pixel_shuffle/def?"),
        (["show", "pixel_shuffle/divides"], "did you mean pixel_shuffle/err.divides.x.1?"),
        (["show", "pixel_shuffle/rank.x"], "did you mean pixel_shuffle/err.rank.x"),
        (["show", "pixel_shuffle/"], "einspec clauses pixel_shuffle lists them all"),
        (["show", "pixel_shufle/def"], "did you mean pixel_shuffle"),
        (["show", "pixel_shuffle/def", "--latex"], "einspec show pixel_shuffle --latex"),
        (["show", "pixel_shuffle/def", "--grad"], "einspec show pixel_shuffle --grad"),
        (["clauses", "pixel_shufle"], "did you mean pixel_shuffle"),
    ],
)
def test_a_wrong_address_names_the_nearest(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says which there are, and how to list them."""
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["top_k", "gate"])
def test_the_clauses_of_an_op_are_listed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its sentence and its tiers, in a table and as JSON."""
    op, promised = load(name), einspec.clauses(name)
    assert main(["clauses", name, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["clause"] for row in rows] == [f"{name}/{clause}" for clause in promised]
    assert [row["demands"] for row in rows] == list(promised.values())
    for row, clause in zip(rows, promised, strict=True):
        assert row["tiers"] == list(tiers_of(clause))
        assert row["digest"] == digest(op, clause)
    assert main(["clauses", name]) == 0
    printed = capsys.readouterr().out.splitlines()
    first = [line.strip("│").partition("│")[0].strip() for line in printed if line.startswith("│")]
    assert [clause for clause in first if clause] == list(promised)
    assert " ".join(promised["pure"].split()) in " ".join(printed)


def test_an_address_without_a_clause_is_the_op() -> None:
    """What is found is the op, and no clause."""
    assert find("depth_to_space_crd") == (load("pixel_shuffle"), "")
