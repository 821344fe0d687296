"""A run in few lines: counts, Markdown for the summary of a CI step, and badges for shields.io."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import einspec
from einspec.card import paths
from einspec.conformance.judge.verdict import Result
from einspec.conformance.reports.conventions import conventions, within_budget
from einspec.conformance.reports.merge import FAILING, Disagreement, Merged

WORDS = {
    "holds": "passed",
    "wrong": "failed",
    "refused": "refused",
    "unsupported": "unsupported",
    "known": "known",
    "errored": "errored",
    "not run": "not run",
}
"""What a summary calls each verdict, in the order in which it counts them."""
LISTED = 20
"""Failures and disagreements that Markdown lists; the report has the others."""


def counted(results: Iterable[Result]) -> dict[str, int]:
    """Return the number of results by word, none left out."""
    found = Counter(str(r.verdict) for r in results)
    return {word: found[verdict] for verdict, word in WORDS.items()}


def sentence(counts: dict[str, int]) -> str:
    """Return counts as words, the empty ones left out."""
    return ", ".join(f"{n:,} {word}" for word, n in counts.items() if n) or "nothing was judged"


def table(rows: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Yield the lines of a Markdown table; the first row is its head, columns after the first ones are numbers."""
    for i, row in enumerate(rows):
        yield "| " + " | ".join(row) + " |"
        if not i:
            yield "|" + "|".join("---" if j < left else "---:" for j in range(len(row))) + "|"


def markdown(run: Merged) -> str:
    """Return the summary of a run as Markdown: verdict, counts, the families, failures, where machines differ."""
    state = "passed" if run.passed else "failed"
    lines = [f"## einspec: {state}", "", f"{sentence(counted(run.results))}; {_versions(run)}.", ""]
    lines += table([["backend", "device", *WORDS.values()], *_counts(run)], left=2)
    if run.results:
        lines += ["", "Ops that hold, of those that were judged:", "", *table(_families(run))]
    for title, items in (
        ("Problems", [plain(p) for p in run.problems]),
        ("Failures", list(_failures(run))),
        ("Admitted", [plain(text) for text in conventions(run.results)]),
        ("Not asked within the budget", [plain(text) for text in within_budget(run.results)]),
        ("Machines disagree", [_disagreement(d) for d in run.disagreements]),
    ):
        if items:
            more = [f"- and {len(items) - LISTED:,} more"] if len(items) > LISTED else []
            lines += ["", f"### {title}", "", *(f"- {item}" for item in items[:LISTED]), *more]
    return "\n".join(lines) + "\n"


def _versions(run: Merged) -> str:
    judges = sorted({f"einspec {r.header.einspec}, spec {r.header.spec}" for r in run.reports})
    return "; ".join(judges) or f"einspec {einspec.__version__}"


def _counts(run: Merged) -> Iterator[list[str]]:
    for column in run.columns:
        found = counted(r for r in run.results if (r.backend, r.device) == (column.name, column.device))
        yield [code(column.name), code(column.device), *(f"{n:,}" if n else "·" for n in found.values())]


def _families(run: Merged) -> list[list[str]]:
    """Return a row a family and a column a backend and device: how many ops hold, and those that do not."""
    family = {op: path.parent.name for op, path in paths().items()}
    judged: dict[str, dict[tuple[str, str], dict[str, set[str]]]] = {}
    for r in run.results:
        cell = judged.setdefault(family.get(r.op, "other"), {}).setdefault((r.backend, r.device), {})
        cell.setdefault(r.op, set()).add(str(r.verdict))
    rows = [["family", *(code(f"{c.name} {c.device}") for c in run.columns)]]
    for name, cells in judged.items():
        rows.append([name, *(_cell(cells.get((c.name, c.device), {})) for c in run.columns)])
    return rows


def _cell(ops: dict[str, set[str]]) -> str:
    judged = {op: verdicts for op, verdicts in ops.items() if verdicts - {"not run", "unsupported"}}
    holding = sum(verdicts <= {"holds", "not run", "unsupported", "refused"} for verdicts in judged.values())
    text = f"{holding} of {len(judged)}" if judged else "·"
    return f"**{text}**" if holding < len(judged) else text


def _failures(run: Merged) -> Iterator[str]:
    """Yield the first failure of each op on a device, with the number of the others."""
    found: dict[tuple[str, str, str], list[Result]] = {}
    for r in run.results:
        if r.verdict in FAILING or (run.request.strict and r.verdict == "refused"):
            found.setdefault((r.op, r.backend, r.device), []).append(r)
    for (_, backend, device), results in found.items():
        first, others = results[0], len(results) - 1
        more = f" (and {others:,} more {'clause' if others == 1 else 'clauses'})" if others else ""
        where = f"{code(first.clause)} · {code(backend)} · {code(device)} · {first.tier}"
        yield f"{where}: {first.verdict}, {plain(first.reason)}{more}"


def _disagreement(found: Disagreement) -> str:
    clauses = ", ".join(code(c) for c in dict.fromkeys(c for c, _ in found.clauses[:4]))
    more = f" and {len(found.clauses) - 4:,} more" if len(found.clauses) > 4 else ""
    sides = "; ".join(f"{plain(c.place)}: {v}" + (f", {plain(reason)}" if reason else "") for c, v, reason in found.sides)
    return f"{clauses}{more}: {sides}"


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line and no longer than a reader reads."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&@!])", r"\\\1", line if len(line) <= 300 else line[:299] + "…")


def code(text: str) -> str:
    """Return text as code inside a table or a list."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "¦") + "`"


def badges(run: Merged) -> dict[str, dict[str, Any]]:
    """Return a shields.io endpoint a backend, all its devices and machines together, by file name."""
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(c.backend.name for c in run.columns):
        columns = [c for c in run.columns if c.backend.name == name]
        shown = {c.name for c in columns}
        counts = counted(r for r in run.results if r.backend in shown)
        specs = "/".join(sorted({c.report.header.spec for c in columns}))
        whole = not any(c.report.incomplete for c in columns)
        message, color = _badge(counts, specs, whole, run.request.strict)
        file = slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "backend"
        while f"{file}.json" in found:
            file += f"-{slug}"
        found[f"{file}.json"] = {"schemaVersion": 1, "label": f"einspec {name}", "message": message, "color": color}
    return found


def _badge(counts: dict[str, int], spec: str, whole: bool, strict: bool) -> tuple[str, str]:
    bad = [f"{counts[word]} {said}" for word, said in (("failed", "wrong"), ("errored", "errored")) if counts[word]]
    bad += [f"{counts['refused']} refused"] if strict and counts["refused"] else []
    if bad:
        return f"{spec} · {', '.join(bad)}", "red"
    if not whole:
        return f"{spec} · incomplete", "lightgrey"
    if not counts["passed"]:
        return f"{spec} · nothing holds", "lightgrey"
    known = f", {counts['known']} known" if counts["known"] else ""
    return f"{spec} · {counts['passed']} hold{known}", "yellow" if known else "brightgreen"


def write_badges(run: Merged, folder: Path) -> None:
    """Write the badges into a folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, badge in badges(run).items():
        text = json.dumps(badge, indent=2, ensure_ascii=True)
        (folder / name).write_text(text + "\n", encoding="utf-8")
