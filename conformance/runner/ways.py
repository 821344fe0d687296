"""Making calls: the inputs as the framework's arrays, the function in the way that is asked for, and what came as bytes."""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from einspec.calls.hashed import Hashed
from einspec.conformance.mapping import levels_of, rows_of
from einspec.conformance.protocol import (
    Call,
    Input,
    Item,
    Outcome,
    Raised,
    Tensor,
    parameters,
    printable,
    tensor,
)
from einspec.conformance.runner.calling import LackingError, bound
from einspec.conformance.runner.loading import Candidate
from einspec.dtypes import ALL, numpy_dtype

Array = np.ndarray[Any, Any]
CHUNK = 16
"""How many calls a framework that compiles gets at once: with more, compiling takes longer than it saves."""
WIDE = frozenset(("int64", "uint64", "float64", "complex128"))
"""Dtypes beside which a framework may compute others otherwise, so that they are not compiled together."""
MOST_TEXT = 2000
"""Characters of the text of an exception that are told."""
MOST_PARTS = 4096
"""How many results of a list are told."""
NO_ROOM = (
    "out of memory",
    "not enough memory",
    "can't allocate",
    "unable to allocate",
    "failed to allocate",
    "exhausted",
)
"""What messages say, in lower case, of the exceptions that mean that a call did not fit."""
BROKEN = (
    SystemExit,
    NameError,
    RecursionError,
    MemoryError,
)
"""Exceptions that no function refuses a call with: it has a bug, or ends the program."""
Caught = (Exception, SystemExit)
"""What a call may raise without ending the process."""
Function = Callable[..., Any]


CALLS_BETWEEN = 7
"""More calls before an earlier result is read again: some write into the memory of a result a few calls ago."""


