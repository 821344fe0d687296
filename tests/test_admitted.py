"""Conventions of libraries: with `admit` a function that has one holds, without it does not, and a wrong one never does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from einspec.calls.space import make_case
from einspec.card import load
from einspec.conformance.checks.batches import mapped
from einspec.conformance.checks.long_axes import past_16_bits
from einspec.conformance.judge.admitted import ALLOWED, WAYS, admitted
from einspec.conformance.judge.verdict import Result
from einspec.conformance.judge.wrongness import wrong_output
from einspec.conformance.mapping import place, rows_of
from einspec.conformance.protocol import Mapped
from einspec.conformance.reports.merge import merge
from einspec.conformance.reports.report import read
from einspec.conformance.reports.summary import markdown
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import check
from einspec.conformance.targets.conventions import CONVENTIONS
from einspec.conformance.trial import Outcome

ELSEWHERE = {"index_dtype", "python_scalars", "remainder_dropped", "kept_axes", "own_randomness"}
"""The conventions that are looked at where results are read, or where their clause is judged."""
SETUP = """
NARROW = {'float64': 'float32', 'complex128': 'complex64', 'int64': 'int32', 'uint64': 'uint32'}


def narrow(x):
    return x.astype(NARROW.get(x.dtype.name, x.dtype))


def picked(x, order, k, index='int32'):
    return np.take_along_axis(x, order[:, :k], 1), order[:, :k].astype(index)


def first(x):
    return x.shape[1] - 1 - np.argsort(x[:, ::-1], axis=1, stable=True)[:, ::-1]


def last(x):
    return np.argsort(x, axis=1, stable=True)[:, ::-1]


def nan_last(x):
    nan = np.isnan(x)[:, ::-1]
    return x.shape[1] - 1 - np.lexsort((np.where(nan, 0, x[:, ::-1]), ~nan))[:, ::-1]


def by_sign(x):
    nan = np.isnan(x)[:, ::-1]
    plain = np.where(nan, 0, x[:, ::-1])
    return x.shape[1] - 1 - np.lexsort((~np.signbit(plain), plain, nan))[:, ::-1]


def mask(index, position, experts, capacity):
    there = index[..., None, None] == np.arange(experts)[:, None]
    return (there & (position[..., None, None] == np.arange(capacity))).any(1)


def softmax(x, dtype):
    x = x.astype(dtype)
    top = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return top / top.sum(-1, keepdims=True)


