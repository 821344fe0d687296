"""The pages about the project name what there is: rooms, modules, pinned versions, one command for CI."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGES = ("docs/architecture.md", "docs/testing.md", "SECURITY.md", "RELEASING.md")
DATA = {"templates"}
"""Folders that hold no room."""


def rooms(folder: str) -> set[str]:
    """Return the rooms directly below a folder."""
    found = (path for path in (ROOT / folder).iterdir() if path.is_dir())
    return {path.name for path in found if not path.name.startswith((".", "__"))} - DATA


def named_rooms(folder: str) -> list[str]:
    """Return the rooms of a folder in the order in which the page has them."""
    section = ARCHITECTURE.partition(f"## The rooms of `{folder}/`")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)/` \|", section, re.M)


@pytest.mark.parametrize("folder", ["spec", "conformance"])
def test_every_room_has_its_line(folder: str) -> None:
    """The table of rooms names each folder once, and no other."""
    assert sorted(named_rooms(folder)) == sorted(rooms(folder))


def test_the_rooms_of_the_judge_stand_as_they_may_import() -> None:
    """Their table has the order of the contract that import-linter holds, which names every room."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c.get("containers") == ["einspec.conformance"])
    place = {name.strip(): i for i, layer in enumerate(layers) for name in layer.split("|")}
    named = named_rooms("conformance")
    assert set(named) <= set(place)
    assert [place[name] for name in named] == sorted(place[name] for name in named)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    """From the root on, or from one of the three folders on, and links from the page on."""
    text = (ROOT / page).read_text(encoding="utf-8")
    made = {"CHANGELOG.md", "kernel.py", "report.jsonl", "FILE.py"}
    names = set(re.findall(r"`([\w./-]+(?:\.(?:py|md|js|json|toml|cff)|/))`", text)) - made
    for name in names:
        assert any((ROOT / base / name).exists() for base in ("", "spec", "conformance", "impls")), name
    for link in re.findall(r"\]\(([^):#]+)\)", text):
        assert ((ROOT / page).parent / link).exists(), link


def test_every_name_that_the_table_gives_a_place_is_there() -> None:
    """What is to be edited for something new stands in the file that the page names."""
    section = ARCHITECTURE.partition("## Where to put")[2]
    pairs = re.findall(r"`(\w+)`(?: and `(\w+)`)? (?:in|of) `([\w/.]+\.py)`", section)
    assert len(pairs) > 7
    for first, second, file in pairs:
        text = (ROOT / file).read_text(encoding="utf-8")
        for name in filter(None, (first, second)):
            assert re.search(rf"^(def |class )?{name}\b", text, re.M), f"{name} in {file}"


def test_ci_does_what_anybody_can() -> None:
    """The hosted file sets up every Python that tox looks for, the oldest as python3, calls the one script, and ends."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"run: (.*)", text) == [".ci/run"]
    assert re.search(r"^ +timeout-minutes: \d+$", text, re.M)
    (block,) = re.findall(r"^( +)python-version: \|.*\n((?:\1 +\S+\n)+)", text, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    others = re.findall(r"\bpy3(\d+)", tox.partition("env_list")[2].partition("\n")[0])
    assert others
    assert block[1].split() == [*(f"3.{n}" for n in sorted(others, key=int, reverse=True)), oldest]
    named = [c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert sorted(named) == sorted(block[1].split())


def test_the_hooks_use_the_pinned_versions() -> None:
    """Each package of a hook is in constraints.txt, in the same version."""
    wanted = re.findall(r'\["(.*)"\]', (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert len(wanted) == 2
    assert set(wanted) <= set((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())


def test_the_releases_name_one_version() -> None:
    """The files in which a release sets the version have the same one."""
    import einspec

    for name in ("pyproject.toml", "CITATION.cff"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(rf'^version[ :=]+"?{re.escape(einspec.__version__)}"?$', text, re.M), name
