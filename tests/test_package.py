"""What is installed: every module and card, no framework imported before it is needed, imports one way."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"spec": "einspec", "impls": "einspec.impls", "conformance": "einspec.conformance"}


def shipped() -> list[tuple[str, Path]]:
    """Return every file of the tree that a package needs, each with its package: modules, cards, templates, the page."""
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*")):
            inside = path.relative_to(ROOT / folder)
            if path.is_file() and not {"__pycache__", ".mypy_cache", ".ruff_cache"} & set(inside.parts):
                found.append((".".join((package, *inside.parent.parts)), path))
    return found


def test_the_tree_holds_more_than_modules() -> None:
    """What no import would miss is there to be shipped: the record of clauses, the page, the templates, the cards."""
    kinds = {(path.parent.name, path.suffix) for _, path in shipped()}
    assert kinds >= {("page", ".html"), ("page", ".css"), ("page", ".js"), ("templates", ".txt"), ("images", ".toml")}
    assert {"clauses.json", "py.typed", "backend.py.txt", "op.toml.txt"} <= {path.name for _, path in shipped()}


def test_every_file_is_in_the_package_that_is_built() -> None:
    """Each module lies in a package that pyproject.toml lists, and each other file fits a pattern of its package data."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = [
        str(Path(*package.split("."), pattern)) for package, given in setuptools["package-data"].items() for pattern in given
    ]
    for package, path in shipped():
        if path.suffix == ".py":
            assert package in setuptools["packages"], f"{path} is in no package that is built"
        else:
            place = Path(*package.split("."), path.name)
            assert any(place.match(pattern) for pattern in patterns), f"{path} is no data of a package"
    unused = [p for p in patterns if not any(Path(*package.split("."), path.name).match(p) for package, path in shipped())]
    assert not unused, unused


def test_the_installed_package_holds_every_file() -> None:
    """Each file of the tree is in the installed package, as it is there."""
    import einspec

    installed = Path(einspec.__file__).parent
    if not (installed / "impls").exists():
        pytest.skip("an editable install has no copy of the tree")
    for package, path in shipped():
        copy = installed.joinpath(*package.split(".")[1:], path.name)
        assert copy.is_file(), path
        assert copy.read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize("module", ["einspec", "einspec.conformance.cli", "einspec.pages.text"])
def test_importing_takes_no_framework(module: str) -> None:
    """Neither PyTorch nor JAX is imported before a backend is asked for."""
    code = f"import sys, {module}; assert not {{'torch', 'jax', 'hypothesis'}} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_imports_go_one_way() -> None:
    """The spec imports neither backends nor judge, the backends do not import the judge; one name leads up, for tests."""
    for folder, banned in {"spec": ("einspec.impls", "einspec.conformance"), "impls": ("einspec.conformance",)}.items():
        for path in set((ROOT / folder).rglob("*.py")) - {ROOT / "spec" / "testing.py"}:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
                assert not [n for n in names if n.startswith(banned)], path


def test_the_oracle_shares_no_code_with_a_backend() -> None:
    """The interpreters import no framework beyond NumPy at module level, and never einops."""
    for name in ("oracle.py", "pointwise.py", "points.py", "elementwise.py"):
        tree = ast.parse((ROOT / "spec" / "semantics" / name).read_text(encoding="utf-8"))
        roots = {n.module.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        assert "einops" not in roots
        assert "torch" not in roots


def test_the_version_is_that_of_the_distribution() -> None:
    """One version everywhere."""
    import einspec

    assert importlib.metadata.version("einspec") == einspec.__version__


def test_backends_mirror_each_other() -> None:
    """The three backends have the same files with the same functions in the same order."""
    listed = {}
    for framework in ("numpy", "torch", "jax"):
        for path in sorted((ROOT / "impls" / framework).glob("[a-z]*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
            ops = [n.name for n in functions if any(ast.unparse(d) == "op" for d in n.decorator_list)]
            if ops:
                listed.setdefault(path.name, {})[framework] = ops
    assert listed
    for file, by_framework in listed.items():
        assert len(by_framework) == 3, file
        assert len({tuple(v) for v in by_framework.values()}) == 1, file