class Calls:
    """A candidate on one device: makes calls and says what came of each."""

    def __init__(self, candidate: Candidate, device: str) -> None:
        self.candidate, self.device, self.adapter = candidate, device, candidate.adapter
        self.not_traceable: set[str] = set()
        self.transformed: tuple[Any, Function] | None = None
        """The function that was transformed last, with what it was made from: compiling is dear."""

    @property
    def compiles(self) -> bool:
        """Whether every new shape costs the framework a compilation."""
        return hasattr(self.adapter, "many")

    def holding(self, dtypes: Iterable[str]) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the framework can hold these dtypes."""
        hold = getattr(self.adapter, "holding", None)
        nothing: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        return hold(dtypes) if hold else nothing

    def make(self, op: str, calls: Sequence[Call], begin: Callable[[int], bool]) -> Iterator[Outcome]:
        """Yield what comes of calls, in order.

        Args:
            op: the op.
            calls: the calls.
            begin: told the number of each call that is begun; false when no more are wanted.
        """
        conventions = self.candidate.conventions.get(op)
        for outcome in self._made(op, calls, begin):
            used = conventions(parameters(calls[outcome.number])) if conventions is not None else ()
            yield msgspec.structs.replace(outcome, admitted=used) if used else outcome

    def _made(self, op: str, calls: Sequence[Call], begin: Callable[[int], bool]) -> Iterator[Outcome]:
        number = 0
        while number < len(calls):
            if not begin(number):
                return
            outside = self.outside(op, calls[number])
            together = 1 if outside else self._together(op, calls, number)
            if outside:
                yield Outcome(number, outside=outside)
                number += 1
            elif together > 1:
                part = calls[number : number + together]
                yield from self._compiled(op, part, number, begin)
                number += together
            else:
                yield self._one(op, calls[number], number)
                number += 1

    def _together(self, op: str, calls: Sequence[Call], start: int) -> int:
        """Return how many calls from one on can be compiled together."""
        if not self.compiles or op in self.not_traceable:
            return 1
        wide = bool(WIDE & calls[start].dtypes)
        count = 0
        for call in calls[start : start + CHUNK]:
            if call.way.kind != "plain" or call.way.at or bool(WIDE & call.dtypes) != wide or self.outside(op, call):
                break
            count += 1
        return count

    def outside(self, op: str, call: Call) -> str:
        """Return why a call, or another that is made with it, is none for which the candidate promises anything."""
        domain = self.candidate.domains.get(op)
        if domain is None:
            return ""
        every = list(_calls_in(call)) if call.way.kind in ("rows", "vmap") else [_arrays(call.inputs)]
        every += [_arrays(call.extra)] if call.way.kind == "twice" else []
        reasons = (domain(each, parameters(call)) for each in every)
        return next(filter(None, reasons), "")

    def _compiled(self, op: str, calls: Sequence[Call], first: int, begin: Callable[[int], bool]) -> Iterator[Outcome]:
        """Yield the outcomes of a few calls compiled together; one by one where that fails."""
        made: dict[str, Function] = {}  # one for the same parameters, so that what is compiled serves more than one call
        texts = [repr(sorted(parameters(call).items())) for call in calls]
        functions = [
            made.setdefault(text, bound(self.candidate.call(op), parameters(call)))
            for text, call in zip(texts, calls, strict=True)
        ]
        try:
            with self.holding(set().union(*(call.dtypes for call in calls))):
                args = [self.arguments(call) for call in calls]
                results = self.adapter.many(functions, args)
        except Caught:
            half = len(calls) // 2
            for offset, part in ((0, calls[:half]), (half, calls[half:])):
                if not begin(first + offset):
                    return
                if len(part) == 1:
                    yield self._one(op, part[0], first + offset)
                else:
                    yield from self._compiled(op, part, first + offset, begin)
            return
        for number, result in enumerate(results):
            yield self._told(first + number, functools.partial(_itself, result))

    def _one(self, op: str, call: Call, number: int) -> Outcome:
        """Return the outcome of one call."""
        way = call.way.kind
        try:
            with self.holding(call.dtypes):
                if way == "twice":
                    return self._twice(op, call, number)
                if way == "write":
                    return self._written(op, call, number)
                if way in DERIVATIVES:
                    return DERIVATIVES[way](self, op, call, number)
                if call.way.at:
                    return self._sampled(op, call, number)
                args = self.arguments(call)
                function = bound(self.candidate.call(op), parameters(call))
                if way == "rows":
                    return self._told(number, lambda: self._rows(function, call, args))
                if way in ("jit", "compile", "codegen", "vmap"):
                    changed = self._transform(op, call, function)
                    return self._told(number, lambda: changed(*args))
                if way == "plain" and self.compiles and op not in self.not_traceable:
                    return self._traced(op, function, args, number)
                eager = way == "plain" and self.compiles
                return self._told(number, lambda: function(*args), eager)
        except Caught as error:
            return Outcome(number, error=raised(error))

    def _traced(self, op: str, function: Function, args: list[Any], number: int) -> Outcome:
        """Return the outcome of a call that is compiled, unless that is what fails."""
        try:
            result = self.adapter.many([function], [args])[0]
        except Caught:
            outcome = self._told(number, lambda: function(*args), eager=True)
            if outcome.error is None:
                self.not_traceable.add(op)
            return outcome
        return self._told(number, lambda: result)

    def _transform(self, op: str, call: Call, function: Function) -> Function:
        """Return a function under a transform, the same as before for the same function."""
        key = (op, call.way.kind, call.way.maps, len(call.inputs), repr(sorted(parameters(call).items())))
        if self.transformed is None or self.transformed[0] != key:
            transform = self.adapter.transforms[call.way.kind]
            self.transformed = key, self._mapped(function, call) if call.way.kind == "vmap" else transform(function)
        return self.transformed[1]

    def _mapped(self, function: Function, call: Call) -> Function:
        """Return a function mapped over axes, by one ``vmap`` around another where several are asked for."""
        for each in reversed(levels_of(call.way, len(call.inputs))):
            function = self.adapter.transforms["vmap"](function, each.axes, each.out)
        return function

    def _rows(self, function: Function, call: Call, args: list[Any]) -> Any:
        """Return the results of independent calls along a new first axis."""
        try:
            return self._mapped(function, call)(*args)
        except Caught:
            pass
        count = len(call.inputs[0].parts[0].array())
        rows = [function(*(_row(a, i) for a in args)) for i in range(count)]
        several = isinstance(rows[0], tuple | list)
        parts = list(zip(*rows, strict=True)) if several else [rows]
        back = self.adapter.to_numpy
        stacked = [self.adapter.asarray(np.stack([np.asarray(back(r)) for r in part]), self.device) for part in parts]
        return tuple(stacked) if several else stacked[0]

    def _twice(self, op: str, call: Call, number: int) -> Outcome:
        """Return what a call gave, what the same result held after another call, and what repetitions gave."""
        function = bound(self.candidate.call(op), parameters(call))
        transforms = getattr(self.adapter, "transforms", {})
        if call.inputs and self.compiles and op not in self.not_traceable and "jit" in transforms:
            function = self._jitted(function, call)
        args, others = self.arguments(call), self.framework_arrays(call.extra)
        result = function(*args)
        runs = {"first": self.item(result)}
        runs["other"] = self.item(function(*others))
        for _ in range(CALLS_BETWEEN):
            function(*others)
        runs["kept"] = self.item(result)
        for i in range(2):
            runs[f"again {i}"] = self.item(function(*args))
        for given, array in zip(call.inputs, args, strict=True):
            runs[f"input {given.name}"] = self.item(array)
        return Outcome(number, runs["first"], runs=runs, devices=self.devices(result))

    def _written(self, op: str, call: Call, number: int) -> Outcome:
        """Return what a result and the inputs held once the result was written to; nothing where no array may be."""
        function, args = bound(self.candidate.call(op), parameters(call)), self.arguments(call)
        result = function(*args)
        came = self.item(result)
        parts = list(_leaves(result))
        new = [_other(np.asarray(self.adapter.to_numpy(part))) for part in parts]
        try:
            for values in new:
                self.adapter.asarray(values.copy(), self.device)[...] = self.adapter.asarray(values.copy(), self.device)
        except Caught:
            return Outcome(number, came)
        for part, values in zip(parts, new, strict=True):
            try:
                part[...] = self.adapter.asarray(values.copy(), self.device)
            except Caught as error:
                return Outcome(number, came, runs={"read": Item("other", text=raised(error).text)})
        runs = {"written": Item("list", parts=tuple(map(packed, new))), "read": self.item(parts)}
        for given, array in zip(call.inputs, args, strict=True):
            runs[f"input {given.name}"] = self.item(array)
        return Outcome(number, came, runs=runs)

    def _jitted(self, function: Function, call: Call) -> Function:
        """Return the compiled function, or the function itself where it cannot be compiled."""
        compiled: Function = self.adapter.transforms["jit"](function)
        try:
            compiled(*self.arguments(call))
        except Caught:
            return function
        return compiled

    def _gradient(self, op: str, call: Call, number: int) -> Outcome:
        """Return the gradient of an input given those of the outputs, and the cotangents afterwards."""
        way, slopes = call.way, Differentiable(self, op, call)
        cotangents = self._flat(call.extra, way.memory)
        found = slopes.rebuilt(self.adapter.transforms["vjp"](slopes.outputs, slopes.leaves, cotangents))[way.wrt]
        runs = {}
        if not self.compiles:
            kept = iter(cotangents)
            runs = {g.name: self.item(next(kept)) for g in call.extra if not g.listed}
        return Outcome(number, self.item(found), runs=runs | self._beside(op, slopes))

    def _tangents(self, op: str, call: Call, number: int) -> Outcome:
        """Return the tangents of outputs given those of inputs."""
        slopes = Differentiable(self, op, call)
        found = self.adapter.transforms["jvp"](slopes.outputs, slopes.leaves, self._flat(call.extra))
        return Outcome(number, self.item(found), runs=self._beside(op, slopes))

    def _beside(self, op: str, slopes: Differentiable) -> dict[str, Item]:
        """Return the outputs of a call that is differentiated, where their order says which derivatives are meant."""
        if op not in self.candidate.beside:
            return {}
        result = slopes.function(*slopes.named.values())
        return {"outputs": self.item(list(result) if isinstance(result, tuple | list) else [result])}

    def _gradients_of_gradients(self, op: str, call: Call, number: int) -> Outcome:
        """Return the gradients of the gradients of inputs, by these and by the cotangents of outputs."""
        vjp, slopes = self.adapter.transforms["vjp"], Differentiable(self, op, call)
        count, given = len(slopes.leaves), {g.name for g in call.inputs}
        cotangents = self._flat([g for g in call.extra if g.name not in given])
        outer = self._flat([g for g in call.extra if g.name in given])

        def gradients(*args: Any) -> Any:
            found = vjp(slopes.outputs, args[:count], args[count:])
            return tuple(found) if count > 1 else found[0]

        found = list(vjp(gradients, [*slopes.leaves, *cotangents], outer))
        by_inputs, rest = slopes.rebuilt(found[:count]), found[count:]
        by_cotangents = []
        for each in (g for g in call.extra if g.name not in given):
            taken, rest = rest[: len(each.parts)], rest[len(each.parts) :]
            by_cotangents.append(taken if each.listed else taken[0])
        return Outcome(number, self.item([*by_inputs.values(), *by_cotangents]), runs=self._beside(op, slopes))

    def _flat(self, given: Sequence[Input], memory: str = "") -> list[Any]:
        """Return the tensors of inputs, those of lists one by one."""
        return [self._laid(self.array(t), memory) for g in given for t in g.parts]

    def arguments(self, call: Call) -> list[Any]:
        """Return the framework's arrays of a call in the memory that is asked for, a listed input as a list."""
        return self.framework_arrays(call.inputs, call.way.layout, call.way.expand)

    def framework_arrays(self, given: Sequence[Input], layout: str = "", expand: int = -1) -> list[Any]:
        """Return arrays of the framework."""
        args: list[Any] = []
        for each in given:
            parts = [self._laid(self.array(t), layout, expand) for t in each.parts]
            args.append(parts if each.listed else parts[0])
        return args

    def array(self, given: Tensor) -> Any:
        """Return the framework's array of the bytes, in memory that nothing else holds."""
        return self.adapter.asarray(whole(given), self.device)

    def _laid(self, array: Any, layout: str, expand: int = -1) -> Any:
        """Return the same values in other memory."""
        if expand >= 0 and array.ndim:
            axis = min(expand, array.ndim - 1)
            return self.adapter.expanded(array, axis, array.shape[axis])
        if layout == "expanded":
            last = array.ndim - 1
            return self.adapter.expanded(array, last, array.shape[last]) if array.ndim else array
        return self.adapter.layouts(array).get(layout, array) if layout else array

    def _told(self, number: int, call: Callable[[], Any], eager: bool = False) -> Outcome:
        """Return what a call gives, as bytes."""
        try:
            return Outcome(number, self.item(call()), eager=eager)
        except Caught as error:
            return Outcome(number, error=raised(error), eager=eager)

    def devices(self, result: Any) -> tuple[str, ...]:
        """Return where the arrays of a result are; a number is nowhere."""
        if not hasattr(self.adapter, "device_of"):
            return ()
        parts = result if isinstance(result, tuple | list) else [result]
        return tuple({str(self.adapter.device_of(p)): None for p in parts if not isinstance(p, int)})

    def item(self, value: Any, depth: int = 0) -> Item:
        """Return what a function gave, as data."""
        is_array = getattr(self.adapter, "is_array", None)
        if isinstance(value, tuple | list) and depth < 3:
            return Item("list", parts=tuple(self.item(v, depth + 1) for v in value[:MOST_PARTS]))
        if isinstance(value, int) and not isinstance(value, bool):
            small = abs(value) < 1 << 62
            return Item("int", value=value) if small else Item("other", text="int")
        if is_array is not None and not is_array(value):
            if type(value) in (float, bool):
                return Item("number", packed(np.asarray(value)).tensor, text=type(value).__name__)
            return Item("other", text=type(value).__name__)
        array = np.asarray(self.adapter.to_numpy(value))
        return packed(array)

    def _sampled(self, op: str, call: Call, number: int) -> Outcome:
        """Return what a call gives at some coordinates; its inputs live no longer than they must."""
        function = bound(self.candidate.call(op), parameters(call))
        args = self.arguments(call)
        traceable = self.compiles and op not in self.not_traceable
        result = self.adapter.many([function], [args])[0] if traceable else function(*args)
        del args
        return Outcome(number, self.picked(result, call.way.at))

    def picked(self, result: Any, at: tuple[tuple[bytes, ...] | None, ...]) -> Item:
        """Return the elements of outputs at some coordinates, of each that is looked at anywhere."""
        if len(at) == 1:
            return self._picked(result, at[0])
        if not isinstance(result, tuple | list):
            return Item("other", text=type(result).__name__)
        outputs = zip(result, at, strict=False)
        found = tuple(self._picked(part, columns) for part, columns in outputs)
        surplus = (Item("other"),) * (len(result) - len(found))
        return Item("list", parts=found + surplus)

    def _picked(self, part: Any, columns: tuple[bytes, ...] | None) -> Item:
        """Return an output as its elements at some coordinates, with its shape or those of its list."""
        parts = list(part) if isinstance(part, tuple | list) else [part]
        is_array = getattr(self.adapter, "is_array", lambda x: hasattr(x, "shape"))
        strange = [p for p in parts if not is_array(p)]
        if columns is None or strange:
            return Item("other", text=type(strange[0]).__name__ if strange else "")
        shapes = tuple(tuple(map(int, p.shape)) for p in parts)
        index = tuple(np.frombuffer(c, np.int64) for c in columns)
        if not isinstance(part, tuple | list):
            values = packed(self._elements(part, index)).tensor if _fits(index, shapes[0]) else None
            return Item("array", values, shapes=shapes)
        if not all(_fits(index, (len(parts), *shape)) for shape in shapes):
            return Item("list", shapes=shapes)
        chosen = [index[0] == i for i in range(len(parts))]
        picks = [self._elements(p, tuple(c[here] for c in index[1:])) for p, here in zip(parts, chosen, strict=True)]
        elements = np.empty(len(index[0]), picks[0].dtype)
        for here, some in zip(chosen, picks, strict=True):
            elements[here] = some
        return Item("list", packed(elements).tensor, shapes=shapes)

    def _elements(self, part: Any, index: tuple[Array, ...]) -> Array:
        """Return some elements of an array, picked on its device where that spares a copy of the whole."""
        if self.device != "cpu":
            with contextlib.suppress(Exception):
                moved = tuple(self.adapter.asarray(i, self.device) for i in index)
                return np.asarray(self.adapter.to_numpy(part[moved])).reshape(-1)
        return np.asarray(np.asarray(self.adapter.to_numpy(part))[index]).reshape(-1)


