"""The page about adapters is run as it stands: its files are written, its commands print what it shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pages import run_page

from einspec.conformance.targets.conventions import CONVENTIONS
from einspec.conformance.targets.library import Adapter, Library

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="the page is written for a POSIX shell")
def test_the_page_works(tmp_path: Path) -> None:
    """Every command prints what the page shows and ends as it says, and every file is used."""
    written, ran = run_page(PAGE, tmp_path)
    assert written
    assert all(name in ran for name in written)


def test_the_page_names_every_convention_and_every_key() -> None:
    """Its table of conventions is the closed list, and each key of a file is explained."""
    for name, convention in CONVENTIONS.items():
        assert f"| `{name}` | {convention.weakens} | {convention.what} |" in PAGE
    for key in {*Adapter.__struct_fields__, *Library.__struct_fields__} - {"op"}:
        assert f"`{key}" in PAGE, key
