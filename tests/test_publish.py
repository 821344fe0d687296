"""The site is whole: valid pages, an address for everything that is cited, nothing from a network, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import numpy as np
import pytest

pytest.importorskip("jinja2", reason="needs Jinja2")

import einspec
from einspec.card import aliases, load
from einspec.clauses import clauses
from einspec.conformance.cli import main
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.mutation.mutants import mutants
from einspec.conformance.publish import data
from einspec.conformance.publish import page as page_module
from einspec.conformance.publish import site as module
from einspec.conformance.publish.catalogue import contested, words_of
from einspec.conformance.publish.forms import marked, others
from einspec.conformance.publish.page import context, indices
from einspec.conformance.publish.telling import telling
from einspec.conformance.publish.verdicts import Judged
from einspec.conformance.publish.words import linked
from einspec.meaning import current
from einspec.names import single_function
from einspec.pages.cited import Outcome, check, citations

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ONCE = ("title", "main", "h1", "body", "head", "html")
HASHES = """
import hashlib
from einspec.conformance.publish.site import files
for name, content in files():
    print(hashlib.sha256(content).hexdigest(), name)
"""


class Page(HTMLParser):
    """A page read strictly: every element is closed in its turn, no attribute stands twice."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.name, self.open, self.ids, self.links = name, [], Counter(), []
        self.tags: Counter[str] = Counter()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert text.startswith("<!DOCTYPE html>"), name
        assert not self.open, f"{name}: {self.open} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and that it is open."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        names = [n for n, _ in attrs]
        assert len(set(names)) == len(names), f"{self.name}: {tag} has an attribute twice"
        given = dict(attrs)
        self.tags[tag] += 1
        self.found.append((tag, given))
        self.ids.update([given["id"]] if "id" in given else [])

    def handle_endtag(self, tag: str) -> None:
        """Close what is open."""
        assert self.open, f"{self.name}: </{tag}> closes nothing"
        assert self.open.pop() == tag, f"{self.name}, line {self.getpos()[0]}: </{tag}> does not close what is open"

    def handle_data(self, data: str) -> None:
        """See that no mark stands where text does."""
        assert "<" not in data, f"{self.name}: {data!r}"


@pytest.fixture(scope="module")
def site() -> dict[str, bytes]:
    """Return all files of the site, made once."""
    return dict(module.files())


@pytest.fixture(scope="module")
def pages(site: dict[str, bytes]) -> dict[str, Page]:
    """Return all pages of the site, read once."""
    return {name: Page(name, content.decode()) for name, content in site.items() if name.endswith(".html")}


def test_there_is_a_page_for_every_op_and_alias(pages: dict[str, Page]) -> None:
    """Names of ops and aliases are the names of pages, and each is one document."""
    for name in (*einspec.ops(), *aliases(), "index", "names", "clauses", "notation", "changes"):
        page = pages[f"{name}.html"]
        svg_titles = sum(tag == "title" for tag, _ in page.found) - 1
        assert svg_titles >= 0
        assert all(page.tags[tag] == 1 for tag in ONCE if tag != "title"), name
        twice = [i for i, count in page.ids.items() if count > 1]
        assert not twice, f"{name}: {twice} stand twice"
        assert (("html", {"lang": "en"})) in page.found


def test_every_link_leads_somewhere(pages: dict[str, Page], site: dict[str, bytes]) -> None:
    """Each relative address is a file of the site, and each fragment an id of its page."""
    followed = 0
    for name, page in pages.items():
        for tag, given in page.found:
            address = given.get("href")
            if address is None or address.startswith("data:"):
                continue
            parts = urlsplit(address)
            if parts.scheme:
                assert tag == "a", f"{name}: {tag} leads outside"
                assert parts.scheme == "https" or address.startswith("http://"), f"{name}: {address}"
                continue
            target = parts.path.removeprefix("../latest/") or name
            assert target in site, f"{name}: {address} leads nowhere"
            if parts.fragment:
                assert pages[target].ids[parts.fragment] == 1, f"{name}: {address} leads to no place of its page"
            followed += 1
    assert followed > 2000


