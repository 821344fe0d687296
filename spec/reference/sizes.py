"""The sizes of a call as straight lines of Python: what shapes and parameters give, and an error where they do not fit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from einspec.card import Form, Op
from einspec.errors import FormulaError
from einspec.language.formula import Axis, Binary, Group, Index, Number, Rest, Size, axes_of, base
from einspec.language.formula import Param as Parameter
from einspec.language.tables import Param
from einspec.reference.source import Scope, shape_of
from einspec.reference.terms import Writer
from einspec.solve import TensorSpec, axes_of_target


@dataclass
class Equation:
    """Axes whose product is a number."""

    names: tuple[str, ...]
    total: str


@dataclass
class Sizes:
    """Writes the lines that find the sizes of one form."""

    op: Op
    form: Form
    scope: Scope
    lines: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """The axes and rests whose sizes have been found."""
    waiting: list[Equation] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    def write(self) -> list[str]:
        """Return the lines.

        Raises:
            FormulaError: the sizes of the card are found in a way that is not printed.
        """
        signature = self.form.signature
        own = {a for s in signature.inputs for a in axes_of(s.index)}
        for index in (*(s.index for s in (*signature.inputs, *signature.outputs)), *_stated(self.form)):
            for name in axes_of(index):
                size = name if name in own else base(name)
                self.scope.sizes[name] = "REST" if name == "..." else size.upper()
        self.scope.sizes |= {a: a.upper() for a in self.form.sizes}
        for axis, term in self.form.sizes.items():
            if isinstance(term.node, Number):
                self.scope.fixed[axis] = int(term.node.value)
        self.derive(constants=True)
        for name, param in self.op.card.params.items():
            self.parameter(name, param)
        self.derive()
        for spec in signature.inputs:
            self.tensor(spec)
        self.solve()
        self.lines += self.checks
        for axis, rule in self.op.card.axes.items():
            if axis in self.known:
                self.fail(f"{self.size(axis)} < {rule.min}", f"{axis} must be at least {rule.min}")
        for term in self.form.require.values():
            self.fail(f"not ({self.number(term.node)})", f"{self.op.name} needs {term.text}")
        self.scope.filled = {a for a in self.scope.sizes if self.positive(a)}
        unknown = {base(a) for a in self.scope.sizes} - {base(a) for a in self.known}
        if unknown:
            raise FormulaError(f"the size of {sorted(unknown)[0]} is not found")
        return self.lines

    def size(self, axis: str) -> str:
        """Return what stands for the size of an axis."""
        return self.scope.size(axis)

    def number(self, node: object) -> str:
        """Return an expression over sizes and parameters."""
        return Writer(self.scope).value(node, {}, 0).text  # type: ignore[arg-type]  # a node of the language

    def fail(self, condition: str, message: str) -> None:
        """Write an error of a condition."""
        self.lines.append(raising(condition, f'"{message}"'))

    def parameter(self, name: str, param: Param) -> None:
        """Write what a parameter says of sizes, and what may be wrong with it."""
        targets = param.targets(name)
        shown = [self.size(t) if param.size and t.isalpha() else t for t in targets]
        if param.choices:
            return
        if param.rational:
            self.lines += [f"{name} = Fraction(str({name}))", f"{', '.join(shown)} = {name}.numerator, {name}.denominator"]
        elif param.several:
            names = [t if t.isidentifier() else f"{name}_{i}" for i, t in enumerate(shown)]
            self.lines.append(f"{', '.join(names)} = {self.scope.use('_each')}({name}, {len(names)})")
            shown = names
        elif param.size and all(t.isalpha() for t in targets):
            self.lines.append(f"{' = '.join(shown)} = {name}")
        elif param.axis:
            self.position(name, param.axis.partition(" in ")[2])
        elif not param.size and shown != [name] and not param.sizes and not param.rank:
            self.lines.append(f"{' = '.join(shown)} = {name}")
        if isinstance(param.min, int) and not param.number:
            least = f"min({', '.join(shown)})" if param.several else name
            self.fail(f"{least} < {param.min}", f"{name} must be at least {param.min}")
        if param.size:
            for target, text in zip(targets, shown, strict=True):
                axes = axes_of_target(target)
                if len(axes) == 1:
                    self.known.add(axes[0])
                else:
                    self.waiting.append(Equation(axes, text if param.several else name))

    def position(self, name: str, tensor: str) -> None:
        """Write the position of an axis of a tensor, which says how many axes stand before it."""
        signature = self.form.signature
        first = signature.inputs[0]
        spec = next(s for s in (*signature.inputs, *signature.outputs) if s.name == tensor)
        more = sum(not isinstance(d, Rest) for d in spec.index) - spec.listed
        more -= sum(not isinstance(d, Rest) for d in first.index)
        if first.listed:
            self.stack(first)
        rank = f"{first.name}.ndim"
        if more:
            self.lines.append(f"rank = {rank} {'+' if more > 0 else '-'} {abs(more)}")
            rank = "rank"
        message = f'f"{name} must lie in {{-{rank}}}..{{{rank} - 1}}, not {{{name}}}"'
        self.lines.append(raising(f"not -{rank} <= {name} < {rank}", message))
        self.lines.append(f"{name} %= {rank}")

    def stack(self, spec: TensorSpec) -> None:
        """Write a list of tensors as one."""
        self.lines.append(f"{spec.name} = {self.scope.framework.xp}.stack({spec.name})")

    def placed(self) -> str:
        """Return the parameter that says how many axes the first rest stands for, ``""`` for none."""
        return next((n for n, p in self.op.card.params.items() if p.axis or p.rank), "")

    def tensor(self, spec: TensorSpec) -> None:
        """Write what the shape of an input says."""
        if spec.listed and not self.placed():
            self.stack(spec)
        inferred = next((n for n, p in self.op.card.params.items() if p.sizes), "")
        if inferred:
            self.infer(spec, inferred)
            return
        rests = [d.name for d in spec.index if isinstance(d, Rest)]
        axes = axes_of(spec.index)
        new = [a for a in axes if a not in self.known]
        taken = [d.name for d in spec.index if isinstance(d, Axis) and d.name in new and d.name in self.form.sizes]
        if rests and new and set(rests) <= self.known:
            self.pick(spec)
        elif new:
            self.unpack(spec, rests)
        if new != list(axes) or len(set(axes)) < len(axes) or any(isinstance(d, Group) for d in spec.index):
            dimensions = ", ".join(self.scope.dimension(d) for d in spec.index)
            comma = "," if len(spec.index) == 1 else ""
            message = f'f"{spec} does not fit {{tuple({spec.name}.shape)}}"'
            self.checks.append(raising(f"{spec.name}.shape != ({dimensions}{comma})", message))
        for axis in taken:
            stated = self.form.sizes[axis]
            message = f'f"{axis} must be {stated.text}, not {{{self.size(axis)}}}"'
            self.checks.append(raising(f"{self.size(axis)} != {self.number(stated.node)}", message))

    def infer(self, spec: TensorSpec, name: str) -> None:
        """Write the sizes of a list in which one may be -1."""
        rest = self.op.card.params[name].sizes
        total, tail = self.size(rest), "*rest_shape"
        message = f'f"{spec} with {name}={{{name}}} does not fit {{tuple({spec.name}.shape)}}"'
        self.lines += [
            f"{total}, {tail} = {spec.name}.shape",
            f"given = math.prod(n for n in {name} if n >= 0)",
            raising(f"not {name} or min({name}) < -1 or list({name}).count(-1) > (given > 0)", message),
            f"{rest}_shape = [{total} // given if n < 0 else n for n in {name}]",
            raising(f"math.prod({rest}_shape) != {total}", message),
            "REST = math.prod(rest_shape)",
        ]
        self.known |= {rest, "..."}

    def pick(self, spec: TensorSpec) -> None:
        """Write the sizes that a tensor alone has beside rests that are known."""
        before = ""
        for i, dimension in enumerate(spec.index):
            match dimension:
                case Rest(name):
                    before += f"len({shape_of(name)}) + "
                case Axis(name) if name not in self.known:
                    place = f"{before}{i - before.count('len')}".removesuffix(" + 0") if before else str(i)
                    self.lines.append(f"{self.size(name)} = {spec.name}.shape[{place}]")
                    self.known.add(name)
                case Group():
                    raise FormulaError("a composition beside rests that are known")

    def unpack(self, spec: TensorSpec, rests: Sequence[str]) -> None:
        """Write a shape taken apart."""
        names: list[str] = []
        for dimension in spec.index:
            axes = axes_of((dimension,))
            if isinstance(dimension, Rest):
                names.append(f"*{shape_of(dimension.name)}")
            elif isinstance(dimension, Group):
                names.append("".join(map(self.size, axes)))
                self.waiting.append(Equation(axes, names[-1]))
            elif axes[0] in self.known or self.size(axes[0]) in names:
                names.append("_")
            else:
                names.append(self.size(axes[0]))
        self.known |= {n for d in spec.index if not isinstance(d, Group) for n in axes_of((d,))}
        if len(rests) > 1:
            self.divide(spec, names)
        elif len(names) == 1 and rests:
            self.lines.append(f"{shape_of(rests[0])} = {spec.name}.shape")
        else:
            left = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
            self.lines.append(f"{left} = {spec.name}.shape")
        if rests:
            left = ", ".join(self.size(r) for r in rests)
            right = ", ".join(f"math.prod({shape_of(r)})" for r in rests)
            self.lines.append(f"{left} = {right}")

    def divide(self, spec: TensorSpec, names: Sequence[str]) -> None:
        """Write a shape taken apart where a parameter says how many axes its first rest is."""
        placed = self.placed()
        if not placed or not isinstance(spec.index[spec.listed], Rest):
            raise FormulaError(f"how many axes each rest of {spec.name} is")
        shape = f"{spec.name}.shape"
        if spec.listed:
            self.lines.append(f"{names[0]}, *shape = {shape}")
            shape = "shape"
        if self.op.card.params[placed].rank:
            message = f'f"{spec.name} must have {{{placed}}} axes at least"'
            self.lines.append(raising(f"{spec.name}.ndim < {placed}", message))
        first, *others = names[spec.listed :]
        tail = f"({', '.join(others)})" if len(others) > 1 else others[0].removeprefix("*")
        self.lines.append(f"{first.removeprefix('*')}, {tail} = {shape}[:{placed}], {shape}[{placed}:]")

    def solve(self) -> None:
        """Write the sizes that follow from others, each when all is known that it follows from."""
        while True:
            before = len(self.known)
            self.settle()
            self.derive()
            if len(self.known) == before:
                break
        left = [e for e in self.waiting if not set(e.names) <= self.known]
        if left:
            raise FormulaError(f"the size of {left[0].names} is not found")
        self.settle()

    def settle(self) -> None:
        """Write what equations with one unknown axis give, and check those with none."""
        for equation in list(self.waiting):
            unknown = [a for a in equation.names if a not in self.known]
            if len(unknown) > 1 or (unknown and unknown[0] in self.form.sizes):
                continue
            self.waiting.remove(equation)
            others = [self.size(a) for a in equation.names if a not in unknown]
            product = " * ".join(others)
            parameter = equation.total in self.op.card.params
            if not unknown:
                if parameter:
                    self.checks.append(raising(f"{product} != {equation.total}", f'f"{equation.total} must be {{{product}}}"'))
                continue
            divisor = f"({product})" if len(others) > 1 else product
            if any(not self.positive(a) for a in equation.names if a not in unknown):
                raise FormulaError(f"{product} may be 0")
            self.lines.append(f"{self.size(unknown[0])} = {equation.total} // {divisor}")
            if parameter:
                message = f'f"{equation.total} must be a multiple of {{{product}}}"'
                self.lines.append(raising(f"{equation.total} % {divisor}", message))
            self.known.add(unknown[0])

    def positive(self, axis: str) -> bool:
        """Whether an axis has at least one coordinate."""
        if self.scope.fixed.get(axis, 0) > 0 or axis in self.op.card.axes:
            return True
        if axis in self.form.sizes and self.least(self.form.sizes[axis].node) > 0:
            return True
        sized = (p for n, p in self.op.card.params.items() if p.size and any(axis in axes_of_target(t) for t in p.targets(n)))
        return any(isinstance(p.min, int) and p.min > 0 for p in sized)

    def least(self, node: object) -> float:
        """Return what an expression over sizes and parameters is never below."""
        match node:
            case Number(value):
                return value
            case Size(axis):
                return int(self.positive(axis))
            case Parameter(name):
                own = (p.min for n, p in self.op.card.params.items() if p.is_number and name in p.targets(n))
                return next((m for m in own if isinstance(m, int)), -math.inf)
            case Binary("+", left, right):
                return self.least(left) + self.least(right)
            case Binary("*", left, right) if min(self.least(left), self.least(right)) >= 0:
                return self.least(left) * self.least(right)
        return -math.inf

    def derive(self, constants: bool = False) -> None:
        """Write the sizes that the card derives from those that are known, or those alone that are numbers."""
        for axis, term in self.form.sizes.items():
            if (
                axis in self.known
                or (constants and not isinstance(term.node, Number))
                or not {base(a) for a in term.needs} <= self.known
            ):
                continue
            self.lines.append(f"{self.size(axis)} = {self.number(term.node)}")
            self.known.add(axis)


def _stated(form: Form) -> list[tuple[Index, ...]]:
    """Return the indices of what a definition defines on the way."""
    targets = ([t.index for t in e.targets] if hasattr(e, "targets") else [e.index] for e in form.stated)
    return list(itertools.chain(*targets))


def raising(condition: str, message: str, error: str = "ValueError") -> str:
    """Return a statement that raises an error under a condition."""
    return f"if {condition}:\n    raise {error}({message})"
