"""The libraries of the world: their adapters, the matrix that is committed, what is wrong in them, and the command."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from einspec.card import paths
from einspec.conformance.cli import main
from einspec.conformance.reports import report
from einspec.conformance.targets.library import read_library
from einspec.conformance.world import libraries, page
from einspec.conformance.world.judging import SHOWN, shorten, without_places
from einspec.conformance.world.matrix import SUFFIX, Mark, judged, mark

ROOT = Path(__file__).parent.parent
WORLD = ROOT / "docs" / "world"
FINDINGS = (WORLD / page.FINDINGS).read_text(encoding="utf-8")
LINES = ("Promised", "Call", "Comes", "Script", "Known")
LIBRARIES = libraries.libraries()


def sections() -> dict[str, dict[str, str]]:
    """Return the findings by heading, each with its lines by their first word."""
    found = {}
    for text in FINDINGS.split("\n## ")[1:]:
        heading, _, body = text.partition("\n")
        found[heading] = dict(re.findall(r"^\* (\w+): (.+)$", body, re.M))
    return found


def script(finding: dict[str, str]) -> Path:
    """Return the script of a finding."""
    return WORLD / finding["Script"].rpartition("(")[2].rstrip(")")


NAMES = [script(finding).stem for finding in sections().values()]
"""What the tests of findings are called."""
PATH = re.compile(r"site-packages/|(?<![\w.:/)\]])/(?:[\w.+-]+/)+")
"""A place on a machine: folders from the root on."""


@pytest.mark.parametrize("name", LIBRARIES)
def test_adapters_can_be_read_and_their_library_is_pinned(name: str) -> None:
    """Each names ops that exist, what it requires is pinned exactly, and tox has an environment for it."""
    library = LIBRARIES[name]
    adapters, _ = read_library(Path(library.adapters))
    assert set(adapters.op) <= set(paths())
    assert library.requires[0] in adapters.packages
    lines = Path(library.requirements).read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line) for line in lines)
    assert {line.partition("==")[0] for line in lines} >= set(library.requires)
    assert libraries.judged_at(library)
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    (environments,) = re.findall(r"^\[testenv:world-\{(.+)\}\]$", tox, re.M)
    assert Path(library.requirements).stem.removeprefix("world-") in environments.split(",")


def test_nothing_of_it_is_needed_by_the_package() -> None:
    """Its environments are not among those that tox runs by default, and the package requires none of the libraries."""
    assert "world" not in re.findall(r"^env_list = (.+)$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.M)[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[>=\[]", text)[0] for text in project["dependencies"]}
    assert needed & {library.requires[0] for library in LIBRARIES.values()} == {"numpy", "einops"}


def test_every_file_of_adapters_is_of_a_library() -> None:
    """None lies there that nobody judges."""
    own = {Path(path).name for library in LIBRARIES.values() for path in (library.adapters, library.requirements)}
    there = {p.name for p in libraries.FOLDER.rglob("*") if p.suffix in (".toml", ".txt")} - {"libraries.toml"}
    assert own == there


def test_the_page_is_that_of_its_reports() -> None:
    """What is committed is what einspec world --page writes, and the README has the short table of it."""
    assert (WORLD / page.PAGE).read_text(encoding="utf-8") == page.page(WORLD)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n".join(page.short(WORLD)) in readme


def test_every_report_is_whole_and_of_this_version() -> None:
    """They end, they judge at the version that is pinned, and they tell nothing of where they were made."""
    found = judged(WORLD)
    assert {p.stem for p in WORLD.glob(f"*{SUFFIX}")} == {j.name for j in found}
    for each in found:
        assert not each.report.incomplete, each.name
        versions = {name: v for b in each.report.backends.values() for name, v in b.versions.items()}
        assert versions[each.library.requires[0]].partition("+")[0] == libraries.judged_at(each.library)
        text = (WORLD / f"{each.name}{SUFFIX}").read_text(encoding="utf-8")
        assert not PATH.search(text), each.name
        assert set(each.results) == set(read_library(Path(each.library.adapters))[0].op)


def test_nothing_is_accused_that_is_not_wrong() -> None:
    """Behind every op that is wrong in the matrix there is a finding, and what a finding says of the matrix is there."""
    there = judged(WORLD)
    wrong = {(j.name, op) for j in there for op in j.results if j.mark(op) is Mark.WRONG}
    found = {(library, op) for library, op in page.findings(WORLD) if op in paths() and library in {j.name for j in there}}
    assert wrong == found
    assert {library for library, _ in page.findings(WORLD)} <= set(LIBRARIES)


def test_what_has_no_verdict_is_told() -> None:
    """Where the definition of an op was not judged, as for lack of calls, the page says why."""
    text = (WORLD / page.PAGE).read_text(encoding="utf-8")
    for each in judged(WORLD):
        section = text.partition(f"\n## {each.name}\n")[2].partition("\n## ")[0]
        for op in each.results:
            if each.mark(op) is Mark.UNDECIDED:
                assert re.search(rf"^\* no verdict, {op}: .*(budget|meet where)", section, re.M), (each.name, op)


@pytest.mark.parametrize("heading", sections(), ids=NAMES)
def test_a_finding_has_five_lines_and_a_script(heading: str) -> None:
    """It says what was promised and where, by which call it is broken, what comes, and whether that is known."""
    assert page.HEADING.fullmatch(f"## {heading}")
    finding = sections()[heading]
    assert tuple(finding) == LINES
    assert re.search(r"\]\(https://", finding["Promised"])
    assert finding["Known"] == "none" or finding["Known"].startswith("https://")
    source = script(finding).read_text(encoding="utf-8")
    assert "einspec" not in source


def test_every_script_has_a_finding() -> None:
    """None lies there that no page tells of."""
    assert {script(finding) for finding in sections().values()} == set((WORLD / "findings").glob("*.py"))


@pytest.mark.parametrize("heading", sections(), ids=NAMES)
def test_a_bug_is_still_there(heading: str) -> None:
    """The script prints what the page says and fails; where it passes, the bug has gone and the finding is to be deleted."""
    finding, names = sections()[heading], heading.partition(" · ")[0].split(", ")
    for name in names:
        library = LIBRARIES[name]
        lacking = libraries.missing(library)
        if lacking:
            pytest.skip(f"{', '.join(lacking)} not installed")
        environment = {**os.environ, **library.environment}
        run = subprocess.run(
            [sys.executable, str(script(finding))], env=environment, capture_output=True, text=True, check=False
        )
        at = importlib.metadata.version(library.requires[0])
        assert run.returncode, f"gone in {library.title} {at}: delete the finding, and judge {name} again"
        assert "AssertionError" in run.stderr, run.stderr
        assert run.stdout.strip() == finding["Comes"].strip("`")


OWN = """
framework = "numpy"
packages = ["numpy"]
setup = "import os"