@pytest.mark.parametrize("name", einspec.ops())
def test_everything_that_is_cited_has_an_address(name: str, pages: dict[str, Page]) -> None:
    """Clauses, equations, parameters, tensors and forms are places of the page of their op."""
    op, ids = load(name), pages[f"{name}.html"].ids
    wanted = [*clauses(name), *(f"param.{p}" for p in op.card.params), *(f"form.{v}" for v in op.forms if v)]
    wanted += [f"tensor.{s.name}" for f in op.forms.values() for s in (*f.signature.inputs, *f.signature.outputs)]
    assert [i for i in wanted if ids[i] != 1] == []
    assert any(i.startswith("eq.") for i in ids)
    outputs = {s.name for s in next(iter(op.forms.values())).signature.outputs}
    defined = {part for i in ids if str(i).startswith("eq.") for part in re.split(r"[.-]", str(i).removeprefix("eq."))}
    assert outputs <= defined


def test_nothing_comes_from_a_network(pages: dict[str, Page], site: dict[str, bytes]) -> None:
    """Scripts and styles are files beside the page; none is inside it, and no style loads another or a picture."""
    for name, page in pages.items():
        for tag, given in page.found:
            if tag == "script":
                assert given == {"src": "spec.js"}, name
            assert tag not in ("style", "iframe", "object", "embed", "img"), f"{name}: {tag}"
            assert not {a for a in given if a.startswith("on") or a == "style"}, f"{name}: {tag} {given}"
            if tag == "link" and given.get("rel") != "canonical":
                assert given["href"] in ("spec.css", "data:,"), name
    assert not re.search(rb"url\(|@import|https?:", site["spec.css"])
    assert not re.search(rb"https?:|fetch\(|XMLHttp|import ", site["spec.js"])
    assert re.search(rb"@media screen and \(prefers-color-scheme: ?dark\)", site["spec.css"])
    assert b"@media print" in site["spec.css"]


def test_pages_are_whole_without_script(pages: dict[str, Page], site: dict[str, bytes]) -> None:
    """The index leads to every op, and what needs the script is not shown without it."""
    linked_ops = {given.get("href") for tag, given in pages["index.html"].found if tag == "a"}
    assert {f"{name}.html" for name in einspec.ops()} <= linked_ops
    assert ("form", {"role": "search", "id": "find", "action": "index.html", "hidden": None}) in pages["index.html"].found
    for name, page in pages.items():
        assert all("hidden" not in given for tag, given in page.found if tag != "form"), name
        assert page.tags["button"] == 0, f"{name}: a button does nothing without script"
    for alias, name in aliases().items():
        assert f'href="{einspec.resolve(name)}.html" data-lead' in site[f"{alias}.html"].decode()


