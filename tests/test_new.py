"""einspec new: what it writes works as it is, says what is left to do, and takes the place of nothing."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from einspec.card import load, paths, read_card
from einspec.conformance.cli import main
from einspec.conformance.scaffold import exercise

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax", "array_api_strict"])
def test_a_new_backend_is_sound_and_passes(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The skeleton is sound and passes as it is written, under --strict too."""
    pytest.importorskip(framework, reason=f"needs {framework}")
    assert main(["new", "backend", "my-own", "--framework", framework]) == 0
    module = "einspec-my-own/einspec_my_own.py"
    assert f"wrote {module}" in capsys.readouterr().out
    if framework not in ("torch", "jax"):  # which have the adapter that is tried elsewhere
        assert main(["smoke", module]) == 0, capsys.readouterr().out
    assert main(["check", module, "--strict", "--tier", "scope"]) == 0, capsys.readouterr().out
    assert "matrix_transpose" in capsys.readouterr().out


def test_a_new_backend_has_a_workflow_and_an_entry_point() -> None:
    """The workflow calls commands that there are, the entry point names the module."""
    from einspec.conformance.cli import parser

    assert main(["new", "backend", "my-own", "."]) == 0
    workflow = Path(".github/workflows/einspec.yml").read_text(encoding="utf-8")
    called = [line.partition("run: ")[2].split() for line in workflow.splitlines() if "run: einspec " in line]
    assert [words[1] for words in called] == ["smoke", "check", "report"]
    for words in called:
        parser().parse_args([w.strip('"') for w in words[1:] if w not in (">>", '"$GITHUB_STEP_SUMMARY"')])
    assert 'my-own = "einspec_my_own"' in Path("pyproject.toml").read_text(encoding="utf-8")
    assert not [p for p in Path().rglob("*") if p.is_file() and "{{" in p.read_text(encoding="utf-8")]


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    """One file in the way is enough: nothing at all is written, and the file stays."""
    Path("README.md").write_text("mine", encoding="utf-8")
    assert main(["new", "backend", "own", "."]) == 2
    assert "already there, and left as they are: README.md" in capsys.readouterr().err
    assert [p.name for p in Path().iterdir()] == ["README.md"]
    Path("stack_exercise.py").write_text("mine", encoding="utf-8")
    assert main(["new", "exercise", "stack"]) == 2
    assert Path("stack_exercise.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backend", "numpy"], "taken by the installed backend numpy"),
        (["backend", "einops"], "taken by the installed backend einops-"),
        (["backend", "My Own"], "cannot name a backend: take lower-case letters"),
        (["backend", "1st"], "such as my-kernels"),
        (["backend", "class"], "'class' cannot name a backend: it is a keyword of Python"),
        (
            ["backend", "json"],
            "module of Python's standard library, and einspec check json would not say which is meant",
        ),
        (["backend", "ml-dtypes"], "it is a module that einspec itself imports"),
        (["backend", "einspec"], "choose a name that nothing else has, such as my-einspec"),
        (["backend", "own", "--framework", "nosuchframework"], "no module 'nosuchframework' here"),
        (["backend", "own", "--framework", "a b"], "no import name"),
        (["backend", "own", "--framework", "json"], "json is no namespace of the array API standard, it has no asarray"),
        (["backend", "own", "--framework", "json.nope"], "--framework json.nope cannot be imported: ModuleNotFoundError"),
        (["backend", "own", "-"], "cannot print DIR: it is several files; name a folder"),
        (["backend", "own", __file__], "it is a file; name a folder for DIR"),
        (["op", "own"], "no checkout of einspec here"),
        (["exercise", "pixel_shufle"], "did you mean pixel_shuffle"),
        (["exercise", "select", "select.py"], "would hide select, a module of Python's standard library"),
        (["exercise", "stack", "torch.py"], "would hide torch, a module that einspec itself imports; choose another"),
        (["exercise", "stack", "class.py"], "cannot be imported"),
        (["exercise", "stack", "-"], "cannot be imported: give a file name"),
        (["exercise", "stack", "my-file.py"], "cannot be imported"),
        (["exercise", "stack", "file.txt"], "cannot be imported"),
    ],
)
def test_what_cannot_be_written_says_so(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is an error of use that says what to do, and leaves no file."""
    assert main(["new", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_a_framework_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A known framework that is not installed is no obstacle to writing, and the way to it is printed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["new", "backend", "own", "--framework", "jax"]) == 0
    assert "pip install 'einspec[jax]'" in capsys.readouterr().out


def test_an_exercise_fails_until_it_is_solved(capsys: pytest.CaptureFixture[str]) -> None:
    """The file holds the task and no answer; the judge fails it as it is and passes the solution."""
    assert main(["new", "exercise", "depth_to_space_crd", "mine.py"]) == 0
    text = Path("mine.py").read_text(encoding="utf-8")
    for part in (
        "Move channels into space"[1:],
        "y[..., c, (h,i), (w,j)] = x[..., (c,i,j), h, w]",
        "at least 1",
        "[19, 22, 20,",
    ):
        assert part in text
    assert "rearrange" not in text
    assert main(["check", "mine.py", "--tier", "scope"]) == 1
    assert "pixel_shuffle is not written yet" in capsys.readouterr().out
    solved = """r = upscale_factor
    *lead, c, h, w = x.shape
    y = x.reshape(-1, c // r**2, r, r, h, w) if x.size else x.reshape(0, c // r**2, r, r, h, w)
    return y.transpose(0, 1, 4, 2, 5, 3).reshape(*lead, c // r**2, h * r, w * r)"""
    Path("mine.py").write_text(text.replace('raise NotImplementedError("pixel_shuffle is not written yet")', solved), "utf-8")
    assert main(["check", "mine.py", "--tier", "scope"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("array", exercise.ARRAYS.values())
def test_the_head_of_every_exercise_is_python(array: str) -> None:
    """The function takes the tensors and parameters of the card."""
    for name in paths():
        (function,) = ast.parse(f"def {exercise._signature(load(name), array)}:\n    pass").body
        assert isinstance(function, ast.FunctionDef)
        assert [a.arg for a in function.args.kwonlyargs] == list(load(name).card.params)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the parts of the repository that an op is written into, and go there."""
    for folder in ("spec", "impls", "conformance"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "copy" / "spec")
    return tmp_path / "copy"


HEADS = ["--signature", "x: b n (h d) -> y: b h n d", "--definition", "y[b,h,n,d] = x[b,n,(h,d)]", "--param", "num_heads=h"]


def einspec(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Run the command of a copy of the repository."""
    package = checkout / "package" / "einspec"
    if not package.exists():
        package.parent.mkdir()
        package.symlink_to(checkout / "spec")
        for folder in ("impls", "conformance"):
            (checkout / "spec" / folder).symlink_to(checkout / folder)
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-m", "einspec.conformance.cli", *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_a_new_op_is_a_card_and_a_list_of_what_to_do(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The card can be shown at once, the judge says which clauses fail, and the op passes once it is written."""
    assert main(["new", "op", "cut_heads", "--family", "attention", *HEADS]) == 0
    assert "the einspec that runs here reads its cards in" in capsys.readouterr().out
    status, shown = einspec(checkout, "show", "cut_heads")
    assert status == 0, shown
    assert "rearrange(x, 'b n (h d) -> b h n d', h=num_heads)" in shown
    status, judged = einspec(checkout, "check", "numpy", "--op", "cut_heads", "--tier", "scope")
    assert status == 1, judged
    todo_text, stopped = "NotImplementedError: cut_heads is not written yet", "cut_heads/def is wrong; --all judges the rest"
    for part in ("cut_heads/def", todo_text, stopped):
        assert part in judged
    path = checkout / "impls" / "numpy" / "attention.py"
    body = "return split_heads(x, num_heads=num_heads)"
    todo = 'raise NotImplementedError("cut_heads is not written yet")'
    path.write_text(path.read_text(encoding="utf-8").replace(todo, body), encoding="utf-8")
    status, judged = einspec(checkout, "check", "numpy", "--op", "cut_heads", "--tier", "scope")
    assert status == 0, judged


def test_a_new_family_is_registered_in_every_backend(checkout: Path) -> None:
    """The card stands as it was asked for, and each backend has the function and exports it."""
    listed = ["--signature", "xs: [t] a -> y: (t a), z: a", "--definition", "y[(t,a)] = xs[t,a]\nz[a] = sum[t](xs[t,a])"]
    assert main(["new", "op", "join", "--family", "bundles", *listed]) == 0
    assert main(["new", "op", "join_two", "--family", "losses", *listed]) == 0
    assert read_card(checkout / "spec/ops/bundles/join.toml").signature == "xs: [t] a -> y: (t a), z: a"
    for framework in ("numpy", "torch", "jax"):
        init = (checkout / "impls" / framework / "__init__.py").read_text(encoding="utf-8")
        families = [n.module for n in ast.parse(init).body if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
        assert f"einspec.impls.{framework}.bundles" in families
        assert families == sorted(families, key=str)
        for family, name in {"bundles": "join", "losses": "join_two"}.items():
            source = (checkout / "impls" / framework / f"{family}.py").read_text(encoding="utf-8")
            body = ast.parse(source).body
            (function,) = (n for n in body if isinstance(n, ast.FunctionDef) and n.name == name)
            assert ast.unparse(function.args.args[0]).startswith("xs: Sequence[")
            assert "from collections.abc import" in source.partition("Sequence")[0]
            exported = next(n for n in body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
            names = ast.literal_eval(exported.value)
            assert name in names
            assert names == sorted(names)


def test_the_steps_to_a_new_op_are_complete(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is to be filled in is marked where it stands, and each mark and function is in the list that is printed."""
    assert main(["new", "op", "own", "--family", "bundles", "--param", "count"]) == 0
    steps = capsys.readouterr().out.partition("next:\n")[2]
    named = [line.split("  #")[0].strip() for line in steps.splitlines()]
    todo = [p for p in sorted(checkout.rglob("*.*")) if p.suffix in (".py", ".toml") and "TODO: " in p.read_text("utf-8")]
    marked = [str(p.relative_to(checkout)) for p in todo if p.parent.name in ("bundles", "numpy", "torch", "jax")]
    assert marked == [f"impls/{f}/bundles.py" for f in ("jax", "numpy", "torch")] + ["spec/ops/bundles/own.toml"]
    assert named[:3] == ["edit spec/ops/bundles/own.toml", "einspec show own", "edit impls/{numpy,torch,jax}/bundles.py"]
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Add an op")[2].partition("\n## ")[0]
    for step in named[1:2] + named[3:6]:
        assert step.replace("own", "<op>") in contributing, step
    card = (checkout / "spec/ops/bundles/own.toml").read_text("utf-8")
    for said in (
        "TODO: one sentence, what goes where",
        "TODO: these two say `a copy of x`",
        "TODO: what count counts or chooses",
    ):
        assert said in card


def test_nothing_in_the_repository_is_left_to_do() -> None:
    """Every mark that einspec new has ever left was filled in."""
    for folder in ("spec", "impls"):
        for path in (ROOT / folder).rglob("*"):
            assert path.suffix not in (".py", ".toml") or "TODO: " not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("impls/torch/axes.py", "def half(:", "cannot be read as Python"),
        ("impls/jax/axes.py", "x = 1\n", "has no list __all__"),
        ("impls/jax/axes.py", None, "impls/jax/axes.py cannot be written"),
        ("spec/ops/axes/tile.toml", "summary = ", "cannot be read as TOML"),
    ],
)
def test_an_op_is_added_whole_or_not_at_all(
    file: str, text: str | None, said: str, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be read or written leaves all others as they were."""
    if text is not None:
        (checkout / file).write_text(text, encoding="utf-8")
    else:
        usual = Path.write_text

        def write_text(path: Path, *given: object, **named: object) -> int:
            if path == checkout / file:
                raise PermissionError(13, "Permission denied", str(path))
            return usual(path, *given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "write_text", write_text)
    before = {p: p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    assert main(["new", "op", "own", "--family", "axes"]) == 2
    assert said in capsys.readouterr().err
    assert {p: p.read_bytes() for p in checkout.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stack"], "the op stack is there already: spec/ops/axes/stack.toml"),
        (["topk"], "topk is another name of the op top_k"),
        (["max"], "max cannot name an op: it is a function of Python; choose a name that says more, such as max_blocks"),
        (["to_numpy"], "it is a name that the backends use"),
        (["np"], "it is a name that the backends use"),
        (["torch"], "it is a module that einspec itself imports"),
        (["lambda"], "lambda cannot name an op: it is a keyword of Python"),
        (["queue"], "it is a module of Python's standard library"),
        (["images"], "images cannot name an op: it is a file of the backends"),
        (["own", "--family", "own"], "own cannot name an op: it is its own family"),
        (["own", "--family", "tile"], "tile cannot name a family: it is an op"),
        (["own", "--family", "random"], "random cannot name a family: it is a module of Python's standard library"),
        (["own", "--family", "a/b"], "'a/b' cannot name a family: take lower-case letters"),
        (["Own"], "cannot name an op: take lower-case letters, digits and _, beginning with a letter, such as merge_heads"),
        (["own", "--family", "rows"], "no family of ops"),
        (["own", "--signature", "x: a -> y: a"], "both --signature and --definition"),
        (["own", "--signature", "x a", "--definition", "y[a] = x[a]"], "the card would be wrong"),
        (["own", *HEADS[:4]], "as --param num_heads=h"),
        (["own", "--param", "a b"], "expected a name"),
        (["own", "--param", "x"], "x is a tensor of the signature: give the parameter another name"),
        (["own", "--signature", "x: a, x: a -> y: a", "--definition", "y[a] = x[a]"], "x is the name of two tensors"),
        (
            ["own", "--signature", "x: a, lambda: a -> y: a", "--definition", "y[a] = x[a]"],
            "no function could take these inputs",
        ),
        (["own", "--signature", "x: a -> y: a", "--definition", "y[a] = x[a]" + " + x[a]" * 3000], "nests too deep"),
        (["own", "--signature", "x: a -> y: a", "--definition", "y[a] = x[a]\udcff"], "the card would be wrong"),
    ],
)
def test_an_op_that_cannot_be_says_so(
    arguments: list[str], said: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is taken and a card that contradicts itself are errors of use, and nothing is written."""
    before = sorted(p for p in checkout.rglob("*") if "__pycache__" not in p.parts)
    assert main(["new", "op", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert sorted(p for p in checkout.rglob("*") if "__pycache__" not in p.parts) == before
