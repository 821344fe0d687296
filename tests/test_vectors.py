"""Golden vectors: what is written, that it kills what the scope tier kills, and that outputs are judged by it."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

import einspec
from einspec.conformance.cli import main
from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.mutation.score import score
from einspec.conformance.targets.recorded import DTYPES, ERROR, RecordedSession, read_tensors
from einspec.conformance.vectors import vectors
from einspec.conformance.vectors.folder import INDEX, write
from einspec.conformance.vectors.schema import schema
from einspec.conformance.vectors.verify import OpSummary, verify
from einspec.dtypes import numpy_dtype

READER = Path(__file__).parent.parent / "examples" / "position_vectors.mjs"
NAMES = ("position", "z_loss", "concat", "top_k")
"""Ops with a choice of forms, with bounds, with lists and with many dtypes."""
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the vectors of a few ops."""
    folder = tmp_path_factory.mktemp("vectors")
    write(folder, NAMES[:3])
    write(folder, NAMES)
    return folder


def index_of(folder: Path) -> dict[str, Any]:
    """Return the index of a folder of vectors."""
    found: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return found


def parameter(value: Any) -> Any:
    """Return a parameter from its JSON."""
    if isinstance(value, list):
        return tuple(value)
    return float(value) if value in ("inf", "-inf") else Fraction(value) if isinstance(value, str) and "/" in value else value


def computed(folder: Path, name: str) -> dict[str, Any]:
    """Return what the NumPy implementation gives for every case of an op, from the files alone."""
    op = index_of(folder)["ops"][name]
    given, found = read_tensors(folder / op["file"]), {}
    function = getattr(importlib.import_module("einspec.impls.numpy"), name)
    for case in op["cases"]:
        form = op["forms"].get(case["params"].get(op["choice"], ""), next(iter(op["forms"].values())))
        params = {k: parameter(v) for k, v in case["params"].items()}
        try:
            results = function(*(_input(given, form, case, n) for n in form["inputs"]), **params)
        except (ValueError, TypeError) as error:
            found[f"{case['id']}/{ERROR}"] = np.frombuffer(str(error).encode(), np.uint8)
            continue
        for output, result in zip(form["outputs"], results if len(form["outputs"]) > 1 else [results], strict=True):
            found[f"{case['id']}/{output}"] = np.array(np.stack(result) if output in form["lists"] else result, order="C")
    return found


def _input(given: dict[str, Any], form: dict[str, Any], case: dict[str, Any], name: str) -> Any:
    if "rejects" not in case:
        array = given[f"{case['id']}/{name}"]
        return list(array) if name in form["lists"] else array
    shape, dtype = case["inputs"][name]["shape"], numpy_dtype(case["inputs"][name]["dtype"])
    return [np.ones(s, dtype) for s in shape] if name in form["lists"] else np.ones(shape, dtype)


