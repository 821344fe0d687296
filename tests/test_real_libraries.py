"""What judging real libraries showed: conventions and habits that are no mistakes, each with a small file that has it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from judged import bad, opened, worst

from einspec.conformance.judge.verdict import Result, Verdict


def judged(folder: Path, source: str, *only: str, **policy: object) -> dict[str, Result]:
    """Return the worst result of every clause of the one op in a file, by the id within the op."""
    found = worst(opened(folder, source), only=only or None, **policy)
    return {clause.partition("/")[2]: result for clause, result in found.items()}


def not_accused(found: dict[str, Result], refused: Iterable[str] = ()) -> None:
    """Check that nothing is wrong, and that some clauses are refused."""
    assert bad(found) == set(), {c: found[c].reason for c in bad(found)}
    assert {found[c].verdict for c in refused} <= {Verdict.REFUSED}, {c: found[c].reason for c in refused}


LAYER = """
import numpy as np
def moe_layer(x, router, gate_up, down, *, k, preset, capacity=-1, scale=1.0):
    if preset != "topk_softmax" or capacity >= 0:
        raise NotImplementedError(preset)
    if k > router.shape[1]:
        raise ValueError("k")
    if gate_up.shape[2] % 2:
        raise ValueError("two halves")
    wide = [a.astype(np.float64) for a in (x, router, gate_up, down)]
    with np.errstate(all="ignore"):
        logits = wide[0] @ wide[1]
        order = np.argsort(np.where(np.isnan(logits), np.inf, logits), axis=1, kind="stable")[:, ::-1][:, :k]
        chosen = np.take_along_axis(logits, order, 1)
        weights = np.exp(chosen - chosen.max(1, keepdims=True, initial=-np.inf))
        weights = weights / weights.sum(1, keepdims=True) * scale
        y = np.zeros((len(x), down.shape[2]))
        for t, row in enumerate(order):
            for i, e in enumerate(row):
                gate, up = np.split(wide[0][t] @ wide[2][e], 2)
                y[t] += weights[t, i] * (gate / (1 + np.exp(-gate)) * up @ wide[3][e])
    return y.astype(x.dtype)
"""


@pytest.mark.parametrize(("ties", "wrong"), [("any", set()), ("first", {"def"})])
def test_free_ties_reach_layers(ties: str, wrong: set[str], tmp_path: Path) -> None:
    """With two equal columns of a router either expert may be taken, where any order of equals will do."""
    assert bad(judged(tmp_path, LAYER, "def", ties=ties)) == wrong


ON_THE_HOST = """
import jax.numpy as jnp
import numpy as np
def matrix_transpose(x):
    return jnp.asarray(np.ascontiguousarray(np.swapaxes(np.asarray(x), -1, -2)))
"""


def test_a_function_on_the_host_is_called_one_by_one(tmp_path: Path) -> None:
    """What JAX cannot trace is right in its definition, and refused under vmap."""
    pytest.importorskip("jax", reason="needs JAX")
    found = judged(tmp_path, ON_THE_HOST, "def", "empty", "repeat", "dtype.float32", "law.involution", "transform.vmap")
    not_accused(found, ["transform.vmap"])
    assert found["def"].verdict is Verdict.HOLDS


ONE_DTYPE = """
import numpy as np
def matrix_transpose(x):
    y = np.swapaxes(x, -1, -2)
    return y.astype(np.float64) if y.dtype == np.float32 else y
"""


def test_a_dtype_is_no_earlier_result(tmp_path: Path) -> None:
    """Only the clause about dtypes blames a function that keeps nothing and returns another dtype."""
    found = judged(tmp_path, ONE_DTYPE, "pure", "repeat", "device", "def", "result.dtype")
    assert bad(found) == {"result.dtype"}


FLAT = """
import numpy as np
def merge_heads(x):
    b, h, n, d = x.shape
    if n == 0{}:
        raise ValueError("no tokens")
    return x.swapaxes(1, 2).reshape(b, n, h * d)
