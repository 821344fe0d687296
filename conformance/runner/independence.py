"""Whether a candidate computes with einspec itself: what of it is imported, read or started, as far as Python tells."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

PLACES = ("einspec", "einspec.impls", "einspec.conformance")
"""The packages that may lie in folders of their own."""
ROOMS = ("semantics", "answers", "calls", "pages", "reference", "vectors", "evaluate", "testing")
"""What of the spec gives answers."""
JUDGE = ("checks", "judge", "run", "mutation", "vectors", "reports", "testing")
"""What of the judge has them."""
BACKENDS = ("numpy", "torch", "jax", "einops")
"""The implementations."""
TOUCHES = ("open", "os.link", "os.symlink", "os.rename")
"""What is done with a path, the first argument."""
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn")


class Watch:
    """Listens to what Python does from a moment on."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}
        self.loaded: frozenset[str] = frozenset()
        self.harmless: set[str] = set()
        """Modules that came later and give no answers: those of a framework are thousands."""
        self.sheets: tuple[str, ...] = ()

    def start(self, cache: str) -> None:
        """Listen from now on.

        Args:
            cache: the folder of what is kept between runs, answers among it.
        """
        folders()  # now, as this reads files itself
        self.loaded = frozenset(sys.modules)
        kept = f"{cache}{os.sep}sheets"
        self.sheets = (os.path.abspath(kept), os.path.realpath(kept)) if cache else ()  # noqa: PTH100
        sys.addaudithook(self._hear)

    def used(self) -> tuple[str, ...]:
        """Return what has been imported, read or started of einspec."""
        later = set(sys.modules) - self.loaded - self.harmless
        names = sorted(n for n in later if gives_answers(n))
        self.harmless |= later.difference(names)
        return tuple(dict.fromkeys([*self.found, *names]))

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            name = str(args[0])
            if name not in self.loaded and gives_answers(name):
                self.found[name] = None
        elif event in TOUCHES:
            self._touched(args[0])
        elif event in STARTS and "einspec" in " ".join(map(str, args[:2])):
            self.found["a process that runs einspec"] = None

    def _touched(self, path: Any) -> None:
        """Note a file of einspec's that is read, or made to be read under another name."""
        if not isinstance(path, str | bytes):
            return
        text = os.fsdecode(path)
        for own in {os.path.abspath(text), os.path.realpath(text)}:  # noqa: PTH100  # where it is, and where its links lead
            if own.startswith(self.sheets):
                self.found["kept answers"] = None
            module = module_at(own)
            if own in folders():
                self.found[f"the folder of {folders()[own]}"] = None
            if module not in self.loaded and gives_answers(module):
                self.found[f"the code of {module}"] = None


@functools.cache
def folders() -> dict[str, str]:
    """Return the packages of einspec by their folders, as they are named and where their links lead."""
    found = {}
    for name in PLACES:
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found[os.path.abspath(folder)] = found[os.path.realpath(folder)] = name  # noqa: PTH100
    return found


def module_at(path: str) -> str:
    """Return the module of einspec whose code is in a file, or nothing."""
    inside = [folder for folder in folders() if path.startswith(folder + os.sep)]
    if not inside:
        return ""
    folder = max(inside, key=len)
    parts = [p for p in Path(path).relative_to(folder).parts if p != "__pycache__"]
    return ".".join([folders()[folder], *parts[:-1], parts[-1].partition(".")[0]])


def gives_answers(module: str) -> bool:
    """Whether a module of einspec computes what a call must give, or is an implementation."""
    parts = module.split(".")
    if parts[0] != "einspec" or len(parts) < 2:
        return False
    if parts[1] == "impls":
        return len(parts) > 2 and parts[2] in BACKENDS
    if parts[1] == "conformance":
        return len(parts) > 2 and parts[2] in JUDGE
    return parts[1] in ROOMS
