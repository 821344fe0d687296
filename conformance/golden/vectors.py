"""Golden vectors: calls with what they must give, as files that a program in any language can read.

A folder holds ``index.json`` and one safetensors file an op. The calls come from where the judge takes those of its scope tier,
thinned out: only calls with one right result, or with a bound on the error of every element, are kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import einspec
from einspec.card import Form, Op, load
from einspec.classes import OpClass
from einspec.conformance import cases
from einspec.conformance.calls import Case
from einspec.conformance.exhaustive import assignable, assignments, levels, rankings
from einspec.conformance.expect import EXACT, traits_of
from einspec.conformance.golden.covering import covering
from einspec.conformance.misfits import Misfit, error_text, misfits
from einspec.conformance.nan import unread
from einspec.conformance.scope import spread
from einspec.conformance.session import Trial
from einspec.conformance.targets import USUAL
from einspec.conformance.trials import filled, plain_trial, ramps, strata
from einspec.conformance.typed import dtype_clauses
from einspec.dtypes import ALL

Array = np.ndarray[Any, Any]
FORMAT = 1
"""The version of the format of the folder; a program that reads it refuses any other."""
INDEX = "index.json"
RULES = ("bits", "values", "bound")
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
MOST_ALONE = 8
"""Below this number of ops they are written in this process."""
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
        text = f"{self.trial.case} {self.trial.how}"
        return f"{self.clause}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def tensors(self) -> Iterator[tuple[str, Array]]:
        """Yield inputs, expected outputs and bounds under the names that they have in the file."""
        for name, array in self.trial.arrays.items():
            yield f"{self.id}/{name}", array
        for name, want in self.trial.expected.items():
            yield f"{self.id}/{name}", want.array
            if want.bound is not None:
                yield f"{self.id}/{name}.bound", np.broadcast_to(np.nan_to_num(want.bound), want.array.shape)

    def entry(self) -> dict[str, Any]:
        """Return the call as the index describes it."""
        case = self.trial.case
        return {
            "id": self.id,
            "params": {k: plain(v) for k, v in case.op.bind(case.params).items()},
            "outputs": {n: {"dtype": _stored(w.dtype_name), "rule": w.how} for n, w in self.trial.expected.items()},
        }


def _stored(dtype: str) -> str:
    """Return the dtype in which a file holds an output; a plain integer is stored as int64."""
    return "int64" if dtype == "int" else dtype


def plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it: a fraction and an infinite number as text, a tuple as a list."""
    if isinstance(value, Fraction) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value


def vectors(op: Op) -> list[Vector]:
    """Return the vectors of an op, in an order that never changes, each once."""
    found: dict[str, Vector] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bounds on complex results are no use here: they are not kept
        for clause, trial in _trials(op):
            if trial is not None and _kept(trial):
                vector = Vector(clause, trial)
                found.setdefault(vector.id, vector)
    return list(found.values())


def _kept(trial: Trial) -> bool:
    """Whether a call has one right result, or a bound on every element, and fits into a file."""
    arrays = [*trial.arrays.values(), *(w.array for w in trial.expected.values())]
    known = all(w.bound is None or not np.isinf(w.bound).any() for w in trial.expected.values())
    return trial.relation is None and known and all(a.dtype.name in STORED for a in arrays)


