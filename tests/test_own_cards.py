"""Cards of one's own: used beside those that einspec ships, with all that these get; a bad one is told with its place."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import run_page

import einspec
from einspec import folders
from einspec.card import load, paths
from einspec.conformance.cli import main
from einspec.conformance.reports import report
from einspec.conformance.run.sheets import digest, kept, sheets_directory
from einspec.errors import CardError
from einspec.testing import check

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "own-cards.md").read_text(encoding="utf-8")
CARDS = ROOT / "examples" / "cards"
HALVES = """\
summary = "Halve every number."
since = "1.0"
signature = "x: t d -> y: t d"
definition = "y[t,d] = x[t,d] / 2"
aliases = ["halve"]

[dtype]
x = "float"
"""
QUARTERS = HALVES.replace("Halve", "Quarter").replace("x[t,d] / 2", "halves(halves(x[t,d]))").replace('["halve"]', "[]")
QUARTERS = QUARTERS.replace('"y[t,d] = halves(halves(x[t,d]))"', '"""\\\nz[t,d] = halves(x[t,d])\ny[t,d] = halves(z[t,d])"""')
FUNCTION = "import numpy as np\n\n\ndef {name}(x):\n    return {body}\n"


@pytest.fixture(autouse=True)
def _none_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin and end without cards of one's own."""
    monkeypatch.setenv(folders.CARDS, "")
    yield
    os.environ[folders.CARDS] = ""


def cards(folder: Path, **texts: str) -> Path:
    """Return a folder with cards."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def verdicts(path: Path) -> dict[str, set[str]]:
    """Return the clauses of a report by verdict."""
    found: dict[str, set[str]] = {}
    for result in report.read(path).results:
        found.setdefault(result.verdict, set()).add(result.clause)
    return found


def judged(tmp_path: Path, folder: Path, name: str, body: str, *arguments: str) -> tuple[int, dict[str, set[str]]]:
    """Judge a function by cards of one's own, and return the exit status and the clauses by verdict."""
    (tmp_path / "mine.py").write_text(FUNCTION.format(name=name, body=body), encoding="utf-8")
    out = tmp_path / "report.jsonl"
    options = ["--cards", str(folder), "--tier", "scope", "--report", str(out), *arguments]
    status = main(["check", str(tmp_path / "mine.py"), *options])
    return status, verdicts(out)


@pytest.mark.skipif(os.name != "posix", reason="the page is written for a POSIX shell")
def test_the_page_works(tmp_path: Path) -> None:
    """Every command of the page about them prints what it shows, and each file is used."""
    written, ran = run_page(PAGE, tmp_path)
    assert {Path(name).parts[0] for name in written} == {"cards", "gates.py", "mistaken"}
    assert "--cards mistaken" in ran


def test_the_card_of_the_page_is_that_of_the_example() -> None:
    """They define the same op."""
    (text,) = re.findall(r'```toml\n# cards/\w+.toml\n.*?definition = """(.*?)"""', PAGE, re.S)
    assert text.split() == (CARDS / "switch_gating.toml").read_text(encoding="utf-8").split('"""')[1].split()


def test_the_example_holds(tmp_path: Path) -> None:
    """The gate in PyTorch holds, its gradients too; with a sum that is divided in float32 it is wrong in float64."""
    pytest.importorskip("torch", reason="needs PyTorch")
    out = tmp_path / "report.jsonl"
    example = (ROOT / "examples" / "switch_gating.py").read_text(encoding="utf-8")
    arguments = ["--cards", str(CARDS), "--tier", "scope", "--report", str(out)]
    assert main(["check", str(ROOT / "examples" / "switch_gating.py"), "--tier", "transform", *arguments]) == 0
    assert {"switch_gating/def", "switch_gating/grad.logits", "switch_gating/dtype.bfloat16"} <= verdicts(out)["holds"]
    (tmp_path / "narrow.py").write_text(example.replace("chosen.to(scores.dtype).sum", "chosen.sum"), encoding="utf-8")
    assert main(["check", str(tmp_path / "narrow.py"), "--all", *arguments]) == 1
    assert verdicts(out)["wrong"] == {"switch_gating/dtype.float64"}


