"""The large tier: what counts as large is lowered here, and functions that go wrong above it are found out."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import einspec
from einspec import load
from einspec.answers.expect import widen
from einspec.calls import cases, hashed
from einspec.calls.hashed import BLOCK, Hashed, queues
from einspec.calls.inputs import ramps
from einspec.conformance import protocol
from einspec.conformance.checks.large import places, question, sized
from einspec.conformance.checks.large.sized import made
from einspec.conformance.judge import large
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.verdict import Result
from einspec.conformance.run.sheets import store
from einspec.conformance.runner.loading import Candidate
from einspec.conformance.runner.ways import Calls
from einspec.conformance.targets.process import Limits
from einspec.conformance.targets.session import Session
from einspec.impls import numpy as right
from einspec.semantics import oracle, pointwise
from einspec.semantics.points import Points

Array = np.ndarray[Any, Any]
MANY, LONG = 2**12, 2**6
NONE = {
    "bias_step": "results round",
    "expert_choice": "results round",
    "soft_weights": "results round",
    "capacity": "no tensor",
    "cv_squared": "no tensor",
    "load_balance": "no tensor",
    "sequence_load_balance": "no tensor",
    "z_loss": "no tensor",
}
"""The ops without a large call, and why."""
SHORT = ("ep_plan", "lengths_to_offsets")
"""Each output adds up all counts before it: a long call is too much work."""


@pytest.fixture(autouse=True)
def _lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sized, "MANY", MANY)
    monkeypatch.setattr(sized, "LONG", LONG)
    monkeypatch.setattr(hashed, "WHOLE", 2**8)
    monkeypatch.setattr(places, "BORDER", 2**6)
    monkeypatch.setattr(large, "available", lambda session: 2**30)


class Here(Session):
    """A target in this process, so that its functions may be those of a test; all goes over the wall as bytes."""

    def __init__(self, candidate: Candidate) -> None:
        """Take what is judged."""
        super().__init__(None, candidate.describe(), "cpu")
        self.calls = Calls(candidate, "cpu")
        self.asked: list[protocol.Call] = []

    def stream(self, op: str, calls: bytes, careful: bool = False) -> Iterator[protocol.Outcome]:
        """Yield what comes of calls."""
        asked = protocol.calls.decode(calls)
        self.asked += asked
        came = protocol.Came(0, tuple(self.calls.make(op, asked, lambda number: True)))
        reply = protocol.replies.decode(protocol.encode(came))
        assert isinstance(reply, protocol.Came)
        yield from reply.outcomes


def session(op: str, function: Callable[..., Any] | None = None, framework: str = "numpy") -> Here:
    """Return one function as a target, that of a built-in backend where none is given."""
    module = importlib.import_module(f"einspec.impls.{framework}")
    functions = {op: function or getattr(module, op)}
    return Here(Candidate("mine", module, "", functions=functions))


def judged(op: str, function: Callable[..., Any] | None = None, framework: str = "numpy") -> Result:
    """Return the result of the large tier for one function."""
    result = large.check_large(Context(session(op, function, framework), load(op), store()))
    assert (result.clause, result.tier) == (f"{op}/def", "large")
    return result


def test_every_op_is_judged_or_has_a_reason() -> None:
    """Right functions hold in a call above the threshold; the ops without one are known, and so is why."""
    found = {op: judged(op) for op in einspec.ops()}
    assert {op: r.reason for op, r in found.items() if r.verdict not in ("holds", "not run")} == {}
    assert {op for op, r in found.items() if r.verdict == "not run"} == set(NONE)
    assert all(NONE[op] in found[op].reason for op in NONE)


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("op", ["pixel_shuffle", "concat", "dispatch", "top_k", "position"])
def test_frameworks_hold(framework: str, op: str) -> None:
    """PyTorch and JAX are not accused: moves, lists, routes and selections."""
    pytest.importorskip(framework)
    assert judged(op, framework=framework).verdict == "holds"


@pytest.mark.parametrize("op", einspec.ops())
def test_a_call_crosses_the_threshold_or_is_long(op: str) -> None:
    """The first call that is tried has more elements than the threshold, on both sides if it can; else long indices."""
    form = sized.plainest(load(op))
    if op in NONE:
        return
    axis = None if sized.exact(form) else cases.batch_axis(form, dict.fromkeys(_rests(form), 1), everywhere=False)
    found = sized.plans(load(op), "float32", MANY, axis)
    if found:
        assert all(p.elements > MANY for p in found)
        assert all(p.elements < 4 * MANY for p in found[-1:]), "more than was asked for"
    else:
        (plan,) = sized.plans(load(op), "float32", 0, axis)
        assert max(plan.case.solution.sizes.values()) > LONG or op in SHORT


def _rests(form: Any) -> set[str]:
    return {r for s in (*form.signature.inputs, *form.signature.outputs) for r in s.rests}


def moved(x: Array, y: Array, wrong: Callable[[Array], Array]) -> Array:
    """Return an output that was moved, its elements taken from wrong places."""
    assert x.size > MANY
    return x.reshape(-1)[wrong(y.reshape(-1))].reshape(y.shape)


def wraps(x: Array, upscale_factor: int) -> Array:
    """Compute pixel_shuffle with offsets into the input that wrap, as 32 bits do."""
    at = right.pixel_shuffle(np.arange(x.size).reshape(x.shape), upscale_factor=upscale_factor)
    return moved(x, at, lambda places: places % MANY) if x.size > MANY else moved_all(x, at)


def moved_all(x: Array, at: Array) -> Array:
    """Return an output that was moved rightly."""
    return x.reshape(-1)[at]


def spoiled(op: str, spoil: Callable[[Array], Any]) -> Callable[..., Any]:
    """Return a right function whose results are spoiled in large calls."""

    def call(*args: Any, **params: Any) -> Any:
        result = getattr(right, op)(*args, **params)
        parts = list(result) if isinstance(result, tuple | list) else [result]
        if sum(np.size(a) for a in args) + sum(p.size for p in parts) > 2 * LONG:
            parts[-1] = np.array(parts[-1])
            spoil(parts[-1])
        return type(result)(parts) if isinstance(result, tuple | list) else parts[0]

    return call


def past(y: Array) -> None:
    """Spoil what is past the threshold."""
    y.reshape(-1)[MANY:] += 1


def first_past(y: Array) -> None:
    """Spoil the first element past the threshold."""
    y.reshape(-1)[MANY : MANY + 1] += 1


def last(y: Array) -> None:
    """Spoil the last element."""
    y.reshape(-1)[-1] += 1


def test_a_wrapped_offset_is_found() -> None:
    """A function whose offsets wrap at the threshold is wrong; the failure names the call and the element."""
    result = judged("pixel_shuffle", wraps)
    assert result.verdict == "wrong"
    assert result.witness is not None
    assert result.witness["call"].startswith("pixel_shuffle(x[")
    assert "first at y[" in result.witness["difference"]
    assert "expected" in result.witness["difference"]
    assert "a tensor of shape" in result.witness["inputs"]["x"]


def test_no_answer_goes_over_the_wall() -> None:
    """The runner is told how inputs are made and where to look, in few bytes, and gives the elements asked for alone."""
    here = session("pixel_shuffle")
    assert large.check_large(Context(here, load("pixel_shuffle"), store())).verdict == "holds"
    call = here.asked[-1]
    ((source,),) = (given.parts for given in call.inputs)
    assert math.prod(source.shape) > MANY
    assert (source.recipe, source.data) == ((0, False), b"")
    assert not call.extra
    assert len(protocol.encode(call)) < 16 * sum(map(len, call.way.at[0] or ()))


@pytest.mark.parametrize(
    ("op", "spoil"),
    [
        ("pixel_shuffle", past),
        ("pixel_shuffle", first_past),
        ("pixel_shuffle", last),
        ("pad_to_multiple", last),
        ("fold", last),
        ("concat", first_past),
        ("unstack", last),
        ("sliding_window_mask", lambda y: np.logical_not(y[-1:, -1:], out=y[-1:, -1:])),
        ("dispatch_mask", lambda y: np.logical_not(y.reshape(-1)[MANY:], out=y.reshape(-1)[MANY:])),
        ("position", last),
        ("expert_counts", last),
        ("top_k", last),
        ("score", last),
    ],
)
def test_errors_in_large_calls_alone_are_found(op: str, spoil: Callable[[Array], Any]) -> None:
    """Functions that are wrong past the threshold, just past it, or at the last element, are wrong."""
    assert judged(op, spoiled(op, spoil)).verdict == "wrong"


def test_routes_past_the_threshold_are_found() -> None:
    """A dispatch that reads the wrong token where the offset of the token outgrows the threshold is wrong."""

    def wrong(x: Array, index: Array, position: Array, **params: Any) -> Any:
        rows = np.arange(len(x))
        return right.dispatch(x[np.where(rows * x.shape[1] >= MANY, 0, rows)], index, position, **params)

    assert judged("dispatch", wrong).verdict == "wrong"


def test_an_error_is_no_refusal_and_lack_of_room_no_error() -> None:
    """A function that takes a dtype in small calls must take it in large ones; one that runs out of memory is not judged."""

    def fails(error: BaseException) -> Callable[..., Any]:
        def call(x: Array, **params: Any) -> Any:
            if x.size > MANY:
                raise error
            return right.pixel_shuffle(x, **params)

        return call

    for wrong in (ValueError("x is too long for int"), RuntimeError("unsupported memory format option")):
        assert judged("pixel_shuffle", fails(wrong)).verdict == "wrong"
    assert "a small call raised TypeError" in judged("pixel_shuffle", lambda x: x).reason
    for error in (MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")):
        result = judged("pixel_shuffle", fails(error))
        assert result.verdict == "not run"
        assert "did not fit" in result.reason


def test_results_of_another_shape_or_kind_are_wrong() -> None:
    """A result that is no array, or of another shape, is wrong before any element is looked at."""
    assert "shape" in judged("matrix_transpose", lambda x: x.swapaxes(-1, -2)[..., 1:]).reason
    assert "returned list" in judged("matrix_transpose", lambda x: [x]).reason
    assert "dtype" in judged("matrix_transpose", lambda x: x.swapaxes(-1, -2).astype(np.float32)).reason


def test_what_does_not_fit_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little memory a call is not run, and its size is told; where a smaller one is left, that is judged."""
    monkeypatch.setattr(large, "available", lambda session: 2**12)
    result = judged("pixel_shuffle")
    assert result.verdict == "not run"
    assert "needs 0.0 MiB, 0.0 MiB are free" in result.reason
    plans = sized.plans(load("gate"), "float16", MANY, "t")
    monkeypatch.setattr(large, "available", lambda session: min(p.need for p in plans) - 1)
    result = judged("gate")
    assert result.verdict == "holds"
    assert f"logits[{LONG + 7}, " in result.reason
    assert "; not run: logits[" in result.reason


