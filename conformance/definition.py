"""Does an op match its definition: in the small scope, on drawn cases, on big ones, in every dtype, with NaN planted."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

from einspec.card import Op
from einspec.classes import OpClass
from einspec.conformance import cases
from einspec.conformance.big import huge
from einspec.conformance.calls import Case, Space, make_case, spaces
from einspec.conformance.compare import Difference, Expected
from einspec.conformance.exhaustive import Block, assignments, levels, rankings
from einspec.conformance.expect import EXACT, Map, expected, index_maps, traits_of, widen
from einspec.conformance.judge import Context, Result
from einspec.conformance.session import Outcome, Trial
from einspec.conformance.trials import INDEX, filled, plain_trial, ramps
from einspec.conformance.values import fill
from einspec.conformance.witness import witness
from einspec.dtypes import ALL, FLOAT8, GROUPS, INTEGERS
from einspec.oracle import evaluate

Array = np.ndarray[Any, Any]
COMPILED_SCOPE = 24
"""How many size tuples a framework is given that compiles each one."""
COMPILED_NODES = 100
"""The length of a definition, in terms, up to which it gets all of them."""
COMPILED_LIMIT = 160
"""From how many size tuples those are chosen."""
ROUNDED_WORK, ROUNDED_LEAST = 6_000, 24
"""How many terms are analysed in the scope of a form whose results round, and for how many calls at least."""
ROUNDS = 6
"""On how many kinds of values the calls of distinct sizes are tried: every stratum, and a ramp."""
MOST_INDEXED = 5000
"""How many elements a big call has at most that is judged in every dtype of indices."""
MADE_UP = 256
"""Up to how many calls of a small scope are repeated on other indices."""
NUMBERS_LIMIT = 8192
"""How many calls of an op are tried that takes numbers alone: they cost little."""
EXAMPLES = 16
COMPILED_EXAMPLES = 8
HALVES = ("float16", "bfloat16")
EXTENSION = ("bfloat16", *FLOAT8)
"""Dtypes that NumPy has from ml_dtypes."""
ASSIGNMENTS = 1000
"""How many assignments of tokens to experts are tried where all of them would be more."""
COMPILED_ASSIGNMENTS, COMPILED_BLOCKS = 1024, 4
"""The same for a framework that compiles, and of how many sizes."""
BATCH = 256
"""Independent inputs that one example of the property tier judges; through vmap in a framework that compiles."""


def native(context: Context, dtype: str) -> bool:
    """Whether a dtype is one of the framework's own: a bare NumPy file need not know those of ml_dtypes."""
    return not (context.bare and not context.strict and context.session.target.framework == "numpy" and dtype in EXTENSION)


def strata(case: Case, dtype: str = "float32") -> tuple[str, ...]:
    """Return the strata on which a class of op can be judged in a dtype."""
    if case.form.kind in EXACT:
        return ("bits", "special")
    if case.form.kind is OpClass.NONLINEAR:
        return ("small", "low", "gauss", "special", "sparse")
    if dtype in INTEGERS:
        return ("small",)
    return ("small", "gauss", "special", "bits") if traits_of(case.form).brackets else ("small", "gauss", "special")


def check_definition(context: Context, tier: str) -> Iterator[Result]:
    """Judge ``def`` in a tier: every size tuple of the scope, drawn cases or big cases; all axes at least 1."""
    if tier == "scope":
        yield scope_result(context, "def", empty=False)
    elif tier == "property":
        yield property_result(context)
    else:
        found = [plain_trial(c, ramps(c)) for c in cases.big(context.op)] + huge(context.op)
        found += [plain_trial(c, filled(c, "float32", "small", 1)) for c in cases.big(context.op) if c.form.selects]
        yield context.trials("def", "big", found) if found else context.not_run("def", "big", "no axis can grow")


def check_empty(context: Context) -> Iterator[Result]:
    """Judge ``empty``: every size tuple of the scope that holds a zero."""
    yield scope_result(context, "empty", empty=True)


def scope_result(context: Context, clause: str, empty: bool) -> Result:
    """Return the verdict over the scope's cases, those with an empty axis or those without."""
    chosen, sampled = scope_cases(context, empty)
    if not chosen:
        return context.not_run(clause, "scope", "the card allows no such sizes")
    result = context.trials(clause, "scope", [scope_trial(c, i, context.subnormals) for i, c in enumerate(chosen)])
    if result.verdict == "holds":
        result.reason = sampled
    return routed_result(context, result) if clause == "def" and result.verdict in ("holds", "refused") else result