@pytest.fixture(scope="module")
def right(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with right outputs."""
    folder = tmp_path_factory.mktemp("outputs")
    for name in NAMES:
        save_file(computed(golden, name), folder / f"{name}.safetensors")
    return folder


def changed(right: Path, folder: Path, name: str, change: Change) -> Path:
    """Return a folder with the outputs of one op, after a change."""
    found = read_tensors(right / f"{name}.safetensors")
    change(found)
    (folder / f"{name}.safetensors").write_bytes(save(found))
    return folder


def summary_of(golden: Path, outputs: Path, name: str) -> OpSummary:
    """Return what became of the cases of one op."""
    (found,) = verify(golden, outputs, [name])
    return found


def test_a_right_implementation_holds(golden: Path, right: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outputs computed from the files alone pass, calls that must be rejected among them."""
    assert main(["verify", str(golden), str(right)]) == 0
    assert "4 of 4 ops hold" in capsys.readouterr().out
    assert all(
        f"{case['id']}/{ERROR}" in computed(golden, "position") for case in _cases(golden, "position") if "rejects" in case
    )


def _cases(golden: Path, name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = index_of(golden)["ops"][name]["cases"]
    return cases


def test_vectors_are_the_same_bytes_again(golden: Path, tmp_path: Path) -> None:
    """Runs in other processes write the same files; a folder that holds other ops is not touched."""
    shutil.copytree(golden, tmp_path / "full")
    command = [sys.executable, "-m", "einspec.conformance.cli", "vectors", str(tmp_path / "again")]
    done = subprocess.run([*command, "--op", "position", "--op", "z_loss"], capture_output=True, text=True, timeout=300)
    refused = subprocess.run([*command[:-1], str(tmp_path / "full"), "--op", "position"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "name another folder" in refused.stderr
    assert {p.name for p in (tmp_path / "full").iterdir()} == {p.name for p in golden.iterdir()}
    assert done.returncode == 0, done.stderr
    assert "cases of 2 ops" in done.stdout
    assert {p.name for p in (tmp_path / "again").iterdir()} == {"index.json", "position.safetensors", "z_loss.safetensors"}
    for name in NAMES[:2]:
        assert (tmp_path / "again" / f"{name}.safetensors").read_bytes() == (golden / f"{name}.safetensors").read_bytes()
    write(tmp_path / "again", NAMES)
    assert {p.name: p.read_bytes() for p in golden.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()
    }


def test_the_index_fits_its_schema(golden: Path) -> None:
    """The index validates, every id is unique, and a case that lacks a rule does not validate."""
    index = index_of(golden)
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(index, schema())
    for op in index["ops"].values():
        assert len({case["id"] for case in op["cases"]}) == len(op["cases"])
    del index["ops"]["z_loss"]["cases"][0]["outputs"][
        "loss" if "loss" in index["ops"]["z_loss"]["cases"][0]["outputs"] else "y"
    ]
    index["ops"]["z_loss"]["cases"][0]["outputs"] = {"y": {"dtype": "float32"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(index, schema())


def test_every_dtype_of_the_card_is_there(golden: Path) -> None:
    """An op of all dtypes has a case for each that the format can hold, and the index names those that are left out."""
    op = index_of(golden)["ops"]["concat"]
    stored = {v.dtype.name for v in read_tensors(golden / op["file"]).values()}
    assert stored == set(vectors.STORED) == set(DTYPES.values())
    assert "dtype.complex128" in op["left_out"]
    assert {"bits"} == {o["rule"] for c in op["cases"] for o in c.get("outputs", {}).values()}
    rules = {o["rule"] for c in index_of(golden)["ops"]["z_loss"]["cases"] for o in c.get("outputs", {}).values()}
    assert rules == {"bound", "values"}


def test_the_files_are_read_by_the_library(golden: Path) -> None:
    """The reader of safetensors itself gives the same arrays where NumPy has the dtypes."""
    theirs, ours = load_file(golden / "position.safetensors"), read_tensors(golden / "position.safetensors")
    assert theirs.keys() == ours.keys()
    assert all(np.array_equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize("name", ["position", "fold", "top_k", "group_mask", "score"])
def test_the_vectors_kill_every_mutant(name: str) -> None:
    """Every mutant of the formula that is not equal to the op is told from it by the vectors alone."""
    found = score(name, golden=vectors.golden)
    assert found.good
    assert found.count("killed") > 5
    assert {a.by for a in found.assessments} == {"vectors", ""} or not found.count("equivalent")


def test_calls_are_chosen_for_the_mutants_that_others_let_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them some survive and the score is not good; with them each of those is killed."""
    with monkeypatch.context() as patched:
        patched.setattr(vectors, "killing", lambda *_: ())
        without = score("group_mask", golden=vectors.golden)
    survived = {a.id for a in without.assessments if a.status == "survived"}
    assert survived
    assert not without.good
    found = score("group_mask", golden=vectors.golden)
    assert found.good
    assert survived <= {a.id for a in found.assessments if a.status == "killed"}


def flipped(found: dict[str, Any], key: str) -> None:
    """Flip the lowest bit of the first element of an output."""
    array = found[key].copy()
    array.reshape(-1).view(np.uint8)[0] ^= 1
    found[key] = array


def first(golden: Path, name: str, clause: str = "def") -> str:
    """Return the output of the first case of a clause that is not empty."""
    given = read_tensors(golden / f"{name}.safetensors")
    keys = (f"{c['id']}/{o}" for c in _cases(golden, name) if c["id"].startswith(f"{clause}-") for o in c["outputs"])
    return next(key for key in keys if given[key].size > 1)


def test_one_flipped_bit_is_found(golden: Path, right: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit of one element fails, and the failure shows formula, inputs, expected and got."""
    key = first(golden, "position")
    outputs = changed(right, tmp_path, "position", lambda found: flipped(found, key))
    assert main(["verify", str(golden), str(outputs), "--op", "position"]) == 1
    shown = capsys.readouterr().out
    assert "1 wrong, 0 missing" in shown
    for part in (
        "WRONG position/def",
        f"demanded: {einspec.clauses('position')['def']}",
        "formula: before[t,k]",
        "index: np.",
        "expected position",
        "got position",
        "first at",
        key[:12],
    ):
        assert part in shown


def test_what_goes_wrong_is_counted(golden: Path, right: Path, tmp_path: Path) -> None:
    """Another dtype or shape, NaN, a value beyond its bound, a case or an output that is missing or unknown: all are found."""
    key, many = first(golden, "position"), first(golden, "top_k", "dtype.bfloat16")
    loss = next(
        f"{c['id']}/{o}" for c in _cases(golden, "z_loss") for o, how in c.get("outputs", {}).items() if how["rule"] == "bound"
    )
    changes: list[tuple[str, Change, tuple[int, int, int]]] = [
        ("position", lambda f: f.update({key: f[key].astype(np.int64)}), (1, 0, 0)),
        ("position", lambda f: f.update({key: f[key].T.copy()[..., None]}), (1, 0, 0)),
        ("position", lambda f: f.pop(key), (0, 1, 0)),
        ("position", lambda f: f.update({"def-00000000/position": f[key]}), (0, 0, 1)),
        ("position", lambda f: f.pop(f"err.rank.index/{ERROR}"), (0, 1, 0)),
        ("position", lambda f: f.update({"err.rank.index/position": f[key]}), (1, 0, 0)),
        ("position", lambda f: f.update({f"{key.partition('/')[0]}/{ERROR}": np.zeros(0, np.uint8)}), (1, 0, 0)),
        ("z_loss", lambda f: f.update({loss: np.full_like(f[loss], np.nan)}), (1, 0, 0)),
        ("z_loss", lambda f: f.update({loss: np.asarray(f[loss] * 1.01 + 0.01, np.float32)}), (1, 0, 0)),
        ("top_k", lambda f: f.pop(many), (1, 0, 0)),
    ]
    for name, change, counts in changes:
        found = summary_of(golden, changed(right, tmp_path, name, change), name)
        wrong, missing = found.verdicts[Verdict.WRONG], found.verdicts[Verdict.NOT_RUN]
        assert (wrong, missing, len(found.unknown)) == counts, (name, counts)
        assert not found.passed
        assert found.verdicts[Verdict.HOLDS] == len(_cases(golden, name)) - wrong - missing


def test_files_that_are_not_there_or_no_safetensors(
    golden: Path, right: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file and one that is cut off fail their ops alone; a file of no op is named; nothing passes in silence."""
    shutil.copytree(right, tmp_path / "outputs")
    outputs = tmp_path / "outputs"
    (outputs / "concat.safetensors").unlink()
    (outputs / "top_k.safetensors").write_bytes((right / "top_k.safetensors").read_bytes()[:-1])
    (outputs / "topk.safetensors").write_bytes(save({}))
    assert main(["verify", str(golden), str(outputs)]) == 1
    shown = capsys.readouterr().out
    for part in ("no file", "is no safetensors file", "topk.safetensors: there are no vectors", "2 of 4 ops hold"):
        assert part in shown
    assert main(["verify", str(golden), str(outputs), "--op", "position"]) == 0


def test_recorded_outputs_are_outcomes(tmp_path: Path) -> None:
    """A case has the outputs that were written, an error where one was, and nothing where neither was."""
    said = np.frombuffer(b"no such axis", np.uint8)
    save_file({"a/y": np.ones(2, np.float32), "b/error": said, "c/error": np.zeros(1, np.float32)}, tmp_path / "op.safetensors")
    session = RecordedSession(tmp_path / "op.safetensors")
    came = session.outcome("a", ["y", "z"])
    assert came is not None
    assert came.error is None
    assert list(came.outputs) == ["y"]
    errors = [session.outcome(case, ["y"]) for case in ("b", "c")]
    assert [e.error.text for e in errors if e and e.error] == ["no such axis", ""]
    assert session.outcome("d", ["y"]) is None
    assert session.unknown(["a/y", "b/error"]) == ["c/error"]
    assert "no file" in RecordedSession(tmp_path / "other.safetensors").problem


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "{golden}", "{golden}/nowhere"], "no folder"),
        (["verify", "{right}", "{right}"], "no index.json"),
        (["verify", "{golden}", "{right}", "--op", "gate"], "holds no vectors of gate"),
        (["verify", "{golden}", "{right}", "--op", "gaet"], "did you mean gate"),
        (["vectors", "{golden}/index.json"], "is a file"),
        (["vectors", "{golden}", "--shard", "1/50"], "name another folder"),
    ],
)
def test_what_cannot_be_done_says_so(
    arguments: list[str], message: str, golden: Path, right: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage ends with status 2 and a message that says what to do."""
    assert main([a.format(golden=golden, right=right) for a in arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda case: case["outputs"]["position"].update(rule="close"), "has the unknown rule 'close'"),
        (lambda case: case["outputs"]["position"].update(rule="bound"), "has no tensor"),
        (lambda case: case["outputs"].update(other={"rule": "bits", "dtype": "int32"}), "/other; write"),
        (lambda case: case["outputs"]["position"].pop("rule"), "einspec schema vectors"),
        (lambda case: case.pop("id"), "einspec schema vectors"),
    ],
)
def test_a_damaged_index_judges_nothing(
    damage: Callable[[dict[str, Any]], Any], message: str, golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the index says of a case has to be whole before any output is judged."""
    shutil.copytree(golden, tmp_path / "vectors")
    index = index_of(golden)
    damage(index["ops"]["position"]["cases"][0])
    (tmp_path / "vectors" / INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert main(["verify", str(tmp_path / "vectors"), str(golden), "--op", "position"]) == 2
    assert message in capsys.readouterr().err


def run_reader(golden: Path, outputs: Path, program: Path) -> subprocess.CompletedProcess[str]:
    """Run the reader with node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    return subprocess.run([node, str(program), str(golden), str(outputs)], capture_output=True, text=True, timeout=120)


def test_the_reader_needs_no_python(golden: Path, tmp_path: Path) -> None:
    """The JavaScript judges itself, and what it writes holds here too; it has 60 lines at most."""
    done = run_reader(golden, tmp_path, READER)
    count = len(_cases(golden, "position"))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{count} of {count} cases hold\n", "")
    assert summary_of(golden, tmp_path, "position").passed
    assert len(READER.read_text(encoding="utf-8").splitlines()) <= 60


def test_the_reader_refuses_another_format(golden: Path, tmp_path: Path) -> None:
    """It judges nothing and says which format it reads."""
    shutil.copytree(golden, tmp_path / "vectors")
    text = (golden / INDEX).read_text(encoding="utf-8").replace('"format": 1', '"format": 9')
    (tmp_path / "vectors" / INDEX).write_text(text, encoding="utf-8")
    done = run_reader(tmp_path / "vectors", tmp_path / "outputs", READER)
    assert done.returncode == 1
    assert "of format 9, this program reads format 1" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("right_text", "wrong_text"),
    [("(i % K) * T", "(i % K) * K"), ("0 <= expert && ", ""), ("?? -1) + 1", "?? 0) + 1"), ("x.shape.length !== 2 ||", "")],
)
def test_a_wrong_reader_is_found_by_both(right_text: str, wrong_text: str, golden: Path, tmp_path: Path) -> None:
    """A mistake in the JavaScript fails there and here, with as many cases."""
    text = READER.read_text(encoding="utf-8")
    assert text.count(right_text) == 1
    program = tmp_path / "wrong.mjs"
    program.write_text(text.replace(right_text, wrong_text), encoding="utf-8")
    done = run_reader(golden, tmp_path / "outputs", program)
    found = summary_of(golden, tmp_path / "outputs", "position")
    assert done.returncode == 1
    assert found.verdicts[Verdict.WRONG] == len(done.stdout.partition("hold")[2].split()) > 0
