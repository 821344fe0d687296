"""What earlier versions of the spec said is kept, and what changed since is told by calls that show it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import einspec
from einspec import load, released
from einspec.conformance import trace
from einspec.conformance.cli import main
from einspec.pages.cited import Cited, Outcome, check
from einspec.released.differences import Difference, differences


@pytest.fixture(scope="module")
def layer() -> dict[tuple[str, str], Difference]:
    """Return how moe_layer changed since 1.0, by preset and kind."""
    found = differences(released.load_as_of("1.0", "moe_layer"), load("moe_layer"))
    return {(d.case.params["preset"], d.kind): d for d in found}


def test_earlier_versions_are_kept_as_they_were() -> None:
    """Each op of each version, read with the cards that are kept, rests on what the version recorded."""
    assert released.versions()
    assert einspec.SPEC_VERSION not in released.versions()
    assert list(trace.forgotten()) == []


def test_a_card_that_is_not_kept_is_told(tmp_path: Path) -> None:
    """Where the card of an op that was another is missing, the file that is to be written is named."""
    folder = tmp_path / "1_0"
    shutil.copytree(released.folder_of("1.0"), folder)
    known = released.digests("1.0")
    (folder / "digests.json").write_text(json.dumps({**known, "tile": "another"}), encoding="utf-8")
    (folder / "moe_layer.toml").unlink()
    assert sorted(trace.forgotten(tmp_path)) == [
        f"{op} is not what spec 1.0 said: keep its card as it was then in spec/released/1_0/{op}.toml"
        for op in ("moe_layer", "tile")
    ]


def test_what_is_withdrawn_stays_with_its_op(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id of an earlier version that is no more has a line in the card, and an op that is no more has an alias."""
    shutil.copytree(released.folder_of("1.0"), tmp_path / "1_0")
    known = released.clauses_of("1.0")
    more = {**known, "tile": [*known["tile"], "law.gone"], "patch_embed_order": ["def"]}
    (tmp_path / "1_0" / "clauses.json").write_text(json.dumps(more), encoding="utf-8")
    lost = "spec 1.0 had an op patch_embed_order, and none is called so now: what it became has it among its aliases"
    gone = "tile/law.gone of spec 1.0 is no more, and the card says nothing of it under [withdrawn]"
    assert list(trace.forgotten(tmp_path)) == [lost, gone]
    monkeypatch.setitem(load("tile").card.withdrawn, "law.gone", "it followed from law.inverse, which stays")
    assert list(trace.forgotten(tmp_path)) == [lost]
    monkeypatch.setitem(load("tile").card.withdrawn, "law.never", "no version had it")
    never = "tile: withdrawn.law.never: no earlier version had it, or it is still there"
    assert list(trace.forgotten(tmp_path)) == [lost, never]


def test_what_is_withdrawn_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """By who shows it, and by who checks a citation of it."""
    monkeypatch.setitem(load("tile").card.withdrawn, "law.gone", "it followed from law.inverse, which stays")
    monkeypatch.setattr(released, "withdrawn", lambda op: {"law.gone": "1.0"} if op == "tile" else {})
    said = "tile/law.gone was withdrawn after spec 1.0: it followed from law.inverse, which stays"
    assert main(["show", "tile/law.gone"]) == 2
    assert said in capsys.readouterr().err
    outcome, why = check(Cited(1, "tile/law.gone", "1.0", "0" * 12))
    assert outcome is Outcome.UNKNOWN
    assert said in why


