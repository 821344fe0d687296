"""The calls on which a mutant has to equal its op before it is taken for the same: not those that the judge makes up."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from einspec.calls.cases import sizes_of
from einspec.calls.contended import wide
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import Case, spaces
from einspec.card import Form, Op
from einspec.conformance.checks.exhaustive import assignments, rankings
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]
PROOF_CALLS, PROOF_LARGER, PROOF_ROUTED = 1024, 48, 2000
"""Of how many calls of the scope, of larger ones and of assignments a proof is made at most; of all where there are fewer."""
LARGER = (1, 2, 3, 4, 5, 6)


def proof(op: Op, form: Form) -> Iterator[tuple[Case, dict[str, Array]]]:
    """Yield the calls on which a mutant of a form has to equal it, on values of every kind; not those of the judge.

    All sizes of the small scope and of some above, many inputs with ties, every assignment of a few tokens, every
    ranking of special values.
    """
    chosen = list(_cases(op, form, sizes_of(op), PROOF_CALLS)) + list(_cases(op, form, LARGER, PROOF_LARGER))
    kinds = ("special",) if form.kind in EXACT else ("small", "gauss", "special", "low")
    for number, case in enumerate(chosen):
        if case.form.data:
            yield case, ramps(case, "float64")
        arrays = filled(case, "float64", kinds[number % len(kinds)], 7_000_000 + number)
        yield case, arrays
        if len(case.form.data) < len(arrays):
            yield case, wild(case, arrays, number)
    for seed, case in enumerate(c for c in wide(op) if c.form is form):
        yield case, filled(case, "float64", "small", 8_000_000 + seed)
    for block in assignments(op, PROOF_ROUTED, PROOF_ROUTED)[0]:
        if block.case.form is form:
            count = len(next(iter(block.inputs.values())))
            yield from ((block.case, {k: v[i] for k, v in block.inputs.items()}) for i in range(count))
    yield from ((t.case, dict(t.arrays)) for t in rankings(op, True) if t.case.form is form)


def wild(case: Case, arrays: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """Return the inputs with any small whole numbers for indices: a definition gives each of them a meaning."""
    rng = np.random.default_rng(seed)
    found = dict(arrays)
    for name, array in arrays.items():
        if case.form.group(name) == "index":
            found[name] = rng.integers(-2, 5, array.shape).astype(array.dtype)
    return found


def _cases(op: Op, form: Form, sizes: tuple[int, ...], most: int) -> Iterator[Case]:
    """Yield the legal calls of a form with these sizes: all, or a sample, evenly over the ranks."""
    found = [s for s in spaces(op, sizes=sizes) if s.form is form]
    for space in found:
        numbers: Sequence[int] = range(space.count)
        share = max(1, most // len(found))
        if space.count > share:
            numbers = random.Random(f"{op.name} proof").sample(numbers, min(space.count, 8 * share))
        legal = (space.case(space.assignment(n), n) for n in numbers)
        yield from itertools.islice((c for c in legal if c is not None), share)
