"""The judge catches wrong functions by the clause that is meant for them, and accuses no right one."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from einspec import load
from einspec.conformance.clauses import clauses, judge
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Session
from einspec.conformance.targets import Target, find


def judged(functions: dict[str, Callable[..., Any]], framework: str = "numpy", bare: bool = True) -> dict[str, Result]:
    """Return the worst result of every clause of every function, the first of equals, by full clause id."""
    adapter = importlib.import_module(f"einspec.impls.{framework}")
    session = Session(Target("mine", adapter, functions, "", bare), "cpu")
    found: dict[str, Result] = {}
    for op in functions:
        for result in judge(Context(session, load(op))):
            before = found.setdefault(result.clause, result)
            if not bad({"": before}) and bad({"": result}):
                found[result.clause] = result
    assert found
    return found


def bad(results: dict[str, Result]) -> set[str]:
    """Return the ids of the clauses that are wrong or errored."""
    return {clause for clause, r in results.items() if r.verdict in ("wrong", "errored")}


def shuffle(x: Any, upscale_factor: int) -> Any:
    """Compute pixel_shuffle as its card says."""
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    if c % (r * r):
        raise ValueError("channels do not divide")
    y = x.reshape(*lead, c // (r * r), r, r, h, w)
    return y.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2).reshape(*lead, c // (r * r), h * r, w * r)


def test_a_right_function_is_not_accused() -> None:
    """A natural implementation holds in every clause."""
    assert bad(judged({"pixel_shuffle": shuffle})) == set()


def dcr(x: Any, upscale_factor: int) -> Any:
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    y = x.reshape(*lead, r, r, c // (r * r), h, w)
    return y.transpose(*range(n), n + 2, n + 3, n, n + 4, n + 1).reshape(*lead, c // (r * r), h * r, w * r)


def swapped_inside(x: Any, upscale_factor: int) -> Any:
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    y = x.reshape(*lead, c // (r * r), r, r, h, w)
    return y.transpose(*range(n), n, n + 3, n + 2, n + 4, n + 1).reshape(*lead, c // (r * r), h * r, w * r)


def truncating(x: Any, upscale_factor: int) -> Any:
    keep = x.shape[-3] // upscale_factor**2 * upscale_factor**2
    return shuffle(x[..., :keep, :, :], upscale_factor)


def mutating(x: Any, upscale_factor: int) -> Any:
    y = shuffle(x, upscale_factor).copy()
    if x.flags.writeable and x.size:
        x.reshape(-1)[0] = 0
    return y


def upcasting(x: Any, upscale_factor: int) -> Any:
    y = shuffle(x, upscale_factor)
    return y.astype(np.float32) if y.dtype == np.float16 else y


def one_hot(x: Any, upscale_factor: int) -> Any:
    flat = x.reshape(-1)
    order = shuffle(np.arange(x.size).reshape(x.shape), upscale_factor)
    if x.size == 0 or x.size > 4000 or x.dtype.kind != "f":
        return shuffle(x, upscale_factor)
    return (np.eye(x.size, dtype=x.dtype)[order.reshape(-1)] @ flat).reshape(order.shape)


def ignoring_strides(x: Any, upscale_factor: int) -> Any:
    return shuffle(np.ravel(x, order="K").reshape(x.shape), upscale_factor)


def narrow_index(x: Any, upscale_factor: int) -> Any:
    order = shuffle(np.arange(x.size).reshape(x.shape), upscale_factor).astype(np.int16)
    return x.reshape(-1)[order]


def empty_refusing(x: Any, upscale_factor: int) -> Any:
    if x.size == 0:
        raise ValueError("empty")
    return shuffle(x, upscale_factor)


calls = itertools.count()


def unstable(x: Any, upscale_factor: int) -> Any:
    y = shuffle(x, upscale_factor).copy()
    if next(calls) % 2 and y.size:
        y.reshape(-1)[0] += 1
    return y


def a_list(x: Any, upscale_factor: int) -> Any:
    return shuffle(x, upscale_factor).tolist()


@pytest.mark.parametrize(
    ("function", "clause"),
    [
        (dcr, "def"),
        (swapped_inside, "def"),
        (truncating, "err.divides.x.1"),
        (mutating, "pure"),
        (upcasting, "dtype.float16"),
        (one_hot, "nan"),
        (ignoring_strides, "layout.transposed"),
        (narrow_index, "def"),
        (empty_refusing, "empty"),
        (unstable, "repeat"),
        (a_list, "def"),
    ],
)
def test_a_wrong_function_is_caught_by_its_clause(function: Callable[..., Any], clause: str) -> None:
    """Each wrong function fails the clause that is meant for its kind of mistake."""
    found = judged({"pixel_shuffle": function})
    wrong = {c.removeprefix("pixel_shuffle/") for c in bad(found)}
    assert clause in wrong, wrong


def test_other_ranks_are_not_rejected_by_demand_in_a_file() -> None:
    """A file of functions may take more ranks than the card, a backend may not."""
    generous = {"global_max_pool": lambda x: x.max((-2, -1))}
    assert bad(judged(generous)) == set()
    assert any("err.rank" in clause for clause in bad(judged(generous, bare=False)))


def test_the_witness_is_the_smallest_and_tells_everything() -> None:
    """The witness of a wrong order has two output channels, a factor of two, and all parts that a reader needs."""
    witness = judged({"pixel_shuffle": dcr})["pixel_shuffle/def"].witness
    assert witness is not None
    assert "x[8, 1, 1]" in witness["call"]
    assert {"formula", "signature", "inputs", "expected", "got", "difference", "script"} <= set(witness)


def test_a_parameter_under_another_name_goes_by_position() -> None:
    """A function that calls the factor r is judged all the same."""
    assert bad(judged({"pixel_shuffle": lambda x, r: shuffle(x, r)})) == set()


def test_a_missing_choice_is_refused_not_wrong() -> None:
    """A file that offers only the default of a string parameter is not accused."""

    def swap(x: Any) -> Any:
        return x.swapaxes(2, 3)

    found = judged({"swap_hw": swap})
    assert bad(found) == set()
    assert found["swap_hw/def"].verdict == "refused"


def test_an_average_in_half_precision_is_caught() -> None:
    """Summing in float16 loses more than the bound allows."""

    def pool(x: Any) -> Any:
        total = np.zeros(x.shape[:2], x.dtype)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                total = (total + x[:, :, i, j]).astype(x.dtype)
        return (total / np.asarray(x.shape[2] * x.shape[3], x.dtype)).astype(x.dtype)

    assert "global_avg_pool/dtype.float16" in bad(judged({"global_avg_pool": pool}))


def test_a_maximum_that_drops_nan_is_caught() -> None:
    """np.nanmax is not the maximum of the card."""

    def pool(x: Any) -> Any:
        return np.fmax.reduce(np.fmax.reduce(x, 3), 2)

    assert "global_max_pool/nan" in bad(judged({"global_max_pool": pool}))


def test_a_wrong_gradient_is_caught() -> None:
    """A detached copy has the right values and no gradient; a scaled backward has the wrong one."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")

    class Scaled(torch.autograd.Function):  # type: ignore[misc]  # torch is Any here
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.mT.clone()

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return 2 * grad.mT

    assert bad(judged({"matrix_transpose": lambda x: x.mT}, "torch")) == set()
    assert "matrix_transpose/grad.x" in bad(judged({"matrix_transpose": Scaled.apply}, "torch"))