def mean(x, p, q):
    b, c, h, w = x.shape
    blocks = x.reshape(b, c, h // p, p, w // q, q)
    total = np.zeros_like(blocks[:, :, :, 0, :, 0])
    for i in range(p):
        for j in range(q):
            total = total + blocks[:, :, :, i, :, j]
    return (total / x.dtype.type(p * q)).astype(x.dtype)


def weights(scores, index, scale, none, norm='none'):
    e = scores.shape[1]
    ok = (index >= 0) & (index < e)
    wide = scores.astype(np.promote_types(scores.dtype, np.float32))
    raw = np.take_along_axis(wide, np.where(ok, index, 0).astype(int), 1) if e else np.zeros(index.shape, wide.dtype)
    raw = np.where(ok, raw, 0)
    total = raw.sum(1, keepdims=True) if norm == 'sum' else 1
    total = np.where(total <= 0, np.inf, total)
    return np.where(ok, scale * raw / total, none).astype(wide.dtype)


def pooled(x, size, start=0):
    p, q = size if isinstance(size, tuple) else (size, size)
    b, c, h, w = x.shape
    kept = x[:, :, h % p * start:, w % q * start:][:, :, :h // p * p, :w // q * q]
    return kept.reshape(b, c, h // p, p, w // q, q).max((3, 5))


def slots(tokens, k, experts, factor, minimum, multiple_of):
    share = -(-(factor * tokens * k) // experts)
    return int(-(-max(share, minimum) // multiple_of) * multiple_of)
"""


@dataclass(frozen=True)
class Example:
    """A right function in a foreign convention, and a wrong one in the same."""

    op: str
    call: str
    wrong: str
    clause: str = "def"
    """The clause that asks for more."""
    fails: str = "wrong"
    """What becomes of that clause without the convention."""
    found: str = ""
    """The clause in which the wrong one is found, where that is another."""
    where: str = ""


SOFTMAX = "fn == 'softmax'"
NAMES = {"half_results": "half_accumulation"}
"""The conventions of examples that are not named after them."""
WEIGHT = "weights(scores, index, scale, {}, norm)"
ROUTES = "picked(x, first(x), k)"
POOL = "pooled(x, kernel_size{})"
HIGHEST = "x.max((2, 3), keepdims=True)"
EXAMPLES = {
    "index_dtype": Example(
        "top_k", "picked(x, first(x), k, 'int64')", "picked(x, first(x), k, 'float32')", "result.dtype", "refused", "def"
    ),
    "mask_dtype": Example(
        "dispatch_mask", "1.0 * mask(index, position, experts, capacity)", "2.0 * mask(index, position, experts, capacity)"
    ),
    "python_scalars": Example(
        "capacity",
        "np.array(slots(tokens, k, experts, factor, minimum, multiple_of))",
        "np.array(slots(tokens, k, experts, factor, minimum, multiple_of) + 0.5)",
        where="rounding == 'ceil'",
    ),
    "no_64_bits": Example("matrix_transpose", "narrow(x).swapaxes(-1, -2)", "narrow(x).swapaxes(-1, -2) + 0", "dtype.float64"),
    "float32_inside": Example(
        "score", "softmax(logits, np.float32)", "softmax(logits, np.float16)", "dtype.float64", where=SOFTMAX
    ),
    "half_accumulation": Example("avg_pool_blocks", "mean(x, P, Q)", "mean(x, P, Q) * x.dtype.type(1.01)", "dtype.float16"),
    "half_results": Example(
        "score", "softmax(logits, logits.dtype)", "softmax(logits, np.float16)", "dtype.float16", where=SOFTMAX, found="def"
    ),
    "kept_axes": Example("global_max_pool", HIGHEST, HIGHEST.replace("True", "True)[:, ::-1]", 1)[:-1], where="B*C*H*W > 0"),
    "own_randomness": Example(
        "matrix_transpose",
        "(np.random.rand(), x.swapaxes(-1, -2))[1]",
        "(np.random.rand(), np.seterr(over='ignore'), x.swapaxes(-1, -2))[2]",
        "state",
    ),
    "ties": Example("top_k", "picked(x, last(x), k)", "picked(x, last(np.abs(x)), k)"),
    "route_order": Example(
        "top_k",
        "tuple(y[:, ::-1] for y in picked(x, first(x), k))",
        "(lambda v, i: (v, i[:, ::-1]))(*picked(x, first(x), k))",
    ),
    "dropped_weights": Example(
        "route_weights", WEIGHT.format(7), WEIGHT.format(7).replace("norm", "'sum'"), where="norm == 'none'"
    ),
    "unnormalised_single": Example(
        "route_weights",
        "weights(scores, index, scale, 0, 'none' if K == 1 else norm)",
        "weights(scores, index, scale, 0, 'none' if K <= 2 else norm)",
        where="norm == 'sum' and eps == 0 and least == 0",
    ),
    "signed_zero": Example("top_k", "picked(x, by_sign(x), k)", "picked(x, by_sign(-x), k)", "values.signed_zero", found="def"),
    "nan_order": Example("top_k", "picked(x, nan_last(x), k)", "picked(x, nan_last(-x), k)", "values.nan", found="def"),
    "remainder_dropped": Example("max_pool_blocks", POOL.format(""), POOL.format(", 1"), "err.divides.x.2"),
}


def judged(folder: Path, example: Example, call: str, admit: str = "") -> dict[str, Result]:
    """Return the results of a call by the id of the clause."""
    path = folder / "library.toml"
    lines = ['framework = "numpy"', f"setup = {json.dumps(SETUP)}", f"[op.{example.op}]", f"call = {json.dumps(call)}"]
    lines += [f"where = {json.dumps(example.where)}"] if example.where else []
    lines += [f"admit = [{json.dumps(admit)}]"] if admit else []
    path.write_text("\n".join(lines), encoding="utf-8")
    found = check(Request((str(path),), tiers=("scope",), everything=True))
    assert not [p for p in found.problems if "was not judged" not in p], found.problems
    return {r.clause.partition("/")[2]: r for r in found.results}


def test_every_convention_has_an_example() -> None:
    """The list is closed: what is on it is shown to weaken, and to weaken no more."""
    assert set(CONVENTIONS) == {NAMES.get(name, name) for name in EXAMPLES} == {*WAYS, *ELSEWHERE}
    assert set(ALLOWED) <= set(WAYS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_convention_weakens_its_clause_and_excuses_nothing_wrong(tmp_path: Path, name: str) -> None:
    """The clause fails without it, holds with it and says so; a wrong function fails with it all the same."""
    example = EXAMPLES[name]
    name = NAMES.get(name, name)
    kind = CONVENTIONS[name].weakens
    without = judged(tmp_path, example, example.call)[example.clause]
    assert without.verdict == example.fails
    admitted = judged(tmp_path, example, example.call, name)
    assert (admitted[example.clause].verdict, admitted[example.clause].admitted) == ("holds", (name,))
    failing = {c: r.reason for c, r in admitted.items() if r.verdict == "wrong" and c.partition(".")[0] == kind}
    assert not failing
    assert name in admitted[example.clause].reason
    wrong = judged(tmp_path, example, example.wrong, name)[example.found or example.clause]
    assert wrong.verdict == "wrong"
    assert wrong.admitted == ()


SORTED = "tuple(y[:, :k]{} for y in torch.sort({}, dim=1, descending=True, stable=True)[:2])"
BACKWARDS = SORTED.format(".flip(1)", "x")


@pytest.mark.parametrize(
    ("framework", "name", "call", "tiers"),
    [
        ("torch", "route_order", BACKWARDS, ("scope", "property", "big", "transform")),
        ("numpy", "dropped_weights", EXAMPLES["dropped_weights"].call, ("property", "big")),
    ],
)
def test_a_convention_is_known_in_every_tier(
    tmp_path: Path, framework: str, name: str, call: str, tiers: tuple[str, ...]
) -> None:
    """Calls that are drawn, huge, compiled and mapped: nothing is accused of the convention."""
    pytest.importorskip(framework, reason=f"needs {framework}")
    example, path = EXAMPLES[name], tmp_path / "library.toml"
    lines = [f'framework = "{framework}"', f"setup = {json.dumps(SETUP)}", f"[op.{example.op}]", f"call = {json.dumps(call)}"]
    lines += [f"where = {json.dumps(example.where)}"] if example.where else []
    path.write_text("\n".join([*lines, f'admit = ["{name}", "index_dtype"]']), encoding="utf-8")
    found = check(Request((str(path),), tiers=tiers, everything=True))
    assert [r.clause for r in found.results if r.verdict in ("wrong", "errored") and "/err." not in r.clause] == []
    assert {r.tier for r in found.results if name in r.admitted} == set(tiers)


def test_reports_say_what_was_admitted(tmp_path: Path) -> None:
    """The matrix, the lines under it, the report and its summary: a convention is never a plain pass."""
    path, report = tmp_path / "library.toml", tmp_path / "report.jsonl"
    call = json.dumps("picked(x, last(x), k, 'int64') if k <= x.shape[1] else 1 // 0")
    path.write_text(
        f'framework = "numpy"\nadmit = ["index_dtype", "ties"]\nsetup = {json.dumps(SETUP)}\n[op.top_k]\ncall = {call}\n',
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "einspec.conformance.cli", "check", str(path), "--tier", "scope", "--report", str(report)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"│ *\d+ ✓ \d+ admitted│", done.stdout)
    assert "admitted: ties: top_k (" in done.stdout
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert {name for line in lines for name in line.get("admitted", ())} == {"index_dtype", "ties"}
    merged = merge([read(report)])
    assert "### Admitted" in markdown(merged)
    assert "index\\_dtype: top\\_k (1 clause)" in markdown(merged)


def test_equal_values_in_any_order_under_every_map() -> None:
    """Calls that are mapped over any axis, or nested, are taken apart as they were put together."""
    case = make_case(load("top_k"), {"k": 3}, [(2, 4)])
    assert case is not None
    axis = Mapped((1,), 1)
    for maps in ((axis,), (Mapped((0,)),), (axis, Mapped((2,), 2))):
        trial = mapped(case, maps, 2)
        assert trial is not None
        rows = [r for (r,) in rows_of([trial.arrays["x"]], maps, [False])]
        index = np.stack([[_last_first(row)[:3] for row in each] for each in rows]).astype(np.int32)
        found = {"index": index, "value": np.stack([np.take_along_axis(r, i, -1) for r, i in zip(rows, index, strict=True)])}
        places, size = [m.out for m in maps], [2] * len(maps)
        found = {n: place(a.reshape(*size, *a.shape[1:]), places, listed=False) for n, a in found.items()}
        outcome = Outcome({s.name: found[s.name] for s in case.form.signature.outputs})
        assert wrong_output(trial, outcome) is not None, "equal values are among those that are chosen"
        assert admitted(["ties"], trial, outcome, wrong_output) == ("ties",)
        other = replace(outcome, outputs={**outcome.outputs, "index": found["index"][..., ::-1].copy()})
        assert admitted(["ties"], trial, other, wrong_output) == ()


def test_equal_values_among_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of 70,000 is looked at as it came, and never compared each with each again."""
    monkeypatch.setattr("einspec.conformance.judge.admitted.plain_trial", None)
    (trial, *_) = [t for t in past_16_bits(load("top_k")) if t.relation and max(t.arrays["x"].shape) == 70_000]
    x, k = trial.arrays["x"], trial.case.solution.sizes["k"]
    index = np.stack([_last_first(row)[:k] for row in x]).astype(np.int32)
    outcome = Outcome({"value": np.take_along_axis(x, index, -1), "index": index})
    assert wrong_output(trial, outcome) is not None
    assert admitted(["ties"], trial, outcome, wrong_output) == ("ties",)
    outcome.outputs["index"][-1, -1] = int(np.argmin(x[-1]))
    assert admitted(["ties"], trial, outcome, wrong_output) == ()


def _last_first(row: np.ndarray) -> np.ndarray:
    """Return the positions of the values of a row in descending order, the higher first where they are equal."""
    return len(row) - 1 - np.argsort(-row[::-1], kind="stable")


@pytest.mark.parametrize("call", ["x.max((2, 3))[None, None]", "x.max((2, 3))[:, None, :, None]", "x.max((2, 3))[..., None]"])
def test_axes_are_kept_where_the_input_has_them(tmp_path: Path, call: str) -> None:
    """An axis of size 1 at another place, or one too few, is a wrong shape."""
    found = judged(tmp_path, Example("global_max_pool", call, "", where="B*C*H*W > 0"), call, "kept_axes")
    assert found["def"].verdict == "wrong"
    assert "shape" in found["def"].reason


def test_results_that_hang_on_randomness_are_wrong(tmp_path: Path) -> None:
    """A function may draw numbers; what it gives is that of the card all the same."""
    call = "x.swapaxes(-1, -2) * np.random.choice([1, 2])"
    assert judged(tmp_path, EXAMPLES["own_randomness"], call, "own_randomness")["def"].verdict == "wrong"


DERIVED = ("grad.x", "grad64.x", "transform.jvp", "transform.double_backward")
"""The clauses about derivatives of what the routes of a token bring."""


def derived(folder: Path, setup: str, call: str, **more: str) -> dict[str, Result]:
    """Return the results of an adapter of PyTorch about derivatives, by the id of the clause."""
    path = folder / "library.toml"
    lines = ['framework = "torch"', f"setup = {json.dumps(setup)}", *(f"{k} = {v}" for k, v in more.items() if k == "admit")]
    lines += [f"[op.{more.get('op', 'top_k')}]", f"call = {json.dumps(call)}"]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = check(Request((str(path),), tiers=("transform",), everything=True))
    return {r.clause.partition("/")[2]: r for r in found.results}


FIRST = """
class First(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value):
        return value.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, slope):
        return torch.cat([slope[:, :1], 2 * slope[:, 1:]], 1)
"""
"""What gives its input, with a gradient that is twice as large for all routes but the first."""


def test_derivatives_of_routes_in_any_order(tmp_path: Path) -> None:
    """Those of the first, second and forward kind are judged by route; one that is wrong for a route is wrong."""
    pytest.importorskip("torch", reason="needs PyTorch")
    plain = derived(tmp_path, "", BACKWARDS)
    admitted = derived(tmp_path, "", BACKWARDS, admit='["route_order"]')
    for clause in DERIVED:
        assert plain[clause].verdict == "wrong", clause
        assert (admitted[clause].verdict, admitted[clause].admitted) == ("holds", ("route_order",)), clause
    wrong = f"(lambda v, i: (First.apply(v), i))(*{BACKWARDS})"
    found = derived(tmp_path, FIRST, wrong, admit='["route_order"]')
    assert found["grad.x"].verdict == "wrong"


def test_derivatives_of_what_keeps_its_axes(tmp_path: Path) -> None:
    """They are judged as those of the outputs of the card, in transforms too."""
    pytest.importorskip("torch", reason="needs PyTorch")
    found = derived(tmp_path, "", "x.mean((2, 3), keepdim=True)", op="global_avg_pool", admit='["kept_axes"]')
    for clause in ("grad.x", "transform.vmap", "transform.jvp"):
        assert (found[clause].verdict, found[clause].admitted) == ("holds", ("kept_axes",)), (clause, found[clause])
