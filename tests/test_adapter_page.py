"""The page about adapters is run as it stands: its files are written, its commands print what it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_tutorial import blocks, commands, missing

from einspec.conformance.targets.conventions import CONVENTIONS
from einspec.conformance.targets.library import Adapter, Library

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="the page is written for a POSIX shell")
def test_the_page_works(tmp_path: Path) -> None:
    """Every command prints what the page shows and ends as it says, and every file is used."""
    script = tmp_path / "bin" / "einspec"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m einspec.conformance.cli "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    written, ran = [], ""
    for kind, block in blocks(PAGE):
        if kind == "toml":
            name = block.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(block, encoding="utf-8")
            written.append(name)
        for command in commands(block) if kind == "console" else ():
            done = subprocess.run(
                command.line, shell=True, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
            )
            lost = missing(command.shown, done.stdout)
            assert not lost, f"{command.line}: {lost!r} is not in\n{done.stdout}\n{done.stderr}"
            assert done.returncode == int(command.fails), command.line
            ran += command.line
    assert written
    assert all(name in ran for name in written)


def test_the_page_names_every_convention_and_every_key() -> None:
    """Its table of conventions is the closed list, and each key of a file is explained."""
    for name, convention in CONVENTIONS.items():
        assert f"| `{name}` | {convention.weakens} | {convention.what} |" in PAGE
    for key in {*Adapter.__struct_fields__, *Library.__struct_fields__} - {"op"}:
        assert f"`{key}" in PAGE, key