DERIVATIVES: dict[str, Callable[[Calls, str, Call, int], Outcome]] = {
    "vjp": Calls._gradient,
    "jvp": Calls._tangents,
    "double_backward": Calls._gradients_of_gradients,
}
"""What makes a call that asks for a derivative, by the kind of its way."""


class Differentiable:
    """A call as a function of the tensors that it is differentiated by, those of lists one by one."""

    def __init__(self, calls: Calls, op: str, call: Call) -> None:
        self.way = call.way
        self.function = bound(calls.candidate.call(op), parameters(call))
        self.named = dict(zip((g.name for g in call.inputs), calls.arguments(call), strict=True))
        self.listed = {g.name for g in call.inputs if g.listed}

    @property
    def leaves(self) -> list[Any]:
        """The tensors."""
        return [leaf for n in self.way.asked for leaf in (self.named[n] if n in self.listed else [self.named[n]])]

    def rebuilt(self, leaves: Sequence[Any]) -> dict[str, Any]:
        """Return tensors as inputs by name."""
        rest, found = list(leaves), {}
        for name in self.way.asked:
            size = len(self.named[name]) if name in self.listed else 1
            taken, rest = rest[:size], rest[size:]
            found[name] = taken if name in self.listed else taken[0]
        return found

    def outputs(self, *leaves: Any) -> Any:
        """Return the outputs that have a derivative."""
        way = self.way
        result = self.function(*{**self.named, **self.rebuilt(leaves)}.values())
        if way.outputs == len(way.places):
            return tuple(result) if isinstance(result, tuple | list) else result
        picked = tuple(result[i] for i in way.places)
        return picked if len(picked) > 1 else picked[0]


