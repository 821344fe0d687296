"""Axes and where they are bound: renaming that captures nothing, and terms that differ in the names of axes alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Equation,
    Node,
    Read,
    Reduce,
    Rest,
    axes_of,
    base,
    free_axes,
    mapped,
    walk,
)


def fresh(axis: str, taken: Collection[str]) -> str:
    """Return the first of ``e``, ``e1``, ``e2``, ... that is not taken; a rest has no other name."""
    stem = base(axis)
    if stem == "..." or stem not in taken:
        return stem
    return next(f"{stem}{i}" for i in range(1, len(taken) + 2) if f"{stem}{i}" not in taken)


def rename(node: Any, names: Mapping[str, str], scope: Collection[str]) -> Any:
    """Return a term whose free axes have other names, and whose bound axes have the first names that are left.

    Args:
        node: a term or an index.
        names: the new names of free axes; one that is absent keeps its own.
        scope: the names that stand around the term, which nothing in it binds.
    """
    if isinstance(node, Axis):
        return Axis(names.get(node.name, node.name))
    if isinstance(node, Reduce):
        inner, taken = dict(names), set(scope)
        for axis in node.axes:
            inner[axis] = fresh(axis, taken)
            taken.add(inner[axis])
        axes = tuple(inner[a] for a in node.axes)
        return Reduce(node.kind, axes, rename(node.body, inner, taken))
    return mapped(node, lambda child: rename(child, names, scope))


def canonical(node: Node) -> Node:
    """Return the term with the same names for its bound axes as every term that differs in those alone."""
    result: Node = rename(node, {}, free_axes(node))
    return result


def tensors_of(node: Any) -> set[str]:
    """Return the tensors that a term reads."""
    return {n.tensor for n in walk(node) if isinstance(n, Read)}


class Known:
    """Terms that an equation gives a name: what need not be written out again."""

    def __init__(self, equations: Sequence[Equation]) -> None:
        """Take the equations; one that a reader sees through anyway gives no name."""
        self.equations = [e for e in equations if any(_costs(n) for n in walk(e.body))]

    def read(self, node: Node) -> Read | None:
        """Return the tensor that holds a term; None where none does."""
        for equation in self.equations:
            if type(equation.body) is type(node):
                index = match(equation, node)
                if index is not None:
                    return Read(equation.tensor, index)
        return None

    def named(self, node: Any) -> Any:
        """Return a term in which whatever a tensor holds is read from it."""
        found = self.read(node) if isinstance(node, Binary | Apply | Reduce) else None
        if found is not None:
            return found
        return mapped(node, self.named)


def _costs(node: Any) -> bool:
    quotient = isinstance(node, Binary) and node.op == "/"
    return quotient or isinstance(node, Apply) or (isinstance(node, Reduce) and node.kind != "sum")


def match(equation: Equation, node: Node) -> tuple[Any, ...] | None:
    """Return the index at which the tensor of an equation holds a term; None where it does not."""
    own = [n.name for part in equation.index for n in walk(part) if isinstance(n, Axis)]
    names: dict[str, str] = {}
    if not _unify(equation.body, node, names, frozenset(own)) or set(own) - names.keys():
        return None
    if not {names[a] for a in own} <= free_axes(node):
        return None
    return tuple(rename(part, names, ()) for part in equation.index)


def _unify(pattern: Any, node: Any, names: dict[str, str], open_axes: frozenset[str]) -> bool:
    """Return whether a term is the pattern with other axes, and note which."""
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, Axis):
        if pattern.name in names or pattern.name not in open_axes:
            return bool(names.get(pattern.name, pattern.name) == node.name)
        names[pattern.name] = node.name
        return base(pattern.name) == base(node.name)
    if isinstance(pattern, Reduce):
        return _unify_reduce(pattern, node, names, open_axes)
    for field in fields(pattern):
        one, other = getattr(pattern, field.name), getattr(node, field.name)
        if not _unify_field(one, other, names, open_axes):
            return False
    return True


def _unify_field(one: Any, other: Any, names: dict[str, str], open_axes: frozenset[str]) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_unify_field(a, b, names, open_axes) for a, b in pairs)
    if is_dataclass(one):
        return _unify(one, other, names, open_axes)
    return type(one) is type(other) and bool(one == other)


def _unify_reduce(pattern: Reduce, node: Reduce, names: dict[str, str], open_axes: frozenset[str]) -> bool:
    """Return whether two reductions are the same, whatever they call the axes that they bind."""
    if pattern.kind != node.kind or [base(a) for a in pattern.axes] != [base(a) for a in node.axes]:
        return False
    outer = {a: names[a] for a in pattern.axes if a in names}
    names.update(zip(pattern.axes, node.axes, strict=True))
    same = _unify(pattern.body, node.body, names, open_axes)
    for axis in pattern.axes:
        del names[axis]
    names.update(outer)
    return same


def distinct(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an index in which no axis stands twice: ``n n`` as ``n n1``."""
    taken = set(axes_of(index))
    seen: set[str] = set()

    def apart(part: Any) -> Any:
        if isinstance(part, Axis):
            name = fresh(part.name, taken) if part.name in seen else part.name
            seen.add(name)
            taken.add(name)
            return Axis(name)
        return part if isinstance(part, Rest) else replace(part, parts=tuple(apart(p) for p in part.parts))

    return tuple(apart(part) for part in index)