def test_a_new_version_keeps_the_record_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording under another version writes down what the definitions of the one that was recorded rested on."""
    path, folder = tmp_path / "clauses.json", tmp_path / "released"
    shutil.copy(trace.RECORD, path)
    version, before = trace.recorded(path)
    monkeypatch.setattr(einspec, "SPEC_VERSION", "9.9")
    assert trace.main(["--record"], path, folder) == 0
    assert released.digests(version, folder) == {op: ids["def"] for op, ids in before.items()}
    assert released.clauses_of(version, folder) == {op: list(ids) for op, ids in before.items()}
    assert trace.recorded(path)[0] == "9.9"


def test_an_op_of_an_earlier_version_is_loaded_from_its_own_card() -> None:
    """So is what its definition uses; what did not change is the op of today, in equal words."""
    before, now = released.load_as_of("1.0", "moe_layer"), load("moe_layer")
    assert "routed" in {e.tensor for e in now.forms["llama4"].equations}
    assert "routed" not in {e.tensor for e in before.forms["llama4"].equations}
    assert not list(differences(released.load_as_of("1.0", "top_k"), load("top_k")))
    with pytest.raises(KeyError, match=r"spec 1\.0 has no op 'nothing'"):
        released.load_as_of("1.0", "nothing")


def test_a_card_is_kept_for_all_versions_before_the_change(tmp_path: Path) -> None:
    """An op that a version kept means in all earlier ones what it meant there, if none of them keeps another card."""
    shutil.copytree(released.folder_of("1.0"), released.folder_of("1.0", tmp_path))
    shutil.copytree(released.folder_of("1.0"), released.folder_of("0.9", tmp_path))
    (released.folder_of("0.9", tmp_path) / "moe_layer.toml").unlink()
    assert released.versions(tmp_path) == ["0.9", "1.0"]
    assert released.load_as_of("0.9", "moe_layer", tmp_path) != load("moe_layer")
    assert list(trace.forgotten(tmp_path)) == []


def test_what_changed_is_told_for_the_forms_that_changed(layer: dict[tuple[str, str], Difference]) -> None:
    """Llama 4 gives another result; LongCat takes other routers and networks, and gives what it gave where both are legal.

    The presets that the gate has since are legal now, and nothing else is new of them.
    """
    new = set(load("gate").forms) - set(released.load_as_of("1.0", "gate").forms)
    assert len(new) == 8
    told = {("llama4", "another result"), ("longcat", "legal now"), ("longcat", "legal no longer")}
    assert set(layer) == told | {(preset, "legal now") for preset in new}


def test_the_calls_are_the_smallest(layer: dict[tuple[str, str], Difference]) -> None:
    """All sizes are 1 but for that which makes the difference, and both results are those of the formulas in numbers."""
    found = layer["llama4", "another result"]
    assert found.case.shapes == ((1, 1), (1, 1), (1, 1, 2), (1, 1, 1))
    weight = 1 / (1 + math.exp(-2))  # the ramp is x 1, router 2, gate 3, up 4, down 5

    def network(x: float) -> float:
        return 3 * x / (1 + math.exp(-3 * x)) * 4 * x * 5

    np.testing.assert_allclose(found.before["y"], [[weight * network(1)]], rtol=1e-6)
    np.testing.assert_allclose(found.after["y"], [[network(weight)]], rtol=1e-6)
    assert layer["longcat", "legal now"].case.shapes == ((1, 1), (1, 2), (1, 1, 2), (1, 1, 1), (2,))
    assert layer["longcat", "legal no longer"].case.shapes == ((1, 1), (1, 1), (1, 1, 2), (1, 1, 2), (1,))


def test_the_command_says_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    """The versions, the sentence of the card, and both results; nothing of an op that did not change."""
    assert main(["changes", "moe", "top_k", "--since", "1.0"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"spec {einspec.SPEC_VERSION} against 1.0\n\nmoe_layer\n  1.1: llama4 applies the weights")
    assert f"1.0 gives y = [[50.34]]\n      {einspec.SPEC_VERSION} gives y = [[43.45]]" in out
    assert "1.0 refuses it" in out
    assert "top_k" not in out
    assert out.endswith("new: none\n")


def test_what_is_legal_now_by_a_parameter_alone_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no call differs that both versions have, the sentence of the card says what is new."""
    assert main(["changes", "expert_choice_layer", "--since", "1.0"]) == 0
    assert "\nexpert_choice_layer\n  1.1: router_dtype says" in capsys.readouterr().out


def test_a_version_that_there_is_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists those that there are."""
    assert main(["changes", "--since", "0.9"]) == 2
    assert "--since 0.9 is no earlier version of the spec; these are: 1.0" in capsys.readouterr().err
