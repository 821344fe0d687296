"""All files of the site, and what writes them: a version is written once and never altered."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import einspec
from einspec.card import aliases, load, paths, resolve
from einspec.clauses import KINDS, clauses
from einspec.conformance.clauses import tiers_of
from einspec.conformance.errors import UsageError
from einspec.conformance.publish import data
from einspec.conformance.publish.catalogue import contested, families, words_of
from einspec.conformance.publish.catalogue import functions as named
from einspec.conformance.publish.history import steps
from einspec.conformance.publish.notation import CONSTRUCTS, functions, shown
from einspec.conformance.publish.page import Row, citations, context, picture_on
from einspec.conformance.publish.verdicts import Cell, Judged, read
from einspec.conformance.publish.words import address
from einspec.pages.cite import bibtex, citation, published, written
from einspec.pages.picture import palette

SUMS = "SHA256SUMS"
LATEST = "latest"


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("einspec.conformance.publish"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _page(template: str, **values: Any) -> str:
    return (
        _environment()
        .get_template(template)
        .render(spec=einspec.SPEC_VERSION, date=einspec.SPEC_DATE, site=published(), total=len(paths()), **values)
    )


def files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every file of this version of the spec."""
    for name, text in _texts():
        yield name, text.encode()
    yield "objects.inv", data.inventory()


def _texts() -> Iterator[tuple[str, str]]:
    for name in paths():
        yield address(name), op_page(name)
        yield f"{name}.bib", written(citations(load(name)), "bibtex") + "\n"
        yield f"{name}.toml", paths()[name].read_text(encoding="utf-8")
    for alias in aliases():
        name = resolve(alias)
        yield address(alias), _page("alias.html", here="", alias=alias, op=name, summary=load(name).card.summary)
    pages: dict[str, dict[str, Any]] = {
        "index": {"families": list(_gallery()), "bibtex": bibtex(citation(load("pixel_shuffle"), "def"))},
        "names": {"named": named(), "contested": contested(), "members": set(paths())},
        "clauses": {"kinds": list(_kinds()), "ops": [(name, len(clauses(name))) for name in paths()]},
        "notation": {"constructs": list(map(shown, CONSTRUCTS)), "functions": functions()},
        "changes": {"steps": steps()},
    }
    for name, values in pages.items():
        yield f"{name}.html", _page(f"{name}.html", here=name, **values)
    yield "spec.json", data.dumped(data.spec())
    yield "spec.schema.json", json.dumps(data.schema(), indent=2) + "\n"
    yield "spec.css", f"{palette.style()}\n{_static('spec.css')}"
    yield "spec.js", _static("spec.js")


def op_page(name: str, reports: Sequence[Judged] = ()) -> str:
    """Return the page of an op, with the verdicts of reports beside its clauses."""
    judged = [(column, counts) for column in reports if (counts := column.counts(name))]

    def verdicts(row: Row) -> list[Cell]:
        ids = [clause.id for clause in row.clauses]
        return [cell for column, _ in judged if (cell := column.cell(name, ids))]

    return _page("op.html", here=name, judged=judged, reports=reports, verdicts=verdicts, **context(load(name)))


def _static(name: str) -> str:
    return importlib.resources.files(__package__).joinpath("static", name).read_text("utf-8")


def _gallery() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for family, ops in families():
        yield family, [{"op": op, "words": words_of(op), "thumbnail": picture_on(op).thumbnail()} for op in ops]


def _kinds() -> Iterator[tuple[str, str, int, str]]:
    """Yield each kind of clause with what it promises, how many there are, and in which tiers they are judged."""
    ids = [id_ for name in paths() for id_ in clauses(name)]
    for kind, text in KINDS.items():
        own = [i for i in ids if i.partition(".")[0] == kind]
        if own:
            yield kind, text, len(own), ", ".join(dict.fromkeys(t for i in own for t in tiers_of(i)))


def publish(folder: Path, replace: bool = False, reports: Sequence[Path] = ()) -> tuple[int, int]:
    """Write the site of this version of the spec, the latest pages, and what leads there.

    The latest pages are a copy, in which the verdicts of reports stand beside the clauses: who meets a clause changes from day
    to day, and what a version says does not.

    Args:
        folder: where it goes; other versions in it stay as they are.
        replace: whether this version may be there already with other content.
        reports: reports that ``einspec check --report`` wrote.

    Returns:
        The number of files of a version and their size in bytes.

    Raises:
        UsageError: it is no folder, or holds this version with other content, or a report does not read.
            Nothing was written.
    """
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(f"{place} is a file, and the pages need a folder: einspec publish DIR")
    judged = read(reports) if reports else []
    version = einspec.SPEC_VERSION
    found = dict(files())
    sums = _sums(found)
    known = folder / version / SUMS
    if known.is_file() and known.read_bytes() != sums and not replace:
        raise UsageError(
            f"{folder / version} holds spec {version} with other content, and what is published is not altered; "
            "publish to another folder, or give --replace if this version was never released"
        )
    latest = {**found, **{address(name): op_page(name, judged).encode() for name in paths()}} if judged else found
    _write(folder / version, {**found, SUMS: sums})
    _write(folder / LATEST, {**latest, SUMS: _sums(latest)})
    there = {p.parent.name for p in folder.glob(f"*/{SUMS}")} | {version}
    versions = sorted(there - {LATEST}, key=_parts, reverse=True)
    listed = json.dumps({"latest": version, "versions": versions})
    _write(folder, {"index.html": _page("root.html", versions=versions).encode(), "versions.json": f"{listed}\n".encode()})
    return len(found) + 1, sum(map(len, found.values())) + len(sums)


def _sums(found: Mapping[str, bytes]) -> bytes:
    """Return the checksums of files, as sha256sum writes them."""
    return "".join(f"{hashlib.sha256(found[name]).hexdigest()}  {name}\n" for name in sorted(found)).encode()


def _write(folder: Path, found: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in found.items():
        (folder / name).write_bytes(content)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
