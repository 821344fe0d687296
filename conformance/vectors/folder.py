"""A folder of golden vectors: ``index.json`` and one safetensors file an op, for programs in any language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import einspec
from einspec.calls.invalid import InvalidCall, invalid_calls
from einspec.card import Form, Op, load
from einspec.clauses import dtype_clauses
from einspec.conformance.run.pool import side_by_side
from einspec.conformance.vectors.vectors import Vector, plain, vectors
from einspec.constraints import constraints
from einspec.demands import demand
from einspec.dtypes import USUAL
from einspec.semantics.traits import traits_of

FORMAT = 1
"""The version of the format of the folder; a program that reads it refuses any other."""
INDEX = "index.json"
RULES = ("bits", "values", "bound")
MOST_ALONE = 8
"""Below this number of ops they are written in this process."""


def rejections(op: Op) -> list[dict[str, Any]]:
    """Return calls that must be rejected as the index describes them, each violating one constraint of the card."""
    return [_rejection(op, call) for call in invalid_calls(op).values() if _can_be_written(call)]


def _can_be_written(call: InvalidCall) -> bool:
    """Return whether the index can hold a call: it has one dtype an input and every parameter, and JSON knows no 2.0."""
    kind = call.constraint.partition(".")[0]
    of_one_dtype = all(len({t.dtype for t in tensors}) <= 1 for tensors in call.lists)
    return kind not in ("type", "count", "keyword") and of_one_dtype and call.near.params.keys() <= call.params.keys()


def _rejection(op: Op, call: InvalidCall) -> dict[str, Any]:
    inputs = {}
    for spec, tensors in zip(call.form.signature.inputs, call.lists, strict=True):
        shapes = [list(t.shape) for t in tensors]
        usual = USUAL.get(call.form.group(spec.name), "float32")
        inputs[spec.name] = {
            "dtype": tensors[0].dtype if tensors else usual,
            "shape": shapes if spec.listed else shapes[0],
        }
    defaults = {n: p.default for n, p in op.card.params.items() if not p.required}
    return {
        "id": f"err.{call.constraint}",
        "params": {k: plain(v) for k, v in {**defaults, **call.params}.items()},
        "inputs": inputs,
        "rejects": call.constraint,
        "why": call.problem,
    }


def entry(op: Op, found: Sequence[Vector]) -> dict[str, Any]:
    """Return what the index says of an op."""
    missing = [c for c in ("def", *dtype_clauses(op)) if not any(v.clause == c for v in found)]
    written = {name for name, call in invalid_calls(op).items() if _can_be_written(call)}
    missing += [f"err.{name}" for name in constraints(op) if name not in written]
    rejected = rejections(op)
    judged = dict.fromkeys([*(v.clause for v in found), *(case["id"] for case in rejected)])
    return {
        "file": f"{op.name}.safetensors",
        "summary": op.card.summary,
        "choice": op.choice,
        "forms": {value: _form(form) for value, form in op.forms.items()},
        "clauses": {clause: demand(op, clause) for clause in judged},
        "left_out": missing,
        "cases": [*(v.entry() for v in found), *rejected],
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


def write(folder: Path, names: Sequence[str], progress: Callable[[str, int], None] = lambda *_: None) -> dict[str, Any]:
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
    ops = {name: ops[name] for name in names}
    for gone in old - ops.keys():
        (folder / f"{gone}.safetensors").unlink(missing_ok=True)
    index = {"format": FORMAT, "einspec": einspec.__version__, "spec": einspec.SPEC_VERSION, "ops": ops}
    (folder / INDEX).write_text(text_of(index), encoding="utf-8", newline="\n")
    return index


def _encoded(names: Sequence[str]) -> Iterable[tuple[str, dict[str, Any], bytes]]:
    """Yield the ops as they are done, the longest begun first."""
    if len(names) < MOST_ALONE:
        yield from map(encoded, names)
        return
    longest = sorted(names, key=lambda name: -sum(traits_of(f).nodes for f in load(name).forms.values()))
    yield from side_by_side(encoded, [(name,) for name in longest])


def text_of(index: Mapping[str, Any]) -> str:
    """Return the index as JSON, one line a case, so that a change of a case changes a line."""
    ops = []
    for name, op in index["ops"].items():
        head = json.dumps({k: v for k, v in op.items() if k != "cases"}, ensure_ascii=False, allow_nan=False)
        lines = ",\n".join(json.dumps(c, ensure_ascii=False, allow_nan=False, separators=(",", ":")) for c in op["cases"])
        ops.append(f'{json.dumps(name)}: {head[:-1]}, "cases": [\n{lines}\n]}}')
    head = json.dumps({k: v for k, v in index.items() if k != "ops"})
    return f'{head[:-1]}, "ops": {{\n' + ",\n".join(ops) + "\n}}\n"
