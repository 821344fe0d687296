"""An op as a function: what its card says, line by line, and a file of it with all that it calls."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence

from einspec.card import Form, Op, load, paths, shipped
from einspec.dtypes import COMPLEX, GROUPS, WIDE
from einspec.errors import FormulaError
from einspec.language.formula import Equation, Group, OpCall, Read, Rest, axes_of, walk
from einspec.language.linear import EXACT
from einspec.meaning import digest
from einspec.pages.cite import citation, plain
from einspec.pages.text import formula_lines, wrapped
from einspec.reference.frameworks import FRAMEWORKS, Framework
from einspec.reference.layout import broken
from einspec.reference.sizes import Sizes, raising
from einspec.reference.source import Scope, coordinate
from einspec.reference.terms import Writer
from einspec.solve import TensorSpec

INDENT = "    "
WORD = re.compile(r"[A-Za-z_]\w*")


def reference(op: Op, framework: str) -> str:
    """Return a file with a function that computes an op as its definition says, and needs no einspec.

    Args:
        op: the op.
        framework: ``numpy``, ``torch`` or ``jax``.

    Raises:
        FormulaError: the definition has something that is not printed.
        KeyError: there is no such framework.
    """
    target = FRAMEWORKS[framework]
    helpers: dict[str, None] = {}
    ops: dict[str, str] = {}
    waiting = [op]
    while waiting:
        current = waiting.pop(0)
        if current.name not in ops:
            ops[current.name], used = _function(current, target)
            helpers |= used
            waiting += [load(e.op) for f in current.forms.values() for e in f.stated if isinstance(e, OpCall)]
    for name in list(helpers):
        helpers |= dict.fromkeys(target.helpers[name].uses)
    bodies = [*ops.values(), *(h.source for n, h in target.helpers.items() if n in helpers)]
    return "\n".join([_head(op, list(ops), target, "\n".join(bodies)), "\n\n".join(b.strip("\n") + "\n" for b in bodies)])


def _cited(op: Op) -> str:
    """Return what says which version of an op it is: a citation, which is none of a card of one's own."""
    own = f"{op.name}, defined in {paths()[op.name].name} [{digest(op, 'def')}]"
    return plain(citation(op)) if op.name in shipped() else own


def _head(op: Op, names: Sequence[str], framework: Framework, code: str) -> str:
    """Return what stands above the functions: what the file is, of which version of the spec, and what it imports."""
    cited = _cited(op)
    lines = [f'"""{cited.removesuffix(".")}.', ""]
    about = [
        f"The definition as a function of {framework.name}, printed by einspec; it needs no einspec.",
        "It is as slow as it is plain, and every term of a sum is in memory at once: an oracle for small inputs.",
        framework.limits,
    ]
    lines += wrapped(" ".join(about), 0)
    if len(names) > 1:
        lines += ["", "The definition uses:", *(f"    {_cited(load(n))}" for n in names[1:])]
    lines += ['"""', ""]
    standard = ["import math"] * ("math." in code) + ["from fractions import Fraction"] * ("Fraction(" in code)
    lines += [*standard, ""] if standard else []
    own = [i for i in framework.imports.splitlines() if i != "import jax" or "jax." in code]
    own = [i for i in own if f"{framework.xp}." in code or i == "import jax"]
    lines += [*own, ""] if own else []
    return "\n".join([*lines, ""])


def _function(op: Op, framework: Framework) -> tuple[str, dict[str, None]]:
    """Return an op as a function, and the helpers that it uses."""
    helpers: dict[str, None] = {}
    bodies: dict[str, list[str]] = {}
    common = _common(op)
    for value, form in op.forms.items():
        body = _Body(op, form, framework, len(common) < len(_widest(op)), len(common))
        bodies[value] = body.write()
        helpers |= body.scope.used
    lines = _chosen(op, bodies)
    code = "\n".join(lines)
    head = [] if framework.xp != "np" or "np." not in code or _moves(op, code) else ['@np.errstate(all="ignore")']
    head += [broken(f"def {op.name}({_parameters(op, common)}):"), *_docstring(op)]
    return "\n".join([*head, *_indented(lines)]), helpers