def test_wrong_under_jit_only_is_caught() -> None:
    """A function that looks at whether it is traced fails what is judged under jit."""
    jax = pytest.importorskip("jax", reason="needs JAX")

    def transpose(x: Any) -> Any:
        y = x.swapaxes(-1, -2)
        return y + 1 if isinstance(x, jax.core.Tracer) and y.dtype == "float32" else y

    found = bad(judged({"matrix_transpose": transpose}, "jax"))
    assert "matrix_transpose/transform.jit" in found
    assert "matrix_transpose/transform.eager" not in found


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


def test_the_script_of_a_file_whose_name_is_no_identifier_runs(tmp_path: Path) -> None:
    """A hyphen, a space or a word of Python: the script still finds the function, and fails as it should."""
    for name in ("my-ops.py", "wr\u00f6ng file.py", "class.py"):
        path = tmp_path / name
        path.write_text("def merge_heads(x):\n    return x.reshape(x.shape[0], x.shape[2], -1)\n", encoding="utf-8")
        (target,) = find(str(path))
        result = next(r for r in judge(Context(Session(target, "cpu"), load("merge_heads"), tiers=("scope",)), ["def"]))
        assert result.verdict == "wrong"
        assert result.witness is not None
        done = subprocess.run([sys.executable, "-c", result.witness["script"]], capture_output=True, text=True, cwd="/")
        assert "AssertionError" in done.stderr, done.stderr


def test_the_script_of_a_bounded_result_judges_as_the_judge_does(tmp_path: Path) -> None:
    """A small element that is wrong fails it, beside large ones of larger bounds; mended, NaN and all, it passes."""
    wrong = "np.where(np.abs(y) < 0.25, y * 1.0001, y)"
    source = (
        "import numpy as np\ndef score(logits, fn='softmax'):\n    if fn != 'softmax':\n        raise NotImplementedError(fn)\n"
    )
    source += "    x = logits.astype(np.result_type(logits.dtype, np.float32))\n    with np.errstate(all='ignore'):\n"
    source += "        y = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))\n        y = y / y.sum(1, keepdims=True)\n"
    path = tmp_path / "mine.py"
    path.write_text(f"{source}    return {wrong}\n", encoding="utf-8")
    (target,) = find(str(path))
    results = judge(Context(Session(target, "cpu"), load("score")))
    scripts = [r.witness["script"] for r in results if r.witness and r.witness.get("script")]
    assert len(scripts) > 3
    for text, status in ((wrong, 1), ("y", 0)):
        path.write_text(f"{source}    return {text}\n", encoding="utf-8")
        done = [subprocess.run([sys.executable, "-c", s], capture_output=True, text=True, check=False) for s in scripts]
        assert {d.returncode for d in done} == {status}, [d.stderr for d in done]
