"""The einops patterns that the cards render, run as functions: one for every card whose definition is a plain read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import einops

from einspec.card import Op, load, paths
from einspec.language.formula import axes_of
from einspec.lists import check_one_dtype, stacked_shape
from einspec.pages.render import einops_pattern, rest_names
from einspec.solve import solve


@functools.cache
def functions() -> dict[str, Callable[..., Any]]:
    """Return a function for every op that einops can express, by name."""
    found = {}
    for name in paths():
        op = load(name)
        ranks = {rest: 1 for form in op.forms.values() for s in form.signature.inputs for rest in s.rests}
        if all(einops_pattern(form, ranks) for form in op.forms.values()):
            found[name] = _function(op)
    return found


def attribute(framework: ModuleType, name: str) -> Any:
    """Return what an einops backend has under a name: its own ops, and the adapter of the framework.

    Raises:
        AttributeError: an op that has no pattern, or a name that the framework lacks too.
    """
    if name in functions():
        return functions()[name]
    if name in paths():
        raise AttributeError(f"{name} has no einops pattern: its definition is more than a plain read")
    return getattr(framework, name)


def _function(op: Op) -> Callable[..., Any]:
    def call(x: Any, **params: Any) -> Any:
        solution = solve(op, (_shape(op, x),), params)
        pattern = einops_pattern(solution.form, solution.ranks)
        assert pattern is not None
        taken = frozenset(n for e in solution.form.equations for n in axes_of(e.index))
        sizes = {_name(axis, solution.ranks, taken): size for axis, size in solution.sizes.items()}
        wanted = {k: v for k, v in sizes.items() if k in _names(pattern)}
        result = einops.repeat(list(x) if isinstance(x, tuple) else x, pattern, **wanted)
        listed = solution.form.signature.outputs[0].listed
        return tuple(result[i, ...] for i in range(result.shape[0])) if listed else result

    call.__name__ = call.__qualname__ = op.name
    call.__doc__ = f"Compute {op.name} by the einops pattern that its card renders."
    return call


def _shape(op: Op, x: Any) -> tuple[int, ...]:
    """Return the shape of the input, that of the stack for a list."""
    if hasattr(x, "shape"):
        return tuple(x.shape)
    elements = _elements(op, x)
    first = next(iter(op.forms.values())).signature.inputs[0]
    check_one_dtype(op.name, first.name, [element.dtype for element in elements])
    return stacked_shape(op, [tuple(element.shape) for element in elements])


def _elements(op: Op, x: Any) -> Sequence[Any]:
    if not isinstance(x, list | tuple) or not all(hasattr(e, "shape") for e in x):
        raise TypeError(f"{op.name}: expected a tensor or a list of tensors, not {type(x).__name__}")
    return x


def _name(axis: str, ranks: dict[str, int], taken: frozenset[str]) -> str:
    """Return what the pattern calls an axis: one of a rest has a name of its own there."""
    rest, dot, i = axis.rpartition(".")
    return rest_names(rest, ranks[rest], taken)[int(i)] if dot else axis


def _names(pattern: str) -> set[str]:
    return set(pattern.replace("(", " ").replace(")", " ").split())
