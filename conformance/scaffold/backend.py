"""A new backend: a module with its adapter and a first op, the entry point, a workflow for CI."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import re
from pathlib import Path

from einspec.conformance import output
from einspec.conformance.errors import UsageError
from einspec.conformance.scaffold import filled, occupied, write
from einspec.conformance.targets.adapter import ADAPTER, OPTIONAL
from einspec.conformance.targets.names import FRAMEWORKS, known_backends
from einspec.impls import adapters

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
ADAPTERS = Path(adapters.__file__).parent
"""Where the adapters are that a backend on a framework of the suite borrows."""


def new_backend(name: str, framework: str, folder: Path | None = None) -> tuple[list[Path], list[str]]:
    """Write the skeleton of a backend.

    Args:
        name: what the backend is to be called.
        framework: numpy, torch, jax, or the import name of a namespace that follows the array API standard.
        folder: where to; ``einspec-<name>`` if absent.

    Returns:
        The files, and remarks for the user.

    Raises:
        UsageError: the name cannot be used, the framework is unknown, or a file is there already.
    """
    _check_name(name)
    output.folder("DIR", folder)
    framework = {"pytorch": "torch", "jax.numpy": "jax"}.get(framework, framework)
    remarks = _check_framework(framework)
    folder = folder or Path(f"einspec-{name}")
    module = f"einspec_{name.replace('-', '_')}"
    values = {
        "name": name,
        "module": module,
        "framework": framework,
        "distribution": _distribution(framework),
        "imports": _imports(framework),
    }
    adapter = "backend_borrowed.py" if framework in FRAMEWORKS else "backend.py"
    texts = {
        folder / f"{module}.py": filled(adapter, values),
        folder / "pyproject.toml": filled("backend_pyproject.toml", values),
        folder / "README.md": filled("backend_README.md", values),
        folder / ".github" / "workflows" / "einspec.yml": filled("backend_workflow.yml", values),
    }
    write(texts)
    return list(texts), remarks


def _imports(framework: str) -> str:
    """Return the imports of the module, in their order."""
    if framework not in FRAMEWORKS:
        return "\n".join(sorted(("import numpy as np", f"import {framework} as xp")))
    adapter = "".join(f"    {name},\n" for name in _borrowed(framework))
    checks = f"from einspec.impls.checked_{framework} import op"
    source = f"einspec.impls.adapters.{framework}"
    lines = sorted((f"from {source} import (  # noqa: F401  # the adapter\n{adapter})", checks))
    return "\n".join(lines)


def _borrowed(framework: str) -> list[str]:
    """Return the names of an adapter that there is, which need not be importable here."""
    tree = ast.parse((ADAPTERS / f"{framework}.py").read_bytes())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {ast.unparse(target) for target in targets}
    return sorted(names & {*ADAPTER, *OPTIONAL})


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a backend: take lower-case letters, digits and single - or _, beginning with a letter,"
            " such as my-kernels"
        )
    same = [b for b in known_backends() if b.replace("-", "_") == name.replace("-", "_") or b.startswith(f"{name}-")]
    if same:
        raise UsageError(f"{name!r} is taken by the installed backend {same[0]}; choose another name, such as my-{name}")
    what = occupied(name.replace("-", "_"))
    if what:
        raise UsageError(
            f"{name!r} cannot name a backend: it is {what}, and einspec check {name} would not say which is meant;"
            f" choose a name that nothing else has, such as my-{name}"
        )


def _check_framework(framework: str) -> list[str]:
    """Return what to say of a framework that is not installed, or raise where nothing is known of it."""
    if not all(part.isidentifier() for part in framework.split(".")):
        raise UsageError(f"{framework!r} is no import name; --framework is numpy, torch, jax or an array API namespace")
    if importlib.util.find_spec(framework.partition(".")[0]):
        _check_namespace(framework)
        return []
    if framework in FRAMEWORKS:
        return [f"{framework} is not installed here: pip install 'einspec[{framework}]' before the backend is tried"]
    raise UsageError(
        f"no module {framework!r} here: install it first, or give --framework numpy, torch, jax or the import name of a"
        " namespace that follows the array API standard"
    )


def _check_namespace(framework: str) -> None:
    """Raise where a module that is here is none of arrays."""
    try:
        arrays = framework in FRAMEWORKS or hasattr(importlib.import_module(framework), "asarray")
    except Exception as error:
        raise UsageError(f"--framework {framework} cannot be imported: {type(error).__name__}: {error}") from None
    if not arrays:
        raise UsageError(
            f"{framework} is no namespace of the array API standard, it has no asarray: give --framework numpy, torch, jax or"
            " the import name of one that is"
        )


def _distribution(framework: str) -> str:
    """Return what pip calls a framework."""
    root = framework.partition(".")[0]
    return importlib.metadata.packages_distributions().get(root, [root])[0].replace("_", "-")
