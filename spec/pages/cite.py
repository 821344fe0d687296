"""Citations of an op or a clause, in the formats of bibliographies: each holds the digest of what is cited.

Every format has the same words somewhere, ``pixel_shuffle/def, einspec spec 1.0 [48135722dafe]``, by which
:mod:`einspec.pages.cited` finds a citation in any text and says whether it still means that.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import einspec
from einspec.card import Op
from einspec.meaning import digest

AUTHORS = "The einspec authors"
SITE = "Specification"
"""The label of the project address under which the pages of the spec are published."""
PACKAGE = "einspec"


@dataclass(frozen=True)
class Citation:
    """What is cited: an op, or one clause of it, of a version of the spec."""

    op: str
    clause: str
    """The id of the clause within the op, ``""`` for the op."""
    version: str
    date: str
    """The day on which this version of the spec came out, ISO 8601."""
    digest: str
    """That of the clause; of an op that of its definition, on which all that it computes rests."""
    base: str = ""
    """The address of the published pages, ``""`` where there are none."""

    @property
    def address(self) -> str:
        """The op, or the op and the clause: ``pixel_shuffle/def``."""
        return f"{self.op}/{self.clause}" if self.clause else self.op

    @property
    def url(self) -> str:
        """The address of its page, ``""`` where none is published."""
        fragment = f"#{self.clause}" if self.clause else ""
        return f"{self.base}/{self.version}/{self.op}.html{fragment}" if self.base else ""

    @property
    def key(self) -> str:
        """What a bibliography calls it: ``einspec-1-0-pixel-shuffle-def``."""
        return "einspec-" + re.sub(r"[^a-z0-9]+", "-", f"{self.version}-{self.address}".lower())

    @property
    def words(self) -> str:
        """The words by which it is found and checked."""
        return f"{self.address}, {PACKAGE} spec {self.version} [{self.digest}]"


def citation(op: Op, clause: str = "") -> Citation:
    """Return the citation of an op, or of one of its clauses, in the spec as it is installed."""
    found = digest(op, clause or "def")
    return Citation(op.name, clause, einspec.SPEC_VERSION, einspec.SPEC_DATE, found, published())


def published() -> str:
    """Return the address of the published pages of the spec, which the metadata of the package say; ``""`` for none."""
    try:
        metadata = importlib.metadata.metadata(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return ""
    for entry in metadata.get_all("Project-URL") or []:
        label, _, address = entry.partition(",")
        if label.strip() == SITE:
            return str(address).strip().rstrip("/")
    return ""


def plain(cited: Citation) -> str:
    """Return a citation for a text."""
    return f"{cited.words}. {cited.url}" if cited.url else cited.words


def markdown(cited: Citation) -> str:
    """Return a citation for a text in Markdown."""
    code = f"`{cited.address}`"
    linked = f"[{code}]({cited.url})" if cited.url else code
    return linked + cited.words.removeprefix(cited.address)


def bibtex(cited: Citation) -> str:
    """Return an entry for BibTeX: a manual, which every style knows."""
    return _entry(cited, {"edition": f"spec {cited.version}", "year": cited.date[:4]})


def biblatex(cited: Citation) -> str:
    """Return an entry for biblatex, which knows versions and dates."""
    return _entry(cited, {"version": cited.version, "date": cited.date})


def _entry(cited: Citation, more: Mapping[str, str]) -> str:
    """Return a manual with some fields besides those that every one has."""
    fields = {
        "title": f"{{{_tex(cited.address)}}}",
        "author": f"{{{AUTHORS}}}",
        "organization": PACKAGE,
        **more,
        **({"url": cited.url} if cited.url else {}),
        "note": _tex(cited.words),
    }
    lines = [f"  {name:<12} = {{{text}}}" for name, text in fields.items()]
    return "\n".join([f"@manual{{{cited.key},", ",\n".join(lines), "}"])


def _tex(text: str) -> str:
    return text.replace("_", r"\_")


def csl(cited: Citation) -> dict[str, Any]:
    """Return an item of CSL JSON."""
    item = {
        "id": cited.key,
        "type": "standard",
        "title": cited.address,
        "author": [{"literal": AUTHORS}],
        "publisher": PACKAGE,
        "version": cited.version,
        "issued": {"date-parts": [[int(part) for part in cited.date.split("-")]]},
        "note": cited.words,
    }
    return item | ({"URL": cited.url} if cited.url else {})


def ris(cited: Citation) -> str:
    """Return a record of RIS."""
    fields = {
        "TY": "STAND",
        "ID": cited.key,
        "TI": cited.address,
        "AU": AUTHORS,
        "PB": PACKAGE,
        "ET": f"spec {cited.version}",
        "PY": cited.date[:4],
        "DA": cited.date.replace("-", "/"),
        "UR": cited.url,
        "N1": cited.words,
    }
    return "\n".join([*(f"{tag}  - {text}" for tag, text in fields.items() if text), "ER  - "])


def cff(cited: Citation) -> str:
    """Return an entry for ``references`` of a ``CITATION.cff``."""
    fields = {
        "type": "standard",
        "title": json.dumps(cited.address),
        "authors": f"\n    - name: {json.dumps(AUTHORS)}",
        "institution": f"\n    name: {PACKAGE}",
        "version": json.dumps(cited.version),
        "date-released": cited.date,
        "url": json.dumps(cited.url) if cited.url else "",
        "section": json.dumps(cited.address),
        "notes": json.dumps(cited.words),
    }
    lines = [f"{name}: {text}" for name, text in fields.items() if text]
    return "- " + "\n  ".join(line.replace(": \n", ":\n") for line in lines)


TEXTS: dict[str, Callable[[Citation], str]] = {
    "bibtex": bibtex,
    "biblatex": biblatex,
    "plain": plain,
    "markdown": markdown,
    "ris": ris,
    "cff": cff,
}
"""The formats in which one citation stands after the other."""
FORMATS = (*TEXTS, "csl")


def written(cited: Sequence[Citation], form: str) -> str:
    """Return citations in a format.

    Args:
        cited: what is cited.
        form: one of ``FORMATS``.
    """
    if form == "csl":
        return json.dumps([csl(c) for c in cited], indent=2)
    between = "\n\n" if form in ("bibtex", "biblatex") else "\n"
    return between.join(TEXTS[form](c) for c in cited)
