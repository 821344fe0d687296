"""Pages of the documentation run as they stand: their files are written, their commands print what they show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from test_tutorial import blocks, commands, missing


def run_page(page: str, folder: Path) -> tuple[list[str], str]:
    """Run a page in a folder and return the files that it has, and its commands.

    Args:
        page: the text; a block of TOML or Python that begins with ``# NAME`` is the file of that name.
        folder: where to.
    """
    script = folder / "bin" / "einspec"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m einspec.conformance.cli "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    written, ran = [], ""
    for kind, block in blocks(page):
        first = block.partition("\n")[0]
        if kind in ("toml", "python") and first.startswith("# ") and first.endswith((".toml", ".py")):
            name = first.removeprefix("# ")
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(block, encoding="utf-8")
            written.append(name)
        for command in commands(block) if kind == "console" else ():
            done = subprocess.run(
                command.line, shell=True, cwd=folder, env=environment, text=True, capture_output=True, check=False
            )
            lost = missing(command.shown, done.stdout)
            assert not lost, f"{command.line}: {lost!r} is not in\n{done.stdout}\n{done.stderr}"
            assert done.returncode == int(command.fails), command.line
            ran += command.line
    return written, ran