def test_two_builds_are_equal(site: dict[str, bytes]) -> None:
    """Another process, which orders its sets otherwise, writes the same bytes."""
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    run = subprocess.run([sys.executable, "-c", HASHES], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.splitlines() == [f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in site.items()]


@pytest.mark.parametrize("name", ["pixel_shuffle", "gate", "top_k"])
def test_citations_of_a_page_hold(name: str, site: dict[str, bytes]) -> None:
    """Each is found in the bibliography of the op and on its page, and means what the spec here says."""
    found = [check(c)[0] for c in citations(site[f"{name}.bib"].decode())]
    assert len(found) == 1 + len(clauses(name))
    assert set(found) == {Outcome.SAME}
    on_page = [check(c)[0] for c in citations(re.sub("<[^>]+>", "", site[f"{name}.html"].decode()))]
    assert on_page
    assert set(on_page) == {Outcome.SAME}
    page = site[f"{name}.html"].decode()
    assert all(digest in page for digest in current()[name].values())


def test_the_search_tells_the_same_from_what_is_not(site: dict[str, bytes]) -> None:
    """``tf.nn.depth_to_space`` is depth_to_space, and is said not to be pixel_shuffle."""
    asked = "tf.nn.depth_to_space"
    assert any(w.startswith("=tensorflow") and asked in w for w in words_of(load("depth_to_space")))
    assert any(w.startswith("≠") and asked in w for w in words_of(load("pixel_shuffle")))
    assert not any(w.startswith("=") and asked in w for w in words_of(load("pixel_shuffle")))
    index = site["index.html"].decode()
    assert index.count("data-words=") == len(einspec.ops())
    assert "=tensorflow: tf.nn.depth_to_space(x, block_size)" in index


def test_names_elsewhere(site: dict[str, bytes]) -> None:
    """Functions stand by their own names; a name that means several things says all of them."""
    assert single_function("F.pixel_shuffle(x, upscale_factor)") == "F.pixel_shuffle"
    assert single_function("DepthToSpace(block_size)(x)") == "DepthToSpace"
    assert single_function("F.pixel_shuffle(F.channel_shuffle(x, 2), 2)") == ""
    assert single_function("(lambda v: v)(x)") == ""
    assert single_function("x.reshape(") == ""
    meanings = {c.word: [who for who, _ in c.meanings] for c in contested()}
    assert "depth_to_space" in meanings["depth_to_space"]
    assert any("tf.nn.depth_to_space" in who for who in meanings["depth_to_space"])
    assert "names.html" in site


def test_names_of_ops_in_text_are_links() -> None:
    """Only whole names of other ops are, and what a text holds is escaped."""
    assert linked("as depth_to_space <b>", "pixel_shuffle") == 'as <a href="depth_to_space.html">depth_to_space</a> &lt;b&gt;'
    assert linked("see split; split is a word") == 'see <a href="split.html">split</a>; split is a word'
    assert linked("tf.nn.depth_to_space, depth_to_space(x)", "pixel_shuffle") == "tf.nn.depth_to_space, depth_to_space(x)"
    assert linked("pixel_shuffle itself", "pixel_shuffle") == "pixel_shuffle itself"


def test_forms_say_what_differs() -> None:
    """A form that says what another says is led to it; what is not the default's is marked."""
    found = {form.name: form for form in others(load("gate"))}
    assert set(found) == set(load("gate").forms) - {"switch"}
    assert found["softmax_raw"].same == "switch"
    assert not found["softmax_raw"].lines
    assert "<mark>sum</mark>" in "".join(line.text for line in found["mixtral"].lines)
    assert marked("y = a + b", "y = a + c") == "y = a + <mark>c</mark>"
    assert marked("", "y = <") == "y = &lt;"
    assert found["mixtral"].gone == []
    assert found["deepseek_v2"].gone == ["chosen[t,k], index[t,k] = top_k(scores[t,e])"]


@pytest.mark.parametrize("name", ["pixel_shuffle", "top_k", "dispatch"])
def test_the_example_tells_from_as_many_wrong_versions_as_it_says(name: str) -> None:
    """They are counted again by calling each of them, and are most of them."""
    found = telling(load(name))
    arrays = [found.inputs[s.name] for s in found.case.form.signature.inputs]
    want = einspec.evaluate(name, *arrays, **found.case.params)
    told = 0
    for mutant in mutants(name):
        try:
            told += not same(mutant.function(*arrays, **found.case.params), want)
        except (ArithmeticError, ValueError):
            told += 1
    assert (told, len(mutants(name))) == (found.told, found.of)
    shown = context(load(name))
    assert (shown["told"], shown["wrong"]) == (told, found.of)
    assert told > found.of / 2


def same(one: object, other: object) -> bool:
    """Whether two results are equal, array by array."""
    pairs = zip(*(r if isinstance(r, tuple | list) else [r] for r in (one, other)), strict=True)
    return all(np.shape(a) == np.shape(b) and np.allclose(a, b, equal_nan=True) for a, b in pairs)


def test_plain_indices() -> None:
    """Compositions are written out, the last axis fastest."""
    (form,) = load("pixel_shuffle").forms.values()
    assert indices(form) == "y[..., c, h*I + i, w*J + j] = x[..., (c*I + i)*J + j, h, w]"
    assert indices(load("top_k").forms[""]) == ""


def test_changes_show_a_call(site: dict[str, bytes]) -> None:
    """The op that means something else in this version is there with its formulas and both results."""
    page = site["changes.html"].decode()
    assert 'id="moe_layer"' in page
    assert load("moe_layer").card.changed
    assert "moe_dense(x[t,d], weights[t,k], kept[t,k], gate_up[e,d,(g,f)], down[e,f,h])" in page, "the formula as it was"
    assert "routed[t,k,d] = weights[t,k] * x[t,d]" in page, "a formula that is new"
    assert "The smallest call on which they differ (another result): <code>moe_layer(" in page


def test_what_is_withdrawn_keeps_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clause that an earlier version had is on the page of its op, with why, and for programs too."""
    monkeypatch.setitem(load("tile").card.withdrawn, "law.gone", "it followed from law.inverse")
    for place in (page_module, data.released):
        monkeypatch.setattr(place, "withdrawn", lambda op: {"law.gone": "1.0"} if op == "tile" else {})
    monkeypatch.setattr(module, "context", context.__wrapped__)
    text = module.op_page("tile")
    assert Page("tile", text).ids["law.gone"] == 1
    assert "withdrawn after spec 1.0</span> it followed from law.inverse" in text
    assert data.op_data(load("tile")).withdrawn == {"law.gone": data.Withdrawn("1.0", "it followed from law.inverse")}


def test_data_for_programs(site: dict[str, bytes]) -> None:
    """``spec.json`` holds every clause and tree, the inventory every op and clause, the card is as it is installed."""
    found = json.loads(site["spec.json"])
    assert {name: list(op["clauses"]) for name, op in found["ops"].items()} == {n: list(clauses(n)) for n in einspec.ops()}
    tree = found["ops"]["pixel_shuffle"]["forms"][""]["equations"][0]["tree"]
    assert tree["kind"] == "Equation"
    assert tree["body"]["index"][1]["parts"] == [{"kind": "Axis", "name": a} for a in "cij"]
    head, _, packed = site["objects.inv"].partition(b"zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2\n# Project: einspec\n")
    lines = zlib.decompress(packed).decode().splitlines()
    assert len(lines) == len(einspec.ops()) + sum(map(len, current().values()))
    assert "pixel_shuffle/def std:label -1 pixel_shuffle.html#def pixel_shuffle/def" in lines


def test_data_for_programs_fits_its_schema(site: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    """The schema lies beside it, is the one that is printed, and knows every kind of node; what it does not know is refused."""
    schema, found = json.loads(site["spec.schema.json"]), json.loads(site["spec.json"])
    assert main(["schema", "spec"]) == 0
    assert capsys.readouterr().out == site["spec.schema.json"].decode()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    kinds = set(re.findall(r'"kind":"(\w+)"', site["spec.json"].decode()))
    assert kinds == {d["properties"]["kind"]["const"] for d in schema["$defs"].values() if "kind" in d["properties"]}
    found["ops"] = {name: found["ops"][name] for name in ("top_k", "capacity", "moe_layer", "tile", "fold")}
    assert set(re.findall(r'"kind": "(\w+)"', json.dumps(found["ops"]))) == kinds
    assert [e.message for e in validator.iter_errors(found)] == []
    top_k = found["ops"]["top_k"]
    total = top_k["forms"][""]["equations"][0]["tree"]["body"]
    assert (total["kind"], total["function"], total["axes"]) == ("Reduce", "sum", ["e1"])
    total["kind"] = "Total"
    assert len(list(validator.iter_errors(found))) == 1


@pytest.mark.parametrize("inside", ["", "site"])
def test_a_file_is_no_folder_to_publish_to(inside: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is what would be inside of it; it stays as it is."""
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    assert main(["publish", str(path / inside)]) == 2
    assert capsys.readouterr().err == f"einspec: {path} is a file, and the pages need a folder: einspec publish DIR\n"
    assert path.read_text() == "mine"


def test_a_published_version_is_not_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be written again as it is; with other content only if that is asked for. The latest is a copy of it."""
    content = {"index.html": b"one"}
    monkeypatch.setattr(module, "files", lambda: iter(content.items()))
    version = tmp_path / einspec.SPEC_VERSION
    assert main(["publish", str(tmp_path)]) == 0
    assert module.publish(tmp_path) == module.publish(tmp_path)
    assert (tmp_path / "latest" / "index.html").read_bytes() == (version / "index.html").read_bytes() == b"one"
    (tmp_path / "1.0").mkdir()
    (tmp_path / "1.0" / module.SUMS).write_text("")
    content["index.html"] = b"two"
    with pytest.raises(UsageError, match="not altered"):
        module.publish(tmp_path)
    assert main(["publish", str(tmp_path)]) == 2
    assert (version / "index.html").read_bytes() == b"one"
    assert main(["publish", str(tmp_path), "--replace"]) == 0
    assert (version / "index.html").read_bytes() == b"two"
    assert json.loads((tmp_path / "versions.json").read_text()) == {
        "latest": einspec.SPEC_VERSION,
        "versions": [einspec.SPEC_VERSION, "1.0"],
    }
    root = Page("root", (tmp_path / "index.html").read_text())
    assert ("a", {"href": "latest/index.html"}) in root.found


def test_without_jinja_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The extra is named."""
    for name in [n for n in sys.modules if n.startswith("einspec.conformance.publish")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["publish", "nowhere"]) == 2
    assert "einspec[site]" in capsys.readouterr().err
    assert not Path("nowhere").exists()


WRONG = "import numpy as np\ndef swap_hw(x):\n    return np.swapaxes(x, -1, -2)[..., ::-1].copy()\n"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return reports of a wrong file and of a backend."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "mine.py").write_text(WRONG)
    found = [folder / "mine.jsonl", folder / "numpy.jsonl"]
    for name, path in zip((str(folder / "mine.py"), "numpy"), found, strict=True):
        main(["check", name, "--op", "swap_hw", "--tier", "scope", "--all", "--report", str(path)])
    return found


def test_verdicts_stand_beside_the_clauses(
    site: dict[str, bytes], reports: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of others first, with the smallest input and the script of what fails; the version itself does not change."""
    monkeypatch.setattr(module, "files", lambda: iter(site.items()))
    module.publish(tmp_path, reports=reports)
    assert (tmp_path / einspec.SPEC_VERSION / "swap_hw.html").read_bytes() == site["swap_hw.html"]
    text = (tmp_path / "latest" / "swap_hw.html").read_text()
    page = Page("swap_hw.html", text)
    assert page.tags["script"] == 1
    row = text[text.index('<tr id="def">') : text.index("</tr>", text.index('<tr id="def">'))]
    assert re.findall(r'<li class="(\w+)" title="[^"]*">(.) ([\w.]+)', row) == [
        ("wrong", "✗", "mine.py"),
        ("holds", "✓", "reference"),
    ]
    assert "<details" in row
    assert "swap_hw(x[" in row
    assert "from mine import *" in row
    assert "<dt>reference</dt>" in text
    assert "Not judged here" not in text
    other = (tmp_path / "latest" / "pixel_shuffle.html").read_text()
    assert "Not judged here: none of the reports" in other
    assert 'href="../latest/swap_hw.html#clauses"' in site["swap_hw.html"].decode()
    for name in (einspec.SPEC_VERSION, "latest"):
        lines = (tmp_path / name / module.SUMS).read_text().splitlines()
        assert len(lines) == len(site)
        for digest, _, file in (line.partition("  ") for line in lines):
            assert hashlib.sha256((tmp_path / name / file).read_bytes()).hexdigest() == digest, file
    module.publish(tmp_path)  # today's verdicts may go: they are no part of the version
    assert (tmp_path / "latest" / "swap_hw.html").read_bytes() == site["swap_hw.html"]


def test_a_report_of_another_version_is_refused(
    reports: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its clauses may mean something else; nothing is written."""
    old = tmp_path / "old.jsonl"
    old.write_text(reports[0].read_text().replace(f'"spec": "{einspec.SPEC_VERSION}"', '"spec": "0.9"'))
    assert main(["publish", str(tmp_path / "site"), "--results", str(reports[1]), str(old)]) == 2
    assert "old.jsonl judges spec 0.9" in capsys.readouterr().err
    assert main(["publish", str(tmp_path / "site"), "--results", str(tmp_path / "none.jsonl")]) == 2
    assert not (tmp_path / "site").exists()


def test_the_worst_verdict_stands_for_a_clause() -> None:
    """Over tiers, devices and backends; what was not run somewhere says nothing of elsewhere."""

    def result(clause: str, verdict: Verdict, backend: str = "numpy", reason: str = "") -> Result:
        return Result(f"top_k/{clause}", "scope", verdict, 1, reason, backend=backend, device="cpu")

    found = [result("def", Verdict.NOT_RUN), result("def", Verdict.HOLDS), result("nan", Verdict.HOLDS)]
    found += [result("nan", Verdict.WRONG, "torch", "lost"), result("pure", Verdict.NOT_RUN)]
    groups: dict[str, list[Result]] = {}
    for one in found:
        groups.setdefault(one.clause, []).append(one)
    column = Judged("reference", "", groups)
    cells = {name: column.cell("top_k", [name]) for name in ("def", "nan", "pure", "repeat")}
    assert {n: c and c.text for n, c in cells.items()} == {
        "def": "holds",
        "nan": "wrong (torch cpu): lost",
        "pure": "not run",
        "repeat": None,
    }
    together = column.cell("top_k", ["def", "nan"])
    assert together is not None
    assert together.text == "nan wrong (torch cpu): lost"
    assert column.counts("top_k") == {Verdict.WRONG: 1, Verdict.HOLDS: 1, Verdict.NOT_RUN: 1}
