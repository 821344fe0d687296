"""The tutorial is run as it stands: its commands with what they print, and the code that it puts into files."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs" / "new-backend.md").read_text(encoding="utf-8")


class Command(NamedTuple):
    """A line after ``$``, and what the page shows of its output."""

    line: str
    shown: list[str]

    @property
    def fails(self) -> bool:
        """Whether the page shows a failure, so that the exit status must be 1."""
        return any(line.startswith(("failed:", "not sound:")) for line in self.shown)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of every block of code of a page."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def commands(block: str) -> Iterator[Command]:
    """Yield the commands of a console block."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output.splitlines())


def missing(shown: list[str], printed: str) -> str:
    """Return the first line of an output that a page shows and a program did not print there, or nothing.

    ``...`` on a line of its own stands for any lines, within a line for any text.
    """
    lines, anywhere = iter(line.rstrip() for line in printed.splitlines()), False
    for want in (line.rstrip() for line in shown):
        if want == "...":
            anywhere = True
            continue
        pattern = ".*".join(re.escape(part) for part in want.split("..."))
        found = next((line for line in lines if re.fullmatch(pattern, line) or not anywhere), None)
        if found is None or not re.fullmatch(pattern, found):
            return want
        anywhere = False
    left = next(lines, None)
    return "" if anywhere or left is None else f"the end, before {left!r}"


def merged(source: str, block: str) -> str:
    """Return a module with the definitions of a block: those that it has are replaced, the others stand at its end."""
    for node in ast.parse(block).body:
        text, name = ast.get_source_segment(block, node), _name(node)
        assert text
        old = next((n for n in ast.parse(source).body if _name(n) == name), None)
        if old is None:
            source = f"{source.rstrip()}\n\n\n{text}\n"
        else:
            lines = source.splitlines()
            lines[old.lineno - 1 : old.end_lineno] = text.splitlines()
            source = "\n".join(lines) + "\n"
    return source


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0])
    return getattr(node, "name", "")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of an environment that has what this one has, and into which the page can install."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    inner = {"base": str(folder), "platbase": str(folder)}
    own = Path(sysconfig.get_path("purelib", "venv", vars=inner))
    above = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (own / "above.pth").write_text("".join(f"import site; site.addsitedir({p!r})\n" for p in above), encoding="utf-8")
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=inner))
    for name, module in {"einspec": "einspec.conformance.cli", "pip": "pip"}.items():
        script = scripts / name
        script.write_text(f'#!/bin/sh\nexec "{scripts / "python"}" -m {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    path = os.pathsep.join([str(scripts), os.environ.get("PATH", "")])
    pip = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "COLUMNS", "FORCE_COLOR")}
    return {**kept, **pip, "PATH": path}


@pytest.mark.skipif(os.name != "posix", reason="the page is written for a POSIX shell")
def test_the_tutorial_works(environment: dict[str, str], tmp_path: Path) -> None:
    """Every command prints what the page shows and ends as it says, and every piece of code is used."""
    pytest.importorskip("array_api_strict", reason="needs array-api-strict")
    pytest.importorskip("setuptools", reason="needs setuptools, to install what the page writes")
    folder, ran = tmp_path, 0
    for kind, block in blocks(TUTORIAL):
        if kind == "python":
            name, _, code = block.partition("\n")
            path = folder / name.removeprefix("# ")
            path.write_text(merged(path.read_text(encoding="utf-8"), code), encoding="utf-8")
            continue
        for command in commands(block) if kind == "console" else ():
            ran += 1
            if command.line.startswith("cd "):
                folder /= command.line.removeprefix("cd ")
                continue
            done = subprocess.run(
                shlex.split(command.line), cwd=folder, env=environment, capture_output=True, text=True, timeout=600
            )
            said = f"$ {command.line}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == int(command.fails), said
            assert not missing(command.shown, done.stdout), f"not printed: {missing(command.shown, done.stdout)}\n{said}"
    assert ran > 8


def test_the_skeleton_is_shown_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first piece of code on the page is what einspec new writes, and so is the problem that the page quotes."""
    pytest.importorskip("array_api_strict", reason="needs array-api-strict")
    from einspec.conformance.scaffold.backend import new_backend

    monkeypatch.chdir(tmp_path)
    paths, _ = new_backend("strict", "array_api_strict")
    first = next(block for kind, block in blocks(TUTORIAL) if kind == "python")
    assert first.partition("\n")[2] in paths[0].read_text(encoding="utf-8")


def test_the_problem_that_is_quoted_is_what_smoke_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An adapter that holds float64 as float32 gets the two lines that the page shows."""
    from einspec.conformance.cli import main

    path = tmp_path / "narrow.py"
    path.write_text(
        'import numpy as np\ndtypes = "float32", "float64"\ndef devices():\n    return ["cpu"]\n'
        'def asarray(x, device):\n    return x.astype(np.float32, casting="unsafe")\n'
        "def to_numpy(x):\n    return x\ndef matrix_transpose(x):\n    return x.mT\n",
        encoding="utf-8",
    )
    assert main(["smoke", str(path)]) == 1
    quoted = next(block for kind, block in blocks(TUTORIAL) if kind == "text")
    assert quoted in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shown", "printed", "said"),
    [
        (["a", "...", "d"], "a\nb\nc\nd", ""),
        (["a", "c"], "a\nb\nc", "c"),
        (["in ... s"], "in 3.5 s", ""),
        (["a", "..."], "a", ""),
        (["a"], "a\nb", "the end, before 'b'"),
        (["...", "z"], "a\nb", "z"),
        ([], "", ""),
    ],
)
def test_a_line_that_is_not_printed_is_found(shown: list[str], printed: str, said: str) -> None:
    """The comparison with the page sees what is missing, out of its place or too much."""
    assert missing(shown, printed) == said
