"""What a clause means, as a digest: of the normative text that it rests on, and of nothing else.

The text is what the kind of the clause promises and the parts of the card that say the rest, as they are after parsing, so that
blanks, notes and references do not matter. ``clauses.json`` beside it records the digests of this spec version.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from einspec.card import Form, Op, Term, load, paths
from einspec.clauses import DERIVATIVES, KINDS, clause_ids
from einspec.language.formula import Rest

RECORD = Path(__file__).parent / "clauses.json"
WHOLE = ("signature", "dtype", "equations", "sizes", "require", "params", "axes", "stores")
"""The parts of a card that say what an op computes."""
CALL = ("signature", "sizes", "params", "axes")
"""The parts that say which calls there are."""
TENSORS = ("signature",)

RESTS_ON = {
    "def": WHOLE,
    "values": WHOLE,
    "total": (*WHOLE, "assume"),
    "empty": WHOLE,
    "result": (*TENSORS, "dtype"),
    "dtype": WHOLE,
    "index": WHOLE,
    "nan": WHOLE,
    "pure": TENSORS,
    "repeat": TENSORS,
    "device": TENSORS,
    "memory": WHOLE,
    "layout": WHOLE,
    "err": CALL,
    "law": CALL,
    "grad": WHOLE,
    "grad64": WHOLE,
    "ranks": (*WHOLE, "ranks"),
    "transform": WHOLE,
    "state": TENSORS,
}
"""The parts of a card on which the clauses of a kind rest."""


def meaning(op: Op, clause: str) -> Any:
    """Return all that the meaning of a clause rests on, as numbers, strings and lists."""
    kind, _, detail = clause.partition(".")
    forms = {name: [_part(op, form, part) for part in RESTS_ON[kind]] for name, form in op.forms.items()}
    extra: Any = None
    if kind == "law":
        extra = {name: _law(form, detail) for name, form in op.forms.items()}
    elif kind == "err" and detail.startswith("require."):
        extra = {name: _plain(form.require.get(detail.removeprefix("require."))) for name, form in op.forms.items()}
    elif kind == "err" and detail.startswith("dtype."):
        extra = {name: form.dtype.get(detail.removeprefix("dtype.")) for name, form in op.forms.items()}
    return [clause, DERIVATIVES.get(clause, KINDS[kind]), op.choice, forms, extra]


@functools.lru_cache(maxsize=8192)
def digest(op: Op, clause: str) -> str:
    """Return a short digest of the meaning of a clause."""
    text = json.dumps(meaning(op, clause), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _part(op: Op, form: Form, part: str) -> Any:
    """Return one part of what a card says for a form."""
    match part:
        case "params":
            return {name: _param(name, param) for name, param in op.card.params.items()}
        case "signature" if form.orders:
            return [_plain(form.signature), {n: [o.rest, _plain(o.places), _plain(o.axes)] for n, o in form.orders.items()}]
        case "stores" if op.card.ranks.reduces:
            return [op.card.stores, *op.card.ranks.reduces]
        case "axes" | "stores" | "ranks":
            return _plain(msgspec.to_builtins(getattr(op.card, part)))
    return _plain(getattr(form, part))


def _param(name: str, param: Any) -> Any:
    """Return a parameter without its description and the values that the judge tries."""
    told = msgspec.to_builtins(param)
    return {"sets": param.targets(name), **{k: str(v) for k, v in told.items() if k not in ("doc", "values", "size", "int")}}


def _law(form: Form, detail: str) -> Any:
    """Return what a form states of a law, an expression as its tree."""
    kind, _, name = detail.partition(".")
    value = getattr(form.laws, kind)
    if isinstance(value, dict):
        value = value.get(name, "")
    elif name:
        value = name in value.split()
    return _expression(value) if isinstance(value, str) else value


def _expression(text: str) -> str:
    """Return an expression without what does not matter in it: blanks, line breaks, quotes, brackets around all of it."""
    try:
        return ast.dump(ast.parse(f"({text.strip()})", mode="eval").body)
    except SyntaxError:
        return " ".join(text.split())


def _plain(value: Any) -> Any:
    """Return a tree as lists; what a term was written like is left out."""
    if isinstance(value, Term):
        return _expression(value.text)
    if isinstance(value, Rest) and not value.order:
        return ["Rest", value.name]
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, f.name)) for f in fields(value) if f.name != "text")]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


@functools.cache
def current() -> dict[str, dict[str, str]]:
    """Return the digest of every clause, by op and clause."""
    return {name: {c: digest(op, c) for c in clause_ids(op)} for name, op in ((n, load(n)) for n in paths())}


def recorded(path: Path = RECORD) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the spec version of the record and its digests; nothing where there is none."""
    if not path.is_file():
        return "", {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return str(data["spec"]), data["clauses"]
