"""The page of the matrix, as Markdown: which op holds in which library, and the smallest input where one is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from einspec.card import paths
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.judge.witness import rows
from einspec.conformance.reports.summary import code, plain, table
from einspec.conformance.world.libraries import absent, libraries
from einspec.conformance.world.matrix import SAID, Judged, Mark, judged

PAGE, FINDINGS = "README.md", "FINDINGS.md"
SHOWN = ("call", "inputs", "expected", "got", "difference")
"""The parts of a witness that are shown."""
LONGEST = 200
"""Characters of an input that are shown; the report has the others."""
HEADING = re.compile(r"^## (?P<libraries>[\w, -]+) · (?P<ops>[\w, -]+) · .+$", re.M)
"""How FINDINGS.md says which cells of the matrix a finding stands behind."""
MOST = 10
"""Libraries that the short table has."""


def page(folder: Path) -> str:
    """Return the page of the reports in a folder.

    Raises:
        UsageError: a report cannot be read.
    """
    found = judged(folder)
    anchors = findings(folder)
    lines = [
        "# The world's libraries, as they are",
        "",
        "A row an op, a column a library, judged by the adapters in `impls/world` on the calls for which it promises anything.",
        "`einspec world` writes this page and the reports beside it.",
        "",
        "; ".join(f"{m} {said}" for m, said in SAID.items()) + ".",
        "",
        *table([["op", *(f"[{j.name}](#{_anchor(j.name)})" for j in found)], *_matrix(found, anchors)], left=1),
        "",
        "## Libraries",
        "",
        *table([["library", "version", *list(SAID.values())[:-1], "clauses that hold", "judged"], *map(_row, found)], left=2),
        "",
    ]
    for each in found:
        lines += [*_library(each, anchors), ""]
    lines += ["## Not here", "", *_not_here(found), ""]
    return "\n".join(lines)


def short(folder: Path) -> list[str]:
    """Return a table of the libraries with the most ops, as lines of Markdown."""
    found = sorted(judged(folder), key=lambda j: -len(j.results))[:MOST]
    heads = ["library", "ops", *list(SAID.values())[:3]]
    body = [
        [f"{j.library.title} {_version(j)}", f"{len(j.results)}", *(f"{n}" for n in list(j.counts.values())[:3])] for j in found
    ]
    return list(table([heads, *body]))


def findings(folder: Path) -> dict[tuple[str, str], str]:
    """Return the anchors of the findings beside the page, by library and op."""
    path = folder / FINDINGS
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    return {
        (library, op): _anchor(heading[0].removeprefix("## "))
        for heading in HEADING.finditer(text)
        for library in heading["libraries"].split(", ")
        for op in heading["ops"].split(", ")
    }


def _anchor(heading: str) -> str:
    """Return the anchor that Markdown gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _version(each: Judged) -> str:
    return each.versions.partition(",")[0].rpartition(" ")[2]


def _matrix(found: Sequence[Judged], anchors: dict[tuple[str, str], str]) -> Iterator[list[str]]:
    for op in paths():
        marks = [j.mark(op) for j in found]
        if set(marks) - {Mark.ABSENT}:
            yield [code(op), *(_linked(m, anchors.get((j.name, op))) for m, j in zip(marks, found, strict=True))]


def _linked(mark: Mark, anchor: str | None) -> str:
    return f"[{mark}]({FINDINGS}#{anchor})" if mark is Mark.WRONG and anchor else str(mark)


def _row(each: Judged) -> list[str]:
    header = each.report.header
    holding = each.report.footer.counts.get(Verdict.HOLDS, 0) if each.report.footer else 0
    counts = [f"{n}" if n else Mark.ABSENT for m, n in each.counts.items() if m is not Mark.ABSENT]
    lost = [each.report.incomplete] if each.report.incomplete else []
    day = ", ".join([header.created[:10], f"spec {header.spec}", *lost])
    return [f"[{each.library.title}](#{_anchor(each.name)})", each.versions, *counts, f"{holding:,}", day]


def _library(each: Judged, anchors: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield the section of a library: what is admitted of it, what it refuses, and what is wrong."""
    yield from (f"## {each.name}", "", f"{each.library.title}: {each.versions}.", "")
    admitted: dict[str, list[str]] = {}
    for op, results in each.results.items():
        for name in dict.fromkeys(n for r in results for n in r.admitted):
            admitted.setdefault(name, []).append(op)
    for name, ops in admitted.items():
        yield f"* admitted, `{name}`: {', '.join(ops)}"
    for op, results in each.results.items():
        if each.mark(op) in (Mark.REFUSED, Mark.UNDECIDED):
            first = next((r for r in results if r.clause.endswith("/def")), results[0])
            yield f"* {SAID[each.mark(op)]}, {op}: {plain(first.reason)}"
    for op, results in each.results.items():
        wrong = next((r for r in results if r.verdict is Verdict.WRONG), None)
        if wrong is not None:
            link = f" ([finding]({FINDINGS}#{anchors[each.name, op]}))" if (each.name, op) in anchors else ""
            yield f"* wrong, {op}{link}: {_told(wrong)}"


def _told(result: Result) -> str:
    """Return what is wrong, with the smallest input."""
    parts = [f"{code(result.clause)}, {plain(result.reason)}"]
    shown = {part: (result.witness or {}).get(part) for part in SHOWN}
    parts += [f"{label} {code(_cut(text))}" for label, text in rows(shown)]
    return "; ".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _not_here(found: Sequence[Judged]) -> Iterator[str]:
    """Yield the libraries of which there is no report, with the reason."""
    there = {j.name for j in found}
    for name, library in libraries().items():
        if name not in there:
            environment = Path(library.requirements).stem
            yield f"* {library.title}: there are adapters and no results; `tox -e {environment}` judges it"
    for each in absent().values():
        yield f"* {each.title}: {each.reason}"


def write(folder: Path) -> Path:
    """Write the page of a folder and return where it is.

    Raises:
        UsageError: a report cannot be read.
    """
    text = page(folder)
    path = folder / PAGE
    path.write_text(text, encoding="utf-8")
    return path