def test_sums_that_could_round_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a dtype cannot hold the sums exactly nothing is said about them."""
    assert judged("expert_matmul").verdict == "holds"
    monkeypatch.setattr(question, "finfo", lambda dtype: SimpleNamespace(nmant=3))
    assert "too long to be exact" in judged("expert_matmul").reason


def test_memory_is_asked_of_the_adapter_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that knows its devices is asked; else the host's free memory counts, up to a limit."""
    monkeypatch.undo()
    device = SimpleNamespace(free_memory=lambda: 7)
    assert large.available(device) == 7  # type: ignore[arg-type]  # what it needs of a session
    limits = Limits(1, 2**-20)
    free = [SimpleNamespace(free_memory=lambda: None, host=h) for h in (None, SimpleNamespace(limits=limits))]
    assert 0 < large.available(free[0]) <= large.LIMIT  # type: ignore[arg-type]
    assert large.available(free[1]) == 2**10  # type: ignore[arg-type]
    assert large.gib(6 * 2**30) == "6.0 GiB"


def test_every_place_of_an_input_is_told_apart() -> None:
    """The values are the same computed as a whole, in a part or at a place; one 32 bits further is another, nearly always."""
    source = Hashed((3, BLOCK // 2 + 5, 2), np.dtype(np.int8), start=7)
    whole = source.whole()
    at = np.random.default_rng(0).integers(0, source.shape, (500, 3)).T
    assert (source[tuple(at)] == whole[tuple(at)]).all()
    assert (source[2].whole() == whole[2]).all()
    assert (source[slice(None), np.array([5, 9])] == whole[:, [5, 9]]).all()
    far = np.arange(0, 2**40, 2**30 + 12345)
    for offset in (2**31, 2**32, 2**16, BLOCK, 1):
        assert np.mean(source.at(far) == source.at(far + offset)) < 0.02
    assert {len(np.unique(Hashed((BLOCK,), np.dtype(d)).whole())) for d in ("int8", "uint8")} == {256}
    assert np.abs(Hashed((BLOCK,), np.dtype("float16")).whole()).max() == 8


@pytest.mark.parametrize("op", einspec.ops())
def test_points_agree_with_the_definition(op: str) -> None:
    """What is judged by is what the interpreter of single elements says, on calls of distinct sizes of every form."""
    rng = np.random.default_rng(0)
    forms = {c.form.choice.get(load(op).choice, ""): c for c in reversed(cases.bank(load(op))) if c.elements < 500}
    for case in forms.values():
        inputs = {name: widen(array) for name, array in ramps(case, "float64").items()}
        for spec in case.form.signature.outputs:
            shape = case.solution.shape(spec)
            at = np.array([rng.integers(0, shape) for _ in range(3)], np.int64).reshape(3, len(shape))
            got = Points(case.solution, inputs, math.inf).at(spec.name, at)
            want = [pointwise.evaluate(case.solution, inputs, spec.name, c) for c in at.tolist()]
            assert np.allclose(got, want, rtol=1e-12, atol=0, equal_nan=True), (str(case), spec.name)


@pytest.mark.parametrize("op", ["fold", "unfold", "pad_to_multiple", "sliding_window", "padded_to_ragged", "dispatch"])
def test_solved_axes_miss_nothing(op: str) -> None:
    """Where brackets fix an axis, at all points of small calls with strides and fills, the result is that of whole arrays."""
    found = [c for c in cases.scope(load(op), 200)[0] if 0 < c.elements < 300 and not c.empty][-40:]
    for case in [*found, *(c for c in cases.bank(load(op)) if c.elements < 300)]:
        inputs = {name: widen(array) for name, array in ramps(case, "float64").items()}
        for name, want in oracle.evaluate(case.solution, inputs).items():
            at = np.indices(want.shape).reshape(want.ndim, -1).T
            assert (Points(case.solution, inputs, math.inf).at(name, at) == want.reshape(-1)).all(), str(case)


@pytest.mark.parametrize("op", ["pixel_shuffle", "patchify", "concat", "tile", "unfold", "space_to_batch", "permute"])
def test_inputs_are_read_around_the_threshold(op: str) -> None:
    """Coordinates read the input on both sides of the threshold; at it, and at the ends, where the op is a plain read."""
    plan = sized.plans(load(op), "int8", 2 * MANY)[0]
    inputs = made(plan.case, "int8")
    (source,) = plan.case.form.data
    at = places.coordinates(plan.case, plan.case.form.signature.outputs[0], inputs, np.random.default_rng(0))
    ramp = {**inputs, source: dataclasses.replace(inputs[source], ramp=True)}
    read = Points(plan.case.solution, ramp, math.inf).at(plan.case.form.signature.outputs[0].name, at) - 1
    assert min(np.abs(read[read >= MANY] - MANY)) < MANY // 8
    assert min(np.abs(read[(read >= 0) & (read < MANY)] - MANY)) < MANY // 8
    if plan.case.form.kind == "permutation":
        assert {0, MANY - 1, MANY, inputs[source].size - 1} <= set(read.tolist())


def test_late_tokens_get_slots() -> None:
    """The queues of odd ids are counted from the end, those of even ones from the start; no id has no place."""
    index = np.array([[1, 2], [1, -1], [2, 1]])
    assert queues(index).tolist() == [[2, 0], [1, -1], [1, 0]]


def test_points_count_their_terms() -> None:
    """A sum that brackets do not shorten is given up when it has more terms than are allowed."""
    case = next(iter(cases.bank(load("expert_counts"))))
    inputs = {name: widen(array) for name, array in ramps(case).items()}
    with pytest.raises(OverflowError):
        Points(case.solution, inputs, 3).at("counts", np.array([[0]]))


class Unread:
    """An input that must not be looked at."""

    def __getitem__(self, index: Any) -> Any:
        """Fail."""
        raise AssertionError("it was looked at")


def test_too_many_terms_are_given_up_before_any_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """That costs no time, however many chunks the terms would have come in."""
    monkeypatch.setattr("einspec.semantics.points.CHUNK", 2)
    case = next(c for c in cases.bank(load("expert_counts")) if c.shapes[0] == (4, 3))
    with pytest.raises(OverflowError):
        Points(case.solution, {"index": Unread()}, 10).at("counts", np.array([[0]]))
