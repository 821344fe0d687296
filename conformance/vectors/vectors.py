"""Golden vectors: calls of an op with what they must give, few and telling.

The calls come from where the judge takes those of its scope tier, thinned out: those in which the most values and turns of the
definition meet, and one for each mutant of the formula that these let live. Only calls with one right result, or with a bound
on the error, are kept.
"""

from __future__ import annotations

import functools
import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from einspec.calls import cases
from einspec.calls.inputs import filled, ramps, strata
from einspec.calls.space import Case
from einspec.card import Form, Op
from einspec.clauses import dtype_clauses
from einspec.conformance.checks.exhaustive import assignable, assignments, levels, rankings
from einspec.conformance.checks.nan import unread
from einspec.conformance.checks.scope import spread
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.trial import Trial
from einspec.conformance.vectors.covering import covering
from einspec.conformance.vectors.killing import killing
from einspec.dtypes import ALL, USUAL
from einspec.language.linear import EXACT, OpClass
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
KINDS = ("ramp", "small", "gauss", "special")
"""The kinds of values that calls are filled with in turn, where the definition is no sum."""
STORED = tuple(d for d in ALL if d != "complex128")
"""The dtypes that a safetensors file can hold."""
LARGEST = 500
"""How many elements inputs and outputs of a call have together at most."""
LARGEST_RANKING = 7_000
"""The same for a call whose rows are all rankings of a few values."""
ROOM, ROOM_PER_NODE = 7_000, 200
"""How many bytes the calls of the small scope of an op may take, and how many more for each term of its definition.

Its assignments of tokens to experts may take as many as the first again.
"""
MOST_TERMS, LEAST_TRIED = 12_000, 100
"""How many terms are evaluated to choose among the calls of a form, and how many calls are looked at at least."""
OVERHEAD, PER_ELEMENT = 300, 6
"""About how many bytes a call takes beside its elements, and how many an element takes."""
MOST_ASSIGNMENTS, MOST_RANKINGS = 300, 6
"""Among how many assignments of tokens to experts is chosen, and how many calls there are on rankings of special values."""
MOST_EMPTY, MOST_TELLING = 4, 6
"""How many calls with an empty axis an op gets, and how many on which guesses go wrong."""


@dataclass(frozen=True)
class Vector:
    """One call and what it must give."""

    clause: str
    """The clause of its op that the call belongs to."""
    trial: Trial

    @property
    def id(self) -> str:
        """A name that does not depend on what other calls there are: the clause and a hash of what is called on what."""
        return f"{self.clause}-{_digest(f'{self.trial.case} {self.trial.how}'.encode())}"

    def tensors(self) -> Iterator[tuple[str, Array]]:
        """Yield inputs, expected outputs and bounds under the names that they have in the file."""
        for name, array in self.trial.arrays.items():
            yield f"{self.id}/{name}", array
        for name, want in self.trial.expected.items():
            yield f"{self.id}/{name}", want.array
            if want.bound is not None:
                bound = np.nan_to_num(want.bound, posinf=np.inf)
                yield f"{self.id}/{name}.bound", np.broadcast_to(bound, want.array.shape)

    def entry(self) -> dict[str, Any]:
        """Return the call as the index describes it."""
        case = self.trial.case
        return {
            "id": self.id,
            "params": {k: plain(v) for k, v in case.op.bind(case.params).items()},
            "outputs": {n: {"dtype": _stored(w.dtype_name), "rule": w.how} for n, w in self.trial.expected.items()},
        }


def _digest(*parts: bytes | Array) -> str:
    """Return eight letters that tell these bytes from others."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:8]


def _stored(dtype: str) -> str:
    """Return the dtype in which a file holds an output; a plain integer is stored as int64."""
    return "int64" if dtype == "int" else dtype


def plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it: a fraction and an infinite number as text, a tuple as a list."""
    if isinstance(value, Fraction) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value


def vectors(op: Op, only: Form | None = None) -> list[Vector]:
    """Return the vectors of an op, or those of one of its forms, in an order that never changes, each once."""
    forms = list(op.forms.values()) if only is None else [only]
    found: dict[str, Vector] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bounds on complex results are no use here: they are not kept
        for clause, trial in _trials(op, forms):
            if trial is not None and trial.case.form in forms and _kept(trial):
                vector = Vector(clause, trial)
                found.setdefault(vector.id, vector)
        for form in forms:
            chosen = [v.trial for v in found.values() if v.trial.case.form is form]
            for clause, trial in killing(op, form, chosen, _storable, _kept):
                trial.how = f"on values {_digest(*trial.arrays.values())}"
                vector = Vector(clause, trial)
                found.setdefault(vector.id, vector)
    return list(found.values())


def golden(op: Op, form: Form) -> list[Trial]:
    """Return the vectors of a form as calls."""
    return [vector.trial for vector in vectors(op, form)]


def _kept(trial: Trial) -> bool:
    """Whether a call can be stored, and has one right result or a bound on every element."""
    return _storable(trial) and all(w.bound is None or not np.isinf(w.bound).any() for w in trial.expected.values())


