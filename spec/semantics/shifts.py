"""Terms of which a definition does not depend, though it reads them: the maximum that a softmax subtracts.

``exp(x - m) / sum(exp(x - m))`` is the same for every ``m``. What is added to ``m`` multiplies an exponential by a power of
its own exponential; a product adds such powers, a quotient subtracts them, a logarithm makes them summands again. Where
everything cancels in every output, the derivative by ``m`` is zero, ties and all, and no rounding can make it anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from einspec.language.formula import (
    Apply,
    Axis,
    Binary,
    Bracket,
    Equation,
    Node,
    Number,
    Param,
    Read,
    Reduce,
    Size,
    axes_of,
    factors,
    free_axes,
    walk,
)
from einspec.semantics.binding import canonical, rename
from einspec.semantics.oracle import operands

Powers = Mapping[tuple[str, ...], int]
"""How often a shift goes in, by the axes at which it is taken."""


@dataclass(frozen=True)
class Effect:
    """What a shift of ``m`` by ``c`` does to a term: it adds a multiple of ``c``, or multiplies by a power of ``exp(c)``."""

    adds: Powers = field(default_factory=dict)
    scales: Powers = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether the term stays as it is."""
        return not self.adds and not self.scales


def invariant(equations: Sequence[Equation], outputs: Iterable[str]) -> frozenset[Node | str]:
    """Return the terms and tensors that shift exponentials and on which no output depends.

    Args:
        equations: a definition.
        outputs: the tensors that it is for.
    """
    wanted = list(outputs)
    found = {_key(m) for e in equations for m in _subtracted(e.body)}
    defined = {e.tensor for e in equations}
    able = {m for m in found if m in defined or not isinstance(m, str)}
    return frozenset(m for m in able if m not in wanted and _Shift(equations, m).cancels(wanted))


def _subtracted(body: Node) -> Iterable[Node]:
    """Yield what is subtracted under an exponential."""
    for node in walk(body):
        match node:
            case Apply("exp", Binary("-", _, (Reduce() | Read()) as m)):
                yield m


def _key(node: Node) -> Node | str:
    return node.tensor if isinstance(node, Read) else canonical(node)


def _sum(one: Powers, other: Powers, sign: int = 1) -> Powers:
    total = {k: one.get(k, 0) + sign * other.get(k, 0) for k in {*one, *other}}
    return {k: v for k, v in total.items() if v}


class _Shift:
    """The effects of shifting one term on all tensors of a definition; None where it is neither a summand nor a factor."""

    def __init__(self, equations: Sequence[Equation], shifted: Node | str) -> None:
        self.equations = {e.tensor: e for e in equations}
        self.shifted = shifted
        self.effects: dict[str, Effect | None] = {}
        for equation in equations:
            self.effects[equation.tensor] = self.effect(equation.body)

    def cancels(self, outputs: Iterable[str]) -> bool:
        found = [self.effects.get(name, Effect()) for name in outputs]
        return all(effect is not None and effect.none for effect in found)

    def effect(self, node: Node) -> Effect | None:
        if isinstance(node, Reduce) and canonical(node) == self.shifted:
            return Effect(adds={tuple(sorted(free_axes(node))): 1})
        match node:
            case Axis() | Number() | Size() | Param():
                return Effect()
            case Read():
                return self.read(node)
            case Bracket(_, left, right):
                sides = [self.effect(n) for side in (left, right) for n in operands(side)]
                return Effect() if all(s is not None and s.none for s in sides) else None
            case Binary(op, left, right):
                return self.binary(op, node, self.effect(left), self.effect(right))
            case Apply(function, argument):
                return self.function(function, self.effect(argument))
            case Reduce(kind, axes, body):
                return self.reduction(kind, axes, self.effect(body))
        raise AssertionError(node)

    def read(self, node: Read) -> Effect | None:
        if node.tensor == self.shifted:
            return Effect(adds={axes_of(node.index): 1})
        found = self.effects.get(node.tensor, Effect())
        if found is None or found.none:
            return found
        own = axes_of(self.equations[node.tensor].index)
        names = dict(zip(own, axes_of(node.index), strict=True))
        adds, scales = ({tuple(names[a] for a in k): n for k, n in p.items()} for p in (found.adds, found.scales))
        return Effect(adds, scales)

    def binary(self, op: str, node: Binary, one: Effect | None, other: Effect | None) -> Effect | None:
        if one is None or other is None:
            return None
        if one.none and other.none:
            return Effect()
        sign = 1 if op in "+*" else -1
        if op in ("*", "/"):
            return None if one.adds or other.adds else Effect(scales=_sum(one.scales, other.scales, sign))
        if op not in ("+", "-"):
            return None
        if op == "+" and other.none and self.guards(node.right, node.left):
            return one
        if one.scales or other.scales:
            return one if one == other else None
        return Effect(adds=_sum(one.adds, other.adds, sign))

    def guards(self, bracket: Node, summed: Node) -> bool:
        """Whether a bracket holds only where a sum is one of nothing: then zero, which any factor leaves as it is."""
        match bracket, summed:
            case Bracket("==", Reduce("sum", axes, counted), Number(0)), Reduce("sum", own, body) if axes == own:
                inner = [p for f in factors(body) for p in factors(self.opened(f))]
                return counted in inner
        return False

    def opened(self, node: Node) -> Node:
        """Return what a tensor is read for, by its equation."""
        if not isinstance(node, Read) or node.tensor not in self.equations:
            return node
        equation = self.equations[node.tensor]
        names = dict(zip(axes_of(equation.index), axes_of(node.index), strict=True))
        opened: Node = rename(equation.body, names, names.values())
        return opened

    def function(self, name: str, inner: Effect | None) -> Effect | None:
        if inner is None or inner.none:
            return inner
        if name == "exp" and not inner.scales:
            return Effect(scales=inner.adds)
        if name == "log" and not inner.adds:
            return Effect(adds=inner.scales)
        return None

    def reduction(self, kind: str, axes: tuple[str, ...], inner: Effect | None) -> Effect | None:
        if inner is None or inner.none:
            return inner
        over = any(a in axes for powers in (inner.adds, inner.scales) for key in powers for a in key)
        return None if over or (kind == "sum" and inner.adds) else inner