def test_a_right_function_holds_and_a_wrong_one_is_caught(tmp_path: Path) -> None:
    """A card may use another of the folder, and a report says which folders there were."""
    folder = cards(tmp_path / "cards", halves=HALVES, quarters=QUARTERS)
    right = "(x.astype(np.promote_types(x.dtype, np.float32)) / 4).astype(x.dtype)"
    status, found = judged(tmp_path, folder, "quarters", right)
    assert status == 0
    assert "quarters/def" in found["holds"]
    header = json.loads((tmp_path / "report.jsonl").read_text(encoding="utf-8").partition("\n")[0])
    assert header["asked"]["cards"] == [str(folder)]
    status, found = judged(tmp_path, folder, "quarters", "x / 2")
    assert status == 1
    assert found["wrong"] == {"quarters/def"}


def test_an_alias_and_a_folder_within(tmp_path: Path) -> None:
    """A function may have another name of the op, and cards may stand in folders, which are families."""
    cards(tmp_path / "cards").joinpath("numbers").mkdir()
    folder = cards(tmp_path / "cards" / "numbers", halves=HALVES).parent
    assert judged(tmp_path, folder, "halve", "x / x.dtype.type(2)")[0] == 0
    einspec.add_cards(folder)
    assert load("halve").family == "numbers"


