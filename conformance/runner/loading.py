"""Importing what is to be judged: a backend by entry point, a module by its dotted name, or a file by its path."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import keyword
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, cast

from einspec.card import Op, aliases, load, paths
from einspec.conformance.protocol import Function, Target
from einspec.conformance.runner import calling
from einspec.conformance.targets.adapter import ADAPTER, FUNCTIONS
from einspec.conformance.targets.declared import DeclarationError, read_unsupported
from einspec.conformance.targets.names import FRAMEWORKS, TargetError, is_data, is_file, known_backends
from einspec.dtypes import ALL

GROUP = "group"
"""The parameter by which a function of ranks is known, and gets its process group."""
VERSIONS = ("numpy", "torch", "jax", "jaxlib", "einops", "ml_dtypes")


@dataclass
class Candidate:
    """Functions to be judged and the adapter through which they get their arrays.

    ``bare`` says that they come from a file of functions: it promises to compute what the cards say
    and to reject what does not divide or fit, and nothing about other ranks, parameters out of
    range, dtypes or transforms.
    """

    name: str
    adapter: Any
    load: str
    bare: bool = False
    module: ModuleType | None = None
    labels: dict[str, str] = field(default_factory=dict)
    """By op, the name of its function."""
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    positional: set[str] = field(default_factory=set)
    """Ops whose functions take any name by their signature and yet not those of the card."""
    calls: dict[str, Callable[..., Any]] = field(default_factory=dict)
    domains: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = field(default_factory=dict)
    """By op, why a call is none for which it promises anything, of the inputs as NumPy arrays and the parameters."""
    conventions: dict[str, Callable[[Mapping[str, Any]], tuple[str, ...]]] = field(default_factory=dict)
    """By op, what says by which conventions the results of a call with some parameters were read."""
    beside: set[str] = field(default_factory=set)
    """The ops of which derivatives come with the outputs themselves."""

    def call(self, op: str) -> Callable[..., Any]:
        """Return the function of an op, taking its parameters by the names of the card."""
        if op not in self.calls:
            function = self.functions[op]
            adapt = calling.adapted
            self.calls[op] = adapt(function, load(op), self.positional) if self.bare else function
        return self.calls[op]

    def describe(self) -> Target:
        """Return what the judge is told.

        Raises:
            TargetError: what the module says of itself cannot be right.
        """
        adapter = self.adapter
        devices = _devices(self.name, adapter)
        sample = getattr(adapter, "layouts", None)
        transforms = getattr(adapter, "transforms", {})
        return Target(
            name=self.name,
            framework=str(getattr(adapter, "framework", self.name)),
            bare=self.bare,
            load=self.load,
            functions=tuple(self._function(op) for op in self.functions),
            devices=devices,
            known_devices=tuple(map(str, getattr(adapter, "known_devices", ()))),
            dtypes=tuple(adapter.dtypes),
            offers=tuple(n for n in FUNCTIONS if hasattr(adapter, n)),
            transforms=tuple(map(str, transforms)) if isinstance(transforms, Mapping) else (),
            layouts=_layouts(adapter, devices[0]) if sample else (),
            flushes_subnormals=bool(getattr(adapter, "flushes_subnormals", False)),
            loses_nan=bool(getattr(adapter, "loses_nan_in_maxima", False)),
            unsupported=_unsupported(self.name, self.module),
            known_failures=_known_failures(self.name, self.module),
            versions={p: importlib.metadata.version(p) for p in VERSIONS if p in sys.modules},
            python=platform.python_version(),
            platform=platform.platform(),
        )

    def _function(self, op: str) -> Function:
        function = self.functions[op]
        label = self.labels.get(op, op)
        if not self.bare:
            return Function(op, label)
        slots = calling.slots_of(function, load(op))
        return Function(op, label, slots, calling.tensor_names(function))


class Module:
    """A name that was imported, and the functions in it that stand for ops."""

    def __init__(self, name: str) -> None:
        """Import what a name stands for.

        Raises:
            TargetError: nothing of that name can be judged; the message says why.
        """
        self.name = name
        self.imported: frozenset[str] = frozenset()
        if is_data(name):
            raise TargetError(f"{name} is a file of adapters, which has no functions of its own: einspec check judges it")
        if is_file(name):
            self.name, self.load = Path(name).name, _script(Path(name))
            self.module = self._from_file(Path(name))
        else:
            self.module = _imported(name)
            self.load = f"from {self.module.__name__} import *"
        self.is_backend = name in known_backends() or all(hasattr(self.module, a) for a in ADAPTER)
        self.functions: dict[str, tuple[str, Callable[..., Any]]] = {}
        """By op, the name of its function and the function."""

    def choose(self, named: Mapping[str, str]) -> None:
        """Say which functions stand for which ops.

        Args:
            named: by op, the name of a function; where it is empty, all that have the name of an op.

        Raises:
            TargetError: there is none, or what stands for an op is not clear.
        """
        if named:
            self.functions = {op: (label, self._named(label)) for op, label in named.items()}
        else:
            self.functions = self._backend() if self.is_backend else self._bare()
        if self.is_backend:
            _check_adapter(self.name, self.module)

    def _named(self, label: str) -> Callable[..., Any]:
        function = getattr(self.module, label, None)
        if not callable(function):
            raise TargetError(f"{self.name} defines no function {label}")
        return cast("Callable[..., Any]", function)

    def _from_file(self, path: Path) -> ModuleType:
        if not path.is_file():
            raise TargetError(f"no file {path}")
        try:
            self.imported = _imported_names(ast.parse(path.read_bytes(), str(path)))
        except (SyntaxError, ValueError) as error:
            raise TargetError(f"{path} cannot be read as Python: {error}") from error
        try:
            return module_of(path)
        except (Exception, SystemExit) as error:
            text = f"{path} cannot be imported: {type(error).__name__}: {error}"
            raise TargetError(text) from error

    def _backend(self) -> dict[str, tuple[str, Callable[..., Any]]]:
        found = {op: (op, getattr(self.module, op, None)) for op in paths()}
        functions = {op: (label, f) for op, (label, f) in found.items() if callable(f)}
        if not functions:
            raise TargetError(f"backend {self.name} defines no op")
        return functions

    def _bare(self) -> dict[str, tuple[str, Callable[..., Any]]]:
        functions: dict[str, tuple[str, Callable[..., Any]]] = {}
        for label, function in list(vars(self.module).items()):
            if label in self.imported or not callable(function) or isinstance(function, type):
                continue
            op = _op_named(label)
            if not op:
                continue
            if op in functions and functions[op][1] is not function:
                both = f"{functions[op][0]} and {label}"
                raise TargetError(f"{self.name} defines {both}, two functions for the op {op}: keep one")
            functions[op] = label, function
        if not functions:
            raise TargetError(self._nothing())
        return functions

    def _nothing(self) -> str:
        if any(_op_named(n) for n, v in vars(self.module).items() if isinstance(v, type)):
            return f"{self.name} defines a class under the name of an op: write a function that calls it"
        imports = {n for n in self.imported if _op_named(n)}
        hint = " (names that a file only imports do not count: wrap them)" if imports else ""
        return f"{self.name} defines no function named after an op{hint}; einspec ops lists the names"

    def frameworks(self, op: str) -> tuple[str, ...]:
        """Return the frameworks whose arrays the function of an op may take, the likeliest first."""
        return () if self.is_backend else likely_frameworks(self.functions[op][1], self.module)

    def candidates(self, chosen: Mapping[str, str]) -> list[Candidate]:
        """Return what is judged: the backend, or a candidate for each framework of a file.

        Args:
            chosen: by op, the framework whose arrays its function takes, where that was open.

        Raises:
            TargetError: the framework of a function is not installed.
        """
        if self.is_backend:
            functions = {op: f for op, (_, f) in self.functions.items()}
            labels = {op: label for op, (label, _) in self.functions.items()}
            script = self.load + "".join(f"\n{op} = {n}" for op, n in labels.items() if n != op)
            return [Candidate(self.name, self.module, script, False, self.module, labels, functions)]
        found: dict[str, Candidate] = {}
        for op, (label, function) in self.functions.items():
            if takes_group(function) and load(op).card.ranks.axes:
                advice = f"einspec check {self.name} --ranks 1,2,3 judges it"
                raise TargetError(f"{self.name}: {label} takes {GROUP}, as a function of ranks does: {advice}")
            framework = chosen.get(op) or self.frameworks(op)[0]
            candidate = found.setdefault(
                framework,
                Candidate(self.name, adapter_of(framework), self.load, True, self.module),
            )
            candidate.functions[op], candidate.labels[op] = function, label
            if label != op:
                candidate.load += f"\n{op} = {label}"
        if len(found) > 1:
            for framework, candidate in found.items():
                candidate.name = f"{self.name} ({framework})"
        return list(found.values())


def takes_group(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter for its process group."""
    try:
        return GROUP in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def adapter_of(framework: str) -> ModuleType:
    """Return the adapter that a file of functions borrows.

    Raises:
        TargetError: the framework is not installed.
    """
    try:
        return importlib.import_module(f"einspec.impls.adapters.{framework}")
    except ImportError as error:
        raise TargetError(f"{framework} cannot be imported: {error}") from error


