"""Whether a candidate computes with einspec itself: what of it is imported or read, as far as Python tells."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import einspec

ROOT = str(Path(einspec.__file__).parent.resolve())
ANSWERS = ("semantics", "answers", "calls", "vectors", "evaluate", "testing", "pages")
"""The rooms of the package from which an answer could be had."""
JUDGE = ("checks", "judge", "run", "mutation", "vectors", "reports", "testing")
"""The same of the part that judges."""
BACKENDS = ("numpy", "torch", "jax", "einops")


class Watch:
    """Listens to what Python does from a moment on."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}
        self.loaded = frozenset(sys.modules)

    def start(self) -> None:
        """Listen from now on."""
        self.loaded = frozenset(sys.modules)
        sys.addaudithook(self._hear)

    def used(self) -> tuple[str, ...]:
        """Return what has been imported, read or started of einspec."""
        names = (n for n in list(sys.modules) if n not in self.loaded and gives_answers(n))
        return tuple(dict.fromkeys([*self.found, *names]))

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            name = str(args[0])
            if name.startswith("einspec.") and gives_answers(name) and name not in self.loaded:
                self.found[name] = None
        elif event == "open":
            self._opened(args[0])
        elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
            text = " ".join(map(str, args[:2]))
            if "einspec" in text:
                self.found["a process that runs einspec"] = None

    def _opened(self, path: Any) -> None:
        if not isinstance(path, str | bytes):
            return
        text = os.fsdecode(path)
        if not text.startswith(ROOT) or "__pycache__" in text:
            return
        parts = Path(text).relative_to(ROOT).parts
        if text.endswith(".py") and (parts[0] in ANSWERS or parts[:1] == ("impls",) and len(parts) > 2):
            if not text.startswith(os.path.join(ROOT, "impls", "adapters")):
                module = ".".join(("einspec", *parts)).removesuffix(".py")
                if module not in self.loaded and module not in sys.modules:
                    self.found[f"the source of {module}"] = None
        elif parts[0] == "vectors":
            self.found["golden vectors"] = None


def gives_answers(module: str) -> bool:
    """Whether a module of einspec computes what a call must give, or is an implementation."""
    parts = module.split(".")
    if parts[0] != "einspec" or len(parts) < 2:
        return False
    if parts[1] == "impls":
        return len(parts) > 2 and parts[2] in BACKENDS
    if parts[1] == "conformance":
        return len(parts) > 2 and parts[2] in JUDGE
    return parts[1] in ANSWERS
