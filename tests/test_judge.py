"""The judge catches wrong functions by the clause that is meant for them, and accuses no right one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from judged import bad, opened, results, session, worst

from einspec import load
from einspec.clauses import clause_ids as clauses
from einspec.conformance.judge.verdict import Result, Verdict

SHUFFLES = Path(__file__).parent / "functions" / "pixel_shuffles.py"
BACKEND = "from einspec.impls.adapters.numpy import *\n"
"""What makes a file a backend, which promises the whole card."""


def shuffled(name: str, *only: str) -> dict[str, Result]:
    """Return the worst result of every clause of one of the functions, or of those clauses that are named."""
    return worst(session(SHUFFLES, {"pixel_shuffle": name}), only=only or None)


@pytest.mark.parametrize("name", ["shuffle", "another_name"])
def test_a_right_function_is_not_accused(name: str) -> None:
    """A natural implementation holds in every clause, under whatever name it takes its parameter."""
    assert bad(shuffled(name)) == set()


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("depth_first", "def"),
        ("swapped_inside", "def"),
        ("truncating", "err.divides.x.1"),
        ("mutating", "pure"),
        ("one_hot", "nan"),
        ("ignoring_strides", "layout.transposed"),
        ("narrow_index", "def"),
        ("empty_refusing", "empty"),
        ("unstable", "repeat"),
        ("a_list", "def"),
    ],
)
def test_a_wrong_function_is_caught_by_its_clause(name: str, clause: str) -> None:
    """Each wrong function fails the clause that is meant for its kind of mistake."""
    assert bad(shuffled(name, clause)) == {f"pixel_shuffle/{clause}"}


def test_a_result_of_another_dtype_is_told_apart_from_its_values() -> None:
    """The values of float16 hold, and that they come as float32 is wrong."""
    found = shuffled("upcasting")
    assert bad(found) == {"pixel_shuffle/result.dtype"}
    assert "y: float32 instead of float16" in found["pixel_shuffle/result.dtype"].reason


def test_other_ranks_are_not_rejected_by_demand_in_a_file(tmp_path: Path) -> None:
    """A file of functions may take more ranks than the card, a backend may not."""
    generous = "def global_max_pool(x):\n    return x.max((-2, -1))\n"
    assert bad(worst(opened(tmp_path, f"import numpy\n{generous}"))) == set()
    strict = opened(tmp_path, BACKEND + generous, "backend.py")
    assert bad(worst(strict, only=["err.rank.x", "def"])) == {"global_max_pool/err.rank.x"}


def test_calls_that_a_file_may_accept_show_nothing(tmp_path: Path) -> None:
    """One that takes vectors alone, and unequal ranks, accepts nothing that it must reject: there is nothing that holds."""
    source = """
import numpy as np
def concat(xs, axis=0):
    ranks = {x.ndim for x in xs}
    if len(ranks) == 1 and max(ranks) > 1:
        raise NotImplementedError("vectors alone")
    return np.concatenate([x.reshape(-1) for x in xs])
"""
    found = worst(opened(tmp_path, source), only=["err.rank.xs"])["concat/err.rank.xs"]
    assert found.verdict is Verdict.NOT_RUN
    assert "may accept more than the card" in found.reason


def test_the_witness_is_the_smallest_and_tells_everything() -> None:
    """The witness of a wrong order has two output channels, a factor of two, and all parts that a reader needs."""
    witness = shuffled("depth_first", "def")["pixel_shuffle/def"].witness
    assert witness is not None
    assert "x[8, 1, 1]" in witness["call"]
    assert {"formula", "signature", "inputs", "expected", "got", "difference", "script"} <= set(witness)


def test_a_missing_choice_is_refused_not_wrong(tmp_path: Path) -> None:
    """A file that offers only the default of a string parameter is not accused, and it is said how much was judged."""
    found = worst(opened(tmp_path, "import numpy\ndef swap_hw(x):\n    return x.swapaxes(2, 3)\n"))
    assert bad(found) == set()
    assert found["swap_hw/def"].verdict is Verdict.REFUSED
    assert "1 of 2 values of layout judged: nchw" in found["swap_hw/def"].reason


MEAN_IN_HALF = """
import numpy as np
def global_avg_pool(x):
    total = np.zeros(x.shape[:2], x.dtype)
    for i, j in np.ndindex(x.shape[2:]):
        total = (total + x[:, :, i, j]).astype(x.dtype)
    return (total / np.asarray(x.shape[2] * x.shape[3], x.dtype)).astype(x.dtype)
"""
MAXIMUM_WITHOUT_NAN = """
import numpy as np
def global_max_pool(x):
    return np.fmax.reduce(np.fmax.reduce(x, 3), 2)
"""


@pytest.mark.parametrize(
    ("source", "clause"), [(MEAN_IN_HALF, "global_avg_pool/dtype.float16"), (MAXIMUM_WITHOUT_NAN, "global_max_pool/nan")]
)
def test_wrong_numbers_are_caught(source: str, clause: str, tmp_path: Path) -> None:
    """Summing in float16 loses more than the bound allows, and np.fmax is not the maximum of the card."""
    assert bad(worst(opened(tmp_path, source), only=[clause.partition("/")[2]])) == {clause}


SCALED = """
import torch
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.mT.clone()
    @staticmethod
    def backward(ctx, grad):
        return 2 * grad.mT
