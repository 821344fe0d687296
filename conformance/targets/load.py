"""Finding what is to be judged: a backend by entry point, a module by its dotted name, or a file by its path."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import keyword
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from einspec.calls.cases import bank
from einspec.card import Op, aliases, load, paths
from einspec.conformance.targets.calling import adapted, arguments, in_order
from einspec.conformance.targets.declared import DeclarationError, Known, Unsupported, never_tried, read_known, read_unsupported
from einspec.dtypes import ALL, USUAL

GROUP = "einspec.backends"
FRAMEWORKS = {"torch": "einspec.impls.torch", "jax": "einspec.impls.jax", "numpy": "einspec.impls.numpy"}
"""The adapter that a bare file borrows, by framework."""
ADAPTER = ("devices", "asarray", "to_numpy", "dtypes")
"""What makes a module a backend; a module without them is judged as a bare file of functions."""


class TargetError(Exception):
    """What was asked for cannot be judged: it does not exist, cannot be imported or defines no op."""


@dataclass
class Target:
    """Functions to be judged and the adapter through which they get their arrays.

    ``bare`` says that they come from a file of functions: it promises to compute what the cards say and to reject what
    does not divide or fit, and nothing about other ranks, parameters out of range, dtypes or transforms.
    """

    name: str
    adapter: Any
    functions: dict[str, Callable[..., Any]]
    load: str
    """Python that defines the functions in a stand-alone script."""
    bare: bool = False
    positional: set[str] = field(default_factory=set)
    """Ops whose functions take any keyword by their signature and yet not those of the card."""
    unsupported: list[Unsupported] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)

    @property
    def framework(self) -> str:
        """The framework whose arrays the functions take."""
        return str(getattr(self.adapter, "framework", self.name))

    def call(self, op: Op) -> Callable[..., Any]:
        """Return the function of an op, taking its parameters by the names of the card."""
        return adapted(self.functions[op.name], op, self.positional) if self.bare else self.functions[op.name]

    def excuse(self, op: str, clause: str, device: str) -> str:
        """Return why the target says that it does not offer a clause of an op on a device, or nothing."""
        entry = next((u for u in self.unsupported if u.covers(op, clause, device)), None)
        return f"{entry.reason} {entry.url}".strip() if entry else ""

    @property
    def declared(self) -> list[tuple[str, str]]:
        """Every id that the target names in what it says of itself, and where."""
        return [*((u.what, "unsupported") for u in self.unsupported), *((k.clause, k.where) for k in self.known)]

    def arguments(self, op: Op, params: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the parameters of a call as the function takes them: by position, and by name."""
        if op.name in self.positional:
            return in_order(op, params), {}
        return arguments(self.functions[op.name], op, params) if self.bare else ([], dict(params))


