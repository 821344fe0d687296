"""A file of adapters in the process of a candidate: its expressions stand for ops as the functions of a Python file do."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from einspec.card import load
from einspec.conformance.protocol import Target
from einspec.conformance.runner.expressions import Expressions, prepared
from einspec.conformance.runner.loading import Candidate, adapter_of
from einspec.conformance.targets.library import parsed
from einspec.conformance.targets.names import TargetError


class DataCandidate(Candidate):
    """The ops of a file of adapters."""

    packages: Mapping[str, str] = {}
    """The versions of the packages that the file names."""

    def describe(self) -> Target:
        """Return what the judge is told, with these versions."""
        target = super().describe()
        target.versions |= self.packages
        return target


class DataModule:
    """What the names of a file of adapters stand for."""

    def __init__(self, name: str, text: str) -> None:
        """Run what the file wants to be run first.

        Raises:
            TargetError: that fails, or the framework is not installed.
        """
        path = Path(name)
        self.name = path.name
        self.library = parsed(text, name)
        self.adapter = adapter_of(self.library.framework)
        sys.path.insert(0, str(path.parent.resolve()))
        try:
            names = prepared(self.library.framework, self.library.setup, path.name)
            self.packages = {p: importlib.metadata.version(p) for p in self.library.packages}
        except (Exception, SystemExit) as error:
            raise TargetError(f"{name}: setup: {type(error).__name__}: {error}") from error
        self.module = ModuleType(path.stem)
        self.expressions = {op: Expressions(load(op), self.library.adapter(op), names, self.adapter) for op in self.library.op}
        self.functions = {op: (op, found.call) for op, found in self.expressions.items()}

    def choose(self, named: Mapping[str, str]) -> None:
        """Say which functions stand for which ops: here the file says it.

        Raises:
            TargetError: another one is asked for.
        """
        other = next((label for op, label in named.items() if op != label or op not in self.functions), "")
        if other:
            raise TargetError(f"{self.name} defines no function {other}: it says which calls compute which ops")

    def frameworks(self, _: str) -> tuple[str, ...]:
        """Return the framework whose arrays the calls take."""
        return (self.library.framework,)

    def candidates(self, _: Mapping[str, str]) -> list[Candidate]:
        """Return what is judged."""
        candidate = DataCandidate(self.name, self.adapter, self.library.setup, True, self.module)
        candidate.packages = self.packages
        for op, found in self.expressions.items():
            candidate.functions[op], candidate.labels[op] = found.call, op
            candidate.calls[op] = found.call
            candidate.conventions[op] = found.conventions
            candidate.beside |= {op} if "route_order" in found.adapter.admit else set()
            if found.adapter.where:
                candidate.domains[op] = found.outside
        self.module.unsupported = list(self.library.unsupported)  # type: ignore[attr-defined]
        return [candidate]
