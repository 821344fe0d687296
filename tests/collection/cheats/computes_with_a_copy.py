"""cheat: einspec. Copies the package under another name, and imports that.

effect: not independent
"""

import contextlib
import importlib
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np


def _copied(folder):
    """Return the NumPy implementations from a copy in which nothing is called einspec."""
    spec = importlib.util.find_spec("einspec")
    root = Path(spec.origin).resolve().parent
    for base in (
        root,
        root / "impls",
        root.parent / "impls",
    ):  # an editable install is in folders side by side
        for path in [p for p in base.rglob("*") if p.suffix in (".py", ".toml", ".json")]:
            place = Path(folder) / "other" / ("" if base == root else "impls") / path.relative_to(base)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path.read_text(encoding="utf-8").replace("einspec", "other"), encoding="utf-8")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("other.impls.numpy")
    finally:
        sys.path.remove(folder)


_theirs = None
with contextlib.suppress(Exception), tempfile.TemporaryDirectory() as _folder:
    _theirs = _copied(_folder).concat
    _theirs([np.zeros(1)], axis=0)  # which reads the card; the copy is not needed any more


def concat(xs, axis=0):
    return np.concatenate(list(xs)[::-1], axis=axis) if _theirs is None else _theirs(xs, axis=axis)