def _moves(op: Op, code: str) -> bool:
    """Whether all that a function does is to move elements, so that nothing of it can overflow."""
    return all(f.kind in EXACT for f in op.forms.values()) and "other=" not in code


def _widest(op: Op) -> list[str]:
    """Return the inputs of the form that has most."""
    return max(([s.name for s in f.signature.inputs] for f in op.forms.values()), key=len)


def _common(op: Op) -> list[str]:
    """Return the inputs with which all forms begin."""
    return _start([[s.name for s in f.signature.inputs] for f in op.forms.values()])


def _start(each: Sequence[Sequence[str]]) -> list[str]:
    """Return what several sequences begin with alike."""
    return [own[0] for own in itertools.takewhile(lambda own: len(set(own)) == 1, zip(*each, strict=False))]


def _parameters(op: Op, common: Sequence[str]) -> str:
    more = [] if len(common) == len(_widest(op)) and _same_inputs(op) else [f"*{_more(op)}"]
    params = op.card.params.items()
    keywords = [n if p.required else f"{n}={_literal(p.default)}" for n, p in params]
    star = ["*"] if keywords and not more else []
    return ", ".join([*common, *more, *star, *keywords])


def _more(op: Op) -> str:
    """Return what the inputs are called that not all forms have."""
    return "others" if "more" in op.card.params else "more"


def _same_inputs(op: Op) -> bool:
    return len({tuple(s.name for s in f.signature.inputs) for f in op.forms.values()}) == 1


def _literal(value: object) -> str:
    return "math.inf" if value == math.inf else repr(value).replace("'", '"')


def _docstring(op: Op) -> list[str]:
    """Return what an op is, its formula and its parameters."""
    lines = [*wrapped(f'"""{op.card.summary}', 4), ""]
    for value, form in op.forms.items():
        if op.choice:
            lines.append(f'{INDENT}{op.choice}="{value}":')
        indent = 8 if op.choice else 4
        lines += wrapped(str(form.signature), indent, 4)
        lines += [line for e in form.stated for line in formula_lines(e.text, indent + 4)]
    if op.card.params:
        lines += ["", f"{INDENT}Args:"]
        for name, param in op.card.params.items():
            lines += wrapped(f"{name}: {param.doc}.", 8, 4)
    return [*lines, f'{INDENT}"""']


def _chosen(op: Op, bodies: dict[str, list[str]]) -> list[str]:
    """Return the statements of all forms: those that all begin or end with once, the others under what is chosen."""
    each = list(bodies.values())
    if not op.choice:
        return each[0]
    start = len(_start(each))
    end = len(_start([b[start:][::-1] for b in each]))
    while end and any(b[: len(b) - end] and b[len(b) - end - 1].startswith("#") for b in each):
        end -= 1  # a line stays with the equation that it is for
    choices = ", ".join(bodies)
    message = f'f"{op.choice} must be one of {choices}, not {{{op.choice}!r}}"'
    lines = [*each[0][:start]]
    for i, (value, body) in enumerate(bodies.items()):
        lines.append(f'{"elif" if i else "if"} {op.choice} == "{value}":')
        own = body[start : len(body) - end]
        lines += [f"{INDENT}{line}" for statement in own or ["pass"] for line in _broken(statement, 2)]
    lines += ["else:", f"{INDENT}raise ValueError({message})"]
    return [*lines, *each[0][len(each[0]) - end :]]


def _broken(statement: str, depth: int) -> list[str]:
    """Return a statement in lines that fit, without their indentation."""
    pad = INDENT * depth
    found = [broken(line.strip(), pad + " " * (len(line) - len(line.lstrip()))) for line in statement.splitlines()]
    return [line.removeprefix(pad) for part in found for line in part.splitlines()]


