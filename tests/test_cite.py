"""Citations: what each format holds, how they are found in any text, and what is said when a card means something else."""

from __future__ import annotations

import datetime as dt
import email.message
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import einspec
from einspec import load, released
from einspec.clauses import clause_ids, find
from einspec.conformance.cli import main
from einspec.meaning import digest
from einspec.pages import cite
from einspec.pages.cited import Outcome, check, citations

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((Path(__file__).parent / "cff.schema.json").read_text(encoding="utf-8"))
"""The schema of the Citation File Format 1.2.0 as it is: Druskat et al., https://doi.org/10.5281/zenodo.5171937, CC BY 4.0."""
DEF = digest(load("pixel_shuffle"), "def")
SPEC = einspec.SPEC_VERSION
WORDS = f"pixel_shuffle/def, einspec spec {SPEC} [{DEF}]"
SITE = "https://spec.example"
PLACES = ("pixel_shuffle/def", "top_k", "dispatch/law.equation.what_is_dropped_has_no_slot")


def made(place: str, base: str = "") -> cite.Citation:
    """Return the citation of an address, with pages that are published somewhere or nowhere."""
    op, clause = find(place)
    return cite.Citation(op.name, clause, SPEC, einspec.SPEC_DATE, digest(op, clause or "def"), base)


def read_cff(text: str) -> Any:
    """Return a file in the Citation File Format as JSON has it, where a day is a text."""
    found = yaml.safe_load(text)
    return json.loads(json.dumps(found, default=lambda day: day.isoformat()))


@pytest.mark.parametrize("base", ["", SITE])
@pytest.mark.parametrize("form", cite.FORMATS)
def test_what_is_cited_is_found_and_holds(form: str, base: str) -> None:
    """Each citation in each format is found once in it, with what it is of, and means the same."""
    text = cite.written([made(place, base) for place in PLACES], form)
    found = list(citations(text))
    assert [c.address for c in found] == list(PLACES)
    assert {c.version for c in found} == {SPEC}
    assert {check(c)[0] for c in found} == {Outcome.SAME}
    assert DEF in text.splitlines()[found[0].line - 1]
    assert (f"{SITE}/{SPEC}/pixel_shuffle.html#def" in text) == bool(base)
    assert (f"{SITE}/{SPEC}/top_k.html" in text) == bool(base)


@pytest.mark.parametrize("name", einspec.ops())
def test_every_clause_has_a_key_and_words_of_its_own(name: str) -> None:
    """No two entries of a bibliography have one key, and each is found by its words."""
    places = [name, *(f"{name}/{clause}" for clause in clause_ids(load(name)))]
    cited = [cite.Citation(*f"{p}/".split("/")[:2], "1.0", "2026-11-30", "0" * 12) for p in places]
    assert len({c.key for c in cited}) == len(places)
    assert [c.address for c in citations("\n".join(c.words for c in cited))] == places


@pytest.mark.parametrize("form", ["bibtex", "biblatex"])
def test_entries_of_a_bibliography_are_whole(form: str) -> None:
    """Braces are closed, what TeX takes for a subscript is escaped, and each field stands once."""
    text = cite.written([made(place, SITE) for place in PLACES], form)
    entries = re.findall(r"@manual\{([a-z0-9-]+),\n(.*?)\n\}", text, re.S)
    assert [key for key, _ in entries] == [made(place).key for place in PLACES]
    dated = {"edition", "year"} if form == "bibtex" else {"version", "date"}
    for _, body in entries:
        lines = [re.fullmatch(r"  (\w+) += \{(.*)\}(,?)", line) for line in body.splitlines()]
        fields = {found[1]: found[2] for found in lines if found}
        assert len(fields) == len(lines)
        assert fields.keys() == {"title", "author", "organization", "url", "note"} | dated
        assert [found[3] for found in lines if found] == [","] * (len(lines) - 1) + [""]
        for name, value in fields.items():
            assert value.count("{") == value.count("}")
            assert name == "url" or not re.search(r"(?<!\\)_", value)


def test_csl_is_an_array_of_standards() -> None:
    """An item has what a style prints: author, title, version, day."""
    (item,) = json.loads(cite.written([made("pixel_shuffle/def", SITE)], "csl"))
    assert item["type"] == "standard"
    assert item["author"] == [{"literal": "The einspec authors"}]
    assert item["issued"] == {"date-parts": [[int(part) for part in einspec.SPEC_DATE.split("-")]]}
    assert item["version"] == SPEC
    assert item["URL"] == f"{SITE}/{SPEC}/pixel_shuffle.html#def"


