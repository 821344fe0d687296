"""The judge tells right implementations from the same with a fault of a kernel, and would be seen to fail if it did not."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from einspec import load
from einspec.card import paths
from einspec.conformance.cli import main
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge_unit
from einspec.conformance.mutation import edits, implementations
from einspec.conformance.mutation.fault import Call, Fault, Place
from einspec.conformance.mutation.faults import Cast, Overwritten, Reused, Stale, Unwritten
from einspec.conformance.mutation.faulty import FaultError, Faulty
from einspec.conformance.mutation.implementations import Assessor, chosen, rights, score
from einspec.conformance.mutation.kernels import MOST, OPERATORS, candidates, every, faults
from einspec.conformance.mutation.memory import has_layout, in_memory
from einspec.conformance.run.sheets import store
from einspec.impls import numpy as backend
from einspec.impls.adapters import numpy as adapter

SHOWN = {
    "narrow": "top_k",
    "limit": "top_k",
    "room": "expert_counts",
    "accumulate": "global_avg_pool",
    "unwritten": "one_hot",
    "wrap": "glu",
}
"""By operator, an op on which it shows; swap_hw for the others."""


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o != "way"])
def test_each_operator_is_killed_and_what_it_was_made_of_is_not(operator: str) -> None:
    """One of its mutants at least differs and is found wrong, none before it survives, and nothing accuses the function."""
    op = load(SHOWN.get(operator, "swap_hw"))
    assessor = Assessor(op, rights("numpy")[0])
    found = []
    for fault in chosen(op, [operator]):
        found.append(assessor.assess(fault))
        if found[-1].status == "killed":
            break
    assert [a.status for a in found if a.status != "equivalent"] == ["killed"], found
    assert assessor.control() == []


@pytest.mark.parametrize("detail", ["mapped", "differentiated", "compiled"])
def test_what_is_wrong_under_a_transform_alone_is_killed(detail: str) -> None:
    """PyTorch has them, NumPy has none of them: there the same mutant is equivalent, as no call can be made so."""
    op = load("matrix_transpose")
    (fault,) = (f for f in chosen(op, ["way"]) if f.detail == detail)
    (right,) = rights("torch")
    session, _ = right.mutant(op, fault)
    clauses = {"mapped": "transform.vmap", "differentiated": "grad.x", "compiled": "transform.compile"}
    context = Context(session, op, store(), shrinks=False)
    assert judge_unit(context, clauses[detail], "transform").verdict.fails
    plain = Context(right.session, op, store(), shrinks=False)
    assert not judge_unit(plain, clauses[detail], "transform").verdict.fails
    assert Assessor(op, rights("numpy")[0]).compared(fault) == (0, 0, "")


@pytest.mark.parametrize(
    ("edit", "number", "given", "made"),
    [
        (edits.tail, 2, [1, 2, 3, 4, 5], [1, 2, 3, 4, 0]),
        (edits.tail, 2, [1, 2, 3, 4], None),
        (edits.tail, 8, [1, 2, 3], None),
        (edits.twice, 2, [1, 2, 3, 4], [1, 2, 1, 2]),
        (edits.twice, 2, [1, 2, 3, 4, 5], None),
        (edits.seam, 2, [1, 2, 3, 4, 5], [1, 2, 2, 4, 4]),
        (edits.seam, 8, [1, 2], None),
        (edits.wrap, 1, [1, 2, 3, 4, 5], [1, 2, 1, 2, 1]),
        (edits.wrap, 3, [1, 2], None),
        (edits.limit, 8, [1, 3, 3, 2], [-(2**31), 3, -(2**31), -(2**31)]),
        (edits.limit, 8, [1], None),
        (edits.room, 2, [4, 1, 4, 4, 1], [4, 1, 4, -1, 1]),
        (edits.room, 3, [4, 1, 4, 4, 1], None),
        (edits.fair, 1, [0, 0, 0, 0, 0, 1], None),
        (edits.fair, 1, [0, 0, 0, 0, 0, 0, 0, 1, 2, 3], [0, 0, 0, 0, 0, 0, -1, 1, 2, 3]),
        (edits.cut, 2, [1, 5, 2], [1, 2, 2]),
        (edits.cut, 5, [1, 5, 2], None),
    ],
)
def test_edits(edit: object, number: int, given: list[int], made: list[int] | None) -> None:
    """Each does what its docstring says, and says where it does nothing."""
    lines = np.array(given, np.int32)
    assert edit(lines, number) is (made is not None)  # type: ignore[operator]
    assert lines.tolist() == (given if made is None else made)


def test_an_edit_is_made_along_an_axis_of_a_copy() -> None:
    """The tensor that was given stays; an axis that there is not is left alone."""
    x = np.arange(6).reshape(2, 3)
    (y,) = Place("y", 0, 1).edited([x], lambda lines: edits.tail(lines, 2)) or []
    assert y.tolist() == [[0, 1, 0], [3, 4, 0]]
    (y,) = Place("y", 0, None).edited([x], lambda lines: edits.tail(lines, 4)) or []
    assert y.tolist() == [[0, 1, 2], [3, 0, 0]]
    assert Place("y", 0, 2).edited([x], lambda lines: edits.tail(lines, 2)) is None
    assert Place("y", 1, 0).edited([x], lambda lines: edits.tail(lines, 2)) is None
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("layout", ["transposed", "permuted", "channels_last", "strided", "padded", "reversed", "offset"])
def test_memory_layouts_are_told_apart_and_ignored(layout: str) -> None:
    """What the adapter makes is recognised, an ordinary array is not, and what lies in memory is another order of values."""
    x = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 2, 2)
    laid = adapter.layouts(x)[layout]
    assert has_layout(laid, layout)
    assert not has_layout(x, layout)
    assert np.array_equal(in_memory(x), x)
    assert np.array_equal(in_memory(laid), x) == (layout == "offset")
    expanded = adapter.expanded(x, 0, 2)
    assert has_layout(expanded, "expanded")
    assert in_memory(expanded).shape == x.shape


def _faulty(name: str, fault: Fault) -> Faulty:
    return Faulty(getattr(backend, name), fault, load(name), adapter)


def test_faults_that_remember() -> None:
    """A stale result comes again for the same shape, and a buffer is written into; another shape is right."""
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    stale, right = _faulty("swap_hw", Stale("", "")), backend.swap_hw
    first = stale(x).copy()
    assert np.array_equal(first, right(x))
    assert np.array_equal(stale(x + 1), first)
    assert np.array_equal(stale(x[:, :1]), right(x[:, :1]))
    reused = _faulty("swap_hw", Reused())
    kept = reused(x)
    assert np.array_equal(kept, right(x))
    reused(x + 1)
    assert np.array_equal(kept, right(x + 1))
    given = x.copy()
    _faulty("swap_hw", Overwritten(Place("x", 0, None, True)))(given)
    assert np.flatnonzero(given != x).tolist() == [5]


def test_what_is_not_written_is_what_does_not_depend_on_values() -> None:
    """The zeros of padding hold something else; a zero that was given stays."""
    x = np.array([[[0.0, 1.0]]], np.float32)
    found = _faulty("pad_to_multiple", Unwritten("", ""))(x, multiple=3)
    assert found.reshape(-1).tolist() == [0, 1, 7, 7, 7, 7]
    assert backend.pad_to_multiple(x, multiple=3).reshape(-1).tolist() == [0, 1, 0, 0, 0, 0]


def test_a_cast_is_of_its_dtype_alone() -> None:
    """float32 goes through bfloat16 and back; float64 is left alone."""
    fault = Cast("through", Place("y", 0, None), "float32", "bfloat16")
    faulty = _faulty("swap_hw", fault)
    x = np.full((1, 1, 1, 1), 257.0, np.float32)
    assert faulty(x).item() == 256
    assert faulty(x).dtype == np.float32
    assert faulty(x.astype(np.float64)).item() == 257


def test_the_list_of_operators_is_closed() -> None:
    """Every operator is one of the list, all of it is used, and no op has more mutants of one than it may."""
    used = set()
    for name in paths():
        op = load(name)
        found = faults(op)
        operators = [f.operator for f in found]
        assert max(map(operators.count, operators)) <= MOST
        assert len({(f.operator, f.detail) for f in found}) == len(found) <= candidates(op)
        assert all(f.condition and f.detail for f in found)
        used |= {f.operator for f in every(op)}
    assert used == set(OPERATORS)
    with pytest.raises(ValueError, match="no operator 'tails'; there are tail, twice"):
        chosen(load("swap_hw"), ["tail", "tails"])


def test_a_fault_that_does_not_run_kills_nothing() -> None:
    """An exception of the operator is an error of the run, not a kill."""

    class Broken(Fault):
        operator, detail, condition = "tail", "x", "never"

        def made(self, call: Call, outputs: list[np.ndarray], twin: list[np.ndarray]) -> None:
            raise IndexError("a bug")

    with pytest.raises(FaultError, match=r"numpy.swap_hw~tail\(x\)"):
        Assessor(load("swap_hw"), rights("numpy")[0]).assess(Broken())


def test_a_weak_judge_lets_mutants_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing asked, what differs survives, with a call that shows it; what never differs is equivalent by evidence."""
    monkeypatch.setattr(Assessor, "killer", lambda *_: "")
    found = score("swap_hw", "numpy", ["twice", "in_place", "way"])
    assert not found.good
    by = {a.id: a for a in found.assessments}
    assert len(by) == len(found.assessments)
    twice = [a for a in by.values() if a.operator == "twice"]
    assert twice
    assert all(a.status == "survived" and "swap_hw(x[" in a.differs for a in twice)
    assert by["numpy.swap_hw~in_place(input 0)"].status == "survived"
    for name in ("in_place(input 1)", "way(compiled)", "way(mapped)"):
        one = by[f"numpy.swap_hw~{name}"]
        assert (one.status, one.reached) == ("equivalent", 0)
        assert (one.calls > 100) == name.startswith("in_place")