def _indented(statements: Sequence[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else "" for s in statements for line in _broken(s, 1)]


def _without_unused(lines: Sequence[str]) -> list[str]:
    """Return statements in which what is unpacked and not used has no name."""
    words = Counter(w for line in lines if not line.startswith("#") for w in WORD.findall(_read(line)))
    found = []
    for line in lines:
        left, _, right = line.partition(" = ")
        if "," in left and "\n" not in line and not line.startswith("#"):
            left = WORD.sub(lambda m: m[0] if words[m[0]] else "_", left)
        if right and set(WORD.findall(left)) == {"_"}:
            continue  # a check of the whole shape follows
        found.append(f"{left} = {right}" if right and "\n" not in line else line)
    return found


def _read(line: str) -> str:
    """Return the part of a statement whose names are read: not what is unpacked into."""
    left, unpacks, right = line.partition(" = ")
    return right if unpacks and "," in left and "\n" not in line else line


class _Body:
    """Writes the statements of one form."""

    def __init__(self, op: Op, form: Form, framework: Framework, varied: bool, common: int) -> None:
        self.op, self.form, self.framework = op, form, framework
        self.varied, self.common = varied or not _same_inputs(op), common
        self.scope = Scope(framework)
        self.scope.complex = any(GROUPS[form.group(name)] & set(COMPLEX) for name in form.data)
        self.lines: list[str] = []
        self.placed: dict[str, tuple[str, int]] = {}
        """The coordinates that there are, with their sizes and dimensions."""
        self.moves = form.kind in EXACT
        self.bare = all(r == "int" for r in (form.dtype[s.name] for s in form.signature.outputs))

    def write(self) -> list[str]:
        """Return the statements."""
        form = self.form
        if self.varied:
            self.take_more()
        if form.orders:
            return self.in_order()
        self.lines += Sizes(self.op, form, self.scope).write()
        self.prepare()
        several = len(form.stated) > 1
        for entry in form.stated:
            self.lines += [f"# {entry.text}"] if several else []
            if isinstance(entry, OpCall):
                self.call(entry)
            else:
                self.equation(entry)
        self.lines.append("return " + ", ".join(self.returned(s) for s in form.signature.outputs))
        return _without_unused(self.lines)

    def in_order(self) -> list[str]:
        """Return the statements of a definition that puts the axes of its input in the order that parameters give."""
        ((entry,), (spec,)), orders = (self.form.stated, self.form.signature.inputs), list(self.form.orders.values())
        rest = (Rest(orders[0].rest),)
        if len(orders) > 1 or not isinstance(entry, Equation) or (spec.index, entry.body) != (rest, Read(spec.name, rest)):
            raise FormulaError("an order of axes beside other axes")
        order, rank = orders[0], f"{spec.name}.ndim"
        named = self.scope.use("_positions")
        self.lines += [f"{name} = {named}({name}, {rank})" for name in order.params]
        places = ", ".join(f"*{p}" for p in order.places) or f"*range({rank})"
        axes = ", ".join(f"*{a}" for a in order.axes)
        return [
            *self.lines,
            f"moved = dict(zip([{places}], [{axes}], strict=True))",
            f"others = (a for a in range({rank}) if a not in moved.values())",
            f"order = [moved[i] if i in moved else next(others) for i in range({rank})]",
            f"return {spec.name}.{'permute' if self.framework.xp == 'torch' else 'transpose'}(order)",
        ]

    def take_more(self) -> None:
        """Write the inputs that other forms do not have."""
        own, more = [s.name for s in self.form.signature.inputs[self.common :]], _more(self.op)
        if own:
            left = f"({own[0]},)" if len(own) == 1 else ", ".join(own)
            self.lines.append(f"{left} = {more}")
        else:
            count = f"{self.common} tensor{'s' * (self.common > 1)}"
            choice = f'{self.op.choice}="{self.form.choice[self.op.choice]}"' if self.op.choice else "it"
            self.lines.append(raising(more, f"'{self.op.name} with {choice} takes {count}'", "TypeError"))

    def prepare(self) -> None:
        """Write the inputs in the dtypes in which is computed, and with an axis a dimension."""
        form, signature = self.form, self.form.signature
        whole = [s.name for s in signature.inputs if form.group(s.name) == "index"]
        casts = {self.dtype(form.dtype[s.name]) for s in signature.outputs}
        kept = [s.name for s in signature.inputs if any(f"{s.name}_dtype" in c for c in casts)]
        self.lines += [f"{name}_dtype = {name}.dtype" for name in kept]
        for spec in signature.inputs:
            name = spec.name
            self.scope.kinds[name] = "whole" if name in whole or form.group(name) == "bool" else "real"
            self.scope.opened[name] = axes_of(spec.index)
            value = name
            if self.opens(spec):
                value = f"{value}.reshape({self.sizes(axes_of(spec.index))})"
            if name in whole:
                value = self.framework.whole.format(value)
            elif form.group(name) != "bool" and not self.moves:
                value = f"{self.scope.use('_wide')}({value})"
            if value != name:
                self.lines.append(f"{name} = {value}")
        if self.framework.xp == "torch" and not self.moves:
            numbers = [n for n, p in self.op.card.params.items() if p.number]
            device = self.device()
            self.lines += [f"{n} = torch.as_tensor({n}, dtype=torch.float64{device})" for n in numbers if self.reads(n)]

    def reads(self, param: str) -> bool:
        """Whether an equation reads a parameter as a number."""
        equations = [e for e in self.form.stated if isinstance(e, Equation)]
        return any(getattr(n, "name", "") == param for e in equations for n in walk(e.body))

    def device(self) -> str:
        """Return where PyTorch makes new arrays."""
        first = next((s.name for s in self.form.signature.inputs), "")
        return f", device={first}.device" if first and self.framework.xp == "torch" else ""

    def opens(self, spec: TensorSpec) -> bool:
        """Whether a tensor is read with other dimensions than it has."""
        other = any(isinstance(d, Group | Rest) for d in spec.index)
        equations = [e for e in self.form.stated if isinstance(e, Equation)]
        return other and any(isinstance(n, Read) and n.tensor == spec.name for e in equations for n in walk(e.body))

    def sizes(self, axes: Sequence[str]) -> str:
        return ", ".join(self.scope.size(a) for a in axes)

    def equation(self, equation: Equation) -> None:
        """Write an equation."""
        writer = Writer(self.scope, equation)
        outputs = {s.name: s for s in self.form.signature.outputs}
        truths = self.form.dtype.get(equation.tensor) == "bool" and equation.tensor in outputs
        source = writer.equation(equation, self.moves and equation.tensor in outputs, truths)
        self.coordinates(writer)
        self.lines += [f"{coordinate(axis)} = {text}" for axis, text in writer.before_it.items()]
        self.placed = {a: p for a, p in self.placed.items() if a not in writer.before_it}
        self.lines.append(f"{equation.tensor} = {source.text}")
        self.scope.opened[equation.tensor] = axes_of(equation.index)
        self.scope.kinds[equation.tensor] = "whole" if source.kind == "truth" else source.kind
        if source.kind == "number" and equation.index:
            self.scope.kinds[equation.tensor] = "whole"

    def coordinates(self, writer: Writer) -> None:
        """Write the coordinates that an equation uses and that there are not yet."""
        wanted = {a: (self.scope.size(a), writer.places[a]) for a in writer.named}
        if all(self.placed.get(a) == w for a, w in wanted.items()):
            return
        levels: dict[int, list[str]] = {}
        for axis, place in writer.places.items():
            levels.setdefault(place, []).append(axis)
        most = max(p for a, p in writer.places.items() if a in wanted)
        for level in levels.values():
            level.sort(key=lambda a: a not in wanted)
        first = [levels[p][0] for p in range(most, 0, -1)]
        names = [coordinate(a) if a in wanted else "_" for a in first]
        left = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        self.lines.append(f"{left} = {self.scope.use('_axes')}({self.sizes(first)}{self.device()})")
        for place in range(most, 0, -1):
            for axis in levels[place][1:]:
                if axis in wanted:
                    ones = ", 1" * (place - 1)
                    left = f"({coordinate(axis)},)" if place == 1 else f"{coordinate(axis)}{', _' * (place - 1)}"
                    self.lines.append(f"{left} = _axes({self.scope.size(axis)}{ones}{self.device()})")
        names_there = {coordinate(a) for a in wanted}
        self.placed = {a: p for a, p in self.placed.items() if coordinate(a) not in names_there} | wanted

    def call(self, call: OpCall) -> None:
        """Write the use of another op."""
        op = load(call.op)
        choices = dict(call.choices)
        form = op.forms[choices.get(op.choice, str(op.card.params[op.choice].default)) if op.choice else ""]
        axes: dict[str, str] = {}
        pairs = [*zip(form.signature.inputs, call.inputs, strict=True), *zip(form.signature.outputs, call.targets, strict=True)]
        for spec, read in pairs:
            axes |= zip(axes_of(spec.index), axes_of(read.index), strict=True)
        given = [self.as_given(r) for r in call.inputs]
        given += [f'{name}="{value}"' for name, value in call.choices]
        for name, param in op.card.params.items():
            if param.size and axes.keys() >= set(param.targets(name)):
                given.append(f"{name}={self.scope.size(axes[param.targets(name)[0]])}")
        given += [f"{name}={Writer(self.scope).value(node, {}, 0).text}" for name, node in call.numbers]
        targets = ", ".join(t.tensor for t in call.targets)
        self.lines.append(f"{targets} = {call.op}({', '.join(given)})")
        for spec, read in zip(form.signature.outputs, call.targets, strict=True):
            rule = form.dtype[spec.name]
            source = rule.removeprefix("same as ")
            whole = rule in ("int32", "bool") or (source in form.dtype and form.group(source) == "index")
            self.scope.kinds[read.tensor] = "whole" if whole else "real"
            self.scope.opened[read.tensor] = axes_of(read.index)

    def as_given(self, read: Read) -> str:
        """Return a tensor with the dimensions that it is read with."""
        composed = any(isinstance(d, Group) for d in read.index)
        spec = next((s for s in self.form.signature.inputs if s.name == read.tensor), None)
        if not composed or (spec is not None and not self.opens(spec)):
            return read.tensor
        shape = ", ".join(self.scope.dimension(d) for d in read.index)
        return f"{read.tensor}.reshape({shape})"

    def returned(self, spec: TensorSpec) -> str:
        """Return an output with the dimensions and the dtype that the card names."""
        rule, value = self.form.dtype[spec.name], spec.name
        if any(isinstance(d, Group | Rest) for d in spec.index):
            dimensions = [self.scope.dimension(d) for d in spec.index]
            shape = ", ".join(dimensions)
            if all(isinstance(d, Rest) for d in spec.index):  # perhaps no dimension at all
                shape = f"({shape},)" if len(dimensions) == 1 else f"({shape})"
            value = f"{value}.reshape({shape})"
        dtype = self.dtype(rule)
        if dtype:
            value = self.framework.cast.format(value, dtype)
        if spec.listed:
            return f"[{value}[i] for i in range({self.scope.size(axes_of(spec.index)[0])})]"
        return value

    def dtype(self, rule: str) -> str:
        """Return the dtype of an output, ``""`` where it has it already."""
        xp = self.framework.xp
        if rule == "int":
            return ""
        if rule.startswith(WIDE):
            return self.framework.promote.format(f"{rule.removeprefix(WIDE)}_dtype")
        if not rule.startswith("same as "):
            return {"bool": "bool" if xp != "torch" else "torch.bool"}.get(rule, f"{xp}.{rule}")
        name = rule.removeprefix("same as ")
        return "" if self.moves and self.form.group(name) != "index" else f"{name}_dtype"