def test_ris_has_a_tag_a_line() -> None:
    """A record begins with its type and ends as it has to."""
    lines = cite.written([made("pixel_shuffle/def", SITE)], "ris").splitlines()
    assert all(re.fullmatch(r"[A-Z][A-Z0-9]  - .*", line) for line in lines)
    assert (lines[0], lines[-1]) == ("TY  - STAND", "ER  - ")
    assert f"UR  - {SITE}/{SPEC}/pixel_shuffle.html#def" in lines


@pytest.mark.parametrize("base", ["", SITE])
def test_a_reference_fits_into_a_citation_file(base: str) -> None:
    """What is printed for one can be pasted under references, and the file then validates."""
    entries = cite.written([made(place, base) for place in PLACES], "cff")
    text = f"cff-version: 1.2.0\nmessage: m\ntitle: t\nauthors: [{{name: a}}]\nreferences:\n{entries}\n"
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(read_cff(text))
    assert [r["section"] for r in read_cff(text)["references"]] == list(PLACES)


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        f"(see {WORDS}).",
        f"# see pixel_shuffle/def, einspec\n# spec {SPEC}\n# [{DEF}]",
        f"/* pixel_shuffle/def,\n * einspec spec {SPEC}\n * [{DEF}] */",
        rf"\texttt{{pixel\_shuffle/def}}, einspec spec~{SPEC} [\texttt{{{DEF}}}]",
        rf"note = {{pixel\_shuffle/def, einspec spec {SPEC} {{[}}{DEF}{{]}}}}",
        f"[`pixel_shuffle/def`](https://spec.example/{SPEC}/pixel_shuffle.html#def), einspec spec {SPEC} [{DEF}].",
        f"<code>pixel_shuffle/def</code>, einspec&nbsp;spec {SPEC} [{DEF}]",
        f"**pixel_shuffle/def** (einspec spec {SPEC}) [{DEF}]",
        f"depth_to_space_crd/def, einspec spec {SPEC} [{DEF}]",
        f"pixel_shuffle/def, einspec spec 0.9 [{DEF}]",
    ],
)
def test_a_citation_is_found_in_any_text(text: str) -> None:
    """Whatever marks stand between its words, over line breaks too; an alias and another version may mean the same."""
    (cited,) = citations(f"Some text, and a line.\n{text}\nMore text.")
    assert cited.line == 2
    outcome, why = check(cited)
    assert outcome is Outcome.SAME, why


@pytest.mark.parametrize(
    "text",
    ["in einspec spec 1.1, ops mean", "pixel_shuffle of einspec 1.1", "the einspec spec [1]", "pixel_shuffle/def", ""],
)
def test_what_is_no_citation_is_left_alone(text: str) -> None:
    """A mention of the project, of an op or of a version is none."""
    assert not list(citations(text))


@pytest.mark.parametrize(
    ("text", "outcome", "message"),
    [
        (f"pixel_shuffle/def, einspec spec {SPEC}", Outcome.UNREADABLE, "no digest to check: einspec cite pixel_shuffle/def"),
        (f"pixel_shuffle/def, einspec spec {SPEC} [48135722daf]", Outcome.UNREADABLE, "[48135722daf] is no digest of 12"),
        (f"], einspec spec {SPEC} [{DEF}]", Outcome.UNREADABLE, "without an op or a clause"),
        (f"pixel_shuffle/defn, einspec spec {SPEC} [{DEF}]", Outcome.UNKNOWN, "did you mean pixel_shuffle/def?"),
        (f"pixel_shufle/def, einspec spec {SPEC} [{DEF}]", Outcome.UNKNOWN, "did you mean pixel_shuffle"),
        (f"top_k/def, einspec spec {SPEC} [000000000000]", Outcome.OTHER, f"spec {SPEC} never had it"),
        ("top_k/def, einspec spec 0.9 [000000000000]", Outcome.OTHER, "of spec 0.9 there is no record here"),
        ("top_k/def, einspec spec 1.0 [000000000000]", Outcome.OTHER, "spec 1.0 never had it"),
        ("flip/def, einspec spec 1.0 [000000000000]", Outcome.OTHER, "of spec 1.0 there is no record here"),
        (f"pixel_shuffle/empty, einspec spec {SPEC} [{DEF}]", Outcome.OTHER, f"[{DEF}] is what pixel_shuffle/def means"),
        (f"top_k/def, einspec spec {SPEC} [000000000000]", Outcome.OTHER, einspec.clauses("top_k")["def"]),
        (f"top_k, einspec spec {SPEC} [000000000000]", Outcome.OTHER, "einspec show top_k/def"),
    ],
)
def test_a_citation_that_does_not_hold_says_why(text: str, outcome: Outcome, message: str) -> None:
    """What is wrong with it, what the spec says here, and what to do."""
    (cited,) = citations(text)
    found, why = check(cited)
    assert found is outcome
    assert message in why