def _storable(trial: Trial) -> bool:
    """Whether a file can hold a call, and what is right does not depend on the choice that an answer makes."""
    arrays = [*trial.arrays.values(), *(w.array for w in trial.expected.values())]
    small = trial.case.work <= LARGEST_RANKING
    return small and trial.relation is None and all(a.dtype.name in STORED for a in arrays)


def _trials(op: Op, forms: Sequence[Form]) -> Iterator[tuple[str, Trial | None]]:
    """Yield calls by clause: of all sizes of these forms, then assignments, rankings, all dtypes and NaN of any form."""
    found, _ = cases.scope(op, cases.SCOPE_LIMIT)
    for form in forms:
        own = [c for c in found if c.form is form and c.work <= LARGEST]
        distinct = [c for c in cases.bank(op) if c.form is form and c.work <= LARGEST]
        guessed = spread([c for c in cases.telling(op) if c.form is form and c.work <= LARGEST], MOST_TELLING)
        for number, case in enumerate((*[c for c in distinct for _ in KINDS], *guessed)):
            yield "def", _on(case, *_source(case, number))
        most = max(LEAST_TRIED, MOST_TERMS // traits_of(form).nodes)
        full = spread([c for c in own if not c.empty], most)
        varied = form.kind is OpClass.NONLINEAR or len(form.data) < len(form.signature.inputs)
        full *= min(len(KINDS), 1 + most // max(len(full), 1)) if varied else 1
        tried = [_on(case, *_source(case, number)) for number, case in enumerate(full)]
        room = (ROOM + ROOM_PER_NODE * traits_of(form).nodes) / len(op.forms) ** 0.5
        yield from (("def", trial) for trial in _telling_most(tried, room))
        for case in spread([c for c in own if c.empty], max(1, MOST_EMPTY // len(op.forms))):
            yield "empty", _on(case, "ramp")
    routed = [t for block in assignments(op, MOST_ASSIGNMENTS, MOST_ASSIGNMENTS)[0] for t in block.trials()]
    for trial in _telling_most(routed, ROOM):
        trial.how = f"assignment {trial.arrays[assignable(trial.case.form)].tolist()}"
        yield "def", trial
    ranked = [*rankings(op, subnormals=True), *levels(op, subnormals=True, nan=True)]
    ranked = [trial for trial in ranked if _kept(trial)]
    for trial in ranked[:: max(1, -(-len(ranked) // MOST_RANKINGS))]:
        yield "def", trial
    yield from _of_dtypes(op)


def _telling_most(trials: Sequence[Trial], room: float) -> list[Trial]:
    """Return those of some calls that together tell the most, in about so many bytes."""
    kept = [t for t in trials if _kept(t)]
    chosen = covering([t.case for t in kept], lambda i: kept[i].arrays, _cost, room)
    return [kept[i] for i in chosen]


def _source(case: Case, number: int) -> tuple[str, int]:
    """Return what a call is filled with, as in the scope tier: a ramp, or one kind of values after the other."""
    kind = KINDS[number % len(KINDS)]
    if case.form.kind is OpClass.NONLINEAR and kind != "ramp":
        return kind, number
    made_up = len(case.form.data) < len(case.form.signature.inputs)
    return ("small", number) if made_up and number % 2 else ("ramp", 0)


def _cost(case: Case) -> float:
    """Return about how many bytes a call takes."""
    return OVERHEAD + PER_ELEMENT * case.work


def _on(case: Case, stratum: str, seed: int = 0, dtype: str = "float32", index: str = USUAL["index"]) -> Trial:
    """Return a call on a ramp or on a stratum of values, and what it must give."""
    if stratum == "ramp":
        return plain_trial(case, ramps(case, dtype, index), how="ramp")
    return plain_trial(case, filled(case, dtype, stratum, seed, index=index), how=f"{stratum} {seed} {dtype} {index}")


def _of_dtypes(op: Op) -> Iterator[tuple[str, Trial | None]]:
    """Yield a small call in every dtype of values and of indices, and with NaN where the definition looks and where not."""
    case = small_case(op)
    for clause in dtype_clauses(op):
        kind, _, dtype = clause.partition(".")
        if kind == "index":
            yield clause, _on(case, "small", 1, index=dtype)
            continue
        kinds = strata(case, dtype)
        for stratum in kinds[:1] if case.form.kind in EXACT else dict.fromkeys((kinds[0], "special")):
            yield clause, _on(case, stratum, 1, dtype) if dtype in STORED else None
    for name in case.form.data:
        arrays = ramps(case)
        read, hidden = [arrays[name].size // 2], unread(case, arrays, name)
        for where, places in (("in the middle", read if arrays[name].size else []), ("where it is not read", hidden)):
            if places:
                spoiled = {k: v.copy() for k, v in arrays.items()}
                spoiled[name].reshape(-1)[places] = np.nan
                yield "nan", plain_trial(case, spoiled, how=f"ramp, NaN {where} in {name}")


@functools.lru_cache(maxsize=256)
def small_case(op: Op) -> Case:
    """Return one call with few elements, of distinct sizes if there is such a one."""
    found = [
        *sorted(cases.bank(op), key=lambda c: c.work),
        *reversed(cases.telling(op)),
        *reversed(cases.scope(op, cases.SCOPE_LIMIT)[0]),
    ]
    return next((c for c in found if not c.empty and c.work <= 200), found[0])