def scope_cases(context: Context, empty: bool) -> tuple[list[Case], str]:
    """Return the scope's cases, those with an empty axis or those without, and what is to be said where they are a sample."""
    limit = cases.SCOPE_LIMIT
    if any(f.kind is OpClass.NONLINEAR for f in context.op.forms.values()):
        each = max(ROUNDED_LEAST, ROUNDED_WORK // max(traits_of(f).nodes for f in context.op.forms.values()))
        limit = each * len(context.op.forms)
    if not any(f.signature.inputs for f in context.op.forms.values()):
        limit = NUMBERS_LIMIT
    found, total = cases.scope(context.op, COMPILED_LIMIT if context.session.compiles else limit)
    chosen = [c for c in found if c.empty == empty]
    legal = len(chosen)
    if not empty:
        chosen += spread(cases.telling(context.op), limit)
    if context.session.compiles:
        chosen = compiled_scope(context.op, chosen, empty)
    elif not empty:
        chosen += [c for c in cases.bank(context.op) for _ in range(ROUNDS)]
        chosen += [c for c in chosen if _made_up(c)] * min(ROUNDS, MADE_UP // max(len(chosen), 1))
    partial = len(chosen) < legal or total > limit
    return chosen, f"{len(chosen)} of the calls of the scope ({total} assignments of sizes and parameters)" if partial else ""


def scope_trial(case: Case, number: int, subnormals: bool = True) -> Trial:
    """Return the call of a case of the scope, on values that tell."""
    return plain_trial(case, telling_values(case, number, subnormals))


def telling_values(case: Case, number: int, subnormals: bool = True) -> dict[str, Array]:
    """Return a ramp; where the definition is no sum, in turn a ramp and values of every stratum."""
    kinds = strata(case)
    if case.form.kind is OpClass.NONLINEAR and number % ROUNDS < len(kinds):
        return filled(case, "float32", kinds[number % ROUNDS], number, subnormals)
    return filled(case, "float32", "small", number) if _made_up(case) and number % 2 else ramps(case)


def _made_up(case: Case) -> bool:
    """Whether an input holds indices or truth values, which are made up for each call."""
    return len(case.form.data) < len(case.form.signature.inputs)


def routed_result(context: Context, result: Result) -> Result:
    """Return the verdict over every assignment of a few tokens to experts and every ranking of special values as well."""
    found, instances, sampled = routed_trials(context)
    if not found:
        return result
    routed = context.trials("def", "scope", found, narrow=_single)
    if routed.verdict not in ("holds", result.verdict):
        return routed
    result.instances += instances
    if result.verdict == "refused":
        return result
    result.reason = "; ".join(filter(None, (result.reason, sampled)))
    return result


def routed_trials(context: Context) -> tuple[list[Trial], int, str]:
    """Return the calls on assignments, rankings and ties, how many they count for, and what is to be said of a sample."""
    session = context.session
    limit, most = (COMPILED_ASSIGNMENTS, COMPILED_BLOCKS) if session.compiles else (ASSIGNMENTS, ASSIGNMENTS)
    blocks, count, total = assignments(context.op, limit, most)
    found = rankings(context.op, context.subnormals)
    found += levels(context.op, context.subnormals, not getattr(session.adapter, "loses_nan_in_maxima", False))
    instances = len(found) + count
    if not session.compiles:
        tied = [c for c in cases.wide(context.op) if c.form.kind is OpClass.NONLINEAR]
        for i, case in enumerate(tied):
            for stratum in ("small", "gauss", "special"):
                found.append(plain_trial(case, filled(case, "float32", stratum, i, context.subnormals)))
                instances += cases.WIDE
        for i, case in enumerate(cases.crowded(context.op)):
            stratum = ("small", "gauss", "coarse", "special")[i % 4]
            found.append(plain_trial(case, filled(case, "float32", stratum, i, context.subnormals)))
            instances += 1
    for block in blocks:
        found += [under_vmap(context, block)] if session.compiles else block.trials()
    return found, instances, f"{count} of {total} assignments of up to 4 tokens" if count < total else ""


def under_vmap(context: Context, block: Block) -> Trial:
    """Return the calls of a block as one, mapped over its first axis."""
    call = context.session.adapter.transforms["vmap"](context.session.plain(block.case))
    return Trial(block.case, block.inputs, block.outputs, call, how="on a batch of inputs under vmap", direct=True)


def compiled_scope(op: Op, chosen: Sequence[Case], empty: bool) -> list[Case]:
    """Return the calls that a framework which compiles each is given: fewer the longer the definition, some of every form."""
    nodes = max(traits_of(f).nodes for f in op.forms.values())
    count = min(COMPILED_SCOPE, COMPILED_SCOPE * COMPILED_NODES // nodes) // (4 if empty else 1)
    each = max(1, count // len(op.forms))
    return [c for form in op.forms.values() for c in spread([c for c in chosen if c.form is form], each)]


def spread(chosen: Sequence[Case], count: int) -> list[Case]:
    """Return so many of the cases, evenly over their order."""
    if len(chosen) <= count:
        return list(chosen)
    step = len(chosen) / count
    return [chosen[int(i * step)] for i in range(count)]


def property_result(context: Context) -> Result:
    """Return the verdict over cases that Hypothesis draws; a failing one is narrowed by its shrinker."""
    if not context.op.forms or not any(f.signature.inputs for f in context.op.forms.values()):
        return context.not_run("def", "property", "the op takes no tensors: the scope tier draws its parameters")
    search = _Search(context)
    search.run()
    if search.failure is not None:
        found, outcome = search.narrowed()
        return Result(
            context.id("def"),
            "property",
            "wrong",
            search.instances,
            context.summary(found, outcome),
            witness(context, "def", found, outcome),
        )
    if not search.instances:
        return Result(context.id("def"), "property", "refused", 0, "every drawn call was refused")
    return Result(context.id("def"), "property", "holds", search.instances)


class _Found(Exception):
    """A drawn call gave a wrong result."""


class _Search:
    """One run of Hypothesis over the calls of an op."""

    def __init__(self, context: Context) -> None:
        self.context, self.instances = context, 0
        self.failure: tuple[Trial, Outcome] | None = None
        names = [d for d in dtypes_of(context.op) or [INDEX] if d in context.dtypes and native(context, d)]
        self.dtypes = names[:1] if context.session.compiles else names

    def run(self) -> None:
        draw = self.fixed() if self.context.session.compiles else self.drawn()
        settings = hypothesis.settings(
            max_examples=COMPILED_EXAMPLES if self.context.session.compiles else EXAMPLES,
            database=None,
            deadline=None,
            derandomize=True,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
            phases=(hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if self.context.shrinks else [])),
        )

        @settings
        @hypothesis.given(draw)
        def judge(example: tuple[Trial, int]) -> None:
            found, instances = example
            outcome = next(iter(self.context.session.run([found])))
            if outcome.error is not None and self.context.refuses(found, outcome):
                return
            self.instances += instances
            if outcome.error is not None or outcome.difference(found) is not None:
                self.failure = found, outcome
                raise _Found

        with contextlib.suppress(_Found):
            judge()

    def drawn(self) -> st.SearchStrategy[tuple[Trial, int]]:
        """Draw sizes, parameters, a dtype, a stratum and a seed; one axis is a batch of independent inputs."""
        found = spaces(self.context.op, most_rank=2, sizes=(1, 2, 3, 4, 5, *cases.sizes_of(self.context.op)[5:]))

        @st.composite
        def example(draw: st.DrawFn) -> tuple[Trial, int]:
            space = found[draw(st.integers(0, len(found) - 1))]
            case = self.case(space, [draw(st.integers(0, len(c) - 1)) for c in space.candidates], draw(st.integers(0, 3)))
            hypothesis.assume(case is not None)
            assert case is not None
            dtype = self.dtypes[draw(st.integers(0, len(self.dtypes) - 1))]
            stratum = draw(st.sampled_from(strata(case, dtype)))
            arrays = filled(case, dtype, stratum, draw(st.integers(0, 2**32 - 1)), self.context.subnormals)
            axis = cases.batch_axis(case.form, case.solution.ranks)
            return plain_trial(case, arrays), case.solution.sizes[axis] if axis else 1

        return example()

    def case(self, space: Space, picks: Sequence[int], large: int) -> Case | None:
        values = [c[i] for c, i in zip(space.candidates, picks, strict=True)]
        axis = cases.batch_axis(space.form, space.ranks)
        for i, names in enumerate(space.variables):
            if large and names == (axis,):
                values[i] = BATCH
        return space.case(values, sum(picks))

    def fixed(self) -> st.SearchStrategy[tuple[Trial, int]]:
        """Draw a stratum and a seed for one compiled call: a framework that compiles cannot afford fresh shapes."""
        case = self.context.bank[0]
        mapped = self.context.session.adapter.transforms["vmap"](self.context.session.plain(case))
        maps = fixed_maps(case)
        kinds = strata(case) if maps is not None else [s for s in strata(case) if s in ("small", "gauss", "special")]
        size = BATCH if maps is not None else BATCH // 16

        @st.composite
        def example(draw: st.DrawFn) -> tuple[Trial, int]:
            seed, stratum = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(kinds))
            return batched(case, several(case, size, stratum, seed, self.context.subnormals), maps, mapped), size

        return example()

    def narrowed(self) -> tuple[Trial, Outcome]:
        """Return the failure on the plainest values that still show it: one of the batch, then a ramp."""
        assert self.failure is not None
        best = self.failure
        for make in (_single, _plain_values):
            smaller = make(*best)
            if smaller is None:
                continue
            outcome = next(iter(self.context.session.run([smaller])))
            if outcome.error is not None or outcome.difference(smaller) is not None:
                best = smaller, outcome
        return best


def _plain_values(found: Trial, _: Outcome) -> Trial | None:
    """Return the same call on a ramp."""
    return plain_trial(found.case, ramps(found.case)) if found.call is None else None


def _single(found: Trial, outcome: Outcome) -> Trial | None:
    """Return the call on the one input of the batch that goes wrong."""
    case = found.case
    axis = cases.batch_axis(case.form, case.solution.ranks)
    place = outcome.difference(found) if outcome.error is None else None
    if found.call is not None or axis is None or place is None or place[1].position is None:
        return None
    output = next(s for s in case.form.signature.outputs if s.name == place[0])
    at = place[1].position[output.axes(case.solution.ranks).index((axis,))]
    arrays = {}
    for spec in case.form.signature.inputs:
        along = spec.axes(case.solution.ranks).index((axis,))
        arrays[spec.name] = np.take(found.arrays[spec.name], [at], axis=along)
    smaller = make_case(case.op, case.params, [a.shape for a in arrays.values()])
    return plain_trial(smaller, arrays) if smaller is not None else None


def fixed_maps(case: Case) -> dict[str, Map] | None:
    """Return the index maps of a call that do not depend on what it is given."""
    plain = case.form.kind in EXACT and set(case.form.data) == {s.name for s in case.form.signature.inputs}
    return index_maps(case, ramps(case)) if plain else None


def several(case: Case, size: int, stratum: str, seed: int, subnormals: bool = True) -> dict[str, Array]:
    """Return so many independent inputs of a stratum along a new first axis."""
    if fixed_maps(case) is not None:
        rng = np.random.default_rng(seed)
        inputs = zip(case.form.signature.inputs, case.shapes, strict=True)
        return {s.name: fill((size, *shape), "float32", stratum, rng, subnormals) for s, shape in inputs}
    rows = [filled(case, "float32", stratum, seed + i, subnormals) for i in range(size)]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def batched(case: Case, arrays: Mapping[str, Array], maps: Mapping[str, Map] | None, call: Any) -> Trial:
    """Return a call on independent inputs along a new first axis, which in a list of tensors each tensor has."""
    trials: list[Trial] = []
    if maps is not None:
        flat = np.concatenate([a.reshape(len(a), -1) for a in arrays.values()], axis=1)
        wants = {name: Expected(m.apply(flat)) for name, m in maps.items()}
    else:
        each = [{name: a[i] for name, a in arrays.items()} for i in range(len(next(iter(arrays.values()))))]
        trials = [plain_trial(case, a) if case.form.selects else Trial(case, a, expected(case, a)) for a in each]
        wants = {name: _stack([t.expected[name] for t in trials]) for name in trials[0].expected}
    signature = case.form.signature
    given = {s.name: np.swapaxes(arrays[s.name], 0, 1) if s.listed else arrays[s.name] for s in signature.inputs}
    for spec in signature.outputs:
        if spec.listed:
            wants[spec.name] = replace(wants[spec.name], array=np.swapaxes(wants[spec.name].array, 0, 1))
    relation = (next(iter(case.form.selects)), functools.partial(_in_each, trials)) if case.form.selects else None
    return Trial(case, given, wants, call, how="on a batch of inputs under vmap", direct=True, relation=relation)


def _in_each(trials: Sequence[Trial], outputs: Mapping[str, Array]) -> Difference | None:
    """Return the first difference in the outputs of independent calls of which more than one result may be right."""
    checks = ((i, t.relation[1]) for i, t in enumerate(trials) if t.relation is not None)
    return next((d for i, check in checks if (d := check({k: v[i] for k, v in outputs.items()})) is not None), None)


def _stack(rows: Sequence[Expected]) -> Expected:
    how = "bound" if any(r.how == "bound" for r in rows) else rows[0].how
    bound = np.stack([np.zeros(r.array.shape) if r.bound is None else r.bound for r in rows]) if how == "bound" else None
    return Expected(np.stack([r.array for r in rows]), how, bound, rows[0].dtype_name)


def dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that the values of an op may have, float32 first; none where all its inputs are indices."""
    groups = [GROUPS[f.group(f.lead)] for f in op.forms.values() if f.lead]
    return [d for d in ALL if groups and all(d in g for g in groups)]


def index_dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that indices may have besides the usual one."""
    given = any(f.group(s.name) == "index" for f in op.forms.values() for s in f.signature.inputs)
    return [d for d in INTEGERS if given and d in GROUPS["index"] and d != INDEX]


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
        yield context.trials(clause, "scope", in_dtype(context, clause))


def in_dtype(context: Context, clause: str) -> list[Trial]:
    """Return the calls that judge a clause about a dtype."""
    kind, _, dtype = clause.partition(".")
    few = context.bank[: 1 if context.session.compiles else 3]
    if kind == "dtype":
        return list(_values_in(context, few, dtype))
    if not context.session.compiles:
        few = [*few, *(c for c in cases.big(context.op) if _made_up(c) and c.elements <= MOST_INDEXED and holds(c, dtype))]
    found = [filled(c, "float32", "small", i, index=dtype) for i, c in enumerate(few)]
    if dtype == "int64":
        found = [beyond(c, arrays) for c, arrays in zip(few, found, strict=True)]
    return [plain_trial(c, a, how=f"{dtype} indices") for c, a in zip(few, found, strict=True)]


def dtype_clauses(op: Op) -> list[str]:
    """Return the ids of the clauses about dtypes: of values, and of indices."""
    return [*(f"dtype.{d}" for d in dtypes_of(op)), *(f"index.{d}" for d in index_dtypes_of(op))]


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
    for case in few:
        free = any(not case.form.dtype[n].startswith("same as") for n in case.form.data[1:])
        for i, stratum in enumerate(kinds):
            for mixed in (False, True) if free and dtype != "float32" else (False,):
                arrays = filled(case, dtype, stratum, i, context.subnormals, mixed=mixed)
                yield plain_trial(case, arrays, how=f"{dtype} input" + ", the other values float32" * mixed)


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


def check_nan(context: Context) -> Iterator[Result]:
    """Judge ``nan``: a NaN comes out exactly where the definition reads it, and nowhere else."""
    lossy = getattr(context.session.adapter, "loses_nan_in_maxima", False)
    if context.bare and lossy and any(f.kind is OpClass.NONLINEAR for f in context.op.forms.values()):
        yield context.not_run("nan", "scope", f"maxima of {context.session.target.framework} may lose NaN by themselves")
        return
    floats = [c for c in context.bank[:3] if c.form.data][: 2 if context.session.compiles else 3]
    trials = []
    made_up = [(c, filled(c, "float32", "small", i)) for c in floats if _made_up(c) for i in range(ROUNDS)]
    for case, arrays in [*((c, ramps(c)) for c in floats), *(made_up if not context.session.compiles else [])]:
        for name in case.form.data:
            size = arrays[name].size
            places = {f"flat position {p} of {name}": [p] for p in sorted({0, size // 2}) if p < size}
            hidden = unread(case, arrays, name)
            if hidden:
                places[f"every place of {name} that the definition does not read"] = hidden
            for where, flat in places.items():
                spoiled = {k: v.copy() for k, v in arrays.items()}
                spoiled[name].reshape(-1)[flat] = np.nan
                trials.append(plain_trial(case, spoiled, how=f"with NaN at {where}"))
    yield (context.trials("nan", "scope", trials) if trials else context.not_run("nan", "scope", "the op takes no values"))


MOST_PLACES = 96
"""How many elements of an input are asked one by one whether they are read."""


def unread(case: Case, arrays: Mapping[str, Array], name: str) -> list[int]:
    """Return the flat positions of an input at which a NaN does not come out by the definition."""
    form, size = case.form, arrays[name].size
    if fixed_maps(case) is not None and len(form.data) == 1:
        used = np.unique(np.concatenate([m.index.reshape(-1) for m in index_maps(case, arrays).values()]))
        return [int(i) for i in np.setdiff1d(np.arange(1, size + 1), used) - 1]
    if len(form.data) == len(form.signature.inputs):
        return []
    hidden = []
    for place in range(0, size, max(1, size // MOST_PLACES)):
        spoiled = {k: widen(v) for k, v in arrays.items()}
        spoiled[name] = spoiled[name].copy()
        spoiled[name].reshape(-1)[place] = np.nan
        found = evaluate(case.solution, spoiled)
        if not any(np.isnan(found[s.name]).any() for s in case.form.signature.outputs if found[s.name].dtype.kind == "f"):
            hidden.append(place)
    return hidden
