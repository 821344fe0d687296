"""A failure as someone reads it who has never seen einspec: formula, inputs as literals, expected, got, a script."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np

from einspec.answers.rules import Difference, Expected, is_nan
from einspec.conformance.checks.invalid import violating
from einspec.conformance.checks.special import broken_promise
from einspec.conformance.judge.context import SAID, Context
from einspec.conformance.judge.literals import bits_text, expected_text, literal
from einspec.conformance.judge.replay import record
from einspec.conformance.judge.script import Writer, script_of_invalid
from einspec.conformance.protocol import Item, Raised
from einspec.conformance.protocol import Outcome as Came
from einspec.conformance.trial import Outcome, Trial
from einspec.language.tables import PROMISES

Array = np.ndarray[Any, Any]
BESIDE = {
    "vjp": ("cotangent of", ""),
    "jvp": ("", "tangent of"),
    "double_backward": ("cotangent of", "cotangent of the gradient of"),
}
"""What a derivative is given besides inputs, for an output and for an input."""
PARTS = {
    "summary": "what it is",
    "demand": "demanded",
    "signature": "signature",
    "formula": "formula",
    "call": "call",
    "sizes": "sizes",
    "how": "how",
    "promise": "promise",
    "inputs": "{}",
    "expected": "expected {}",
    "got": "got {}",
    "difference": "difference",
    "rule": "rule",
    "script": "script",
}
"""The parts of a witness in the order in which they are read, with what each is called; a tensor by its name."""


def rows(witness: Mapping[str, Any], without: Container[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield a witness as labels and texts, in the order in which they are read; the empty ones are left out."""
    for part, label in PARTS.items():
        value = witness.get(part)
        if value and part not in without:
            named = value if isinstance(value, Mapping) else {"": value}
            for name, text in named.items():
                shown = "\n".join(map(str, text)) if isinstance(text, list) else str(text)
                yield label.format(name).strip() or part, shown


def witness(
    context: Context, clause: str, trial: Trial, outcome: Outcome, found: tuple[str, Difference] | None
) -> dict[str, Any]:
    """Return everything that is needed to act on a failure, as plain data."""
    case = trial.case
    data: dict[str, Any] = {
        "summary": case.op.card.summary,
        "signature": str(case.form.signature),
        "formula": [e.text for e in case.form.stated],
        "call": f"{case.op.name}({case})",
        "sizes": sizes_text(trial),
        "how": trial.how,
        "promise": promise_text(trial),
        "inputs": {name: literal(array) for name, array in trial.arrays.items()},
        "params": {k: repr(v) for k, v in case.params.items()},
    }
    if outcome.error is not None:
        data["expected"] = {n: expected_text(e) for n, e in trial.expected.items()}
        data["got"] = {"error": error_text(outcome.error)}
    elif found is not None and found[0] in trial.expected:
        name, how = found
        want, got = trial.expected[name], outcome.outputs[name]
        data["expected"] = {name: expected_text(want)}
        data["got"] = {name: literal(got)}
        data["difference"] = f"{name}: {how.problem}{place(name, how.position, want, got)}"
        data["rule"] = rule(context, trial, name, how, got)
    elif found is not None:
        data["difference"] = found[1].problem
    if trial.extra and trial.way.kind in BESIDE:
        given = {s.name for s in case.form.signature.inputs}
        words = {n: BESIDE[trial.way.kind][n in given] for n in trial.extra}
        data["inputs"] |= {f"{words[n]} {n}": literal(a) for n, a in trial.extra.items()}
    data["script"] = Writer(context, trial).text(clause)
    replay = record(trial)
    if replay is not None:
        data["replay"] = replay
    return data


def promise_text(trial: Trial) -> str:
    """Return the promise of a caller that a call breaks, in words."""
    name = broken_promise(trial)
    if not name:
        return ""
    kind, tensors = trial.case.form.assume[name]
    text = f"of {' and '.join(tensors)} callers promise that {PROMISES[kind].kept}"
    return f"{text}; this call breaks it, and the definition says what comes all the same"


def sizes_text(trial: Trial) -> str:
    """Return the sizes of a call with the parameters that they are tied to, as ``sh = stride[0] = 2``."""
    case, tied = trial.case, dict[str, str]()
    for name, param in case.op.card.params.items():
        targets = param.targets(name)
        for i, target in enumerate(targets if param.size and "(" not in param.size else ()):
            tied[target] = f"{name}[{i}]" if param.several and len(targets) > 1 else name
    sizes = case.solution.sizes
    parts = [f"{axis} = {tied[axis]} = {sizes[axis]}" for axis in sizes if axis in tied]
    parts += [f"{axis} = {n}" for axis, n in sizes.items() if axis not in tied and "." not in axis]
    return ", ".join(parts)


