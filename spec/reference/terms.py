"""Terms of a definition as source of Python: coordinates are arrays, and what a bracket excludes is not looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

from einspec.errors import FormulaError
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
    Tuple,
    applied,
    axes_of,
    base,
    factors,
    free_axes,
    rename_axis,
    softmax,
    walk,
)
from einspec.reference.source import (
    AND,
    ATOM,
    COMPARISON,
    LEVELS,
    OR,
    PRODUCT,
    TOP,
    UNARY,
    Place,
    Places,
    Scope,
    Source,
    coordinate,
)
from einspec.semantics.oracle import operands

NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
"""The comparison that holds where another does not, NaN aside."""
LONG = 30
"""Characters of a coordinate that has a line of its own."""
FOLDED = ("log", "sqrt")
"""The functions of numbers, which Python has itself."""


class Writer:
    """Writes the terms of one equation."""

    def __init__(self, scope: Scope, equation: Equation | None = None) -> None:
        self.scope, self.xp = scope, scope.framework.xp
        left = axes_of(equation.index) if equation else ()
        self.places = {axis: len(left) - i for i, axis in enumerate(left)}
        """How many dimensions an axis and those to its right are: arrays align at the right."""
        self.nothing = "0"
        """What stands where a bracket does not hold: of any dtype, also of truth values, in what only moves."""
        self.named: dict[str, None] = {}
        """The axes whose coordinates are used."""
        self.before_it: dict[str, str] = {}
        """What stands for the coordinates along axes, where it is too long to stand in the line."""
        bound = [a for n in (walk(equation.body) if equation else ()) if isinstance(n, Reduce) for a in n.axes]
        self.once = {a for a in bound if bound.count(a) == 1} - self.places.keys()

    def equation(self, equation: Equation, moves: bool = False, truths: bool = False) -> Source:
        """Return the right side, with the axes of the left one.

        Args:
            equation: an equation.
            moves: its elements keep their bits, so that what is read comes before what fills.
            truths: truth values are wanted, not 1 and 0.
        """
        body = equation.body
        left = axes_of(equation.index)
        self.nothing = "False" if moves else "0"
        product = self.einsum(body, left)
        if product is not None:
            return product
        if truths and all(isinstance(f, Bracket) for f in factors(body)):
            conditions, _ = self.parts(list(factors(body)), {}, len(left))
            found = Source(self.every(conditions), AND if len(conditions) > 1 else conditions[0].level, "truth")
        else:
            found = self.moved(body) if moves and not isinstance(body, Read) else self.value(body, {}, len(left))
        missing = [a for a in left if a not in free_axes(body)]
        if not missing:
            return found
        shape = "".join(f"{self.scope.size(a)}, " for a in left).removesuffix(" " if len(left) == 1 else ", ")
        if found.kind == "number":
            return Source(f"{self.xp}.full(({shape}), {found.text})", kind="whole")
        return Source(f"{self.xp}.broadcast_to({found.text}, ({shape}))", kind=found.kind)

    def einsum(self, body: Node, left: Sequence[str]) -> Source | None:
        """Return a sum of products of tensors alone, as an einsum."""
        if not isinstance(body, Reduce) or body.kind != "sum":
            return None
        reads = list(factors(body.body))
        letters = {a for r in reads for a in (self.scope.opened[r.tensor] if isinstance(r, Read) else ("",))}
        plain = all(isinstance(r, Read) and self.scope.kinds[r.tensor] == "real" for r in reads)
        if len(reads) < 2 or not plain or any(len(a) != 1 for a in letters):
            return None
        names = [axes_of(r.index) for r in reads if isinstance(r, Read)]
        if set(left) | set(body.axes) != {a for own in names for a in own}:
            return None
        text = ",".join("".join(own) for own in names) + "->" + "".join(left)
        tensors = ", ".join(r.tensor for r in reads if isinstance(r, Read))
        return Source(f'{self.xp}.einsum("{text}", {tensors}{self.scope.framework.einsum})', kind="real")

    def moved(self, body: Node) -> Source:
        """Return what is read where a bracket holds, bit for bit, and elsewhere the sum of the other terms."""
        reads: list[tuple[str, Node]] = []
        others: list[tuple[str, Node]] = []
        for sign, term in signed_terms(body):
            (reads if any(isinstance(n, Reduce) for n in walk(term)) else others).append((sign, term))
        if not any(map(reads_values, (term for _, term in reads))):
            return self.value(body, {}, len(self.places))
        (sign, read), *more = reads
        if more or sign != "+":
            raise FormulaError("several terms of what moves read a tensor")
        found = self.value(read, {}, len(self.places))
        if not others:
            return found
        filled = self.value(summed(others), {}, len(self.places))
        if not found.text.startswith("_at("):
            raise FormulaError("what fills stands beside what is always read")
        return Source(f"{found.text[:-1]}, other={filled.text})", kind=found.kind)

    def value(self, node: Node, places: Places, depth: int) -> Source:
        """Return a term as a number.

        Args:
            node: the term.
            places: what stands for the axes that brackets around it pin.
            depth: how many dimensions the axes around it take.
        """
        match node:
            case Number(value):
                return Source("math.inf" if value == math.inf else repr(value), kind="number")
            case Param(name):
                return Source(name, kind="number")
            case Size(axis):
                return Source(self.scope.size(axis), kind="number")
            case Axis(name):
                return self.axis(name, places)
            case Read():
                return self.read(node, places)
            case Bracket():
                return self.truth(node, places, depth)
            case Apply():
                return self.apply(node, places, depth)
            case Reduce("sum", axes, body):
                return self.total(axes, body, places, depth)
            case Reduce(kind, axes, body):
                return self.extreme(kind, axes, body, places, depth)
            case Binary("*"):
                return self.product(list(factors(node)), places, depth)
            case Binary():
                return self.soft(node, places, depth) or self.binary(node, places, depth)
        raise AssertionError(node)

    def axis(self, name: str, places: Places) -> Source:
        """Return the coordinate along an axis, or what a bracket says that it is."""
        if name in places:
            return places[name].source
        self.named[name] = None
        return Source(coordinate(name))

    def read(self, node: Read, places: Places) -> Source:
        """Return an element of a tensor; through a helper where a coordinate may lie outside."""
        kind, names = self.scope.kinds[node.tensor], axes_of(node.index)
        if not names:
            return Source(node.tensor, kind=kind)
        shown = ", ".join(self.axis(a, places).within(OR) for a in names)
        if all(places[a].inside for a in names if a in places):
            return Source(f"{node.tensor}[{shown}]", kind=kind)
        return Source(f"{self.scope.use('_at')}({node.tensor}, {shown})", kind=kind)

    def truth(self, node: Bracket, places: Places, depth: int) -> Source:
        """Return a bracket as 1 or 0."""
        found = self.condition(node, places, depth)
        return found if found.kind == "number" else Source(f"{self.xp}.where({found.text}, 1, 0)")

    def condition(self, node: Bracket, places: Places, depth: int) -> Source:
        """Return where a bracket holds, in the total order: NaN is above every number, and equal to itself."""
        sides = [[self.operand(n, places, depth) for n in operands(side)] for side in (node.left, node.right)]
        if isinstance(node.left, Tuple):
            return self.before(node.op, *sides)
        ((left,), (right,)) = sides
        one, other = left.within(OR), right.within(OR)
        kind = "number" if left.kind == right.kind == "number" else "truth"
        nans = left.kind == "real", right.kind == "real"
        if all(nans):
            return self.before(node.op, *sides)
        wrong = (nans[0] and node.op in (">", ">=")) or (nans[1] and node.op in ("<", "<="))
        if wrong:
            return Source(f"~({one} {NEGATED[node.op]} {other})", UNARY, kind)
        return Source(f"{one} {node.op} {other}", COMPARISON, kind)

    def operand(self, node: Node, places: Places, depth: int) -> Source:
        """Return one side of a comparison; a bracket stays a truth value."""
        return self.condition(node, places, depth) if isinstance(node, Bracket) else self.value(node, places, depth)

    def before(self, op: str, left: Sequence[Source], right: Sequence[Source]) -> Source:
        """Return a comparison of tuples, or of two numbers that may be NaN."""
        if op in ("==", "!="):
            raise FormulaError("numbers that may be NaN are compared for equality")
        one, other = (f"({', '.join(s.text for s in side)}{',' * (len(side) == 1)})" for side in (left, right))
        first, second = (one, other) if op in ("<", ">=") else (other, one)
        less = f"{self.scope.use('_less')}({first}, {second})"
        return Source(f"~{less}", UNARY, "truth") if "=" in op else Source(less, kind="truth")

    def apply(self, node: Apply, places: Places, depth: int) -> Source:
        """Return a function of a number."""
        function, argument = applied(node)
        if isinstance(argument, Number) and function in FOLDED:
            if argument == Number(0) and function == "log":
                return Source("-math.inf", UNARY, "number")
            return Source(f"math.{function}({argument.value!r})", kind="number")
        inner = self.value(argument, places, depth)
        if function == "abs":
            return Source(f"abs({inner.text})", kind=inner.kind)
        if function == "erf":
            named = {"np": self.scope.use("_erf") if self.xp == "np" else "", "torch": "torch.erf", "jnp": "jax.lax.erf"}
            return Source(f"{named[self.xp]}({inner.text})", kind="real")
        return Source(f"{self.xp}.{function}({inner.text})", kind="real")

    def binary(self, node: Binary, places: Places, depth: int) -> Source:
        """Return an operation on two numbers."""
        left, right = (self.value(n, places, depth) for n in (node.left, node.right))
        level, kind = LEVELS[node.op], joined(left.kind, right.kind)
        if node.op == "-" and node.left == Number(0):
            return Source(f"-{right.within(UNARY)}", UNARY, right.kind)
        if node.op == "+" and left.kind == right.kind == "real" and self.scope.complex and self.xp == "torch":
            return Source(f"{self.scope.use('_add')}({left.text}, {right.text})", kind="real")
        if node.op == "%" and self.xp == "torch" and kind != "number":
            return Source(f"{self.scope.use('_modulo')}({left.text}, {right.text})", kind=kind)
        one = left.within(level)
        if node.op == "/" and kind == "whole":
            # PyTorch divides whole numbers in float32.
            one, kind = (f"{left.within(ATOM)}.double()" if self.xp == "torch" and left.kind == "whole" else one), "real"
        return Source(f"{one} {node.op} {right.within(level + 1)}", level, kind)

    def product(self, parts: Sequence[Node], places: Places, depth: int, inside: Sequence[Source] = ()) -> Source:
        """Return a product: where its brackets hold that of the other factors, elsewhere 0."""
        conditions, values = self.parts(parts, places, depth)
        conditions = [*inside, *conditions]
        times = self.times(values)
        if not conditions:
            return times
        if all(c.kind == "number" for c in conditions):
            if times.kind != "number":
                truth = " and ".join(c.within(COMPARISON) for c in conditions)
                return Source(f"{times.within(OR)} if {truth} else 0", TOP, times.kind)
            shown = [c.within(PRODUCT) for c in conditions] + [times.within(PRODUCT)] * bool(values)
            return Source(" * ".join(shown), PRODUCT, "number")
        nothing = self.nothing if times.kind == "real" else "0"
        return Source(f"{self.xp}.where({self.every(conditions)}, {times.text}, {nothing})", kind=joined(times.kind, "whole"))

    def parts(self, parts: Sequence[Node], places: Places, depth: int) -> tuple[list[Source], list[Source]]:
        """Return the brackets and the other factors of a product."""
        conditions = [self.condition(p, places, depth) for p in parts if isinstance(p, Bracket)]
        return conditions, [self.value(p, places, depth) for p in parts if not isinstance(p, Bracket)]

    def times(self, values: Sequence[Source]) -> Source:
        """Return a product of numbers, 1 where there are none."""
        if len(values) == 1:
            return values[0]
        shown = [v.within(PRODUCT if not i else UNARY) for i, v in enumerate(values)]
        return Source(" * ".join(shown) or "1", PRODUCT if values else ATOM, joined(*(v.kind for v in values)))

    def every(self, conditions: Sequence[Source]) -> str:
        """Return where all conditions hold."""
        if len(conditions) == 1:
            return conditions[0].text
        return " & ".join(c.within(AND) for c in conditions)

    def total(self, axes: tuple[str, ...], body: Node, places: Places, depth: int) -> Source:
        """Return a sum over axes; those that a bracket pins are read at what it says, the others are dimensions."""
        parts, pinned, inside = self.pinned(axes, list(factors(body)), places, depth)
        open_axes = tuple(a for a in axes if a not in pinned)
        own = {**places, **pinned}
        depth += self.placed(open_axes, body, depth)
        if not open_axes:
            alone = parts[0] if len(parts) == 1 and isinstance(parts[0], Read) else None
            if alone and not {a for a in pinned if not pinned[a].inside} - set(axes_of(alone.index)):
                return self.read(alone, own)
            return self.product(parts, own, depth, inside)
        conditions, values = self.parts(parts, own, depth)
        conditions = [*inside, *conditions]
        where = self.where(open_axes)
        if not values:
            every = conditions[0].within(ATOM) if len(conditions) == 1 else f"({self.every(conditions)})"
            return Source(f"{every}.sum({where})")
        times = self.times(values)
        if not conditions:
            return Source(f"{times.within(ATOM)}.sum({where})", kind=times.kind)
        return Source(f"{self.xp}.where({self.every(conditions)}, {times.text}, 0).sum({where})", kind=times.kind)

    def pinned(
        self, axes: tuple[str, ...], parts: list[Node], places: Places, depth: int
    ) -> tuple[list[Node], dict[str, Place], list[Source]]:
        """Return the factors that pin no axis, what stands for those that are pinned, and where that is a coordinate."""
        found: dict[str, Place] = {}
        inside: list[Source] = []
        progress = True
        while progress:
            progress = False
            for part in parts:
                pin = self.pin(part, [a for a in axes if a not in found])
                if pin is None:
                    continue
                axis, term = pin
                source = self.value(term, {**places, **found}, depth)
                if len(source.text) > LONG and axis in self.once:
                    self.before_it[axis] = source.text
                    source = Source(coordinate(axis), kind=source.kind)
                place = Place(source, self.is_inside(axis, term))
                found[axis], progress = place, True
                if not place.inside:
                    inside += self.bounds(source, axis)
                parts = [p for p in parts if p is not part]
                break
        return parts, found, inside

    def pin(self, part: Node, axes: Sequence[str]) -> tuple[str, Node] | None:
        """Return the axis that a factor pins, and to what."""
        if isinstance(part, Bracket) and part.op == "==" and not isinstance(part.left, Tuple):
            for one, other in ((part.left, part.right), (part.right, part.left)):
                if isinstance(one, Axis) and one.name in axes and not free_axes(other) & set(axes):
                    return one.name, other
        return None

    def is_inside(self, axis: str, term: Node) -> bool:
        """Whether what stands for an axis is one of its coordinates for sure."""
        own = self.scope.fixed.get(base(axis), 0)
        if isinstance(term, Axis) and term.name in self.places:
            return self.scope.size(term.name) == self.scope.size(axis)
        return isinstance(term, Number) and 0 <= term.value < own

    def bounds(self, source: Source, axis: str) -> list[Source]:
        """Return where a term is a coordinate of an axis."""
        size = self.scope.size(axis)
        above = Source(f"{source.within(OR)} < {size}", COMPARISON, "number" if source.kind == "number" else "truth")
        if source.text == "0":
            return [above]
        return [Source(f"{source.within(OR)} >= 0", COMPARISON, above.kind), above]

    def placed(self, axes: tuple[str, ...], body: Node, depth: int) -> int:
        """Give axes that are bound their dimensions, to the left of those around them; return how many they are."""
        missing = [a for a in axes if a not in free_axes(body)]
        if missing:
            raise FormulaError(f"nothing in a sum over {missing[0]} depends on it")
        for i, axis in enumerate(reversed(axes), 1):
            if self.places.setdefault(axis, depth + i) != depth + i:
                raise FormulaError(f"{axis} is bound at several depths of one equation")
        return len(axes)

    def where(self, axes: tuple[str, ...]) -> str:
        """Return the dimensions of axes, as a reduction takes them."""
        places = [f"-{self.places[a]}" for a in axes]
        return places[0] if len(places) == 1 else f"({', '.join(places)})"

    def extreme(self, kind: str, axes: tuple[str, ...], body: Node, places: Places, depth: int) -> Source:
        """Return a maximum over axes, minus infinity over nothing."""
        if kind != "max":
            raise FormulaError(f"{kind} is not printed")
        depth += self.placed(axes, body, depth)
        inner = self.value(body, places, depth)
        if all(base(a) in self.scope.filled for a in axes):
            name = "amax" if self.xp == "torch" else "max"
            return Source(f"{inner.within(ATOM)}.{name}({self.where(axes)})", kind=inner.kind)
        if self.xp == "torch":
            return Source(f"{self.scope.use('_max')}({inner.text}, {self.where(axes)})", kind=inner.kind)
        return Source(f"{inner.within(ATOM)}.max({self.where(axes)}, initial=-{self.xp}.inf)", kind=inner.kind)

    def soft(self, node: Binary, places: Places, depth: int) -> Source | None:
        """Return a softmax by its name."""
        match node:
            case Binary("/", Apply("exp", Binary("-", term, Reduce("max", axes, other))), Reduce("sum")):
                pass
            case _:
                return None
        names = _renamed(term, axes, other)
        if not names or softmax(names, term) != node or not all(a in self.places for a in names):
            return None
        inner = self.value(term, places, depth)
        return Source(f"{self.scope.use('_softmax')}({inner.text}, {self.where(names)})", kind="real")


def _renamed(term: Node, axes: tuple[str, ...], other: Node) -> tuple[str, ...]:
    """Return the names in a term for which another one has these; nothing where they differ in more than names."""
    names: list[str] = []
    for axis in axes:
        own = [a for a in sorted(free_axes(term)) if base(a) == base(axis) and a not in free_axes(other)]
        if len(own) != 1:
            return ()
        names += own
        term = rename_axis(term, own[0], axis)
    return tuple(names) if term == other else ()


def joined(*kinds: str) -> str:
    """Return the kind of what several kinds make together."""
    return "real" if "real" in kinds else "number" if set(kinds) <= {"number"} else "whole"


def reads_values(term: Node) -> bool:
    """Whether a term reads a tensor outside brackets: what only counts places is a number in whichever way it is added."""
    inner = term.body if isinstance(term, Reduce) else term
    return any(isinstance(n, Read) for f in factors(inner) if not isinstance(f, Bracket) for n in walk(f))


def signed_terms(node: Node, sign: str = "+") -> list[tuple[str, Node]]:
    """Return the terms of a sum with their signs."""
    if isinstance(node, Binary) and node.op in "+-" and node.left != Number(0):
        right = sign if node.op == "+" else {"+": "-", "-": "+"}[sign]
        return [*signed_terms(node.left, sign), *signed_terms(node.right, right)]
    return [(sign, node)]


def summed(terms: Sequence[tuple[str, Node]]) -> Node:
    """Return the sum of terms with signs."""
    (_, total), *rest = terms
    for sign, term in rest:
        total = Binary(sign, total, term)
    return total
