"""The page of an op: what its template shows."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from einspec.card import Form, Op, load, paths, used
from einspec.clauses import clauses
from einspec.conformance.clauses import tiers_of
from einspec.conformance.publish.forms import default_of, lines, others
from einspec.conformance.publish.telling import telling
from einspec.conformance.publish.words import address, linked
from einspec.demands import by_form
from einspec.language.formula import Axis, Equation, Group, Index, Read, Rest
from einspec.language.tables import KINDS, PROMISES
from einspec.meaning import digest
from einspec.pages.cite import Citation, bibtex, citation, plain
from einspec.pages.picture import Picture, picture_of
from einspec.pages.render import einops_call, latex_definition
from einspec.pages.text import DTYPES, dtypes, limits, signature_text, sizes
from einspec.released import withdrawn

NARROW = 400.0
"""Pictures that are wider have a second layout for phones."""
CLASSES = {
    "permutation": "every input element goes to exactly one place",
    "gather": "every output element is one input element or a constant",
    "selection": "integers or truth values come out",
    "linear": "sums of input elements with coefficients that do not depend on them",
    "nonlinear": "any other definition",
}
"""What the class of an op says."""
SIDE_BY_SIDE = ("dtype", "index")
"""Clauses that differ in a dtype alone stand in one row."""


@dataclass(frozen=True)
class Clause:
    """A clause in the table of a page."""

    id: str
    demands: Markup
    tiers: str
    digest: str

    @property
    def short(self) -> str:
        """The part of the id that tells it from its neighbours."""
        return self.id.partition(".")[2]


@dataclass(frozen=True)
class Row:
    """A row of the table of clauses: one, or several that say the same of different dtypes."""

    clauses: list[Clause]
    label: str
    demands: Markup


@functools.cache
def picture_on(op: Op) -> Picture:
    """Return the picture of the example of an op."""
    found = telling(op)
    return picture_of(found.case, found.inputs)


@functools.cache
def context(op: Op) -> dict[str, Any]:
    """Return what the page of an op shows."""
    name, form = default_of(op)
    cited = citation(op)
    return {
        "op": op,
        "card": op.card,
        "kind": max((f.kind for f in op.forms.values()), key=list(type(form.kind)).index).value,
        "classes": CLASSES,
        "signature": str(form.signature),
        "default": name,
        "required": bool(op.choice) and op.card.params[op.choice].required,
        "lines": lines(form),
        "others": list(others(op)),
        "plain": indices(form),
        "latex": latex_definition(form),
        "text": "\n".join(e.text for e in form.stated),
        "einops": einops_call(op.card, form) or "",
        **_drawn(op),
        "call": signature_text(op),
        "params": [(n, p.doc, "; ".join(limits(n, p))) for n, p in op.card.params.items()],
        "tensors": list(_tensors(op)),
        "sizes": list(by_form(op, lambda f: sizes(op, f))),
        "dtypes": list(dtypes(op))[1:],
        "promises": list(by_form(op, lambda f: (f"of {' and '.join(t)}: {PROMISES[k].kept}" for k, t in f.assume.values()))),
        "notes": linked(" ".join(op.card.notes.split()), op.name),
        "same": list(_same(op)),
        "differs": [(d.who, linked(" ".join(d.how.split()), op.name), d.see) for d in op.card.differs],
        "rows": list(rows(op)),
        "count": len(clauses(op.name)),
        "cite": plain(cited),
        "bibtex": bibtex(cited),
        "base": cited.url.rpartition("/")[0],
        "uses": used(op),
        "withdrawn": withdrawn(op.name),
        "users": [n for n in paths() if op.name in _used(n)],
        "laws": [n for n in paths() if n != op.name and op.name in _law_ops(n)],
    }


def _drawn(op: Op) -> dict[str, Any]:
    drawn = picture_on(op)
    narrow, told = drawn.width > NARROW, telling(op)
    return {
        "wide": drawn.svg(styled=False, key="wide"),
        "narrow": drawn.svg(stacked=True, styled=False, key="narrow") if narrow else "",
        "score": drawn.score(styled=False, key="score", address=address) if used(op) else "",
        "made": drawn.call,
        "legend": drawn.legend,
        "told": told.told,
        "wrong": told.of,
        "as_text": str(drawn),
    }


def indices(form: Form) -> str:
    """Return a definition that is one plain read with the arithmetic of its compositions written out; else nothing."""
    entry = form.stated[0]
    if len(form.stated) > 1 or not isinstance(entry, Equation) or not isinstance(entry.body, Read):
        return ""
    if not any(isinstance(p, Group) for p in (*entry.index, *entry.body.index)):
        return ""
    sides = [(entry.tensor, entry.index), (entry.body.tensor, entry.body.index)]
    return " = ".join(f"{name}[{', '.join(_index(p, outer=True) for p in index)}]" for name, index in sides)


def _index(position: Index, outer: bool = False) -> str:
    match position:
        case Axis(name):
            return name
        case Rest(name, order):
            return name if name == "..." else f"*{name}[{order}]" if order else f"*{name}"
        case Group(parts):
            text = _index(parts[0])
            for part in parts[1:]:
                text = f"{text if text.isalnum() else f'({text})'}*{_index(part).upper()} + {_index(part)}"
            return text if outer else f"({text})"


def _tensors(op: Op) -> Iterator[tuple[str, str]]:
    """Yield each tensor of the signatures with what it holds and of which dtype it is."""
    said: dict[str, dict[str, None]] = {}
    for form in op.forms.values():
        for spec in (*form.signature.inputs, *form.signature.outputs):
            held = form.values.get(spec.name)
            what = [KINDS[held[0]].format(held[1].text)] if held else []
            rule = form.dtype[spec.name]
            text = "; ".join([f"dtype {DTYPES.get(rule, rule)}", *what])
            said.setdefault(spec.name, {})[text.replace("dtype same", "dtype the same")] = None
    for name, texts in said.items():
        yield name, " or ".join(texts)


def _same(op: Op) -> Iterator[tuple[str, str, str, str]]:
    """Yield the package, the call, the condition and the form of every call that computes an op elsewhere."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for value, form in op.forms.items():
        for entry in form.same_as:
            found.setdefault((entry.package, " ".join(entry.call.split()), entry.when), []).append(value)
    for (package, call, when), values in found.items():
        where = "" if len(values) == len(op.forms) else f"{op.choice}: {', '.join(values)}"
        yield package, call, when, where


