"""Strategies of Hypothesis: the legal calls of an op, for properties that somebody states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

from einspec.calls.cases import sizes_of
from einspec.calls.inputs import filled, ramps
from einspec.calls.space import SCOPE, Case, spaces
from einspec.card import Op, load, resolve
from einspec.clauses import dtypes_of
from einspec.conformance.judge.literals import literal
from einspec.dtypes import FLOATS, USUAL

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
PLACES = 1 << 10
"""How many elements of an input may hold other numbers than a ramp: those of a call of the usual sizes."""
LARGEST = 8
"""What such numbers are at most, but for the largest of their dtype: every dtype holds them."""


@dataclass(frozen=True, repr=False)
class LegalCall:
    """One legal call of an op: its inputs, NumPy arrays or lists of them, and its parameters."""

    op: str
    inputs: tuple[Any, ...]
    params: Mapping[str, Any]

    def __call__(self, function: Function, convert: Callable[[Array], Any] = np.copy) -> Any:
        """Return what a function gives for this call.

        Args:
            function: takes the inputs, and the parameters by name.
            convert: makes what the function takes of a NumPy array, ``torch.from_numpy`` for instance.
        """
        return function(*(_each(convert, x) for x in self.inputs), **self.params)

    def __repr__(self) -> str:
        with np.errstate(invalid="ignore"):  # some NaN signal when they are looked at
            inputs = [_each(literal, x) for x in self.inputs]
        shown = [f"[{', '.join(x)}]" if isinstance(x, list) else x for x in inputs]
        named = [f"{k}={v!r}" for k, v in self.params.items()]
        return f"{self.op}({', '.join([*shown, *named])})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in Hypothesis and IPython as everywhere."""
        printer.text(repr(self))


def _each(function: Callable[[Array], Any], value: Any) -> Any:
    """Return what a function makes of an input, of each tensor where it is a list."""
    return [function(part) for part in value] if isinstance(value, list) else function(value)


def calls(
    op: str, *, dtypes: Iterable[str] | None = None, max_size: int = 5, special: bool = True
) -> st.SearchStrategy[LegalCall]:
    """Draw legal calls of an op with at least one coordinate an axis, of every form and of all its parameters.

    They shrink to the first form, the smallest sizes, float32 and the values 1, 2, 3, ...

    Args:
        op: the name of an op, or an alias.
        dtypes: of which the values may be, of those that the card allows; all of these if absent.
        max_size: how large an axis may be; larger where something has to divide it.
        special: whether values may be infinite, NaN or a negative zero.

    Raises:
        KeyError: there is no such op.
        ValueError: the card does not allow such a dtype, or no call is so small.
    """
    found = load(resolve(op))
    chosen = _dtypes(found, dtypes)
    divided = [n for n in sizes_of(found) if n > SCOPE]
    sizes = tuple(dict.fromkeys([*range(1, max_size + 1), *divided]))
    open_spaces = [s for s in spaces(found, most_rank=2, sizes=sizes) if s.count]
    if max_size < 1 or not open_spaces:
        raise ValueError(f"{found.name} has no call whose axes are of size {max_size} at most")

    @st.composite
    def legal(draw: st.DrawFn) -> LegalCall:
        space = open_spaces[draw(st.integers(0, len(open_spaces) - 1))]
        picks = [draw(st.integers(0, len(c) - 1)) for c in space.candidates]
        values = [c[i] for c, i in zip(space.candidates, picks, strict=True)]
        case = space.case(values, draw(st.integers(0, 3)))
        hypothesis.assume(case is not None)
        assert case is not None
        arrays = _values(draw, case, draw(st.sampled_from(chosen)), special)
        return LegalCall(found.name, _inputs(case, arrays), dict(case.params))

    return legal()


def _dtypes(op: Op, asked: Iterable[str] | None) -> list[str]:
    """Return the dtypes that values may have.

    Raises:
        ValueError: the card does not allow one.
    """
    have = dtypes_of(op) or [USUAL["index"]]
    chosen = have if asked is None else list(asked)
    unknown = [d for d in chosen if d not in have]
    if unknown or not chosen:
        wrong = ", ".join(unknown) or "of no dtype"
        raise ValueError(f"values of {op.name} may be {', '.join(have)}, not {wrong}")
    return chosen


def _values(draw: st.DrawFn, case: Case, dtype: str, special: bool) -> dict[str, Array]:
    """Draw the inputs: a ramp, with other numbers in it, or ordinary numbers."""
    kinds = ["ramp", "others", "others", "gauss"] if dtype in FLOATS else ["ramp", "others"]
    kind = draw(st.sampled_from(kinds))
    if kind == "gauss":
        return filled(case, dtype, kind, draw(st.integers(0, 2**32 - 1)))
    arrays = ramps(case, dtype)
    for name in (n for n in case.form.data if n not in case.form.values):
        if not special:
            arrays[name] = _finite(arrays[name])
        if kind == "others":
            arrays[name] = _with_others(draw, arrays[name], special)
    return arrays


def _finite(ramp: Array) -> Array:
    """Return a ramp that a dtype of 8 bits cannot hold to its end, with ones from there on."""
    wide = ramp.astype(np.complex128 if ramp.dtype.kind == "c" else np.float64)
    return np.where(np.isfinite(wide), ramp, np.ones_like(ramp))


def _with_others(draw: st.DrawFn, ramp: Array, special: bool) -> Array:
    """Draw other numbers for some elements of a ramp.

    A place is taken modulo the number of elements, so that it is one in smaller arrays as well, and a failure that needs one
    such number shrinks to the smallest array that holds it.
    """
    if not ramp.size:
        return ramp
    place = st.integers(0, PLACES - 1)
    found = ramp.copy()
    for at, value in draw(st.lists(st.tuples(place, _numbers(ramp.dtype, special)))):
        with np.errstate(all="ignore"):
            found.reshape(-1)[at % ramp.size] = np.asarray(value).astype(ramp.dtype)
    return found


def _numbers(dtype: np.dtype[Any], special: bool) -> st.SearchStrategy[Any]:
    """Draw numbers of a dtype, the plainest first."""
    sizes = range(LARGEST + 1)
    signs = (1, -1) if dtype.kind not in "ub" else (1,)
    small = [sign * size for size in sizes for sign in signs]
    plain: st.SearchStrategy[Any] = st.sampled_from(small)
    if dtype.kind in "iu":
        return plain | st.sampled_from([np.iinfo(dtype).max, np.iinfo(dtype).min])
    if dtype.kind == "b":
        return plain
    # Half of the numbers are special, so that a few draws hold one.
    others = [0.5, -0.1, -0.0, np.inf, -np.inf, np.nan]
    return plain | st.sampled_from(others if special else others[:2])


def _inputs(case: Case, arrays: Mapping[str, Array]) -> tuple[Any, ...]:
    """Return the inputs as a caller gives them, a listed one as a list."""
    specs = case.form.signature.inputs
    return tuple(list(arrays[s.name]) if s.listed else arrays[s.name] for s in specs)