@pytest.mark.parametrize("clause", ["def", "dtype.float16", "err.rank.x"])
def test_a_citation_of_an_earlier_version_leads_to_what_changed(clause: str) -> None:
    """What a version said that is kept is known for what it was, and the command that shows the difference is named."""
    before = digest(released.load_as_of("1.0", "moe_layer"), clause)
    (cited,) = citations(f"moe_layer/{clause}, einspec spec 1.0 [{before}]")
    outcome, why = check(cited)
    assert outcome is Outcome.OTHER
    assert "that is what spec 1.0 said: einspec changes moe_layer --since 1.0" in why


def copied(folder: Path, op: str, change: tuple[str, str]) -> dict[str, str]:
    """Return the environment in which einspec is a copy with a card that was changed."""
    package = folder / "einspec"
    shutil.copytree(Path(einspec.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    card = package / "ops" / load(op).family / f"{op}.toml"
    text = card.read_text(encoding="utf-8")
    assert text.count(change[0]) == 1
    card.write_text(text.replace(*change), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(folder)}


def run_in(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an environment."""
    command = [sys.executable, "-m", "einspec.conformance.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=environment["PYTHONPATH"])


def test_a_changed_bracket_makes_the_check_fail(tmp_path: Path) -> None:
    """Citations of what computes otherwise now do not hold, with where the card changed; those of the rest do."""
    paper = tmp_path / "paper.bib"
    ops = ("dispatch", "dispatch/def", "dispatch/pure", "dispatch/err.rank.x", "top_k/def")
    paper.write_text(cite.written([made(place) for place in ops], "bibtex"), encoding="utf-8")
    assert main(["cite", "--check", str(paper)]) == 0
    done = run_in(copied(tmp_path, "dispatch", ("(earlier[t,k] == 0)", "(earlier[t,k] <= 1)")), "cite", "--check", str(paper))
    assert done.returncode == 1, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(f"{paper}:")]
    assert ["means something else" in line for line in said] == [True, True, False, False, False]
    assert "the card was changed since, in the definition" in done.stdout
    assert "the parameters" not in done.stdout
    assert "2 of 5 citations do not hold" in done.stdout


def test_a_card_that_another_one_uses_is_named(tmp_path: Path) -> None:
    """What gate computes changes with top_k, and the message says through which card."""
    paper = tmp_path / "paper.md"
    paper.write_text(cite.written([made("gate/def")], "markdown"), encoding="utf-8")
    change = ("((before[t,e] == k) * x[t,e])", "((before[t,e] >= k) * x[t,e])")
    done = run_in(copied(tmp_path, "top_k", change), "cite", "--check", str(paper))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the card of top_k, which it uses" in done.stdout


def test_a_changed_law_is_told_from_what_an_op_computes(tmp_path: Path) -> None:
    """The clause of the law alone does not hold, and the message names the law."""
    paper = tmp_path / "notes.txt"
    paper.write_text(cite.written([made("unfold/def"), made("unfold/law.adjoint")], "plain"), encoding="utf-8")
    environment = copied(tmp_path, "unfold", ('adjoint = "fold(y, ', 'adjoint = "fold(2 * y, '))
    done = run_in(environment, "cite", "--check", str(paper))
    assert done.returncode == 1
    assert f"{paper}:1: unfold/def means the same" in done.stdout
    assert "the card was changed since, in the law adjoint\n" in done.stdout


def test_a_clause_that_is_gone_is_told(tmp_path: Path) -> None:
    """A law that the card does not state any more is no clause, and the message says so."""
    paper = tmp_path / "notes.txt"
    paper.write_text(made("top_k/law.distinct.index").words, encoding="utf-8")
    done = run_in(copied(tmp_path, "top_k", ('distinct = "index"\n', "")), "cite", "--check", str(paper))
    assert done.returncode == 1
    assert f"top_k/law.distinct.index of spec {SPEC} is not in spec {SPEC}" in done.stdout


def test_citations_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """BibTeX where no format is named; several addresses one after the other; an alias is cited under the name."""
    assert main(["cite", "depth_to_space_crd/def"]) == 0
    assert capsys.readouterr().out == cite.bibtex(cite.citation(load("pixel_shuffle"), "def")) + "\n"
    assert main(["cite", "top_k", "pixel_shuffle/def", "--format", "plain"]) == 0
    assert [c.address for c in citations(capsys.readouterr().out)] == ["top_k", "pixel_shuffle/def"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["cite"], 2, "as in einspec cite pixel_shuffle/def"),
        (["cite", "top_k", "--check", "paper.bib"], 2, "not both"),
        (["cite", "--check", "paper.bib", "--format", "ris"], 2, "--format"),
        (["cite", "top_k/defn"], 2, "did you mean top_k/def?"),
        (["cite", "top_kk"], 2, "did you mean"),
        (["cite", "--check", "nowhere.bib"], 2, "cannot read nowhere.bib"),
        (["cite", "--check", "paper.pdf"], 2, "it is no text"),
        (["cite", "--check", "empty.tex"], 1, "no citation of einspec in empty.tex"),
        (["cite", "--check", "empty.tex", "paper.bib"], 0, "paper.bib:1: pixel_shuffle/def means the same"),
        (["cite", "--check", "latin.tex"], 0, "latin.tex:2: pixel_shuffle/def means the same"),
    ],
)
def test_files_and_arguments_are_judged_plainly(
    arguments: list[str], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A file that is no text, one without a citation and a wrong argument say so; another encoding does not matter."""
    monkeypatch.chdir(tmp_path)
    Path("paper.bib").write_text(WORDS, encoding="utf-8")
    Path("empty.tex").write_text("nothing", encoding="utf-8")
    Path("latin.tex").write_bytes(f"caf\xe9\n{WORDS}".encode("latin-1"))
    Path("paper.pdf").write_bytes(b"%PDF\0" + WORDS.encode())
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


def test_pages_are_addressed_where_the_package_says_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address stands in the metadata of the package alone; without one, or without the package, there is none."""
    metadata = email.message.Message()
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: metadata)
    assert not cite.published()
    metadata["Project-URL"] = "Source, https://source.example"
    assert not cite.published()
    metadata["Project-URL"] = f"Specification, {SITE}/"
    assert cite.citation(load("top_k")).url == f"{SITE}/{SPEC}/top_k.html"

    def absent(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", absent)
    assert not cite.published()


def test_our_own_citations_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Those in the README mean what they did when they were written."""
    assert main(["cite", "--check", str(ROOT / "README.md")]) == 0
    assert "pixel_shuffle/def means the same" in capsys.readouterr().out


def test_the_citation_file_is_whole() -> None:
    """It validates, and versions, days, title and addresses are those of the project."""
    found = read_cff((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(found)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    addresses = project.get("urls", {})
    preferred = found["preferred-citation"]
    assert found["version"] == einspec.__version__ == project["version"]
    assert found["license"] == project["license"]
    assert found["authors"] == preferred["authors"] == project["authors"]
    assert found["title"] == f"einspec: a{project['description'].rstrip('.')[1:]}"
    assert preferred["type"] == "standard"
    assert (preferred["version"], preferred["date-released"]) == (SPEC, einspec.SPEC_DATE)
    assert preferred["year"] == dt.date.fromisoformat(einspec.SPEC_DATE).year
    assert SPEC in preferred["title"]
    assert dt.date.fromisoformat(found["date-released"]) >= dt.date.fromisoformat(einspec.SPEC_DATE)
    assert found.get("url") == preferred.get("url") == addresses.get("Specification")
    assert found.get("repository-code") == addresses.get("Source")


@pytest.mark.parametrize("address", ["b (h p) -> b h, mean, p=2", "a b -> b a/def"])
def test_a_pattern_is_not_cited(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No spec has an op of it, so nobody could look it up."""
    assert main(["cite", address]) == 2
    found = capsys.readouterr()
    assert not found.out
    assert f"einspec: {address!r} is a pattern, which says all that it means: quote it; only ops are cited" in found.err
