"""The example of a page: of a few small calls the one that tells the op from most wrong versions of its formula."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.mutation.formula import evaluated
from einspec.conformance.mutation.mutants import Mutant, mutants
from einspec.language.linear import EXACT
from einspec.language.tables import KINDS
from einspec.pages.example import example

Array = np.ndarray[Any, Any]
FILLINGS = 4
"""How many inputs are tried for the call, besides 1, 2, 3, ...: more of them take longer and tell little more."""


@dataclass(frozen=True)
class Telling:
    """A call, and from how many wrong versions of the formula it tells the op."""

    case: Case
    inputs: dict[str, Array]
    told: int
    of: int


@functools.cache
def telling(op: Op) -> Telling:
    """Return the example of an op: its call with the inputs that tell it from most mutants, the plainest of several."""
    case = example(op)
    own = [m for m in mutants(op) if m.form is case.form]
    tried = [(_told(case, inputs, own), inputs) for inputs in _inputs(case)]
    told, inputs = max(tried, key=lambda t: t[0])
    return Telling(case, inputs, told, len(own))


def _inputs(case: Case) -> Iterator[dict[str, Array]]:
    """Yield inputs, the plainest first: a ramp, then small whole numbers where numbers are compared or looked up."""
    plain = ramps(case, "float64")
    yield plain
    made_up = any(kind in KINDS for kind, _ in case.form.values.values())
    if case.form.kind in EXACT and not made_up:
        return
    start = zlib.crc32(case.op.name.encode())
    for seed in range(start, start + FILLINGS):
        found = filled(case, "float64", "small", seed)
        if case.form.kind in EXACT:
            found |= {name: plain[name] for name in case.form.data}
        else:
            found |= {name: np.abs(found[name]) for name in case.form.data}
        yield found


def _told(case: Case, inputs: Mapping[str, Array], wrong: Sequence[Mutant]) -> int:
    """Return how many wrong versions do not give on a call what the op gives."""
    want = _outputs(case, inputs, case.form.equations)
    return sum(not _equal(want, _outputs(case, inputs, m.equations)) for m in wrong)


def _outputs(case: Case, inputs: Mapping[str, Array], equations: Any) -> list[Array] | None:
    """Return what equations give, None where they give nothing."""
    try:
        with np.errstate(all="ignore"):
            found = evaluated(case, inputs, equations)
    except (ArithmeticError, ValueError):
        return None
    return [found[s.name] for s in case.form.signature.outputs]


def _equal(one: list[Array] | None, other: list[Array] | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in zip(one, other, strict=True)
    )