"""


@pytest.mark.parametrize(("more", "verdict"), [("", Verdict.REFUSED), (" and b == 2", Verdict.WRONG)])
def test_which_axis_is_empty_is_what_is_refused(more: str, verdict: Verdict, tmp_path: Path) -> None:
    """One empty axis may be refused and another taken; not the same one at some sizes alone."""
    assert judged(tmp_path, FLAT.format(more), "def", "empty")["empty"].verdict is verdict


PADDED = """
import numpy as np
def patch_merge(x, {}):
    if pad != "zero":
        raise {}
    x = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
    return np.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], axis=-1)
"""


@pytest.mark.parametrize("slot", ["pad", 'pad="error"', '*, pad="error"'])
@pytest.mark.parametrize("error", ["NotImplementedError(pad)", "KeyError(pad)", "AssertionError"])
def test_a_default_may_be_refused(slot: str, error: str, tmp_path: Path) -> None:
    """What is offered is judged, it is said how much that is, and the rest holds."""
    found = judged(tmp_path, PADDED.format(slot, error))
    not_accused(found, ["def"])
    assert "1 of 2 values of pad judged: zero" in found["def"].reason
    assert found["repeat"].verdict is Verdict.HOLDS


BLOCKS = """
import numpy as np
def pixel_shuffle(x, upscale_factor):
    *lead, c, h, w = x.shape
    r, n = upscale_factor, len(lead)
    if r {} or c % (r * r):
        raise ValueError("upscale_factor")
    y = x.reshape(*lead, c // (r * r), r, r, h, w)
    return y.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2).reshape(*lead, c // (r * r), h * r, w * r)
"""


@pytest.mark.parametrize("refused", ["== 1", "!= 2"])
def test_an_ordinary_value_may_be_refused(refused: str, tmp_path: Path) -> None:
    """A factor of 1, or all but 2: the others are judged."""
    found = judged(tmp_path, BLOCKS.format(refused))
    not_accused(found, ["def"])
    assert "calls refused" in found["def"].reason


def test_a_refused_value_excuses_no_other(tmp_path: Path) -> None:
    """A wrong order is wrong although a factor of 1 is refused."""
    wrong = BLOCKS.format("== 1").replace("n + 1, n + 4, n + 2", "n + 2, n + 4, n + 1")
    assert bad(judged(tmp_path, wrong, "def")) == {"def"}


IN_SINGLE = """
import torch
def global_avg_pool(x):
    return x.to(torch.float32).mean((2, 3)).to(x.dtype)
"""


def test_gradients_in_float64_are_a_clause_of_their_own(tmp_path: Path) -> None:
    """Who computes in float32 has right gradients of float32, and is told apart in float64."""
    pytest.importorskip("torch", reason="needs PyTorch")
    found = judged(tmp_path, IN_SINGLE, "grad.x", "grad64.x")
    assert found["grad.x"].verdict is Verdict.HOLDS
    assert bad(found) == {"grad64.x"}


BACKWARDS = """
import numpy as np
import torch
def matrix_transpose(x: "np.ndarray") -> "np.ndarray":
    return torch.from_numpy(x).mT.contiguous().numpy()
"""


def test_arrays_that_run_backwards_may_be_refused(tmp_path: Path) -> None:
    """PyTorch has no negative strides and says so."""
    pytest.importorskip("torch", reason="needs PyTorch")
    found = judged(tmp_path, BACKWARDS, "def", "layout.reversed", "layout.transposed")
    not_accused(found, ["layout.reversed"])
    assert "negative" in found["layout.reversed"].reason


ZEROS = "import numpy as np\ndef matrix_transpose(x):\n    return np.swapaxes(x, -1, -2) + np.zeros((), x.dtype)\n"


def test_zeros_of_the_other_sign_are_called_so(tmp_path: Path) -> None:
    """Where nothing but the sign of zeros is lost, this is what is said; calls without negative zeros hold."""
    found = judged(tmp_path, ZEROS, "def", "values.signed_zero")
    assert bad(found) == {"values.signed_zero"}
    assert "zero of the other sign" in found["values.signed_zero"].reason


TOP_K = """
import jax
def top_k(x, k):
    return jax.lax.top_k(x, k)
"""


def test_a_selection_is_right_on_finite_values(tmp_path: Path) -> None:
    """jax.lax.top_k orders NaN by its sign, which is told apart from what it does with numbers."""
    pytest.importorskip("jax", reason="needs JAX")
    found = judged(tmp_path, TOP_K, "def", "values.nan", "values.infinity")
    assert found["def"].verdict is Verdict.HOLDS
    assert found["values.nan"].verdict is Verdict.WRONG


CAPACITY = """
import numpy
from fractions import Fraction
def capacity(tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    if rounding != "ceil":
        raise NotImplementedError(rounding)
    if not isinstance(factor, int) and factor == int(factor):
        return -1
    factor = Fraction(str(factor))
    share = -(-factor * tokens * k // experts)
    return -(-max(share, minimum) // multiple_of) * multiple_of
"""


def test_whole_numbers_are_integers(tmp_path: Path) -> None:
    """A factor that is whole comes as a Python integer."""
    found = judged(tmp_path, CAPACITY, "def")
    not_accused(found)
    assert "1 of 3 values of rounding judged: ceil" in found["def"].reason


GATE = """
import numpy as np
def gate(logits, k{}):
    if k > logits.shape[1]:
        raise ValueError("k")
    with np.errstate(all="ignore"):
        x = logits.astype(np.result_type(logits.dtype, np.float32))
        x = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
        x = x / x.sum(1, keepdims=True)
        order = np.argsort(-x, axis=1, kind="stable")[:, :k]
        chosen = np.take_along_axis(x, order, 1)
        weights = chosen / chosen.sum(1, keepdims=True) * scale
    return weights.astype(logits.dtype), order.astype(np.int32)
"""


def test_a_tensor_that_is_lacking_is_named(tmp_path: Path) -> None:
    """The presets with more tensors are refused for these, and the one preset that is offered is judged."""
    offered = (
        GATE.format(', preset="mixtral", scale=1')
        .replace("x = logits", "check(preset)\n        x = logits")
        .replace(
            "def gate", "def check(preset):\n    if preset != 'mixtral':\n        raise NotImplementedError(preset)\ndef gate"
        )
    )
    found = judged(tmp_path, offered, "def", "repeat", "pure", "dtype.float32", "err.require.enough")
    not_accused(found, ["def"])
    assert "1 of 19 values of preset judged: mixtral" in found["def"].reason
    assert found["repeat"].verdict is Verdict.HOLDS


def test_the_refusal_names_the_tensor(tmp_path: Path) -> None:
    """Not a parameter of which Python says that it was given twice."""
    from einspec.calls.cases import bank
    from einspec.calls.inputs import filled
    from einspec.card import load
    from einspec.conformance.checks.trials import plain_trial

    session = opened(tmp_path, GATE.format(", scale=1"))
    case = next(c for c in bank(load("gate")) if c.params["preset"] == "deepseek_v3")
    error = session.one(plain_trial(case, filled(case, "float32", "gauss", 1))).error
    assert error is not None
    assert error.text == "the function takes no bias"


WIDE = """
import torch
def top_k(x, k):
    value, index = torch.sort(x, dim=1, descending=True, stable=True)
    if k > x.shape[1]:
        raise ValueError("k")
    return value[:, :k], index[:, :k]
"""


def test_positions_in_the_integers_of_the_framework(tmp_path: Path) -> None:
    """Their values are judged, the dtype is a habit that a file may have, and wrong for who asks strictly."""
    pytest.importorskip("torch", reason="needs PyTorch")
    found = judged(tmp_path, WIDE, "def", "values.nan", "empty", "result.dtype")
    not_accused(found, ["result.dtype"])
    assert found["def"].verdict is Verdict.HOLDS
    assert bad(judged(tmp_path, WIDE, "def", "result.dtype", strict=True)) == {"result.dtype"}
