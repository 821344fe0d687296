"""A failure as someone reads it who has never seen einspec: formula, inputs as literals, expected, got, a script."""

from __future__ import annotations

import traceback
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from einspec.answers.rules import Expected
from einspec.card import Op
from einspec.conformance.judge.replay import record
from einspec.conformance.judge.session import Outcome, Trial, WrongKind
from einspec.dtypes import COMPLEX, FLOAT8

if TYPE_CHECKING:
    from einspec.conformance.judge.judge import Context

Array = np.ndarray[Any, Any]
MOST_TOLD = 2000
"""Characters of the text of an exception that are shown."""
LITERAL_LIMIT = 128
"""Above this number of elements an input is described, not written out."""


def witness(context: Context, clause: str, trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """Return everything that is needed to act on a failure, as plain data."""
    case, found = trial.case, None
    if outcome.error is None:
        found = outcome.difference(trial)
    data: dict[str, Any] = {
        "summary": case.op.card.summary,
        "signature": str(case.form.signature),
        "formula": [e.text for e in case.form.stated],
        "call": f"{case.op.name}({case})",
        "how": trial.how,
        "inputs": {name: literal(array) for name, array in trial.arrays.items()},
        "params": {k: repr(v) for k, v in case.params.items()},
    }
    if outcome.error is not None:
        data["expected"] = {n: expected_text(e) for n, e in trial.expected.items()}
        data["got"] = {"error": _error(outcome.error)}
    elif found is not None:
        name, how = found
        data["expected"] = {name: expected_text(trial.expected[name])}
        data["got"] = {name: literal(outcome.outputs[name])}
        data["difference"] = f"{name}: {how.problem}" + where(name, how.position, trial.expected[name], outcome.outputs[name])
    if (
        trial.call is None
        and trial.prepare is None
        and trial.relation is None
        and not any(e.at is not None for e in trial.expected.values())
    ):
        data["script"] = script(context, trial)
    replay = record(trial)
    if replay is not None:
        data["replay"] = replay
    return data


PARTS = {
    "summary": "what it is",
    "signature": "signature",
    "formula": "formula",
    "call": "call",
    "how": "how",
    "inputs": "{}",
    "expected": "expected {}",
    "got": "got {}",
    "difference": "difference",
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


def where(name: str, position: tuple[int, ...] | None, expected: Expected, got: Array) -> str:
    """Return the first place where an output differs and both values there, nothing where there is none."""
    if position is None or len(position) != expected.array.ndim:
        return ""
    if expected.at is not None:
        position = tuple(expected.at[position[0]].tolist())
        return f"; first at {name}{list(position)}: expected {_value_at(expected, position)}, got {got[position]!s}"
    place = f"{name}[{', '.join(map(str, position))}]"
    text = f"; first at {place}: expected {expected.array[position]!s}, got {got[position]!s}"
    if expected.bound is not None:
        text += f" (allowed error {np.broadcast_to(expected.bound, expected.array.shape)[position]:.3g})"
    if str(expected.array[position]) == str(got[position]):
        text += f" (bits {_bits(expected.array[position])} and {_bits(got[position])})"
    return text


def _value_at(expected: Expected, position: tuple[int, ...]) -> Any:
    """Return the value of an output that is known at some coordinates alone."""
    assert expected.at is not None
    return expected.array[(expected.at == position).all(1).argmax()]


def _bits(value: Any) -> str:
    return "0x" + np.asarray(value).tobytes()[::-1].hex()


def told(error: BaseException) -> str:
    """Return an exception as text that can be shown: not too long, without control characters, whatever its own does."""
    try:
        text = str(error).strip()[:MOST_TOLD]
    except Exception:
        text = "(it cannot be shown)"
    return f"{type(error).__name__}: " + "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _error(error: BaseException) -> str:
    if isinstance(error, WrongKind):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/conformance/" not in f.filename.replace("\\", "/")]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return "\n".join(told(error).splitlines()[:8]) + place


def expected_text(expected: Expected) -> str:
    """Return an expected output as a literal, in the words that fit how exactly it must be met."""
    text = literal(expected.array)
    return text if expected.how != "bound" else f"{text}, to be met within rounding ({expected.dtype_name})"


def literal(array: Array) -> str:
    """Return an array as Python that rebuilds it, or as a description where it is large."""
    if array.size > LITERAL_LIMIT:
        return f"a tensor of shape {list(array.shape)}, dtype {array.dtype.name}"
    name = array.dtype.name
    if array.size == 0:
        return f"np.zeros({array.shape}, dtype={_dtype(name)})"
    ramp = np.arange(1, array.size + 1).reshape(array.shape)
    if array.ndim > 1 and name != "bool" and np.array_equal(array, ramp.astype(array.dtype)):
        return f"np.arange(1, {array.size + 1}).reshape({array.shape}).astype({_dtype(name)})"
    if name in COMPLEX or name == "bool" or array.dtype.kind in "iu":
        values = repr(array.tolist())
    elif _plain(array):
        values = repr(array.astype(np.float64).tolist())
    else:
        carrier = np.dtype(f"u{array.dtype.itemsize}")
        bits = np.ascontiguousarray(array).reshape(-1).view(carrier).tolist()
        return f"np.array({bits}, np.{carrier.name}).view({_dtype(name)}).reshape({array.shape})  # {array.tolist()}"
    return f"np.array({values}, dtype={_dtype(name)})"


def _plain(array: Array) -> bool:
    """Whether decimal literals rebuild the bits: no NaN, and no infinity that a literal cannot name."""
    return bool(np.isfinite(array.astype(np.float64)).all())


def _dtype(name: str) -> str:
    return f"ml_dtypes.{name}" if name == "bfloat16" or name in FLOAT8 else f"np.{name}" if name != "bool" else "bool"


CONVERT = {
    "numpy": ("", "{}"),
    "torch": ("import torch\n", "torch.as_tensor({})"),
    "jax": ("import jax.numpy as jnp\n", "jnp.asarray({})"),
}
BACK = {"numpy": "np.asarray({})", "torch": "{}.detach().resolve_conj().numpy()", "jax": "np.asarray({})"}


def script(context: Context, trial: Trial) -> str:
    """Return a script that shows the failure with the framework and the function alone."""
    case, framework = trial.case, context.session.target.framework
    sizes = [a.size for a in trial.arrays.values()] + [e.array.size for e in trial.expected.values()]
    if framework not in CONVERT or max(sizes, default=0) > LITERAL_LIMIT:
        return ""
    narrow = {"bfloat16", *FLOAT8}
    used = {a.dtype.name for a in (*trial.arrays.values(), *(e.array for e in trial.expected.values()))}
    if narrow & used and framework == "torch":
        return ""
    imports, make = CONVERT[framework]
    lines = ["import numpy as np", *(["import ml_dtypes"] if narrow & used else []), *imports.strip().splitlines()]
    lines += context.session.target.load.splitlines()
    if any(d in ("int64", "uint64", "float64", "complex128") for d in used) and framework == "jax":
        lines.append('import jax; jax.config.update("jax_enable_x64", True)')
    args = []
    for spec in case.form.signature.inputs:
        lines.append(f"{spec.name} = {make.format(literal(trial.arrays[spec.name]).partition('  #')[0])}")
        args.append(f"list({spec.name})" if spec.listed else spec.name)
    parameters = "".join(f", {p}" for p in _parameters(context, case.op, case.params))
    if context.session.compiles and case.op.name not in context.session.not_traceable:
        lines.append("import jax")
        names = ", ".join(s.name for s in case.form.signature.inputs)
        call = f"{case.op.name}({names}{parameters})".replace("(, ", "(")
        lines.append(f"got = jax.jit(lambda {names}: {call})({', '.join(args)})")
    else:
        lines.append(f"got = {case.op.name}({', '.join(args)}{parameters})".replace("(, ", "("))
    lines += _assertion(trial, framework)
    return "\n".join(lines)


def _parameters(context: Context, op: Op, params: Mapping[str, Any]) -> list[str]:
    """Return the parameters of a call as the function takes them."""
    positional, named = context.session.target.arguments(op, params)
    return [*map(repr, positional), *(f"{k}={v!r}" for k, v in named.items())]


def _assertion(trial: Trial, framework: str) -> list[str]:
    listed = {s.name: s.listed for s in trial.case.form.signature.outputs}
    lines = []
    for i, (name, want) in enumerate(trial.expected.items()):
        got = "got" if len(trial.expected) == 1 else f"got[{i}]"
        found = f"np.stack([{BACK[framework].format('y')} for y in {got}])" if listed.get(name) else BACK[framework].format(got)
        lines.append(f"expected = {literal(want.array).partition('  #')[0]}")
        lines.append(f'print("expected", expected, "got", {got}, sep="\\n")')
        if want.how == "bound":
            lines.append(f"bound = {literal(np.asarray(want.bound)).partition('  #')[0]}")
            lines.append(f"found = {found}.astype(expected.dtype)")
            lines.append("same = (found == expected) | (np.isnan(found) & np.isnan(expected))")
            lines.append("assert np.all(same | np.isinf(bound) | (np.abs(found - expected) <= bound))")
            continue
        lines.append(f"assert {found}.dtype == expected.dtype and {found}.shape == expected.shape")
        if want.how == "bits" and (want.array == want.array).all():
            lines.append(f"assert {found}.tobytes() == expected.tobytes()")
        else:
            lines.append(f"assert np.array_equal({found}, expected, equal_nan=True)")
    return lines