COMMANDS = ("ops", "show", "clauses", "reference", "mutants", "vectors", "exercise", "which", "sheets")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_know_them(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What commands do with ops that einspec ships they do with these."""
    folder = cards(tmp_path / "cards", halves=HALVES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FUNCTION.format(name="f", body="x / x.dtype.type(2)"), encoding="utf-8")
    lines = {
        "ops": (["ops", "halve"], "Halve every number"),
        "show": (["show", "halves/def"], "own card"),
        "clauses": (["clauses", "halve", "--json"], '"halves/def"'),
        "reference": (["reference", "halves"], "def halves(x)"),
        "mutants": (["mutants", "halves"], "score: 100.00%"),
        "vectors": (["vectors", "out", "--op", "halves"], "of 1 ops"),
        "exercise": (["new", "exercise", "halves"], f"einspec check halves_exercise.py --cards {folder}"),
        "which": (["which", "mine.py:f"], "f: halves"),
        "sheets": (["sheets", "show", "halves"], "sheets of"),
    }
    arguments, shown = lines[command]
    assert main([*arguments, "--cards", str(folder)]) == 0
    assert shown in capsys.readouterr().out
    assert folders.listed() == ""
    assert "halves" not in paths()


def test_what_is_no_part_of_the_spec_is_not_cited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the page of a clause nor a reference cites a version of the spec for it; of what it uses they do."""
    einspec.add_cards(cards(tmp_path / "cards", shown=HALVES.replace("x[t,d] / 2", "score(x[t,d], fn='identity')")))
    assert main(["show", "shown/def"]) == 0
    assert "cite" not in capsys.readouterr().out.lower()
    assert main(["reference", "shown"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert "spec" not in first
    assert any("score, einspec spec" in line for line in rest)
    assert main(["cite", "shown"]) == 2


def test_the_same_from_python(tmp_path: Path) -> None:
    """A folder that was added is used by what is evaluated and checked, and by processes that are started."""
    folder = cards(tmp_path / "cards", halves=HALVES)
    assert einspec.add_cards(folder) == ["halves"]
    assert einspec.add_cards(folder) == ["halves"]
    assert einspec.evaluate("halves", [[2.0, 3.0]]).tolist() == [[1.0, 1.5]]
    check(lambda x: x / x.dtype.type(2), "halve", framework="numpy", tiers=["scope"])
    with pytest.raises(AssertionError, match="WRONG halves/def"):
        check(lambda x: x / x.dtype.type(3), "halves", framework="numpy", tiers=["scope"])
    assert os.environ[folders.CARDS] == str(folder)


def test_answers_are_kept_by_the_digest_of_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept of a card is not used for one of the same name that says something else."""
    monkeypatch.setenv("EINSPEC_CACHE", str(tmp_path / "cache"))
    folder, other = (cards(tmp_path / name, halves=text) for name, text in (("a", HALVES), ("b", HALVES.replace("/ 2", "* 2"))))
    assert judged(tmp_path, folder, "halves", "x / x.dtype.type(2)")[0] == 0
    assert judged(tmp_path, other, "halves", "x / x.dtype.type(2)")[0] == 1
    assert judged(tmp_path, other, "halves", "x * x.dtype.type(2)")[0] == 0
    einspec.add_cards(folder)
    before = digest("halves")
    assert {entry.current for entry in kept(sheets_directory())} == {True, False}
    os.environ[folders.CARDS] = ""
    einspec.add_cards(other)
    assert digest("halves") != before


BAD = {
    "no TOML": ("summary = \n", r":1:11: Invalid value"),
    "an unknown key": (HALVES + "[oops]\n", r":9:2: Object contains unknown field `oops`"),
    "a wrong type": (HALVES.replace('["halve"]', "3"), r":5:11: Expected `array`"),
    "a formula that cannot be read": (HALVES.replace("/ 2", "/ / 2"), r":4:\d+: "),
    "an axis that there is not": (HALVES.replace("x[t,d] / 2", "x[t,q] / 2"), r":4:24: .*axis q stands only on the right"),
    "an unknown tensor": (HALVES.replace("x[t,d] / 2", "z[t,d] / 2"), r":4:15: z is neither an input nor defined before"),
    "a table about no tensor": (HALVES + 'z = "float"\n', r":9:1: dtype.z: no such tensor"),
    "an output without an equation": (HALVES.replace("-> y: t d", "-> y: t d, z: t"), r":4:1: output z has no equation"),
    "a law without an op": (HALVES + '[laws]\ninverse = "doubles(y)"\n', r":10:\d+: laws.inverse: no op 'doubles'"),
    "a use that does not fit": (HALVES.replace("x[t,d] / 2", "position(x[t,d])"), r":4:15: position needs experts"),
    "itself": (HALVES.replace("x[t,d] / 2", "bad(x[t,d])"), r"bad uses itself: bad -> bad"),
    "an alias that is a name": (HALVES.replace("halve", "top_k"), r":5:13: aliases: 'top_k' is a name of top_k already"),
    "an alias of another": (HALVES.replace("halve", "topk"), r":5:13: aliases: 'topk' is a name of top_k already"),
    "no signature": (HALVES.replace('signature = "x: t d -> y: t d"\n', ""), r":1:1: signature: expected 'inputs -> outputs'"),
    "a signature without an arrow": (HALVES.replace("->", ""), r":3:14: signature: expected 'inputs -> outputs'"),
    "a sign in a signature": (HALVES.replace("-> y: t d", "-> y: t $"), r":3:14: signature, column 16: unexpected '\$'"),
    "an input twice": (HALVES.replace("x: t d ->", "x: t d, x: t d ->"), r":3:14: signature: x is the name of two tensors"),
    "an output named as an input": (HALVES.replace("-> y", "-> x"), r":3:14: signature: x is the name of two tensors"),
    "a condition on no size": (HALVES + '[require]\nsome = "1 <= Q"\n', r":10:9: require.some: no axis has the size Q"),
    "a size of no size": (HALVES + '[sizes]\ns = "Q"\n', r":10:6: sizes.s: no axis has the size Q"),
    "values below no size": (HALVES + '[values]\nx = "id Q"\n', r":10:9: values.x: no axis has the size Q"),
    "an order of no size": (HALVES + '[laws]\norder = "Q"\n', r":10:10: laws.order: no axis has the size Q"),
    "a division by zero": (HALVES + '[sizes]\ns = "T // 0"\n', r":10:6: 'T // 0' divides by zero"),
    "a rest by zero": (HALVES + '[require]\nsome = "T % (2 - 2) == 0"\n', r":10:9: 'T % \(2 - 2\) == 0' divides by zero"),
}
PARAMS = {
    "a default out of range": ("k", "default = 0\nmin = 1", r":11:1: params.k.default: k must be at least 1, not 0"),
    "a default of a wrong type": ("k", 'default = "s"', r":11:12: params.k.default: k must be an integer, not 's'"),
    "a default that is no choice": (
        "k",
        'choices = ["a", "b"]\ndefault = "c"',
        r":12:12: params.k.default: k must be one of a, b",
    ),
    "a value out of range": ("k", "min = 1\nvalues = [0]", r":12:1: params.k.values: k must be at least 1, not 0"),
    "the name of an input": ("x", "default = 1", r":9:9: params.x: x is a tensor of the signature"),
    "the name of an output": ("y", "default = 1", r":9:9: params.y: y is a tensor of the signature"),
    "a name that is none": ("top-k", "default = 1", r":9:9: params.top-k: top-k is no name that a keyword argument can have"),
    "two targets": ("k", 'size = "t"\nint = "n"', r":9:9: params.k: a parameter sets one thing, not size and int"),
    "no rest": ("k", 'rank = "a"', r":11:1: params.k.rank: no rest \*a in the signature"),
    "no axis beside a rest": ("k", 'axis = "t in x"', r":11:9: params.k.axis: expected 'n in x'"),
}
BAD |= {f"a parameter with {w}": (f'{HALVES}[params.{n}]\ndoc = "k"\n{text}\n', at) for w, (n, text, at) in PARAMS.items()}


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_told_with_its_place(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file, the line and the column, and what is wrong; nothing is judged, and nothing of the folder stays."""
    text, message = BAD[what]
    folder = cards(tmp_path / "cards", bad=text)
    assert main(["check", "numpy", "--op", "stack", "--cards", str(folder)]) == 2
    told = capsys.readouterr()
    place = re.escape(str(folder / "bad.toml"))
    assert re.search(rf"^einspec: {place}:.*{message.removeprefix(':')}", told.err, re.M), told.err
    assert not told.out
    with pytest.raises(CardError):
        einspec.add_cards(folder)
    assert folders.listed() == ""


def test_names_of_files(tmp_path: Path) -> None:
    """A folder must be there and hold cards, whose names are those of no other op."""
    for name, message in {
        "top_k": "einspec ships an op top_k",
        "topk": "topk is another name of top_k",
        "Halves": "an op is named by its file",
        "lambda": "an op is named by its file",
    }.items():
        folder = cards(tmp_path / f"of_{name}", **{name: HALVES})
        with pytest.raises(CardError, match=message):
            einspec.add_cards(folder)
    with pytest.raises(CardError, match="no such folder of cards"):
        einspec.add_cards(tmp_path / "nowhere")
    with pytest.raises(CardError, match="no card in this folder"):
        einspec.add_cards(cards(tmp_path / "empty"))
    one, other = cards(tmp_path / "one", halves=HALVES), cards(tmp_path / "other", halves=HALVES)
    einspec.add_cards(one)
    with pytest.raises(CardError, match=r"halves is the op of .*one/halves.toml already"):
        einspec.add_cards(other)
    assert list(paths())[-1] == "halves"


def test_a_mistake_in_a_card_that_is_used_is_told_there(tmp_path: Path) -> None:
    """Not in the card that uses it."""
    folder = cards(tmp_path / "cards", halves=HALVES.replace("x[t,d] /", "x[t] /"), a_quarter=QUARTERS)
    with pytest.raises(CardError, match=rf"^{re.escape(str(folder))}/halves.toml:4:15: x has 2 dimensions"):
        einspec.add_cards(folder)


def test_adapters_have_them(tmp_path: Path) -> None:
    """A file of adapters may have a table of such an op."""
    folder = cards(tmp_path / "cards", halves=HALVES)
    adapters = tmp_path / "mine.toml"
    adapters.write_text('framework = "numpy"\n\n[op.halves]\ncall = "x / x.dtype.type(2)"\n', encoding="utf-8")
    assert main(["check", str(adapters), "--tier", "scope", "--cards", str(folder)]) == 0
    assert main(["check", str(adapters), "--tier", "scope"]) == 1


def test_a_report_is_shown_without_the_cards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its matrix has a row for an op that is not known here."""
    judged(tmp_path, cards(tmp_path / "cards", halves=HALVES), "halves", "x / x.dtype.type(2)")
    shutil.rmtree(tmp_path / "cards")
    capsys.readouterr()
    assert main(["report", str(tmp_path / "report.jsonl")]) == 0
    assert re.search(r"│ ?halves ", capsys.readouterr().out)
