"""Invalid calls: for each constraint of a card the plainest that violates it first."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from einspec.calls import cases
from einspec.calls.beside import FAR, Shape, other_params, other_shapes, varied
from einspec.calls.space import Case, spaces
from einspec.card import Form, Op
from einspec.constraints import constraints
from einspec.dtypes import ALL, GROUPS, USUAL
from einspec.errors import CallError
from einspec.solve import TensorSpec, solve

Params = Mapping[str, Any]
MORE, MOST_TRIED, MOST_COMPARED = 6, 2000, 200
"""How many more calls a constraint has at most, among how many they are looked for, and of how many it is seen whether they
violate another.
"""
VARIED = 3
"""How many sizes and numbers of a plain call are changed at once, where fewer will not do."""


@dataclass(frozen=True)
class Tensor:
    """The shape and the dtype of one tensor of a call."""

    shape: Shape
    dtype: str


@dataclass(frozen=True)
class InvalidCall:
    """A call that violates one constraint of its card."""

    constraint: str
    near: Case
    """The legal call that it was made from."""
    params: dict[str, Any]
    inputs: tuple[Tensor | tuple[Tensor, ...], ...]
    """The tensors of the call, a tuple for a list of them."""
    problem: str
    """What is wrong, in the words of the card."""
    demanded: bool = False
    """Whether a file of functions must reject it too, whatever its constraint is."""

    @property
    def form(self) -> Form:
        """The form of the card that the call is of."""
        return self.near.form

    @property
    def lists(self) -> list[tuple[Tensor, ...]]:
        """The tensors of each input, of one that is no list the one."""
        return [t if isinstance(t, tuple) else (t,) for t in self.inputs]

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the inputs, of a list that of its stack."""
        found = []
        for given, tensors in zip(self.inputs, self.lists, strict=True):
            first = tensors[0].shape if tensors else ()
            found.append((len(tensors), *first) if isinstance(given, tuple) else first)
        return found

    @property
    def dtypes(self) -> frozenset[str]:
        """The dtypes of its tensors."""
        return frozenset(tensor.dtype for each in self.lists for tensor in each)

    def __str__(self) -> str:
        names = [spec.name for spec in self.form.signature.inputs]
        names += ["one more"] * (len(self.inputs) - len(names))
        parts = []
        for name, tensors, given in zip(names, self.lists, self.inputs, strict=True):
            shapes = [list(t.shape) for t in tensors]
            parts.append(f"{name}{shapes if isinstance(given, tuple) else shapes[0]}")
        return ", ".join([*parts, *(f"{k}={v!r}" for k, v in self.params.items())])


@functools.lru_cache(maxsize=256)
def invalid_calls(op: Op) -> dict[str, InvalidCall]:
    """Return a call for each constraint of a card, in their order; one that has none is absent.

    The call is of the first form that has the constraint. Changes of one argument of a call of
    distinct sizes come first, then plain calls with up to three sizes and numbers changed.
    """
    wanted = constraints(op)
    found: dict[str, tuple[int, InvalidCall]] = {}
    open_ones = set(wanted)
    for changed, call in _candidates(op, lambda: wanted.keys() <= found.keys()):
        constraint = call.constraint
        if constraint in open_ones and _of_its_form(call, wanted):
            doubt = _doubt(call, changed)
            if constraint not in found or doubt < found[constraint][0]:
                found[constraint] = doubt, call
            if not doubt:
                open_ones.remove(constraint)
        if not open_ones:
            break
    return {constraint: found[constraint][1] for constraint in wanted if constraint in found}


@functools.lru_cache(maxsize=256)
def further_calls(op: Op) -> dict[str, tuple[InvalidCall, ...]]:
    """Return more calls for some constraints: another is violated as well, a list has unequal ranks, an axis of nothing is far.

    Two wrong sizes may make up for each other: a negative number of rows times one of columns is positive.
    """
    wanted, found = constraints(op), dict[str, dict[str, InvalidCall]]()
    first = {constraint: str(call) for constraint, call in invalid_calls(op).items()}
    for call in itertools.chain(_beside_each_other(op), _unequal_ranks(op), _far_axes_of_nothing(op)):
        own = found.setdefault(call.constraint, {})
        if len(own) < MORE and str(call) != first.get(call.constraint) and _of_its_form(call, wanted):
            own[str(call)] = call
    return {constraint: tuple(own.values()) for constraint, own in found.items() if constraint in wanted and own}


