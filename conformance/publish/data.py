"""The spec for programs: every op with the trees of its formulas, citations, and an inventory that Sphinx reads."""

from __future__ import annotations

import inspect
import json
import math
import zlib
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

import einspec
from einspec import released
from einspec.card import Form, Op, load, paths, used
from einspec.clauses import KINDS, clauses
from einspec.conformance.clauses import tiers_of
from einspec.language.formula import Equation, Index, Node, OpCall
from einspec.language.tables import Differs, SameAs
from einspec.meaning import digest
from einspec.pages.render import latex

FORMAT = 1
Written = Annotated[str, msgspec.Meta(description="as text of the language of cards")]


class Term(msgspec.Struct):
    """A formula of a definition, or the use of another op."""

    text: Written
    latex: str
    tree: Annotated[dict[str, Any], msgspec.Meta(description="the same as a tree, so that a program needs no parser")]


class FormData(msgspec.Struct):
    """What the op is for one value of the parameter that chooses; for the empty name, what it is."""

    class_: Annotated[str, msgspec.Meta(description="permutation, gather, selection, linear or nonlinear")] = msgspec.field(
        name="class"
    )
    signature: Written
    dtype: Annotated[dict[str, str], msgspec.Meta(description="by tensor, a dtype or how it follows from others")]
    equations: list[Term]
    sizes: Annotated[dict[str, str], msgspec.Meta(description="axes whose size follows from others")]
    require: Annotated[dict[str, str], msgspec.Meta(description="what must hold, by the name of the clause that says so")]
    same_as: list[SameAs]


class ClauseData(msgspec.Struct):
    """A promise with an id that never changes its meaning."""

    demands: str
    digest: Annotated[str, msgspec.Meta(description="of what it rests on: equal where it means the same")]
    tiers: Annotated[list[str], msgspec.Meta(description="the parts of a run that judge it")]


class Withdrawn(msgspec.Struct):
    """A clause that is no more."""

    last: Annotated[str, msgspec.Meta(description="the last version of the spec that has it")]
    why: str


class OpData(msgspec.Struct):
    """An op."""

    family: str
    since: Annotated[str, msgspec.Meta(description="the version of the spec that has it first")]
    summary: str
    aliases: list[str]
    choice: Annotated[str, msgspec.Meta(description="the parameter whose values are the names of forms; empty without one")]
    params: Annotated[dict[str, dict[str, Any]], msgspec.Meta(description="as a card has them, see einspec schema card")]
    forms: dict[str, FormData]
    differs: list[Differs]
    uses: Annotated[list[str], msgspec.Meta(description="the ops by which it is defined")]
    clauses: dict[str, ClauseData]
    withdrawn: Annotated[dict[str, Withdrawn], msgspec.Meta(description="ids of clauses that earlier versions had")]


class Spec(msgspec.Struct):
    """All ops of one version of the spec."""

    format: Annotated[int, msgspec.Meta(ge=FORMAT, le=FORMAT, description="of this file")]
    spec: Annotated[str, msgspec.Meta(description="version of the spec")]
    date: Annotated[str, msgspec.Meta(description="ISO 8601")]
    kinds: Annotated[dict[str, str], msgspec.Meta(description="what each kind of clause promises, of every op")]
    ops: dict[str, OpData]


def spec() -> dict[str, Any]:
    """Return the whole spec as JSON holds it."""
    ops = {name: op_data(load(name)) for name in paths()}
    found: dict[str, Any] = msgspec.to_builtins(Spec(FORMAT, einspec.SPEC_VERSION, einspec.SPEC_DATE, KINDS, ops))
    return found


def op_data(op: Op) -> OpData:
    """Return an op for programs."""
    return OpData(
        family=op.family,
        since=op.card.since,
        summary=op.card.summary,
        aliases=list(op.card.aliases),
        choice=op.choice,
        params={n: _finite(msgspec.to_builtins(p)) for n, p in op.card.params.items()},
        forms={name: _form(form) for name, form in op.forms.items()},
        differs=list(op.card.differs),
        uses=list(used(op)),
        clauses={i: ClauseData(text, digest(op, i), list(tiers_of(i))) for i, text in clauses(op.name).items()},
        withdrawn={i: Withdrawn(last, op.card.withdrawn[i]) for i, last in released.withdrawn(op.name).items()},
    )


def _finite(value: Any) -> Any:
    """Return what a card holds with "inf" for infinity, for which JSON has no number."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return "inf" if value == math.inf else value


def _form(form: Form) -> FormData:
    return FormData(
        class_=form.kind.value,
        signature=str(form.signature),
        dtype=dict(form.dtype),
        equations=[Term(e.text, latex(e), tree(e)) for e in form.stated],
        sizes={axis: term.text for axis, term in form.sizes.items()},
        require={name: term.text for name, term in form.require.items()},
        same_as=list(form.same_as),
    )


def tree(node: Any) -> Any:
    """Return a tree of the language: an object a node with its kind, so that a program needs no parser."""
    if is_dataclass(node):
        own = {name: tree(getattr(node, field)) for name, field in _fields(type(node)).items()}
        return {"kind": _kind(type(node)), **own}
    if isinstance(node, tuple):
        return [tree(part) for part in node]
    return "inf" if node == math.inf else node


NODES = (*get_args(Node), *get_args(Index), Equation, OpCall)
"""What a tree is made of."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``spec.json``, every kind of node of a tree among it."""
    (found,), definitions = msgspec.json.schema_components([Spec], ref_template="#/$defs/{name}")
    stated = definitions["Term"]["properties"]["tree"]
    definitions["Term"]["properties"]["tree"] = {
        "description": stated["description"],
        **_hinted(Equation | OpCall),
    }
    for node in dict.fromkeys(NODES):
        names, hints = _fields(node), get_type_hints(node)
        definitions[_kind(node)] = {
            "description": inspect.cleandoc(node.__doc__ or ""),
            "type": "object",
            "properties": {"kind": {"const": _kind(node)}, **{name: _hinted(hints[field]) for name, field in names.items()}},
            "required": ["kind", *names],
            "additionalProperties": False,
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "an einspec spec",
        **found,
        "$defs": definitions,
    }


def _hinted(hint: Any) -> dict[str, Any]:
    """Return the schema of a field of a node."""
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _hinted(arguments[0])}
        return {"type": "array", "prefixItems": [_hinted(a) for a in arguments], "items": False, "minItems": len(arguments)}
    if arguments:
        return {"anyOf": [_hinted(a) for a in arguments]}
    if hint is float:
        return {"anyOf": [{"type": "number"}, {"const": "inf"}]}
    simple = {str: {"type": "string"}, int: {"type": "integer"}}
    return simple[hint] if hint in simple else {"$ref": f"#/$defs/{_kind(hint)}"}


def _fields(node: type[Any]) -> dict[str, str]:
    """Return the fields of a node by their names in JSON, where ``kind`` is that of the node itself."""
    return {"function" if f.name == "kind" else f.name: f.name for f in fields(node) if f.name != "text"}


def _kind(node: type[Any]) -> str:
    """Return what a node is called in JSON."""
    return "Use" if node is OpCall else node.__name__


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
