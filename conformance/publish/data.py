"""The spec for programs: every op with the trees of its formulas, citations, and an inventory that Sphinx reads."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

import einspec
from einspec.card import Form, Op, load, paths, used
from einspec.clauses import KINDS, clauses
from einspec.conformance.clauses import tiers_of
from einspec.language.formula import OpCall
from einspec.meaning import digest
from einspec.pages.render import latex

FORMAT = 1


def spec() -> dict[str, Any]:
    """Return the whole spec as JSON holds it."""
    return {
        "format": FORMAT,
        "spec": einspec.SPEC_VERSION,
        "date": einspec.SPEC_DATE,
        "kinds": KINDS,
        "ops": {name: op_data(load(name)) for name in paths()},
    }


def op_data(op: Op) -> dict[str, Any]:
    """Return an op as JSON holds it."""
    return {
        "family": op.family,
        "since": op.card.since,
        "summary": op.card.summary,
        "aliases": op.card.aliases,
        "choice": op.choice,
        "params": {n: _finite(msgspec.to_builtins(p)) for n, p in op.card.params.items()},
        "forms": {name: _form(form) for name, form in op.forms.items()},
        "differs": [msgspec.to_builtins(d) for d in op.card.differs],
        "uses": used(op),
        "clauses": {
            id_: {"demands": text, "digest": digest(op, id_), "tiers": tiers_of(id_)} for id_, text in clauses(op.name).items()
        },
    }


def _finite(value: Any) -> Any:
    """Return what a card holds with "inf" for infinity, for which JSON has no number."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return "inf" if value == math.inf else value


def _form(form: Form) -> dict[str, Any]:
    return {
        "class": form.kind.value,
        "signature": str(form.signature),
        "dtype": form.dtype,
        "equations": [{"text": e.text, "latex": latex(e), "tree": tree(e)} for e in form.stated],
        "sizes": {axis: term.text for axis, term in form.sizes.items()},
        "require": {name: term.text for name, term in form.require.items()},
        "same_as": [msgspec.to_builtins(e) for e in form.same_as],
    }


def tree(node: Any) -> Any:
    """Return a tree of the language: an object a node with its kind, so that a program needs no parser."""
    if is_dataclass(node):
        own = {f.name: tree(getattr(node, f.name)) for f in fields(node) if f.name != "text"}
        return {"kind": "Use" if isinstance(node, OpCall) else type(node).__name__, **own}
    if isinstance(node, tuple):
        return [tree(part) for part in node]
    return "inf" if node == math.inf else node


def dumped(value: Any) -> str:
    """Return JSON text, the same each time."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def inventory() -> bytes:
    """Return an inventory in the format of Sphinx: ops as functions, clauses as labels."""
    head = f"# Sphinx inventory version 2\n# Project: einspec\n# Version: {einspec.SPEC_VERSION}\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [f"{name} py:function 1 {name}.html -\n" for name in paths()]
    lines += [f"{name}/{id_} std:label -1 {name}.html#{id_} {name}/{id_}\n" for name in paths() for id_ in clauses(name)]
    return head.encode() + zlib.compress("".join(lines).encode(), 9)