def matrix_transpose(x):
    return {}
"""


@pytest.mark.parametrize(("result", "wrong"), [("x.mT", set()), ("Scaled.apply(x)", {"matrix_transpose/grad.x"})])
def test_a_wrong_gradient_is_caught(result: str, wrong: set[str], tmp_path: Path) -> None:
    """A scaled backward has the right values and the wrong gradient."""
    pytest.importorskip("torch", reason="needs PyTorch")
    found = bad(worst(opened(tmp_path, SCALED.format(result)), only=["def", "grad.x"]))
    assert found == wrong


TRACED = """
import jax
def matrix_transpose(x):
    y = x.swapaxes(-1, -2)
    return y + 1 if isinstance(x, jax.core.Tracer) and y.dtype == "float32" else y
"""


def test_wrong_under_jit_only_is_caught(tmp_path: Path) -> None:
    """A function that looks at whether it is traced fails what is judged under jit."""
    pytest.importorskip("jax", reason="needs JAX")
    found = bad(worst(opened(tmp_path, TRACED), only=["transform.jit", "transform.eager"]))
    assert found == {"matrix_transpose/transform.jit"}


def test_every_kind_of_invalid_call_has_its_clause() -> None:
    """Divisors, ranks, least values and types of parameters are all asked of a backend."""
    found = clauses(load("pixel_shuffle"))
    for clause in ("err.divides.x.1", "err.rank.x", "err.param.upscale_factor", "err.type.upscale_factor"):
        assert clause in found, found


def test_clause_ids_are_unique_and_cover_every_promise() -> None:
    """Every op has its definition, dtypes, errors and laws among its clauses, each once."""
    found = clauses(load("unfold"))
    assert len(found) == len(set(found))
    for clause in ("def", "empty", "dtype.float32", "err.require.height", "err.param.stride", "law.adjoint", "grad.x"):
        assert clause in found, found


@pytest.mark.parametrize("name", ["my-ops.py", "wr\u00f6ng file.py", "class.py"])
def test_the_script_of_a_file_whose_name_is_no_identifier_runs(name: str, tmp_path: Path) -> None:
    """A hyphen, a space or a word of Python: the script still finds the function, and fails as it should."""
    source = "import numpy\ndef merge_heads(x):\n    return x.reshape(x.shape[0], x.shape[2], -1)\n"
    found = worst(opened(tmp_path, source, name), only=["def"], tiers=("scope",))["merge_heads/def"]
    assert found.verdict is Verdict.WRONG
    assert found.witness is not None
    done = subprocess.run([sys.executable, "-c", found.witness["script"]], capture_output=True, text=True, cwd="/")
    assert "AssertionError" in done.stderr, done.stderr


def test_the_script_of_a_bounded_result_judges_as_the_judge_does(tmp_path: Path) -> None:
    """A small element that is wrong fails it, beside large ones of larger bounds; mended, NaN and all, it passes."""
    wrong = "np.where(np.abs(y) < 0.25, y * 1.0001, y)"
    source = (
        "import numpy as np\ndef score(logits, fn='softmax'):\n    if fn != 'softmax':\n        raise NotImplementedError(fn)\n"
    )
    source += "    x = logits.astype(np.result_type(logits.dtype, np.float32))\n    with np.errstate(all='ignore'):\n"
    source += "        y = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))\n        y = y / y.sum(1, keepdims=True)\n"
    found = results(opened(tmp_path, f"{source}    return {wrong}\n"), "score")
    scripts = [r.witness["script"] for r in found if r.witness and r.witness.get("script")]
    assert len(scripts) > 3
    for text, status in ((wrong, 1), ("y", 0)):
        (tmp_path / "mine.py").write_text(f"{source}    return {text}\n", encoding="utf-8")
        done = [subprocess.run([sys.executable, "-c", s], capture_output=True, text=True, check=False) for s in scripts]
        assert {d.returncode for d in done} == {status}, [d.stderr for d in done]


def test_a_code_generator_is_asked_in_its_own_tier_alone(tmp_path: Path) -> None:
    """What is wrong for a second shape or in other memory once it was generated is seen there, and in no tier by default."""
    source = (
        BACKEND
        + """
def remembered(function):
    shapes, strides = [], []
    def call(x):
        shapes.append(x.shape), strides.append(x.strides)
        y = function(x)
        return np.zeros_like(y) if {kept}[0] != {kept}[-1] else y
    return call

transforms = {{"compile": lambda fn: fn, "codegen": remembered}}
def matrix_transpose(x): return np.swapaxes(x, -1, -2).copy()
"""
    )
    for kept, how in (("shapes", "then of another shape"), ("strides", "then transposed in memory")):
        target = opened(tmp_path, source.format(kept=kept), f"{kept}.py")
        clause = ["transform.compile"]
        assert [r.verdict for r in results(target, "matrix_transpose", clause)] == ["holds"]
        (result,) = results(target, "matrix_transpose", clause, tiers=("compile",))
        assert result.verdict == "wrong"
        assert how in (result.witness or {})["how"]
