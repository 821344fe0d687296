"""Whether a candidate computes with einspec itself: what of it is imported, read or started, as far as Python tells."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import einspec

ROOT = str(Path(einspec.__file__).parent.absolute())
REAL = str(Path(einspec.__file__).parent.resolve())
ROOMS = ("semantics", "answers", "calls", "pages", "vectors", "evaluate", "testing")
"""What of the spec gives answers."""
JUDGE = ("checks", "judge", "run", "mutation", "vectors", "reports", "testing")
"""What of the judge has them."""
BACKENDS = ("numpy", "torch", "jax", "einops")
"""The implementations."""
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn")


class Watch:
    """Listens to what Python does from a moment on."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}
        self.loaded: frozenset[str] = frozenset()
        self.sheets = ""

    def start(self, cache: str) -> None:
        """Listen from now on.

        Args:
            cache: the folder of what is kept between runs, answers among it.
        """
        self.loaded = frozenset(sys.modules)
        self.sheets = f"{cache}{os.sep}sheets" if cache else ""
        sys.addaudithook(self._hear)

    def used(self) -> tuple[str, ...]:
        """Return what has been imported, read or started of einspec."""
        names = (n for n in list(sys.modules) if n not in self.loaded and gives_answers(n))
        return tuple(dict.fromkeys([*self.found, *names]))

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            name = str(args[0])
            if name not in self.loaded and gives_answers(name):
                self.found[name] = None
        elif event == "open":
            self._opened(args[0])
        elif event in STARTS and "einspec" in " ".join(map(str, args[:2])):
            self.found["a process that runs einspec"] = None

    def _opened(self, path: Any) -> None:
        """Note a file of einspec's that is read."""
        if not isinstance(path, str | bytes):
            return
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  # links are left as they are
        if self.sheets and text.startswith(self.sheets):
            self.found["kept answers"] = None
            return
        root = next((r for r in (ROOT, REAL) if text.startswith(r + os.sep)), None)
        if root is None:
            return
        parts = [p for p in Path(text).relative_to(root).parts if p != "__pycache__"]
        module = ".".join(["einspec", *parts[:-1], parts[-1].partition(".")[0]])
        if module not in self.loaded and gives_answers(module):
            self.found[f"the code of {module}"] = None


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
