"""Derivatives of a definition, as definitions: what reverse mode and forward mode give, written in the formula language.

The vector-Jacobian product of a form takes its inputs and the cotangents of its outputs and gives the gradients of its
inputs: ``dx`` for ``x``, from ``dy`` for ``y``. It is a form like any other, so that it can be evaluated, bounded, shown, and
differentiated again. A max or min gives its slope to the first that attains it, in the order of coordinates.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from einspec.card import Form
from einspec.dtypes import INTEGERS
from einspec.language.formula import (
    Axis,
    Binary,
    Bracket,
    Equation,
    Index,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Rest,
    axes_of,
    factors,
    free_axes,
    interned,
    walk,
)
from einspec.language.tables import Laws
from einspec.language.text import text
from einspec.semantics.binding import Known, canonical, distinct, fresh, rename, tensors_of
from einspec.semantics.shifts import invariant
from einspec.semantics.slopes import Path, Slopes, product, shared
from einspec.solve import Signature, TensorSpec


@functools.lru_cache(maxsize=1024)
def vjp(form: Form, wrt: tuple[str, ...] = ()) -> Form:
    """Return the vector-Jacobian product of a form: the gradients of inputs, given the cotangents of the outputs.

    The inputs of the form come first, then the cotangents of the outputs on which the gradients depend.

    Args:
        form: a definition.
        wrt: the inputs whose gradients it defines; all that hold values when empty.
    """
    return _Derivation(form, wrt or form.data).reverse()


@functools.lru_cache(maxsize=1024)
def jvp(form: Form, wrt: tuple[str, ...] = ()) -> Form:
    """Return the Jacobian-vector product of a form: the tangents of outputs, given those of inputs.

    Args:
        form: a definition.
        wrt: the inputs that have a tangent; all that hold values when empty.
    """
    return _Derivation(form, wrt or form.data).forward()


def prefix(form: Form) -> str:
    """Return what stands before the name of a tensor in that of its cotangent or tangent: ``d``, or ``d2`` and so on."""
    taken = {s.name for s in (*form.signature.inputs, *form.signature.outputs)}
    taken |= {e.tensor for e in form.equations}
    words = taken | {n.name for e in form.equations for n in walk(e) if isinstance(n, Param | Axis)}
    tries = ("d", *(f"d{i}" for i in range(2, len(words) + 3)))
    return next(p for p in tries if not any(differential(p, t) in words for t in taken))


def differential(start: str, tensor: str) -> str:
    """Return the name of the cotangent or tangent of a tensor; one that a card of another name defines keeps that name."""
    owner, _, name = tensor.rpartition(".")
    return f"{owner}.{start}{name}" if owner else f"{start}{name}"


@dataclass(frozen=True)
class _Term:
    """A signed summand of an equation."""

    body: Node
    negative: bool


class _Derivation:
    """The derivatives of one form by some of its inputs."""

    def __init__(self, form: Form, wrt: Sequence[str]) -> None:
        self.form, self.wrt, self.start = form, tuple(wrt), prefix(form)
        outputs = [s.name for s in form.signature.outputs]
        self.equations = tuple(e for equation in form.equations for e in (*_hoisted(form, equation), equation))
        self.known = Known(self.equations)
        self.slopes = Slopes(self.wrt, invariant(form.equations, outputs))
        for equation in form.equations:
            if self.slopes.any(equation.body):
                self.slopes.active.add(equation.tensor)
        able = [s for s in form.signature.outputs if s.name in self.slopes.active]
        self.outputs = [s for s in able if form.dtype[s.name] not in (*INTEGERS, "bool", "int")]
        self.indices = {s.name: s.index for s in form.signature.inputs}
        self.indices |= {e.tensor: e.index for e in form.equations}

    def name(self, tensor: str) -> str:
        return differential(self.start, tensor)

    def reverse(self) -> Form:
        """Return the gradients: equations from the outputs back, each summing what later equations hand down."""
        given = {s.name: self.name(s.name) for s in self.outputs}
        parts: dict[str, list[_Term]] = {n: [] for n in self.indices}
        found: list[Equation] = []
        for equation in reversed(self.form.equations):
            cotangent = given.get(equation.tensor, "")
            if parts[equation.tensor]:
                total = cotangent and f"{cotangent}_total"
                own = [_Term(Read(cotangent, equation.index), False)] if cotangent else []
                cotangent = total or self.name(equation.tensor)
                found.append(_equation(cotangent, equation.index, [*own, *parts[equation.tensor]]))
            if cotangent and equation.tensor in self.slopes.active:
                for path in self.paths(equation.body):
                    parts[path.read.tensor].append(self.handed(equation, cotangent, path))
        inputs = {s.name: s for s in self.form.signature.inputs}
        found += [_equation(self.name(n), distinct(inputs[n].index), parts[n]) for n in self.wrt]
        return self.derived(found, self.outputs, [inputs[n] for n in self.wrt])

    def paths(self, body: Node) -> Iterable[Path]:
        return (p.named(self.known) for p in self.slopes.paths(body))

    def handed(self, equation: Equation, cotangent: str, path: Path) -> _Term:
        """Return what a path gives to the cotangent of the tensor that it ends in."""
        left = axes_of(distinct(self.indices[path.read.tensor]))
        names: dict[str, str] = {}
        brackets: list[Node] = []
        for axis, place in zip(axes_of(path.read.index), left, strict=True):
            if axis in names:
                brackets.append(Bracket("==", Axis(names[axis]), Axis(place)))
            else:
                names[axis] = place
        scope = set(left)
        summed: list[str] = []
        for axis in dict.fromkeys((*axes_of(equation.index), *path.bound)):
            if axis not in names:
                names[axis] = fresh(axis, scope)
                scope.add(names[axis])
                summed.append(names[axis])
        body = product((*path.factors, Read(cotangent, equation.index)), path.divisors)
        renamed: Node = rename(body, names, scope)
        if brackets:
            renamed = product((*brackets, renamed), ())
        return _Term(Reduce("sum", tuple(summed), renamed) if summed else renamed, path.negative)

    def forward(self) -> Form:
        """Return the tangents: behind every equation one that sums those of what it reads."""
        found: list[Equation] = []
        for equation in self.form.equations:
            if equation.tensor in self.slopes.active:
                terms = [self.tangent(equation, path) for path in self.paths(equation.body)]
                found.append(_equation(self.name(equation.tensor), equation.index, terms))
        inputs = [s for s in self.form.signature.inputs if s.name in self.wrt]
        return self.derived(found, inputs, self.outputs)

    def tangent(self, equation: Equation, path: Path) -> _Term:
        """Return what a path takes from the tangent of the tensor that it ends in."""
        scope, names = set(axes_of(equation.index)), dict[str, str]()
        for axis in path.bound:
            names[axis] = fresh(axis, scope)
            scope.add(names[axis])
        read = Read(self.name(path.read.tensor), path.read.index)
        body: Node = rename(product((*path.factors, read), path.divisors), names, scope)
        summed = tuple(names[a] for a in path.bound)
        return _Term(Reduce("sum", summed, body) if summed else body, path.negative)

    def derived(self, found: Sequence[Equation], given: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> Form:
        """Return a form of equations and of what they read of the definition."""
        form = self.form
        outer, results = (tuple(replace(s, name=self.name(s.name)) for s in side) for side in (given, wanted))
        equations = _needed((*self.equations, *found), [s.name for s in results])
        signature = Signature((*form.signature.inputs, *outer), results)
        rules = {s.name: form.dtype[s.name] for s in (*form.signature.inputs, *given, *wanted)}
        rules |= {self.name(s.name): form.dtype[s.name] for s in (*given, *wanted)}
        leads = {s.name: f"same as {s.name}" for s in form.signature.inputs}
        for spec in results:
            source = next(s.name for s in wanted if self.name(s.name) == spec.name)
            rules[spec.name] = leads.get(source, rules[spec.name])
        return replace(
            form, signature=signature, stated=equations, equations=interned(equations), dtype=rules,
            selects={}, laws=Laws(), same_as=(),
        )  # fmt: skip


def _hoisted(form: Form, equation: Equation) -> list[Equation]:
    """Return equations of their own for what is hidden in one and its derivative reads again."""
    found: dict[Node, Equation] = {}
    taken = {e.tensor for e in form.equations}
    for name, node in shared(equation.body):
        free = free_axes(node)
        if node == equation.body or canonical(node) in found:
            continue
        index = tuple(n for part in equation.index for n in walk(part) if isinstance(n, Axis | Rest) and n.name in free)
        number = len(found) + 1
        tensor = f"{equation.tensor}_{name}{number if number > 1 else ''}"
        if tensor not in taken and free == set(axes_of(index)):
            made = Equation(tensor, index, node, "")
            found[canonical(node)] = replace(made, text=text(made))
    return list(found.values())


def _equation(tensor: str, index: tuple[Index, ...], terms: Sequence[_Term]) -> Equation:
    """Return the equation of a sum of signed terms, equal ones counted."""
    body: Node | None = None
    for term, count in Counter(terms).items():
        part = product((Number(count), *factors(term.body)), ()) if count > 1 else term.body
        if body is None:
            body = Binary("-", Number(0), part) if term.negative else part
        else:
            body = Binary("-" if term.negative else "+", body, part)
    equation = Equation(tensor, index, Number(0) if body is None else body, "")
    return replace(equation, text=text(equation))


def _needed(equations: Sequence[Equation], wanted: Iterable[str]) -> tuple[Equation, ...]:
    """Return the equations that some tensors are made of."""
    needed, kept = set(wanted), list[Equation]()
    for equation in reversed(equations):
        if equation.tensor in needed:
            kept.append(equation)
            needed |= tensors_of(equation.body)
    return tuple(reversed(kept))