def _trials(op: Op) -> Iterator[tuple[str, Trial | None]]:
    """Yield calls by clause: of all sizes, assignments and rankings, then empty ones, of all dtypes, with NaN."""
    found, _ = cases.scope(op, cases.SCOPE_LIMIT)
    for form in op.forms.values():
        own = [c for c in found if c.form is form and work(c) <= LARGEST]
        distinct = [c for c in cases.bank(op) if c.form is form and work(c) <= LARGEST]
        telling = spread([c for c in cases.telling(op) if c.form is form and work(c) <= LARGEST], MOST_TELLING)
        for number, case in enumerate((*[c for c in distinct for _ in KINDS], *telling)):
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
    ranked = [trial for trial in ranked if work(trial.case) <= LARGEST_RANKING]
    for trial in ranked[:: max(1, -(-len(ranked) // MOST_RANKINGS))]:
        yield "def", trial
    yield from _of_dtypes(op)


def _telling_most(trials: Sequence[Trial], room: float) -> list[Trial]:
    """Return those of some calls that together tell the most, in about so many bytes."""
    kept = [t for t in trials if _kept(t)]
    chosen = covering([t.case for t in kept], lambda i: kept[i].arrays, _cost, room)
    return [kept[i] for i in chosen]


def work(case: Case) -> int:
    """Return how many elements the inputs and outputs of a call have."""
    return case.elements + sum(math.prod(case.solution.shape(s)) for s in case.form.signature.outputs)


def _source(case: Case, number: int) -> tuple[str, int]:
    """Return what a call is filled with, as in the scope tier: a ramp, or one kind of values after the other."""
    kind = KINDS[number % len(KINDS)]
    if case.form.kind is OpClass.NONLINEAR and kind != "ramp":
        return kind, number
    made_up = len(case.form.data) < len(case.form.signature.inputs)
    return ("small", number) if made_up and number % 2 else ("ramp", 0)


def _cost(case: Case) -> float:
    """Return about how many bytes a call takes."""
    return OVERHEAD + PER_ELEMENT * work(case)


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
    found = [*sorted(cases.bank(op), key=work), *reversed(cases.telling(op)), *reversed(cases.scope(op, cases.SCOPE_LIMIT)[0])]
    return next((c for c in found if not c.empty and work(c) <= 200), found[0])


def rejections(op: Op) -> list[dict[str, Any]]:
    """Return calls that must be rejected as the index describes them, each violating one constraint of the card.

    Parameters of a wrong type are left out: JSON does not tell 2 from 2.0.
    """
    return [_rejection(op, m) for name, m in misfits(op).items() if not name.startswith("type.")]


def _rejection(op: Op, misfit: Misfit) -> dict[str, Any]:
    clause, form, inputs = f"err.{misfit.constraint}", misfit.case.form, {}
    for spec, shape in zip(form.signature.inputs, misfit.shapes, strict=True):
        own = USUAL.get(form.group(spec.name), "float32")
        each = [shape] if not spec.listed else [shape[1:]] * shape[0]
        if spec.listed and misfit.last is not None:
            each[-1] = misfit.last
        shapes = [list(s) for s in each]
        dtype = misfit.dtype[1] if spec.name == misfit.dtype[0] else own
        inputs[spec.name] = {"dtype": dtype, "shape": shapes if spec.listed else shapes[0]}
    defaults = {n: p.default for n, p in op.card.params.items() if not p.required}
    params = {k: plain(v) for k, v in {**defaults, **misfit.params}.items()}
    return {
        "id": clause,
        "params": params,
        "inputs": inputs,
        "rejects": misfit.constraint,
        "why": error_text(misfit),
    }


def entry(op: Op, found: Sequence[Vector]) -> dict[str, Any]:
    """Return what the index says of an op."""
    missing = [c for c in ("def", *dtype_clauses(op)) if not any(v.clause == c for v in found)]
    missing += [f"err.{name}" for name in misfits(op) if name.startswith("type.")]
    return {
        "file": f"{op.name}.safetensors",
        "summary": op.card.summary,
        "choice": op.choice,
        "forms": {value: _form(form) for value, form in op.forms.items()},
        "left_out": missing,
        "cases": [*(v.entry() for v in found), *rejections(op)],
    }


def _form(form: Form) -> dict[str, Any]:
    signature = form.signature
    return {
        "signature": str(signature),
        "formula": [e.text for e in form.stated],
        "inputs": [s.name for s in signature.inputs],
        "outputs": [s.name for s in signature.outputs],
        "lists": [s.name for s in (*signature.inputs, *signature.outputs) if s.listed],
    }


def encoded(name: str) -> tuple[str, dict[str, Any], bytes]:
    """Return the name of an op, its part of the index, and its tensors as a safetensors file."""
    from safetensors.numpy import save

    op = load(name)
    found = vectors(op)
    tensors = {key: np.array(array, order="C") for v in found for key, array in v.tensors()}
    return name, entry(op, found), save(tensors)


def written(folder: Path) -> set[str]:
    """Return the ops of which a folder holds vectors."""
    path = folder / INDEX
    return set(json.loads(path.read_text(encoding="utf-8"))["ops"]) if path.exists() else set()


def write(folder: Path, names: Sequence[str], progress: Callable[[str, int], None] = lambda name, size: None) -> dict[str, Any]:
    """Write the vectors of these ops and nothing else; files of ops that an index there names and that are not among them go.

    Args:
        folder: where to; it is made if it is not there.
        names: the ops.
        progress: called after every op with its name and the size of its file.

    Returns:
        The index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = written(folder)
    ops: dict[str, Any] = {}
    for name, described, data in _encoded(names):
        (folder / described["file"]).write_bytes(data)
        ops[name] = described
        progress(name, len(data))
    for gone in old - ops.keys():
        (folder / f"{gone}.safetensors").unlink(missing_ok=True)
    index = {"format": FORMAT, "einspec": einspec.__version__, "spec": einspec.SPEC_VERSION, "ops": ops}
    (folder / INDEX).write_text(text_of(index), encoding="utf-8", newline="\n")
    return index


def _encoded(names: Sequence[str]) -> Iterable[tuple[str, dict[str, Any], bytes]]:
    if len(names) < MOST_ALONE:
        yield from map(encoded, names)
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(encoded, names)


def text_of(index: Mapping[str, Any]) -> str:
    """Return the index as JSON, one line a case, so that a change of a case changes a line."""
    ops = []
    for name, op in index["ops"].items():
        head = json.dumps({k: v for k, v in op.items() if k != "cases"}, ensure_ascii=False, allow_nan=False)
        lines = ",\n".join(json.dumps(c, ensure_ascii=False, allow_nan=False, separators=(",", ":")) for c in op["cases"])
        ops.append(f'{json.dumps(name)}: {head[:-1]}, "cases": [\n{lines}\n]}}')
    head = json.dumps({k: v for k, v in index.items() if k != "ops"})
    return f'{head[:-1]}, "ops": {{\n' + ",\n".join(ops) + "\n}}\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the index."""
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    case = {"id": text, "params": {"type": "object"}}
    output = _closed({"dtype": {"enum": list(STORED)}, "rule": {"enum": list(RULES)}})
    given = _closed({"dtype": {"enum": list(ALL)}, "shape": {"anyOf": [shape, {"type": "array", "items": shape}]}})
    call = _closed({**case, "outputs": {"type": "object", "additionalProperties": output}})
    rejected = _closed(
        {**case, "inputs": {"type": "object", "additionalProperties": given}, "rejects": text, "why": text},
    )
    form = _closed({"signature": text, "formula": texts, "inputs": texts, "outputs": texts, "lists": texts})
    op = {
        "file": {"type": "string", "pattern": "^[a-z0-9_]+[.]safetensors$"},
        "summary": text,
        "choice": text,
        "forms": {"type": "object", "additionalProperties": form},
        "left_out": texts,
        "cases": {"type": "array", "items": {"oneOf": [call, rejected]}, "minItems": 1},
    }
    index = {
        "format": {"const": FORMAT},
        "einspec": text,
        "spec": text,
        "ops": {"type": "object", "additionalProperties": _closed(op)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "the index of a folder of golden vectors of einspec",
        **_closed(index),
    }


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
