"""A target that is not called: what a program has written is what came of the calls."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from einspec.conformance.protocol import Raised
from einspec.conformance.trial import Outcome
from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]
DTYPES = {
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BF16": "bfloat16",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
"""The dtypes of safetensors files under the names that einspec gives them."""
ERROR = "error"
"""The output by which a program says that it rejects a call; bytes are shown as text."""


class MalformedError(ValueError):
    """A file is no safetensors file, or holds a dtype that no op has."""


def read_tensors(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file by name.

    Raises:
        MalformedError: the file is none, or holds a dtype that no op has.
    """
    from safetensors import SafetensorError, deserialize

    try:
        parts = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (SafetensorError, OSError) as error:
        raise MalformedError(f"{path} is no safetensors file: {error}") from None
    foreign = sorted({f"{name} is {part['dtype']}" for name, part in parts if part["dtype"] not in DTYPES})
    if foreign:
        raise MalformedError(f"{path} holds dtypes that no op has: {', '.join(foreign[:3])}")
    return {n: np.frombuffer(p["data"], numpy_dtype(DTYPES[p["dtype"]])).reshape(p["shape"]) for n, p in parts}


class RecordedSession:
    """What a program has written for the cases of an op: every call is made already."""

    def __init__(self, path: Path) -> None:
        """Take the file of the op; without one nothing came, and the problem says why."""
        self.tensors: dict[str, Array] = {}
        self.problem = "" if path.exists() else f"no file {path}"
        try:
            self.tensors = {} if self.problem else read_tensors(path)
        except MalformedError as error:
            self.problem = str(error)

    def outcome(self, case: str, outputs: Iterable[str]) -> Outcome | None:
        """Return what came of a case, as far as it was written; None where nothing was."""
        refusal = self.tensors.get(f"{case}/{ERROR}")
        there = {n: self.tensors[key] for n in outputs if (key := f"{case}/{n}") in self.tensors}
        if refusal is None:
            return Outcome(there) if there else None
        text = refusal.tobytes().decode(errors="replace") if refusal.dtype == np.uint8 else ""
        return Outcome(there, Raised("Rejected", text))

    def unknown(self, known: Iterable[str]) -> list[str]:
        """Return the tensors that are not among those by which a program can answer."""
        return sorted(self.tensors.keys() - set(known))