def _beside_each_other(op: Op) -> Iterator[InvalidCall]:
    """Yield calls that violate a requirement, those first in which another would be violated too; nothing in them is empty."""
    candidates = [
        call
        for _, call in itertools.chain(_far(op, 1, tuples=False), itertools.islice(_far(op, 2, tuples=False), MOST_TRIED))
        if call.constraint.partition(".")[0] in ("require", "divides") and not _has_nothing(call)
    ]
    compared = candidates[:: max(1, len(candidates) // MOST_COMPARED)]
    several = [call for call in compared if _violates_another(call)]
    yield from (*several[: MORE // 2], *candidates[:: max(1, len(candidates) // MORE)])


def _has_nothing(call: InvalidCall) -> bool:
    """Whether a tensor of a call is empty, or a number zero."""
    return any(0 in t.shape for tensors in call.lists for t in tensors) or any(v == 0 for v in call.params.values())


def _unequal_ranks(op: Op) -> Iterator[InvalidCall]:
    """Yield calls with a list whose last tensor has one axis less, and as many elements in each row."""
    for case in cases.bank(op):
        usual = _tensors(case, case.shapes)
        for i, spec in enumerate(case.form.signature.inputs):
            given = usual[i]
            if isinstance(given, tuple) and len(given) > 1 and len(given[0].shape) > 1:
                lists = (*given[:-1], Tensor(given[-1].shape[1:], given[-1].dtype))
                problem = f"tensors of unequal ranks in the list {spec.name}"
                kind = "rank" if f"list.{spec.name}" in op.card.unspecified else "list"
                inputs = (*usual[:i], lists, *usual[i + 1 :])
                yield InvalidCall(f"{kind}.{spec.name}", case, case.params, inputs, problem, demanded=True)


def _far_axes_of_nothing(op: Op) -> Iterator[InvalidCall]:
    """Yield calls with an axis that a tensor does not have, whose tensors are empty."""
    names = [name for name, param in op.card.params.items() if param.axis or param.order]
    for case in cases.bank(op) if names else ():
        shapes = tuple((*shape[:-1], 0) if len(shape) > 1 else shape for shape in case.shapes)
        yield from _invalid(case, shapes, {**case.params, **dict.fromkeys(names, FAR)})


def _of_its_form(call: InvalidCall, wanted: Mapping[str, Form]) -> bool:
    """Return whether a call is of the form in which its constraint is judged, or of none at all."""
    if call.constraint == f"param.{call.near.op.choice}":
        return True
    return wanted.get(call.constraint) is call.form


def _doubt(call: InvalidCall, changed: str) -> int:
    """Return how much speaks against a call: 0 where it violates its constraint alone, and plainly.

    A constraint of one argument is best violated by this argument: another that does not fit it
    may not fit a third either. Where nothing is there nothing can go wrong, so that empty tensors
    and zeros are left to the constraints that are about them.
    """
    kind, _, detail = call.constraint.partition(".")
    if kind in ("axes", "count", "keyword"):
        return 0
    if kind == "require":
        zeros = [v for v in call.params.values() if v == 0]
        empty = [t for tensors in call.lists for t in tensors if 0 in t.shape]
        return len(zeros) + len(empty) + len(_tuples(call.params)) + _violates_another(call)
    return int(changed != detail.partition(".")[0])


def _violates_another(call: InvalidCall) -> bool:
    """Return whether a call would violate another requirement without the one that it violates."""
    op, form = call.near.op, call.form
    others = {k: term for k, term in form.require.items() if f"require.{k}" != call.constraint}
    forms = {k: replace(f, require=others) if f is form else f for k, f in op.forms.items()}
    try:
        solve(replace(op, forms=forms), call.shapes, call.params)
    except CallError as error:
        return error.constraint.startswith("require.")
    return False


def _candidates(op: Op, complete: Callable[[], bool]) -> Iterator[tuple[str, InvalidCall]]:
    """Yield invalid calls, each with the argument that makes it so.

    Many changes at once are tried only while some constraint has no call.
    """
    yield from _near(op)
    for count in range(1, VARIED + 1):
        if count < VARIED or not complete():
            yield from _far(op, count, tuples=False)
            yield from _far(op, count, tuples=True)


def _near(op: Op) -> Iterator[tuple[str, InvalidCall]]:
    """Yield the invalid calls among those that differ in one argument from a legal one."""
    for case in cases.bank(op):
        for name, shapes in other_shapes(case):
            yield from ((name, call) for call in _invalid(case, shapes, case.params))
        for name, params in other_params(case):
            yield from ((name, call) for call in _invalid(case, case.shapes, params))
        yield from _other_tensors(case)


def _far(op: Op, count: int, tuples: bool) -> Iterator[tuple[str, InvalidCall]]:
    """Yield the invalid calls that differ from a plain one in so many sizes and numbers."""
    for space in spaces(op, sizes=(2, 1, 0, 3, 4)):
        for params, shapes in varied(space, count, tuples):
            if all(n >= 0 for shape in shapes for n in shape):
                case = _alike(op, space.form, params)
                yield from (("", call) for call in _invalid(case, shapes, params))


def _alike(op: Op, form: Form, params: Params) -> Case:
    """Return a legal call of a form that gives tuples for the same parameters, if there is one."""
    legal = [case for case in cases.bank(op) if case.form is form]
    given = _tuples(params)
    return next((case for case in legal if _tuples(case.params) == given), legal[0])


def _tuples(params: Params) -> set[str]:
    """Return the parameters for which a call gives tuples."""
    return {name for name, value in params.items() if isinstance(value, tuple)}


def _invalid(case: Case, shapes: Sequence[Shape], params: Params) -> Iterator[InvalidCall]:
    """Yield a call if it is not legal, with the constraint that the solver reports first."""
    try:
        solve(case.op, shapes, params)
    except CallError as error:
        problem = str(error).splitlines()[0]
        inputs = _tensors(case, shapes)
        yield InvalidCall(error.constraint, case, dict(params), inputs, problem)


def _tensors(case: Case, shapes: Iterable[Shape]) -> tuple[Tensor | tuple[Tensor, ...], ...]:
    """Return tensors of these shapes and the usual dtypes; one too many is like the last input."""
    found: list[Tensor | tuple[Tensor, ...]] = []
    inputs = case.form.signature.inputs
    for i, shape in enumerate(shapes):
        spec = inputs[min(i, len(inputs) - 1)] if inputs else None
        dtype = _usual(case, spec) if spec else "float32"
        listed = spec is not None and spec.listed
        found.append((Tensor(shape[1:], dtype),) * shape[0] if listed else Tensor(shape, dtype))
    return tuple(found)


def _usual(case: Case, spec: TensorSpec) -> str:
    return USUAL.get(case.form.group(spec.name), "float32")


def _other_tensors(case: Case) -> Iterator[tuple[str, InvalidCall]]:
    """Yield the legal call with an input of another dtype, or an odd tensor in a list."""
    usual = _tensors(case, case.shapes)
    for i, spec in enumerate(case.form.signature.inputs):
        for kind, other in _unlike(case, spec, usual[i]):
            inputs = (*usual[:i], other, *usual[i + 1 :])
            constraint = f"{kind}.{spec.name}"
            problem = _problem(kind, spec.name, other)
            yield spec.name, InvalidCall(constraint, case, case.params, inputs, problem)


def _unlike(
    case: Case, spec: TensorSpec, usual: Tensor | tuple[Tensor, ...]
) -> Iterator[tuple[str, Tensor | tuple[Tensor, ...]]]:
    """Yield changes of an input, each with the kind of constraint that it violates."""
    own = _usual(case, spec)
    outside = [d for d in ALL if d not in GROUPS[case.form.group(spec.name)]]
    mixed = [d for d in ALL if d != own and case.form.dtype[spec.name].startswith("same as ")]
    if isinstance(usual, Tensor):
        yield from (("dtype", Tensor(usual.shape, d)) for d in (outside or mixed)[:1])
        return
    last = usual[-1] if len(usual) > 1 else None
    if last is not None and last.shape:
        *front, size = last.shape
        yield "list", (*usual[:-1], Tensor((*front, size + 1), own))
        yield "broadcast", (*usual[:-1], Tensor((*front, 1), own))
        yield "dtype", (*usual[:-1], Tensor(last.shape, next(d for d in ALL if d != own)))


def _problem(kind: str, name: str, given: Tensor | tuple[Tensor, ...]) -> str:
    """Return what is wrong with an input that a legal call does not have."""
    if isinstance(given, Tensor):
        return f"{name} may not be {given.dtype}"
    what = "dtypes" if kind == "dtype" else "shapes"
    return f"tensors of unequal {what} in the list {name}"