def rule(context: Context, trial: Trial, name: str, how: Difference, got: Array) -> str:
    """Return the rule of the card that decides where a result differs, where it can be named."""
    want = trial.expected[name]
    if how.problem.startswith("shape"):
        return _size_rule(trial, name)
    if how.position is None or want.at is not None or got.shape != np.shape(want.array):
        return ""
    if "zero of the other sign" in how.problem:
        return "+0 and -0 are different bits; where the definition moves an element it keeps its sign"
    if name in trial.case.form.selects or want.dtype_name.startswith("int"):
        return _order_rule(context, trial, name, how.position, got)
    return ""


def _size_rule(trial: Trial, name: str) -> str:
    """Return how the shape of an output follows from the sizes, with its numbers."""
    solution = trial.case.solution
    spec = next((s for s in trial.case.form.signature.outputs if s.name == name), None)
    if spec is None:
        return ""
    parts = []
    for axes in spec.axes(solution.ranks):
        term = trial.case.form.sizes.get(axes[0]) if len(axes) == 1 else None
        size = math.prod(solution.size(a) for a in axes)
        shown = " * ".join(axes) or "1"
        parts.append(f"{shown} = {term.text} = {size}" if term is not None else f"{shown} = {size}")
    return f"the shape of {name} is ({', '.join(parts)})"


def _order_rule(context: Context, trial: Trial, name: str, position: tuple[int, ...], got: Array) -> str:
    """Return whether a tie or a NaN decides a choice."""
    source = trial.case.form.selects.get(name, ("", ""))[0]
    values = trial.arrays.get(source)
    want = trial.expected[name].array
    if values is None or values.shape[:-1] != got.shape[:-1]:
        return ""
    row = values[position[:-1]]
    chosen = [int(want[position]), int(got[position])]
    if not all(0 <= i < len(row) for i in chosen):
        return ""
    one, other = row[chosen[0]], row[chosen[1]]
    if one == other:
        either = "--ties any" if context.session.adapter(context.op.name) is None else 'admit = ["ties"]'
        accept = "" if context.policy.ties == "any" else f"; {either} accepts either"
        return f"an equal value: where values are equal the lower position comes first{accept}"
    if bool(is_nan(row).any()):
        return "NaN is above every number, and every NaN equals every other"
    return ""


def place(name: str, position: tuple[int, ...] | None, expected: Expected, got: Array) -> str:
    """Return the first place where an output differs and both values there, nothing where there is none."""
    array = np.asarray(expected.array)
    if position is None or len(position) != array.ndim:
        return ""
    if expected.at is not None:
        where = tuple(expected.at[position[0]].tolist())
        came = got[where] if expected.shape else got[position]
        return f"; first at {name}{list(where)}: expected {array[position]}, got {came!s}"
    shown = f"{name}[{', '.join(map(str, position))}]"
    text = f"; first at {shown}: expected {array[position]!s}, got {got[position]!s}"
    if expected.bound is not None:
        text += f" (allowed error {np.broadcast_to(expected.bound, array.shape)[position]:.3g})"
    if str(array[position]) == str(got[position]):
        text += f" (bits {bits_text(array[position])} and {bits_text(got[position])})"
    return text


def error_text(error: Raised) -> str:
    """Return an exception as text, with where it came from."""
    if error.name in SAID:
        return error.text
    shown = "\n".join(f"{error.name}: {error.text}".splitlines()[:8])
    return f"{shown} ({error.place})" if error.place else shown


def witness_of_invalid(context: Context, constraint: str, number: int, came: Came) -> tuple[str, dict[str, Any]]:
    """Return what is wrong where a call, of a number, was accepted that must be rejected, and everything to act on it."""
    call = violating(context.asked, constraint)[number]
    got = ", ".join(sorted(_shapes(came.result))) or "nothing"
    problem = f"accepted a call that does not fit ({call.problem}), and returned shape {got}"
    result = {"result": f"shape {got}"}
    if came.error is not None:
        problem = f"not every rank rejects a call that does not fit ({call.problem}): {error_text(came.error)}"
        result = {"error": error_text(came.error)}
    block = context.sheets.block(context.scene, f"err.{constraint}", "scope")
    data = {
        "summary": context.op.card.summary,
        "signature": str(call.form.signature),
        "formula": [e.text for e in call.form.stated],
        "call": f"{context.op.name}({call})",
        "how": f"a call that must raise: {call}",
        "inputs": {},
        "params": {k: repr(v) for k, v in call.params.items()},
        "expected": {"error": call.problem},
        "got": result,
        "difference": problem,
        "script": script_of_invalid(context.session, context.op.name, block.decoded[number]),
    }
    return problem, data


def _shapes(item: Item | None) -> Iterator[str]:
    if item is not None and item.tensor is not None:
        yield str(list(item.tensor.shape))
    for part in item.parts if item is not None else ():
        yield from _shapes(part)