[op.matrix_transpose]
call = "np.swapaxes(x, -1, -2) if os.environ['EINSPEC_WORLD_TEST'] == 'there' else x"

[op.swapaxes]
call = "x"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have one small library instead of all, and return an empty folder for its results."""
    adapters, pins = tmp_path / "own.toml", tmp_path / "own.txt"
    adapters.write_text(OWN, encoding="utf-8")
    pins.write_text("numpy==1.0\nno-such-distribution==2.0\n", encoding="utf-8")
    environment = {"EINSPEC_WORLD_TEST": "there"}
    library = libraries.Library("Own", ("numpy",), str(adapters), str(pins), environment)
    other = libraries.Library("Other", ("no-such-distribution",), str(adapters), str(pins))
    for module in ("libraries", "matrix", "page"):
        monkeypatch.setattr(f"einspec.conformance.world.{module}.libraries", lambda: {"own": library, "other": other})
    return tmp_path / "out"


def test_what_is_installed_is_judged(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A report and a page come of it, what is not installed is told, and a wrong library fails nothing."""
    assert main(["world", "--output", str(own)]) == 0
    printed = capsys.readouterr().out
    assert "own" in printed
    assert "2 ops: 1 holds, 1 wrong" in printed
    assert "other: no-such-distribution not installed; pip install -r" in printed
    header = json.loads((own / f"own{SUFFIX}").read_text(encoding="utf-8").splitlines()[0])
    assert header["asked"]["targets"] == ["own.toml"]
    text = (own / page.PAGE).read_text(encoding="utf-8")
    assert f"| `matrix_transpose` | {Mark.HOLDS} |" in text
    assert f"| `swapaxes` | {Mark.WRONG} |" in text
    assert "wrong, swapaxes: `swapaxes/def`" in text
    assert "x `np.arange(" in text
    assert "EINSPEC_WORLD_TEST" not in os.environ


def test_reports_are_short(own: Path) -> None:
    """They keep what each op came to and the smallest inputs; what else held is counted in the footer."""
    main(["world", "--output", str(own)])
    read = report.read(own / f"own{SUFFIX}")
    assert {r.clause for r in read.results if r.op == "matrix_transpose" and r.verdict == "holds"} == {"matrix_transpose/def"}
    wrong = [r for r in read.results if r.verdict == "wrong"]
    assert wrong
    assert all(r.witness and set(r.witness) <= set(SHOWN) for r in wrong)
    assert all("x" in r.witness["inputs"] for r in wrong if r.witness)
    assert read.footer
    assert read.footer.counts["holds"] > 20
    assert f"| {read.footer.counts['holds']} |" in (own / page.PAGE).read_text(encoding="utf-8")


