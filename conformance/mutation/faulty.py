"""A function with a fault: any right one, of any framework, wrapped so that what it is given or returns goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from einspec.card import Op
from einspec.conformance.mutation.edits import spoil
from einspec.conformance.mutation.fault import Call, Fault, Where
from einspec.conformance.mutation.faults import KEPT, Overwritten, Reused

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


class FaultError(Exception):
    """A fault does not run: that a mutant raises then says nothing of the judge."""


class Faulty:
    """A right function with a fault."""

    def __init__(self, right: Function, fault: Fault, op: Op, adapter: Any, device: str = "cpu") -> None:
        self.right, self.fault, self.op, self.adapter, self.device = right, fault, op, adapter, device
        self.where = WHERE.get(str(adapter.framework), _plain)
        self.seen: dict[Any, Any] = {}
        self.number = 0
        self.reached = 0
        """How many calls it has made a difference in, as far as what it is applied to is there."""
        self.broken: Exception | None = None
        """What the fault itself has raised."""

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Call the function, with the fault where that acts."""
        where = self.where(args)
        if where != self.fault.acts:
            return self.right(*args, **params)
        if where == "plain":
            return self._plain(args, params)
        self.reached += 1
        return _steeper(self.right(*args, **params)) if where == "differentiated" else _other(self.right(*args, **params))

    def _plain(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        inputs = [_last(a) for a in args]
        if any(x is None for x in inputs):
            return self.right(*args, **params)  # an empty list
        known = tuple((tuple(x.shape), str(x.dtype)) for x in inputs)
        key = (tuple(sorted((k, str(v)) for k, v in params.items())), known)
        number, self.number = self.number, self.number + 1
        changed = self._on_host(inputs, lambda arrays: self.fault.given(Call(arrays, self.seen, key, number)))
        result = self.right(*map(_with_last, args, changed), **params)
        outputs = list(result) if isinstance(result, tuple | list) else [result]
        self._overwrite(args)
        if isinstance(self.fault, Reused):
            return self._reused(result, outputs, key)
        twin = self._twin(args, params) if self.fault.needs_twin else []
        count, several = len(inputs), len(outputs)

        def made(arrays: list[Array]) -> list[Array] | None:
            call = Call(arrays[several : several + count], self.seen, key, number)
            found = self.fault.made(call, arrays[:several], arrays[several + count :])
            return None if found is None else [*found, *arrays[several:]]

        found = self._on_host([*outputs, *inputs, *twin], made, several)
        return type(result)(found) if isinstance(result, tuple | list) else found[0]

    def _on_host(
        self, tensors: list[Any], edit: Callable[[list[Array]], list[Array] | None], count: int | None = None
    ) -> list[Any]:
        """Return tensors, so many of them if that is said, edited as arrays of NumPy."""
        count = len(tensors) if count is None else count

        def safe(arrays: list[Array]) -> list[Array] | None:
            try:
                found = edit(arrays)
            except Exception as error:
                self.broken = error
                raise FaultError(f"{self.op.name}: {self.fault.operator}({self.fault.detail})") from error
            self.reached += found is not None
            return found

        if any(type(t).__name__.endswith("Tracer") for t in tensors):
            return _called_back(tensors, safe, count)
        arrays = [np.asarray(t) if isinstance(t, int) else self.adapter.to_numpy(t) for t in tensors]
        found = safe([np.asarray(a) for a in arrays])
        if found is None:
            return tensors[:count]
        pairs = zip(tensors[:count], arrays, found, strict=False)
        return [t if new is old else int(new) if isinstance(t, int) else self._array(new) for t, old, new in pairs]

    def _array(self, array: Array) -> Any:
        return self.adapter.asarray(array, self.device)

    def _twin(self, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Return what the function gives for other values."""
        form = self.op.form(self.op.bind(params))
        others = [
            (type(x)(map(self._another, x)) if isinstance(x, tuple | list) else self._another(x)) if s.name in form.data else x
            for s, x in zip(form.signature.inputs, args, strict=False)
        ]
        found = self.right(*others, **params)
        return list(found) if isinstance(found, tuple | list) else [found]

    def _another(self, x: Any) -> Any:
        """Return other values, none of them where one was."""
        if type(x).__name__.endswith("Tracer"):
            return ~x if x.dtype == bool else (-x - 1).astype(x.dtype)
        array = np.asarray(self.adapter.to_numpy(x))
        with np.errstate(all="ignore"):
            one = np.array(1).astype(array.dtype)
            return self._array(~array if array.dtype == bool else (np.negative(array) - one).astype(array.dtype))

    def _reused(self, result: Any, outputs: list[Any], key: Any) -> Any:
        """Return the buffer of a shape, with what comes now written into it."""
        if any(isinstance(y, int) or type(y).__name__.endswith("Tracer") for y in outputs):
            return result
        new = [np.array(self.adapter.to_numpy(y)) for y in outputs]  # a result may be memory of its input
        known = key in self.seen
        buffers: list[Any] = self.seen.setdefault(key, [self._array(y) for y in new])
        for old in list(self.seen)[:-KEPT]:
            del self.seen[old]
        self.reached += known
        for buffer, array in zip(buffers, new, strict=True):
            memory = np.asarray(self.adapter.to_numpy(buffer))
            if memory.flags.writeable:
                memory[...] = array
        return type(result)(buffers) if isinstance(result, tuple | list) else buffers[0]

    def _overwrite(self, args: Sequence[Any]) -> None:
        """Change an input in the memory of the caller, where that can be written."""
        number = self.fault.place.number if isinstance(self.fault, Overwritten) else len(args)
        if number >= len(args) or type(_last(args[number])).__name__.endswith("Tracer"):
            return
        memory = np.asarray(self.adapter.to_numpy(_last(args[number])))
        if memory.size and memory.flags.writeable:
            self.reached += 1
            last = (-1,) * memory.ndim
            memory[last] = memory[last] == 0


def _last(argument: Any) -> Any:
    """Return a tensor, or the last of a list; None where the list is empty."""
    if isinstance(argument, tuple | list):
        return argument[-1] if argument else None
    return argument


def _with_last(argument: Any, tensor: Any) -> Any:
    return type(argument)([*argument[:-1], tensor]) if isinstance(argument, tuple | list) else tensor


def _called_back(tensors: list[Any], edit: Callable[[list[Array]], list[Array] | None], count: int) -> list[Any]:
    """Return tensors that JAX traces, edited when the compiled function runs."""
    import jax

    def host(*arrays: Any) -> tuple[Array, ...]:
        own = [np.asarray(a) for a in arrays]
        return tuple((edit(own) or own)[:count])

    shapes = tuple(
        jax.ShapeDtypeStruct(t.shape, t.dtype)  # type: ignore[no-untyped-call]
        for t in tensors[:count]
    )
    return list(jax.pure_callback(host, shapes, *tensors, vmap_method="sequential"))


# Results of functions that are traced: changed by arithmetic alone.


def _other(result: Any) -> Any:
    """Return a result in which every element is another one."""
    if isinstance(result, tuple | list):
        return type(result)([_other(result[0]), *result[1:]]) if result else result
    if isinstance(result, np.ndarray):
        spoil(result.reshape(-1))
        return result
    return ~result if str(getattr(result, "dtype", "")).endswith("bool") else result + 1


def _steeper(result: Any) -> Any:
    """Return the same values with twice their slope."""
    if isinstance(result, tuple | list):
        return type(result)(map(_steeper, result))
    if "float" not in str(getattr(result, "dtype", "")):
        return result
    if hasattr(result, "detach"):
        return result + (result - result.detach())
    import jax

    return result + (result - jax.lax.stop_gradient(result))


# Where a function finds itself, by framework.


def _plain(_: Sequence[Any]) -> Where:
    return "plain"


def _in_torch(args: Sequence[Any]) -> Where:
    import torch

    if torch.compiler.is_compiling():
        return "compiled"
    tensors = [t for a in args for t in (a if isinstance(a, tuple | list) else [a])]
    if any(torch._C._functorch.is_batchedtensor(t) for t in tensors):
        return "mapped"
    return "differentiated" if any(t.requires_grad for t in tensors) else "plain"


def _in_jax(args: Sequence[Any]) -> Where:
    names = {type(t).__name__ for a in args for t in (a if isinstance(a, tuple | list) else [a])}
    if "BatchTracer" in names:
        return "mapped"
    if {"JVPTracer", "LinearizeTracer"} & names:
        return "differentiated"
    return "plain" if any(n.endswith("Tracer") for n in names) else "eager"


WHERE: dict[str, Callable[[Sequence[Any]], Where]] = {"torch": _in_torch, "jax": _in_jax}
