"""One self-contained HTML page of a run: the matrix, every clause, witness and script; it needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import einspec
from einspec.card import load, paths
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import rows
from einspec.conformance.reports.merge import Column, Merged
from einspec.conformance.reports.summary import counted, sentence
from einspec.dtypes import ALL


class Table:
    """Texts by number, each stored once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """Return the number of a text; that of none is -1."""
        return self.texts.setdefault(text, len(self.texts)) if text else -1


def page(run: Merged) -> str:
    """Return the HTML page of a run."""
    parts = {name: importlib.resources.files(__name__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")}
    values = {
        "title": html.escape(f"einspec: {'passed' if run.passed else 'failed'}"),
        "summary": html.escape(sentence(counted(run.results))),
        "css": parts["page.css"],
        "js": parts["page.js"],
        "css_hash": _hash(parts["page.css"]),
        "js_hash": _hash(parts["page.js"]),
        "data": embedded(data(run)),
    }
    template = importlib.resources.files(__name__).joinpath("page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


def _hash(text: str) -> str:
    """Return what a content security policy allows a script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(value: Any) -> str:
    """Return data as JSON that no text inside can end: it holds no ``<``, and ASCII alone."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def data(run: Merged) -> dict[str, Any]:
    """Return everything that the page shows, as plain data, each text once.

    A column holds flat numbers: of an op its place, its number of clauses, then six numbers a clause, which are the clause
    within the op, the tier, the verdict, the inputs, the reason and the witness.
    """
    table, witnesses = Table(), list[Any]()
    known = list(paths())
    names = sorted({r.op for r in run.results}, key=lambda op: (known.index(op) if op in known else len(known), op))
    ops, tiers = {op: i for i, op in enumerate(names)}, {t: i for i, t in enumerate(dict.fromkeys(r.tier for r in run.results))}
    columns = []
    for column in run.columns:
        groups: dict[int, list[int]] = {}
        for r in (r for r in run.results if (r.backend, r.device) == (column.name, column.device)):
            witness = -1
            if r.witness:
                witness = len(witnesses)
                witnesses.append([table(text) for row in witness_rows(r) for text in row])
            numbers = (
                table(r.clause.partition("/")[2]),
                tiers[r.tier],
                list(Verdict).index(r.verdict),
                r.instances,
                table(r.reason),
            )
            groups.setdefault(ops[r.op], []).extend((*numbers, witness))
        flat = [number for op, numbers in groups.items() for number in (op, len(numbers) // 6, *numbers)]
        backend = {k: v for k, v in run.backends[column.name].items() if k in ("framework", "versions", "python", "platform")}
        missing = [op for op in column.backend.missing if op in known]
        columns.append(
            {
                **backend,
                "name": column.name,
                "backend": column.backend.name,
                "device": column.device,
                "report": run.reports.index(column.report),
                "absent": column.backend.absent,
                "missing": missing,
                "again": f"einspec check {shlex.quote(_asked(column))}",
                "flat": flat,
            }
        )
    return {
        "einspec": einspec.__version__,
        "passed": run.passed,
        "verdicts": list(Verdict),
        "tiers": list(tiers),
        "dtypes": list(ALL),
        "ops": [_op(op) for op in names],
        "columns": columns,
        "reports": list(_reports(run)),
        "problems": run.problems,
        "notes": run.notes,
        "disagreements": list(_disagreements(run)),
        "witnesses": witnesses,
        "strings": list(table.texts),
    }


def _asked(column: Column) -> str:
    """Return the name by which the backend of a column was asked for: a file by its path."""
    names, backend = column.report.request.names, column.backend.name
    found = (n for n in names if backend in (n, Path(n).name) or backend.startswith(f"{Path(n).name} ("))
    return next(found, backend)


def _op(name: str) -> list[Any]:
    """Return an op as the page shows it: name, family, summary, other names, signatures and formulas."""
    if name not in paths():
        return [name, "other", "", "", []]
    op = load(name)
    forms = [
        [f"{op.choice}={value}" if value else "", str(form.signature), "\n".join(e.text for e in form.stated)]
        for value, form in op.forms.items()
    ]
    return [name, op.family, op.card.summary, ", ".join(op.card.aliases), forms]


def _reports(run: Merged) -> Iterator[dict[str, Any]]:
    for report in run.reports:
        asked = {k: v for k, v in asdict(report.request).items() if v}
        yield {
            "label": report.label,
            "created": report.header.created,
            "einspec": report.header.einspec,
            "spec": report.header.spec,
            "platform": report.header.platform,
            "python": report.header.python,
            "asked": {k: ", ".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for k, v in asked.items()},
            "state": report.incomplete or "complete",
            "passed": report.run.passed,
            "seconds": report.run.seconds,
        }


def _disagreements(run: Merged) -> Iterator[dict[str, Any]]:
    order = list(Verdict)
    for found in run.disagreements:
        sides = [[run.columns.index(where), order.index(Verdict(verdict)), reason] for where, verdict, reason in found.sides]
        yield {"backend": found.backend, "device": found.device, "clauses": found.clauses, "sides": sides}


def witness_rows(result: Result) -> Iterator[tuple[str, str]]:
    """Yield the rows of a witness; the page says by itself what an op is, and its formula where it has one alone."""
    single = result.op in paths() and len(load(result.op).forms) == 1
    yield from rows(result.witness or {}, ("summary", "signature", "formula") if single else ("summary",))