def _arrays(given: Sequence[Input]) -> dict[str, Any]:
    """Return inputs as NumPy arrays by name, a listed one as a list."""
    return {g.name: [whole(t) for t in g.parts] if g.listed else whole(g.parts[0]) for g in given}


def _calls_in(call: Call) -> Iterator[dict[str, Any]]:
    """Yield the inputs of every call that is mapped."""
    given = call.inputs
    arrays = [np.stack([whole(t) for t in g.parts]) if g.listed else whole(g.parts[0]) for g in given]
    for row in rows_of(arrays, levels_of(call.way, len(given)), [g.listed for g in given]):
        yield {g.name: list(array) if g.listed else array for g, array in zip(given, row, strict=True)}


def _leaves(result: Any) -> Iterator[Any]:
    """Yield the arrays of a result."""
    if isinstance(result, tuple | list):
        for part in result:
            yield from _leaves(part)
    else:
        yield result


def _other(array: Array) -> Array:
    """Return numbers of which each is another one, and none what an input of a few elements holds."""
    if array.dtype == bool:
        return ~array
    with np.errstate(all="ignore"):
        return (-1 - np.arange(array.size)).reshape(array.shape).astype(array.dtype)


def _itself(result: Any) -> Any:
    return result


def _fits(index: Sequence[Array], shape: Sequence[int]) -> bool:
    """Whether coordinates are those of an array of a shape, which has elements."""
    pairs = zip(index, shape, strict=False)
    return len(index) == len(shape) and 0 not in shape and all(int(i.max(initial=0)) < n for i, n in pairs)


