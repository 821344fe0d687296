"""Does an op match its definition in every dtype of values and of indices that its card allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from einspec.calls import cases
from einspec.calls import contended as crowds
from einspec.calls.inputs import INDEX, filled, makes_up, strata
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.checks.batches import single
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Outcome, Trial
from einspec.dtypes import ALL, FLOAT8, GROUPS, INTEGERS
from einspec.language.linear import EXACT, OpClass

Array = np.ndarray[Any, Any]

MOST_INDEXED = 5000
"""How many elements a big call has at most that is judged in every dtype of indices."""
HALVES = ("float16", "bfloat16")
EXTENSION = ("bfloat16", *FLOAT8)
"""Dtypes that NumPy has from ml_dtypes."""


def native(context: Context, dtype: str) -> bool:
    """Whether a dtype is one of the framework's own: a bare NumPy file need not know those of ml_dtypes."""
    return not (context.bare and not context.strict and context.session.target.framework == "numpy" and dtype in EXTENSION)


def dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that the values of an op may have, float32 first; none where all its inputs are indices."""
    groups = [GROUPS[f.group(f.lead)] for f in op.forms.values() if f.lead]
    return [d for d in ALL if groups and all(d in g for g in groups)]


def index_dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that indices may have besides the usual one."""
    given = any(f.group(s.name) == "index" for f in op.forms.values() for s in f.signature.inputs)
    return [d for d in INTEGERS if given and d in GROUPS["index"] and d != INDEX]


def dtype_clauses(op: Op) -> list[str]:
    """Return the ids of the clauses about dtypes: of values, and of indices."""
    return [*(f"dtype.{d}" for d in dtypes_of(op)), *(f"index.{d}" for d in index_dtypes_of(op))]


def check_dtype(context: Context, clause: str) -> Iterator[Result]:
    """Judge ``dtype.<name>`` or ``index.<name>``: values or indices of a dtype that the card allows."""
    dtype = clause.partition(".")[2]
    framework = context.session.target.framework
    if dtype not in context.session.adapter.dtypes:
        yield Result(context.id(clause), "scope", "unsupported", 0, f"{framework} has no {dtype}")
    elif not native(context, dtype):
        yield context.not_run(clause, "scope", "NumPy has this dtype from ml_dtypes only; --strict asks for it")
    elif context.session.compiles and not context.careful:
        if "dtypes" not in context.cache:
            context.cache["dtypes"] = ran_together(context)
        yield context.trials(clause, "scope", *context.cache["dtypes"][clause])
    else:
        yield context.trials(clause, "scope", in_dtype(context, clause), narrow=single)


def in_dtype(context: Context, clause: str) -> list[Trial]:
    """Return the calls that judge a clause about a dtype."""
    kind, _, dtype = clause.partition(".")
    few = context.bank[: 1 if context.session.compiles else 3]
    if kind == "dtype":
        return list(_values_in(context, few, dtype))
    if not context.session.compiles:
        few = [*few, *(c for c in cases.big(context.op) if makes_up(c) and c.elements <= MOST_INDEXED and holds(c, dtype))]
    found = [filled(c, "float32", "small", i, index=dtype) for i, c in enumerate(few)]
    if dtype == "int64":
        found = [beyond(c, arrays) for c, arrays in zip(few, found, strict=True)]
    return [plain_trial(c, a, how=f"{dtype} indices") for c, a in zip(few, found, strict=True)]


def holds(case: Case, dtype: str) -> bool:
    """Whether a dtype holds every number that an index of a call may be, and every size where a result has to be of it."""
    form, solution = case.form, case.solution
    numbers = [term.value(solution.sizes, solution.values) for _, term in form.values.values()]
    if any(form.dtype[s.name].startswith("same as") for s in form.signature.outputs):
        numbers += solution.sizes.values()
    return max(numbers, default=0) <= np.iinfo(dtype).max


def beyond(case: Case, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs with ids that are none made so large that their lower 32 bits are those of the first expert."""
    ids = {name for name, (kind, _) in case.form.values.items() if kind == "id"}
    return {k: np.where(v < -1, 2**32, v) if k in ids else v for k, v in arrays.items()}


def _values_in(context: Context, few: Sequence[Case], dtype: str) -> Iterator[Trial]:
    """Yield calls on values of a dtype; where another input may differ from the first, also with that in float32."""
    kinds = strata(few[0], dtype)
    if context.session.compiles and dtype in HALVES and few[0].form.kind not in EXACT:
        kinds = ("small", "gauss")  # what is added up in so few bits shows in the second
    elif context.session.compiles:
        kinds = kinds[: 2 if few[0].form.kind is OpClass.NONLINEAR else 1]
    if dtype == "float16" and few[0].form.kind not in EXACT and "low" not in kinds:
        kinds = (*kinds, "low")  # of which some overflow when they are added up in so few bits
    for case in few:
        free = any(not case.form.dtype[n].startswith("same as") for n in case.form.data[1:])
        for i, stratum in enumerate(kinds):
            for mixed in (False, True) if free and dtype != "float32" else (False,):
                arrays = filled(case, dtype, stratum, i, context.subnormals, mixed=mixed)
                yield plain_trial(case, arrays, how=f"{dtype} input" + ", the other values float32" * mixed)
    if dtype in HALVES and not context.session.compiles:
        for i, case in enumerate(c for c in crowds.wide(context.op) if c.form.kind is OpClass.NONLINEAR):
            for stratum in ("gauss", "uneven"):
                yield plain_trial(case, filled(case, dtype, stratum, i), how=f"{dtype} input, many at once")


def ran_together(context: Context) -> dict[str, tuple[list[Trial], list[Outcome]]]:
    """Return the calls and outcomes of all dtypes, compiled together: those of the framework's default mode, then the wide."""
    wanted = [
        c for c in dtype_clauses(context.op) if c.partition(".")[2] in context.dtypes and native(context, c.partition(".")[2])
    ]
    tried = {clause: in_dtype(context, clause) for clause in wanted}
    wide = [c for c in wanted if c.partition(".")[2] in ("int64", "uint64", "float64", "complex128")]
    found = {}
    for group in ([c for c in wanted if c not in wide], wide):
        ran = context.session.run([t for clause in group for t in tried[clause]])
        for clause in group:
            found[clause] = tried[clause], [next(ran) for _ in tried[clause]]
    return found
