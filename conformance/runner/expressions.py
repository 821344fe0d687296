"""The expressions of an adapter as functions: here alone they are compiled and evaluated, beside the library that they call."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from types import CodeType
from typing import Any

from einspec.calls.domain import numbers_of
from einspec.card import Form, Op
from einspec.conformance.runner.calling import LackingError
from einspec.conformance.runner.state import process_state, restore
from einspec.conformance.targets.library import MODULE, RESULT, SETUP, Adapter, expression, names_in, size_names
from einspec.errors import CallError
from einspec.solve import Solution, solve

KEPT_AXES = "kept_axes"
"""The convention by which outputs are read here, so that derivatives and transforms are those of the card's outputs too."""
MOST_KEPT = 1024
"""How many calls of an op are kept with their sizes."""
NO_SIZES = "the adapter reads sizes, and a call that the card forbids has none"


class Expressions:
    """What a library gives for the calls of one op.

    Args:
        op: the op.
        adapter: how the library computes it.
        names: what the expressions may name besides: what ``setup`` has made.
        arrays: the adapter of the framework, whose random state a module is to leave alone.
    """

    def __init__(self, op: Op, adapter: Adapter, names: Mapping[str, Any], arrays: Any = None) -> None:
        self.op, self.adapter, self.arrays = op, adapter, arrays
        self.names = {**names, "__builtins__": builtins}
        self.where = self._compiled("where", adapter.where or "True")
        self.module = self._compiled("module", adapter.module or "None")
        self.let = {name: self._compiled(f"let.{name}", text) for name, text in adapter.let.items()}
        self.made = self._compiled("call", adapter.call)
        self.out = {name: self._compiled(f"out.{name}", text) for name, text in adapter.out.items()}
        texts = (adapter.call, adapter.module, *adapter.let.values(), *adapter.out.values())
        self.sized = self._reads_sizes(*texts)
        self.sized_where = self._reads_sizes(adapter.where)
        self.kept: dict[Any, Solution] = {}
        self.reduced: set[str] = set()
        """The parameters of calls that have kept the axes over which they reduce, each with size 1."""

    def _compiled(self, label: str, text: str) -> CodeType:
        return compile(expression(text), f"<{label} of {self.op.name}>", "eval")

    def _reads_sizes(self, *texts: str) -> bool:
        numbers = [t for n, p in self.op.card.params.items() for t in p.targets(n) if n != t]
        used = frozenset().union(*map(names_in, texts))
        return bool(used & {*size_names(self.op), *numbers})

    def call(self, *args: Any, **params: Any) -> Any:
        """Return what the library gives for a call: one output, or a tuple of them."""
        form = self._form(params)
        inputs = [s.name for s in form.signature.inputs]
        scope = {**self.names, **self._numbers(args, params, self.sized), **dict(zip(inputs, args, strict=False))}
        if self.adapter.module:
            scope[MODULE] = self._built(scope)
        for name, code in self.let.items():
            scope[name] = eval(code, scope)
        scope[RESULT] = eval(self.made, scope)
        outputs = [s.name for s in form.signature.outputs]
        if KEPT_AXES in self.adapter.admit:
            return self._without_kept_axes(self._outputs(outputs, scope), form, args, params)
        return self._outputs(outputs, scope)

    def _outputs(self, outputs: Sequence[str], scope: dict[str, Any]) -> Any:
        """Return what the outputs are, made of what the call gave."""
        result = scope[RESULT]
        if not self.out:
            return result
        found = [
            eval(self.out[name], scope) if name in self.out else result if len(outputs) == 1 else result[i]
            for i, name in enumerate(outputs)
        ]
        return found[0] if len(found) == 1 else tuple(found)

    def _without_kept_axes(self, result: Any, form: Form, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Return outputs without the axes of an input that they lack, where they have these with size 1."""
        try:
            solution = self._solved(tuple(map(_shape, args)), params)
        except LackingError:
            return result  # of a call that the card forbids
        several = isinstance(result, tuple | list)
        found = list(result) if several else [result]
        for i, (spec, output) in enumerate(zip(form.signature.outputs, found, strict=False)):
            shapes = [solution.shape(s) for s in form.signature.inputs if not s.listed]
            axes = [s.axes(solution.ranks) for s in form.signature.inputs if not s.listed]
            own = spec.axes(solution.ranks)
            kept = [kept_shape(a, shape, own) for a, shape in zip(axes, shapes, strict=True)]
            shape = tuple(getattr(output, "shape", ()))
            if not spec.listed and shape != solution.shape(spec) and shape in kept:
                found[i] = output.reshape(solution.shape(spec))
                self.reduced.add(repr(sorted(params.items())))
        return tuple(found) if several else found[0]

    def conventions(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the conventions by which results of calls with these parameters were read."""
        return (KEPT_AXES,) if repr(sorted(params.items())) in self.reduced else ()

    def outside(self, inputs: Mapping[str, Any], params: Mapping[str, Any]) -> str:
        """Return why a call is none for which the library promises anything, or nothing.

        Args:
            inputs: the tensors by name, as NumPy arrays.
            params: the parameters.
        """
        try:
            numbers = self._numbers(list(inputs.values()), params, self.sized_where)
            scope = {**self.names, **numbers, **inputs}
            return "" if eval(self.where, scope) else "where"
        except (Exception, SystemExit) as error:
            return f"where raised {type(error).__name__}: {error}"

    def _built(self, scope: dict[str, Any]) -> Any:
        """Return what ``module`` builds; the random state is afterwards what it was."""
        before = process_state(self.arrays)
        try:
            return eval(self.module, scope)
        finally:
            restore(self.arrays, before)

    def _form(self, params: Mapping[str, Any]) -> Form:
        """Return the form that is called.

        Raises:
            LackingError: there is none: the tensors have no names.
        """
        choice = self.op.choice
        value = params.get(choice, self.op.card.params[choice].default) if choice else ""
        if value not in self.op.forms:
            raise LackingError(f"the adapter has names for the tensors of a {choice} that there is alone")
        return self.op.forms[value]

    def _numbers(self, args: Sequence[Any], params: Mapping[str, Any], sized: bool) -> dict[str, Any]:
        """Return the parameters, and the sizes where they are read.

        Raises:
            LackingError: they are read, and the call has none.
        """
        if not sized:
            return self._bound(params)
        return numbers_of(self.op, self._solved(tuple(map(_shape, args)), params), params)

    def _solved(self, shapes: tuple[tuple[int, ...], ...], params: Mapping[str, Any]) -> Solution:
        """Return the sizes of a call.

        Raises:
            LackingError: it has none, as the card forbids it.
        """
        key = shapes, tuple(sorted((k, repr(v)) for k, v in params.items()))
        if key not in self.kept:
            while len(self.kept) >= MOST_KEPT:
                self.kept.pop(next(iter(self.kept)))
            try:
                self.kept[key] = solve(self.op, shapes, params)
            except (CallError, TypeError, ValueError) as error:
                raise LackingError(NO_SIZES) from error
        return self.kept[key]

    def _bound(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with their defaults; as they are where the card forbids them."""
        try:
            return self.op.bind(params)
        except CallError:
            return {**{n: p.default for n, p in self.op.card.params.items() if not p.required}, **params}


def kept_shape(axes: Sequence[Any], shape: Sequence[int], own: Sequence[Any]) -> tuple[int, ...] | None:
    """Return the shape of an output with the axes of an input that it lacks, each with size 1; None where it is none of these.

    Args:
        axes: the axes of the input, a dimension each.
        shape: its shape.
        own: the axes of the output.
    """
    left = [a for a in axes if a in own]
    return tuple(n if a in own else 1 for a, n in zip(axes, shape, strict=True)) if left == list(own) != list(axes) else None


def _shape(argument: Any) -> tuple[int, ...]:
    """Return the shape of an input; that of a list is that of its stack."""
    if not isinstance(argument, list):
        return tuple(argument.shape)
    return (len(argument), *(argument[0].shape if argument else ()))


def prepared(framework: str, setup: str, where: str = "setup") -> dict[str, Any]:
    """Return the names that expressions may use besides those of a card."""
    names: dict[str, Any] = {}
    exec(compile(SETUP[framework], "<imports>", "exec"), names)
    exec(compile(setup, f"<setup of {where}>", "exec"), names)
    return {name: value for name, value in names.items() if name != "__builtins__"}
