"""Is a result right for the inputs that it was computed from."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from einspec.answers.rules import Difference
from einspec.calls.given import array_of, given_call
from einspec.card import load, resolve
from einspec.conformance.checks.scene import Profile
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.literals import expected_text, literal
from einspec.conformance.judge.witness import place, sizes_text
from einspec.conformance.judge.wrongness import is_habit, reason_of, wrong_output
from einspec.conformance.protocol import Item, Target, tensor
from einspec.conformance.testing.checking import witness_text
from einspec.conformance.trial import Outcome, Trial, WrongKindError, unpacked

Ties = Literal["first", "any"]
MOST_DEPTH = 2
"""How deep lists of results go: a tuple of outputs, one of which is a list."""
ANY = Target(name="result", framework="any framework", offers=("is_array",))
"""What a result is of, where all that is known of it is the result."""


def assert_matches(
    result: Any,
    op: str,
    /,
    *inputs: Any,
    ties: Ties = "first",
    **params: Any,
) -> None:
    """Check that a result is what an op gives for these inputs, within the error that rounding may make.

    The bound is derived from the definition and the dtypes. Where rounding decides a selection, every selection that some
    rounding gives is right, and the other outputs have to be those of the selection that came. Integers may be of another
    width than the card's.

    Args:
        result: what came: an array of any framework, a tuple of them, or a list where the card has one.
        op: the name of an op, or an alias.
        inputs: the inputs, arrays of any framework.
        ties: what is promised among equal values: the ``first`` of them, as the card says, or ``any``.
        params: the parameters.

    Raises:
        AssertionError: the result is of another kind, shape or dtype, or differs; the message says where.
        CallError: the card does not allow the call.
        KeyError: there is no such op.
    """
    __tracebackhide__ = True
    case, arrays = given_call(load(resolve(op)), inputs, params)
    with warnings.catch_warnings(), np.errstate(all="ignore"), Profile(ties=ties).assumed():
        warnings.simplefilter("ignore")
        problem = _problem(plain_trial(case, arrays), item_of(result))
    if problem:
        raise AssertionError(problem)


def item_of(value: Any, depth: int = 0) -> Item:
    """Return a result as data."""
    if isinstance(value, tuple | list) and depth < MOST_DEPTH:
        return Item("list", parts=tuple(item_of(v, depth + 1) for v in value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Item("int", value=value)
    if not hasattr(value, "__array__") and not hasattr(value, "detach"):
        return Item("other", text=type(value).__name__)
    array = array_of(value)
    if array.dtype.hasobject:
        return Item("other", text=f"array of {array.dtype.name}")
    return Item("array", tensor(array))


def _problem(trial: Trial, item: Item) -> str:
    """Return what is wrong with a result as text, or nothing."""
    specs = {s.name: s for s in trial.case.form.signature.outputs}
    call = f"{trial.case.op.name}({trial.case})"
    try:
        outcome = Outcome(unpacked(item, trial.expected, specs, ANY))
    except WrongKindError as error:
        return f"{call}: {error}"
    found = _other_dtype(trial, outcome) or wrong_output(trial, outcome)
    if found is None:
        return ""
    name, how = found
    data: dict[str, Any] = {
        "signature": str(trial.case.form.signature),
        "formula": [e.text for e in trial.case.form.stated],
        "sizes": sizes_text(trial),
        "inputs": {n: literal(a) for n, a in trial.arrays.items()},
    }
    shown = reason_of(found)
    if name in trial.expected:
        want, got = trial.expected[name], outcome.outputs[name]
        data["expected"], data["got"] = {name: expected_text(want)}, {name: literal(got)}
        shown += place(name, how.position, want, got)
    return f"{call}\n{shown}\n{witness_text(data)}"


def _other_dtype(trial: Trial, outcome: Outcome) -> tuple[str, Difference] | None:
    """Return the output that is of another dtype than the card's, unless it is an integer of another width."""
    for name, want in trial.expected.items():
        got = outcome.outputs[name]
        if got.dtype.name != want.dtype_name != "int" and not is_habit(trial, outcome, name):
            return name, Difference(f"dtype {got.dtype.name} instead of {want.dtype_name}")
    return None