def known_backends() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the installed backends by name."""
    return {e.name: e for e in importlib.metadata.entry_points(group=GROUP)}


def expand_names(names: Iterable[str]) -> list[str]:
    """Return the names with ``einops`` replaced by its backends, one a framework that is installed here."""
    found: list[str] = []
    for name in names:
        members = [b for b in known_backends() if b.startswith(f"{name}-")]
        if name not in known_backends() and members and not _is_file(name):
            found += [m for m in members if importlib.util.find_spec(m.removeprefix(f"{name}-"))]
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def default_names() -> list[str]:
    """Return every installed backend whose framework is installed here."""
    usable = []
    for name in known_backends():
        framework = name.rpartition("-")[2]
        if framework not in FRAMEWORKS or importlib.util.find_spec(framework):
            usable.append(name)
    return usable


def find(name: str, probe: Callable[[str], bool] = lambda op: True) -> list[Target]:
    """Return what a name stands for; a file whose functions work on several frameworks gives one target each.

    Args:
        name: a backend, a dotted module or the path of a file.
        probe: told which op is about to be called to learn which framework it is for; false if it had better not be.

    Raises:
        TargetError: nothing of that name can be judged; the message says why and what there is.
    """
    if _is_file(name):
        return _from_file(Path(name), probe)
    try:
        if name in known_backends():
            return [_backend(name, importlib.import_module(known_backends()[name].value))]
        if Path(name).is_dir():
            raise TargetError(f"{name} is a folder: name a file in it")
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            raise TargetError(f"no backend, module or file {name!r}; installed backends: {', '.join(known_backends())}")
        module = importlib.import_module(name)
    except ImportError as error:
        raise TargetError(f"{name} cannot be imported: {error}") from error
    return _targets(name, module, f"from {name} import *", frozenset(), probe)


def _is_file(name: str) -> bool:
    return name.endswith(".py") or Path(name).is_file()


def _from_file(path: Path, probe: Callable[[str], bool]) -> list[Target]:
    if not path.is_file():
        raise TargetError(f"no file {path}")
    try:
        imported = _imported_names(ast.parse(path.read_bytes(), str(path)))
    except (SyntaxError, ValueError) as error:
        raise TargetError(f"{path} cannot be read as Python: {error}") from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise TargetError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return _targets(path.name, module, _script(path), imported, probe)


def _script(path: Path) -> str:
    """Return Python that defines what a file defines; one whose name no import statement can hold, or means another, is run."""
    if (
        path.stem.isidentifier()
        and not keyword.iskeyword(path.stem)
        and path.stem not in (*sys.stdlib_module_names, *FRAMEWORKS)
    ):
        return f"import sys\nsys.path.insert(0, {str(path.parent)!r})\nfrom {path.stem} import *"
    return f"import runpy\nglobals().update(runpy.run_path({str(path)!r}))"


def _check_adapter(name: str, adapter: Any) -> None:
    """Check what an adapter says of itself.

    Raises:
        TargetError: it names no devices or dtypes, or not as text.
    """
    dtypes = adapter.dtypes
    unknown = [d for d in dtypes if d not in ALL] if isinstance(dtypes, tuple | list | set | frozenset) else [dtypes]
    if unknown or not dtypes:
        raise TargetError(
            f"{name}: dtypes must be names such as 'float32', of those that einspec knows, not {unknown or dtypes!r}"
        )
    try:
        devices = adapter.devices()
    except Exception as error:
        raise TargetError(f"{name}: devices() raised {type(error).__name__}: {error}") from error
    named = isinstance(devices, tuple | list) and all(isinstance(d, str) and d for d in devices)
    if not named or not devices or len(set(devices)) < len(devices):
        raise TargetError(f"{name}: devices() must give a list of different names such as ['cpu'], not {devices!r}")


def _imported_names(tree: ast.Module) -> frozenset[str]:
    """Return the names that a file only imports: helpers of other packages, not ops of its own."""
    statements = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return frozenset(a.asname or a.name for s in statements for a in s.names)


def _targets(name: str, module: ModuleType, here: str, imported: frozenset[str], probe: Callable[[str], bool]) -> list[Target]:
    if all(hasattr(module, attribute) for attribute in ADAPTER):
        return [_backend(name, module, here)]
    functions: dict[str, tuple[str, Callable[..., Any]]] = {}
    for label in vars(module):
        op = _op_named(label)
        if op and label not in imported and callable(getattr(module, label)) and not isinstance(getattr(module, label), type):
            function = getattr(module, label)
            if op in functions and functions[op][1] is not function:
                raise TargetError(f"{name} defines {functions[op][0]} and {label}, two functions for the op {op}: keep one")
            functions[op] = label, function
    if not functions:
        if any(_op_named(n) for n, v in vars(module).items() if isinstance(v, type)):
            raise TargetError(f"{name} defines a class under the name of an op: write a function that calls it")
        hint = " (names that a file only imports do not count: wrap them)" if {n for n in imported if _op_named(n)} else ""
        raise TargetError(f"{name} defines no function named after an op{hint}; einspec ops lists the names")
    found: dict[str, Target] = {}
    for op_name, (label, function) in functions.items():
        framework = _framework(load(op_name), function, module, probe)
        adapter = importlib.import_module(FRAMEWORKS[framework])
        target = found.setdefault(framework, Target(name, adapter, {}, here, bare=True, **_said(name, module)))
        target.functions[op_name] = function
        if label != op_name:
            target.load += f"\n{op_name} = {label}"
    if len(found) > 1:
        for framework, target in found.items():
            target.name = f"{name} ({framework})"
    return list(found.values())


def _op_named(label: str) -> str | None:
    """Return the op that a name stands for, if any."""
    return label if label in paths() else aliases().get(label)


def _backend(name: str, module: ModuleType, here: str = "") -> Target:
    functions = {op: getattr(module, op) for op in paths() if callable(getattr(module, op, None))}
    if not functions:
        raise TargetError(f"backend {name} defines no op")
    _check_adapter(name, module)
    here = here or f"from {module.__name__} import *"
    return Target(name, module, functions, here, False, **_said(name, module))


def _said(name: str, module: ModuleType) -> dict[str, Any]:
    """Return what a module says of itself: ``unsupported``, and the file of its ``known_failures``.

    Raises:
        TargetError: an entry cannot be right, or contradicts another.
    """
    path = getattr(module, "known_failures", None)
    if not isinstance(path, str | Path | None):
        raise TargetError(f"{name}: known_failures must be the path of a file, from the module on, not {path!r}")
    try:
        known = read_known(Path(module.__file__ or "").parent / path) if path else []
        unsupported = read_unsupported(getattr(module, "unsupported", []))
    except DeclarationError as error:
        raise TargetError(f"{name}: {error}") from error
    for problem in never_tried(known, unsupported):
        raise TargetError(f"{name}: {problem}")
    return {"unsupported": unsupported, "known": known}


def _framework(op: Op, function: Callable[..., Any], module: ModuleType, probe: Callable[[str], bool]) -> str:
    """Return the framework whose arrays a function takes: by annotation, then by trying those that the module imports."""
    annotations = " ".join(str(a) for a in getattr(function, "__annotations__", {}).values())
    for framework, marks in {"torch": ("torch", "Tensor"), "jax": ("jax",), "numpy": ("ndarray", "numpy")}.items():
        if any(mark in annotations for mark in marks):
            return framework
    roots = {str(getattr(v, "__module__", "") or getattr(v, "__name__", "")).partition(".")[0] for v in vars(module).values()}
    roots |= {v.__name__.partition(".")[0] for v in vars(module).values() if isinstance(v, ModuleType)}
    likely = [f for f in FRAMEWORKS if f in roots or (f == "jax" and "jaxlib" in roots)]
    candidates = likely or [f for f in reversed(FRAMEWORKS) if importlib.util.find_spec(f)]
    if len(candidates) > 1 and probe(op.name):
        return next((f for f in candidates if _works_on(f, op, function)), candidates[0])
    return candidates[0] if candidates else "numpy"


def _works_on(framework: str, op: Op, function: Callable[..., Any]) -> bool:
    try:
        adapter = importlib.import_module(FRAMEWORKS[framework])
    except ImportError:
        return False
    case = bank(op)[0]
    inputs = case.form.signature.inputs
    kinds = [USUAL.get(case.form.group(s.name), "float32") for s in inputs]
    arrays = [adapter.asarray(np.zeros(s, k), "cpu") for s, k in zip(case.shapes, kinds, strict=True)]
    args = [[a[i] for i in range(len(a))] if spec.listed else a for spec, a in zip(inputs, arrays, strict=True)]
    try:
        result = adapted(function, op)(*args, **case.params)
    except (Exception, SystemExit):
        return False
    first = result[0] if isinstance(result, tuple | list) and result else result
    return bool(adapter.is_array(first))