def test_conventions_stay_in_short_reports() -> None:
    """One line of each op for every set of them, and everything that is not as it should be."""
    results = [
        ("a/def", "holds"),
        ("a/x", "holds"),
        ("a/y", "refused"),
        ("a/z", "errored"),
        ("a/n", "not run"),
        ("b/def", "not run"),
    ]
    lines = [{"kind": "result", "clause": clause, "verdict": verdict} for clause, verdict in results]
    admitted = [
        {"kind": "result", "clause": f"{op}/{i}", "verdict": "holds", "admitted": ["ties"]} for op in "ab" for i in (1, 2)
    ]
    kept = [line.get("clause") for line in shorten([{"kind": "header"}, *lines, *admitted, {"kind": "footer"}])]
    assert kept == [None, "a/def", "a/y", "a/z", "b/def", "a/1", "b/1", None]


def test_with_nothing_installed(own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was judged: that is no success, and the page says how each is judged."""
    monkeypatch.setattr(libraries, "missing", lambda library: list(library.requires))
    assert main(["world", "--output", str(own)]) == 1
    assert "own: numpy not installed" in capsys.readouterr().out
    assert "Own: there are adapters and no results; `tox -e own`" in (own / page.PAGE).read_text(encoding="utf-8")


def test_a_library_that_is_asked_for_has_to_be_there(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to install, and leaves no folder behind."""
    assert main(["world", "other", "--output", str(own)]) == 2
    assert "other: no-such-distribution not installed; pip install -r" in capsys.readouterr().err
    assert not own.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("numpi", "did you mean numpy? there are numpy, torch"),
        ("keras", "did you mean keras-"),
        ("nothing-like-it", "no library 'nothing-like-it'; there are numpy"),
        ("tensorflow", "tensorflow has no adapters: "),
    ],
)
def test_a_wrong_name(name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which there are, or why there is none."""
    assert main(["world", name, "--output", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("no report\n", "own.jsonl"), ('{"kind": "header"}\n', "own.jsonl")]
)
def test_a_broken_result_file(text: str, said: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is not written, and the file is named."""
    own.mkdir()
    (own / f"own{SUFFIX}").write_text(text, encoding="utf-8")
    assert main(["world", "--page", "--output", str(own)]) == 2
    assert said in capsys.readouterr().err
    assert not (own / page.PAGE).exists()


def test_a_report_that_was_cut_off_is_told(own: Path) -> None:
    """Its library stands on the page as incomplete."""
    assert main(["world", "--output", str(own)]) == 0
    report = own / f"own{SUFFIX}"
    report.write_text("\n".join(report.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    assert main(["world", "--page", "--output", str(own)]) == 0
    assert "incomplete: cut off" in (own / page.PAGE).read_text(encoding="utf-8")


def test_an_environment_stands_for_all_that_are_judged_in_it() -> None:
    """Keras has one environment for its backends."""
    assert list(libraries.chosen(["world-keras"])) == ["keras-numpy", "keras-torch", "keras-jax"]
    assert list(libraries.chosen(["torch", "world-numpy"])) == ["numpy", "torch"]
    assert libraries.chosen([]) == LIBRARIES


def test_a_file_is_no_folder_for_results(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said before anything is judged."""
    own.write_text("", encoding="utf-8")
    assert main(["world", "--output", str(own)]) == 2
    assert "it is a file" in capsys.readouterr().err


def test_the_list_says_what_is_here(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with where its adapters are and the version at which it was judged; nothing is written."""
    assert main(["world", "--list", "--output", str(own)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"own: Own [\d.]+ is here; judged at 1\.0 by .*own\.toml", printed)
    assert "other: no-such-distribution not installed" in printed
    assert not own.exists()


def test_a_report_says_nothing_of_where_it_was_made() -> None:
    """Paths begin with the package, also where a traceback was cut off, and other text stays as it is."""
    text = f'raised X ("{sys.prefix}/lib/python3/site-packages/dask/array.py", line 1); "{sys.prefix}/lib/pyt: 1/2 of x'
    assert without_places(text) == 'raised X ("dask/array.py", line 1); "/lib/pyt: 1/2 of x'


def test_marks() -> None:
    """What is wrong outweighs what holds, and what nobody judged is no success."""
    from einspec.conformance.judge.verdict import Result, Verdict

    def marked(*verdicts: str, admitted: tuple[str, ...] = ()) -> Mark:
        clauses = ["top_k/def", *(f"top_k/dtype.{i}" for i in range(len(verdicts) - 1))]
        return mark(Result(c, "scope", Verdict(v), admitted=admitted) for c, v in zip(clauses, verdicts, strict=False))

    assert marked() is Mark.ABSENT
    assert marked("holds", "refused") is Mark.HOLDS
    assert marked("holds", "holds", admitted=("ties",)) is Mark.ADMITTED
    assert marked("holds", "wrong") is Mark.WRONG
    assert marked("refused", "holds") is Mark.REFUSED
    assert marked("not run", "holds") is Mark.UNDECIDED
    assert marked("holds", "errored") is Mark.UNDECIDED
