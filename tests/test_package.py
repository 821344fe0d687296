"""What is installed: every module and card, no framework imported before it is needed, imports one way."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"spec": "einspec", "impls": "einspec.impls", "conformance": "einspec.conformance"}


def test_the_installed_package_holds_every_module_and_card() -> None:
    """Each Python file and card of the tree is in the installed package."""
    import einspec

    installed = Path(einspec.__file__).parent
    for folder, package in FOLDERS.items():
        inside = installed.joinpath(*package.split(".")[1:])
        if not inside.exists():
            pytest.skip("an editable install has no copy of the tree")
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".toml") or path.name == "py.typed":
                assert (inside / path.relative_to(ROOT / folder)).is_file(), path


@pytest.mark.parametrize("module", ["einspec", "einspec.conformance.cli", "einspec.conformance.show"])
def test_importing_takes_no_framework(module: str) -> None:
    """Neither PyTorch nor JAX is imported before a backend is asked for."""
    code = f"import sys, {module}; assert not {{'torch', 'jax', 'hypothesis'}} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_imports_go_one_way() -> None:
    """The spec imports neither backends nor judge, the backends do not import the judge."""
    for folder, banned in {"spec": ("einspec.impls", "einspec.conformance"), "impls": ("einspec.conformance",)}.items():
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
                assert not [n for n in names if n.startswith(banned)], path


def test_the_oracle_shares_no_code_with_a_backend() -> None:
    """The interpreters import no framework beyond NumPy at module level, and never einops."""
    for name in ("oracle.py", "pointwise.py", "points.py", "elementwise.py"):
        tree = ast.parse((ROOT / "spec" / name).read_text(encoding="utf-8"))
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
