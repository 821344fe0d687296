"""A function as a target in the process that holds it."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from einspec.card import Op
from einspec.conformance.protocol import parameters
from einspec.conformance.run.inside import InsideSession
from einspec.conformance.runner.loading import Candidate, adapter_of, likely_frameworks, works_on
from einspec.conformance.targets.names import FRAMEWORKS
from einspec.conformance.targets.session import probe_call

Function = Callable[..., Any]


def session_of(function: Function, op: Op, framework: str = "") -> InsideSession:
    """Return a function as a target.

    Raises:
        TargetError: the framework cannot be imported.
    """
    adapter = adapter_of(framework or framework_of(function, op))
    name, load = name_of(function), import_of(function, op)
    candidate = Candidate(name, adapter, load, bare=True)
    candidate.functions[op.name], candidate.labels[op.name] = function, name
    return InsideSession(candidate, candidate.describe())


def framework_of(function: Function, op: Op) -> str:
    """Return the framework whose arrays a function takes: by annotation, by what its module imports, or by trying."""
    likely = likely_frameworks(unwrapped(function), _module(function))
    loaded = (f for f in FRAMEWORKS if f in sys.modules or f == "numpy")
    # NumPy first: what other frameworks give for its arrays is none of them, while code for it may run on theirs.
    options = list(dict.fromkeys([*likely[::-1], *loaded]))
    annotated = len(likely) == 1 and bool(getattr(unwrapped(function), "__annotations__", {}))
    if annotated or len(options) == 1:
        return options[0]
    call = probe_call(op)
    for framework in (f for f in options if importlib.util.find_spec(f)):
        adapter = adapter_of(framework)
        args: list[Any] = []
        for given in call.inputs:
            parts = [adapter.asarray(t.array(), "cpu") for t in given.parts]
            args.append(parts if given.listed else parts[0])
        if works_on(op, function, adapter, args, parameters(call)):
            return framework
    return options[0]


def unwrapped(function: Function) -> Function:
    """Return the function behind a partial, a method or an object that is called."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    return function if hasattr(function, "__name__") else type(function).__call__


def name_of(function: Function) -> str:
    """Return what a function is called."""
    if not isinstance(function, functools.partial) and not hasattr(function, "__name__"):
        return type(function).__name__
    return str(getattr(unwrapped(function), "__name__", "function"))


def _module(function: Function) -> ModuleType:
    name = getattr(unwrapped(function), "__module__", "") or ""
    return sys.modules.get(name) or ModuleType(name or "unknown")


def import_of(function: Function, op: Op) -> str:
    """Return Python that gives a script the function under the name of its op; where there is none, a place for it."""
    module, name = _module(function), getattr(function, "__name__", "")
    file = getattr(module, "__file__", None)
    if not file or not name.isidentifier() or vars(module).get(name) is not function:
        return f"{op.name} = ...  # put the function that was checked here"
    dotted = Path(file).stem if module.__name__ == "__main__" else module.__name__
    folder = Path(file).resolve().parents[dotted.count(".")]
    imported = f"from {dotted} import {name}" + f" as {op.name}" * (name != op.name)
    return f"import sys\nsys.path.insert(0, {str(folder)!r})\n{imported}"