def packed(array: Array) -> Item:
    """Return an array as data, its numbers in the order of bytes of this machine."""
    if type(array) is not np.ndarray:
        array = np.array(array, subok=False)
    if array.dtype.hasobject or (array.dtype.kind in "VMmUS" and array.dtype.name not in ALL):
        return Item("other", text=f"array of {array.dtype.name}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return Item("array", tensor(array))


def whole(given: Tensor) -> Array:
    """Return the array of a tensor, writeable and of its own memory."""
    if given.recipe is not None:
        start, fine = given.recipe
        return Hashed(given.shape, numpy_dtype(given.dtype), start, fine).whole()
    if given.ramp >= 0:
        return given.array()
    return np.frombuffer(bytearray(given.data), numpy_dtype(given.dtype)).reshape(given.shape)


def _row(argument: Any, i: int) -> Any:
    return [part[i] for part in argument] if isinstance(argument, list) else argument[i]


def raised(error: BaseException) -> Raised:
    """Return an exception as text that can be shown, whatever its own does."""
    try:
        text = str(error).strip()[:MOST_TEXT]
    except Exception:
        text = "(it cannot be shown)"
    name = str(type(error).__name__)[:200]
    lower = f"{name} {text}".lower()
    found: Raised = printable(
        Raised(
            name,
            text,
            _place(error),
            isinstance(error, BROKEN) and not isinstance(error, LackingError),
            isinstance(error, MemoryError) or any(word in lower for word in NO_ROOM),
        )
    )  # a message holds no lone surrogates
    return found


def _place(error: BaseException) -> str:
    """Return the innermost frame that is not the judge's own."""
    found = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__)]
    own = [f"{name}, line {line}" for name, line in found if "/conformance/" not in name.replace("\\", "/")]
    return own[-1] if own else ""