class _AsItIs(importlib.machinery.SourceFileLoader):
    """Reads a file anew: compiled code that was kept counts for one of the same size that was changed in the same second."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # the signature of loaders
        """Return what the file says now."""
        return self.source_to_code(self.get_data(self.path), self.path)


def module_of(path: Path) -> ModuleType:
    """Return what a file defines, imported as a script is run: with its folder on the path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        spec.loader = _AsItIs(spec.loader.name, spec.loader.path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    spec.loader.exec_module(module)
    return module


def _imported(name: str) -> ModuleType:
    """Return the module of a backend or of a dotted name."""
    try:
        if name in known_backends():
            return importlib.import_module(known_backends()[name].value)
        if Path(name).is_dir():
            raise TargetError(f"{name} is a folder: name a file in it")
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            have = ", ".join(known_backends())
            raise TargetError(f"no backend, module or file {name!r}; installed backends: {have}")
        return importlib.import_module(name)
    except (ImportError, ValueError) as error:
        raise TargetError(f"{name} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, TargetError):
            raise
        raise TargetError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _script(path: Path) -> str:
    """Return Python that defines what a file defines; one whose name no import statement can hold is run."""
    taken = (*sys.stdlib_module_names, *FRAMEWORKS)
    if path.stem.isidentifier() and not keyword.iskeyword(path.stem) and path.stem not in taken:
        return f"import sys\nsys.path.insert(0, {str(path.parent)!r})\nfrom {path.stem} import *"
    return f"import runpy\nglobals().update(runpy.run_path({str(path)!r}))"


def _imported_names(tree: ast.Module) -> frozenset[str]:
    """Return the names that a file only imports: helpers of other packages, not ops of its own."""
    statements = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return frozenset(a.asname or a.name for s in statements for a in s.names)


def _op_named(label: str) -> str | None:
    """Return the op that a name stands for, if any."""
    return label if label in paths() else aliases().get(label)


def _check_adapter(name: str, adapter: Any) -> None:
    """Check what an adapter says of itself.

    Raises:
        TargetError: it names no dtypes, or not as text.
    """
    lacking = [a for a in ADAPTER if not hasattr(adapter, a)]
    if lacking:
        raise TargetError(f"{name}: no {', '.join(lacking)}; a backend has {', '.join(ADAPTER)}")
    dtypes = adapter.dtypes
    known = isinstance(dtypes, tuple | list | set | frozenset)
    unknown = [d for d in dtypes if d not in ALL] if known else [dtypes]
    if unknown or not dtypes:
        text = "dtypes must be names such as 'float32', of those that einspec knows"
        raise TargetError(f"{name}: {text}, not {unknown or dtypes!r}")


def _devices(name: str, adapter: Any) -> tuple[str, ...]:
    """Return the devices that an adapter names.

    Raises:
        TargetError: it names none, or not as text.
    """
    try:
        devices = adapter.devices()
    except Exception as error:
        raise TargetError(f"{name}: devices() raised {type(error).__name__}: {error}") from error
    named = isinstance(devices, tuple | list) and all(isinstance(d, str) and d for d in devices)
    if not named or not devices or len(set(devices)) < len(devices):
        text = "devices() must give a list of different names such as ['cpu']"
        raise TargetError(f"{name}: {text}, not {devices!r}")
    return tuple(devices)


def _layouts(adapter: Any, device: str) -> tuple[str, ...]:
    """Return the names of the layouts that an adapter has."""
    import numpy as np

    try:
        return tuple(map(str, adapter.layouts(adapter.asarray(np.zeros((2, 3), np.float32), device))))
    except Exception:
        return ()


def _unsupported(name: str, module: ModuleType | None) -> tuple[tuple[str, ...], ...]:
    """Return the entries of ``unsupported``.

    Raises:
        TargetError: an entry cannot be right.
    """
    entries = getattr(module, "unsupported", [])
    try:
        read_unsupported(entries)
    except DeclarationError as error:
        raise TargetError(f"{name}: {error}") from error
    return tuple(tuple(entry) for entry in entries)


def _known_failures(name: str, module: ModuleType | None) -> str:
    """Return the path of the file in which a module declares its failures."""
    path = getattr(module, "known_failures", None)
    if not isinstance(path, str | Path | None):
        text = "known_failures must be the path of a file, from the module on"
        raise TargetError(f"{name}: {text}, not {path!r}")
    return str(Path(getattr(module, "__file__", None) or "").parent / path) if path else ""


def likely_frameworks(function: Callable[..., Any], module: ModuleType) -> tuple[str, ...]:
    """Return whose arrays a function may take: by annotation, else those that the module imports, else any."""
    annotations = " ".join(str(a) for a in getattr(function, "__annotations__", {}).values())
    marks = {"torch": ("torch", "Tensor"), "jax": ("jax",), "numpy": ("ndarray", "numpy")}
    for framework, words in marks.items():
        if any(word in annotations for word in words):
            return (framework,)
    values = list(vars(module).values())
    owners = (str(getattr(v, "__module__", "") or getattr(v, "__name__", "")) for v in values)
    roots = {owner.partition(".")[0] for owner in owners}
    roots |= {v.__name__.partition(".")[0] for v in values if isinstance(v, ModuleType)}
    likely = [f for f in FRAMEWORKS if f in roots or (f == "jax" and "jaxlib" in roots)]
    installed = [f for f in reversed(FRAMEWORKS) if importlib.util.find_spec(f)]
    return tuple(likely or installed)


def works_on(op: Op, function: Callable[..., Any], adapter: Any, args: list[Any], params: dict[str, Any]) -> bool:
    """Whether a function gives an array of a framework for a call on arrays of it."""
    try:
        result = calling.adapted(function, op, set())(*args, **params)
    except (Exception, SystemExit):
        return False
    first = result[0] if isinstance(result, tuple | list) and result else result
    return bool(adapter.is_array(first))