def rows(op: Op) -> Iterator[Row]:
    """Yield the rows of the table of clauses."""
    together: dict[str, list[Clause]] = {}
    for id_, demands in clauses(op.name).items():
        kind, _, detail = id_.partition(".")
        clause = Clause(id_, linked(demands, op.name), ", ".join(tiers_of(id_)), digest(op, id_))
        if kind not in SIDE_BY_SIDE:
            yield Row([clause], id_, clause.demands)
        elif kind in together:
            together[kind].append(clause)
        else:
            together[kind] = [clause]
            whole = re.sub(rf"\b(in|of dtype|indices of) {re.escape(detail)}\b", r"\1 each of these dtypes", demands, count=1)
            yield Row(together[kind], f"{kind}.*", linked(whole, op.name))


@functools.cache
def _used(name: str) -> frozenset[str]:
    return frozenset(used(load(name)))


@functools.cache
def _law_ops(name: str) -> frozenset[str]:
    """Return the ops that stand in laws of an op."""
    laws = [f.laws for f in load(name).forms.values()]
    texts = [t for law in laws for t in (law.inverse, law.adjoint, *law.equation.values())]
    return frozenset(word for text in texts for word in re.findall(r"(\w+)\(", text))


def citations(op: Op) -> list[Citation]:
    """Return the citations of an op and of all its clauses."""
    return [citation(op), *(citation(op, clause) for clause in clauses(op.name))]