def test_a_clause_that_accuses_the_function_itself_spoils_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills count only if the function without a fault, run in the same way, is not killed."""
    verdict = SimpleNamespace(verdict=SimpleNamespace(fails=True))
    monkeypatch.setattr(implementations, "judge_unit", lambda *_: verdict)
    found = score("swap_hw", "numpy", ["in_place"])
    assert found.accused == ["scope def"]
    assert not found.good


def test_the_command_judges_implementations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numpy when no other is named, ops behind it, the same report as of formulas; what cannot be is said."""
    few = lambda names, name, _: (score(n, name, ["in_place"]) for n in names)  # noqa: E731  # stands for one function
    monkeypatch.setattr(implementations, "scores", few)
    assert main(["mutants", "--implementations", "channel_to_pixel", "--json", str(tmp_path / "m.json")]) == 0
    out = capsys.readouterr().out
    assert f"2 mutants of 1 ops (at most {MOST} an operator, of " in out
    assert "1 equivalent, 1 of 1 killed\nscore: 100.00%" in out
    (one, other) = json.loads((tmp_path / "m.json").read_text())["pixel_shuffle"]["mutants"]
    assert (one["id"], one["by"]) == ("numpy.pixel_shuffle~in_place(input 0)", "scope pure")
    assert (other["status"], other["reached"]) == ("equivalent", 0)
    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\n\n\ndef matrix_transpose(x):\n    return np.swapaxes(x, -1, -2)\n")
    assert main(["mutants", "--implementations", "--list", str(file)]) == 0
    assert "\nmine.py.matrix_transpose~strides(x, transposed)\n    x is transposed" in capsys.readouterr().out
    for wrong, said in (
        (["numpy", "torch"], "one implementation at a time"),
        (["--vectors"], "golden vectors have no implementation"),
        ([str(file), "top_k"], "has no top_k"),
        (["nothing.py"], "no file nothing.py"),
    ):
        assert main(["mutants", "--implementations", *wrong]) == 2
        assert said in capsys.readouterr().err
