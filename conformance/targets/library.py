"""Adapters as data: a TOML file that says, op by op, which call of a library computes it.

The judge reads the file and looks at its expressions, it evaluates none. What calls the library is made of them in the
process of the candidate, by :mod:`einspec.conformance.runner.expressions`.
"""

from __future__ import annotations

import ast
import builtins
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from einspec.calls.domain import fit_of
from einspec.card import Op, aliases, load, paths, sized_axes
from einspec.clauses import clause_ids
from einspec.conformance.targets.conventions import CONVENTIONS
from einspec.conformance.targets.names import TargetError
from einspec.dtypes import ALL
from einspec.language.formula import Axis, walk
from einspec.language.places import Place, Places, named
from einspec.solve import Solution

SETUP = {
    "numpy": "import numpy as np\n",
    "torch": "import numpy as np\nimport torch\nimport torch.nn.functional as F\n",
    "jax": "import numpy as np\nimport jax\nimport jax.numpy as jnp\n",
}
"""What every expression may name besides, by the framework whose arrays it is given."""
T = TypeVar("T")
RESULT, MODULE = "r", "module"
"""What the call gave, in ``out``; what ``module`` built."""
MOST_TOLD = 8
"""Mistakes of one file that are told."""


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a library computes one op: every value but those of the last four keys is a Python expression."""

    call: str
    """The call. It may name the inputs, parameters and numbers of the card, and sizes: ``D`` is that of axis d."""
    let: dict[str, str] = {}
    """Names that are made before the call, in this order."""
    out: dict[str, str] = {}
    """An output, made of ``r``, what the call gave. Without it that is r itself, or its items in order."""
    where: str = ""
    """For which calls the library promises this. Inputs are NumPy arrays here. Other calls are not made."""
    module: str = ""
    """What the call needs and is built for each: the random state is afterwards what it was before."""
    forms: tuple[str, ...] = ()
    """The values of the string parameter that the library has."""
    sizes: dict[str, str] = {}
    """What a size or a number may be, such as ``K = "<= 8"`` and ``D = "multiple of 16"``; several with commas."""
    without: dict[str, str] = {}
    """A clause, or a dtype, that the library does not offer, and why."""
    admit: tuple[str, ...] = ()
    """Conventions in which it may differ from the card."""


class Library(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of adapters."""

    framework: Literal["numpy", "torch", "jax"]
    """Whose arrays the calls take and give."""
    op: dict[str, Adapter]
    setup: str = ""
    """Python that is run once, for the names that expressions use; modules beside the file can be imported."""
    packages: tuple[str, ...] = ()
    """Packages whose versions a report is to name."""
    without: dict[str, str] = {}
    """Clauses and dtypes that no op offers."""
    admit: tuple[str, ...] = ()
    """Conventions that all ops share."""

    def adapter(self, op: str) -> Adapter:
        """Return the adapter of an op, with what all ops share."""
        own = self.op[op]
        admit = tuple(dict.fromkeys((*self.admit, *own.admit)))
        return msgspec.structs.replace(own, admit=admit, without={**self.without, **own.without})

    @property
    def unsupported(self) -> tuple[tuple[str, ...], ...]:
        """What ops do not offer, as a backend says it."""
        return tuple(_unsupported(op, what, reason) for op in self.op for what, reason in self.adapter(op).without.items())


def _unsupported(op: str, what: str, reason: str) -> tuple[str, ...]:
    return (op, what, "*", reason) if what in ALL else (f"{op}/{what}", "*", "*", reason)


def read_library(path: Path) -> tuple[Library, str]:
    """Return what a file of adapters says, and its text.

    Raises:
        TargetError: it cannot be read, or says what cannot be; the message has a line for each mistake, with where it is.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TargetError(f"{path} is no text: {error}") from error
    except OSError as error:
        raise TargetError(f"no file {path}" if isinstance(error, FileNotFoundError) else f"{path}: {error.strerror}") from error
    return parsed(text, str(path)), text


def parsed(text: str, name: str) -> Library:
    """Return what the text of a file of adapters says.

    Raises:
        TargetError: it says what cannot be.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{name}: {error}") from error
    except RecursionError as error:
        raise TargetError(f"{name}: nested too deep") from error
    reader = _Reader(data, Places(text))
    library = reader.read()
    if reader.mistakes:
        told = [f"{name}:{m.place.line}:{m.place.column}: {m.text}" for m in sorted(reader.mistakes)[:MOST_TOLD]]
        rest = len(reader.mistakes) - len(told)
        raise TargetError("\n".join([*told, *([f"and {rest} more"] if rest else [])]))
    assert library is not None
    return library


@dataclass(order=True, frozen=True)
class _Mistake:
    place: Place
    text: str


@dataclass
class _Reader:
    """A file being read: what is wrong in it is gathered."""

    data: dict[str, Any]
    places: Places
    mistakes: list[_Mistake] = field(default_factory=list)

    def wrong(self, place: Place, text: str) -> None:
        """Note a mistake."""
        self.mistakes.append(_Mistake(place, text))

    def read(self) -> Library | None:
        """Return what the file says; None where it is not made as it must be."""
        ops = self.data.get("op")
        tables = ops if isinstance(ops, dict) else {}
        whole = {**self.data, "op": {}} if isinstance(ops, dict) else self.data
        library = self._convert(whole, Library, ())
        adapters = {name: self._convert(table, Adapter, ("op", name)) for name, table in tables.items()}
        if library is None:
            return None
        if not tables and isinstance(ops, dict):
            self.wrong(self.places.key(("op",)), "no op; [op.NAME] begins one")
        known, whatever = self._setup(library)
        self._shared(library, (), None)
        for name, adapter in adapters.items():
            op = self._op(name)
            if op is not None and adapter is not None:
                _Expressions(self, op, adapter, ("op", name), known, whatever).check()
                self._shared(adapter, ("op", name), op)
                self._domain(adapter, ("op", name), op)
        return msgspec.structs.replace(library, op={n: a for n, a in adapters.items() if a is not None})

    def _convert(self, value: Any, kind: type[T], path: tuple[str | int, ...]) -> T | None:
        """Return a table as it must be; None where it is not."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            text = str(error).partition(" - at `$")[0]
            inner, missing = named(value, error)
            place = self.places.key((*path, *inner)) if missing else self.places.value((*path, *inner))
            allowed = ", ".join(kind.__struct_fields__)  # type: ignore[attr-defined]
            label = ".".join(map(str, (*path, *inner)))
            self.wrong(place, f"{label + ': ' if label else ''}{text}; allowed are {allowed}")
            return None

    def _op(self, name: str) -> Op | None:
        """Return the op of a table."""
        if name in paths():
            return load(name)
        hint = f"that is another name of {aliases()[name]}: give that" if name in aliases() else "einspec ops lists them"
        self.wrong(self.places.key(("op", name)), f"no op {name!r}; {hint}")
        return None

    def _setup(self, library: Library) -> tuple[set[str], bool]:
        """Return the names that expressions may use besides, and whether there may be others that are not seen here."""
        names, whatever = _bound(ast.parse(SETUP[library.framework]))
        try:
            tree = ast.parse(library.setup)
        except PROBLEMS as error:
            line, column, what = _told(error)
            self.wrong(self.places.inside(("setup",), line, column), f"setup: {what}")
            return names, True
        own, star = _bound(tree)
        return names | own, whatever or star

    def _shared(self, table: Library | Adapter, path: tuple[str, ...], op: Op | None) -> None:
        """Look at what a library lacks, and what is admitted of it."""
        for number, name in enumerate(table.admit):
            if name not in CONVENTIONS:
                place = self.places.value((*path, "admit", number))
                self.wrong(place, f"admit: no convention {name!r}; there are {', '.join(CONVENTIONS)}")
        ops = [op] if op is not None else [load(name) for name in self.data["op"] if name in paths()]
        clauses = {clause for each in ops for clause in clause_ids(each)}
        for what, reason in table.without.items():
            place = self.places.key((*path, "without", what))
            if what not in ALL and what not in clauses:
                self.wrong(place, f"without: no clause or dtype {what!r}; einspec clauses OP lists them")
            if not reason.strip():
                self.wrong(place, f"without.{what}: a reason is missing")

    def _domain(self, adapter: Adapter, path: tuple[str, ...], op: Op) -> None:
        """Look at the forms and sizes that a library has."""
        for number, form in enumerate(adapter.forms):
            if not op.choice or form not in op.forms:
                there = f"{op.choice} is one of {', '.join(op.forms)}" if op.choice else f"{op.name} has one form only"
                self.wrong(self.places.value((*path, "forms", number)), f"forms: no {form!r}; {there}")
        known = [*size_names(op), *_number_names(op)]
        for name, text in adapter.sizes.items():
            try:
                fit_of(text)
            except ValueError as error:
                self.wrong(self.places.value((*path, "sizes", name)), f"sizes.{name}: {error}")
            if name not in known:
                there = f"no size or number of {op.name}; it has {', '.join(known)}"
                self.wrong(self.places.key((*path, "sizes", name)), f"sizes.{name}: {there}")


class _Expressions:
    """The expressions of an op, looked at: whether they are Python, and whether the names in them are known."""

    def __init__(
        self, reader: _Reader, op: Op, adapter: Adapter, path: tuple[str, ...], setup: set[str], whatever: bool
    ) -> None:
        self.reader, self.op, self.adapter, self.path = reader, op, adapter, path
        self.setup, self.whatever = setup, whatever
        self.inputs = _tensors(op, "inputs")
        self.numbers = _number_names(op)
        self.sizes = size_names(op)
        self.let: list[str] = []

    def check(self) -> None:
        """Look at all of them."""
        adapter = self.adapter
        self.look(("where",), adapter.where)
        self.look(("module",), adapter.module)
        made = [MODULE] if adapter.module else []
        for name, text in adapter.let.items():
            if not name.isidentifier() or name in (*self.inputs, *self.numbers, *self.sizes, RESULT, MODULE):
                place = self.reader.places.key((*self.path, "let", name))
                self.reader.wrong(place, f"let.{name}: a name of its own is needed: not {RESULT}, {MODULE} or one of the card")
            self.look(("let", name), text, made)
            made.append(name)
        self.look(("call",), adapter.call, made)
        if not adapter.call.strip():
            self.reader.wrong(self.reader.places.key((*self.path, "call")), "call: an expression is missing")
        outputs = _tensors(self.op, "outputs")
        for name, text in adapter.out.items():
            if name not in outputs:
                place = self.reader.places.key((*self.path, "out", name))
                self.reader.wrong(place, f"out.{name}: no such output; {self.op.name} has {', '.join(outputs)}")
            self.look(("out", name), text, [*made, RESULT])

    def look(self, key: tuple[str, ...], text: str, made: list[str] | None = None) -> None:
        """Look at one expression."""
        if not text.strip():
            return
        label, path = ".".join(key), (*self.path, *key)
        try:
            tree = expression(text)
        except PROBLEMS as error:
            line, column, what = _told(error, len(_wrapped(text).split("\n")[0]) - len(text.split("\n")[0]))
            self.reader.wrong(self.reader.places.inside(path, line, column), f"{label}: {what}")
            return
        own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        own |= {a.arg for n in ast.walk(tree) if isinstance(n, ast.Lambda) for a in _arguments(n.args)}
        card = {*self.inputs, *self.numbers, *self.sizes}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Name) or node.id in own:
                continue
            problem = self.problem(node.id, card, made or [])
            if problem:
                line = node.lineno
                before = _wrapped(text).split("\n")[line - 1].encode()[: node.col_offset].decode(errors="replace")
                added = len(_wrapped(text).split("\n")[0]) - len(text.split("\n")[0]) if line == 1 else 0
                place = self.reader.places.inside(path, line, len(before) + 1 - added)
                self.reader.wrong(place, f"{label}: {problem}")

    def problem(self, name: str, card: set[str], made: list[str]) -> str:
        """Return what is wrong with a name in an expression, or nothing."""
        if name in card and name in self.setup:
            return f"{name} is in {self.op.name} and in setup: import it under another name"
        if name in card or name in made or name in self.setup or name in dir(builtins) or self.whatever:
            return ""
        groups = {
            "inputs": self.inputs, "parameters": self.numbers, "sizes": self.sizes, "made before": made,
            "of setup": sorted(self.setup),
        }  # fmt: skip
        allowed = "; ".join(f"{label} {', '.join(names)}" for label, names in groups.items() if names)
        return f"no name {name!r}; allowed are {allowed}; and what is built into Python"


PROBLEMS = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What the parser of Python raises over a text that is no Python, or too much of it."""


def _told(error: BaseException, wrapped: int = 0) -> tuple[int, int, str]:
    """Return the line, the column and the words of what the parser raises."""
    if isinstance(error, SyntaxError):
        line = error.lineno or 1
        column = (error.offset or 1) - (wrapped if line == 1 else 0)
        return line, max(column, 1), f"no Python: {error.msg}"
    return 1, 1, f"no Python: {error or type(error).__name__}"


def _wrapped(text: str) -> str:
    """Return an expression as it is compiled: one of several lines in parentheses, which it has not to close itself."""
    return f"({text}\n)" if "\n" in text.strip() else text.strip()


def expression(text: str) -> ast.Expression:
    """Return the tree of an expression.

    Raises:
        SyntaxError: it is none; ValueError, RecursionError, MemoryError where the parser gives up.
    """
    return ast.parse(_wrapped(text), mode="eval")


def _arguments(given: ast.arguments) -> Iterator[ast.arg]:
    yield from (*given.posonlyargs, *given.args, *given.kwonlyargs)
    yield from (a for a in (given.vararg, given.kwarg) if a is not None)


def _bound(tree: ast.Module) -> tuple[set[str], bool]:
    """Return the names that statements bind, and whether one of them binds what cannot be seen."""
    names: set[str] = set()
    star = False
    pending: list[ast.AST] = [*tree.body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue  # what is bound in it stays in it
        if isinstance(node, ast.Import | ast.ImportFrom):
            star |= any(a.name == "*" for a in node.names)
            names |= {a.asname or a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            pending += ast.iter_child_nodes(node)
    return names, star


def _tensors(op: Op, side: str) -> list[str]:
    """Return the inputs or outputs of an op, of all its forms."""
    return list(dict.fromkeys(s.name for f in op.forms.values() for s in getattr(f.signature, side)))


def _number_names(op: Op) -> list[str]:
    """Return the parameters of an op, and the names under which formulas read them."""
    numbers = [t for n, p in op.card.params.items() if p.is_number for t in p.targets(n)]
    return list(dict.fromkeys([*op.card.params, *numbers]))


def size_names(op: Op) -> list[str]:
    """Return how expressions name the sizes of an op: each axis in upper case."""
    found: dict[str, None] = dict.fromkeys(sized_axes(op.card))
    for form in op.forms.values():
        for spec in (*form.signature.inputs, *form.signature.outputs):
            found |= dict.fromkeys(n.name for part in spec.index for n in walk(part) if isinstance(n, Axis))
        found |= dict.fromkeys(form.sizes)
        found |= dict.fromkeys(n.name for e in form.equations for part in e.index for n in walk(part) if isinstance(n, Axis))
    return [axis.upper() for axis in found]


def names_in(text: str) -> frozenset[str]:
    """Return the names in an expression that was looked at."""
    tree = expression(text or "None")
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name))


def as_python(adapter: Adapter, op: Op, solution: Solution | None, params: Mapping[str, Any] | None = None) -> list[str]:
    """Return Python that defines the function of an op for one call, for a script that stands alone.

    Args:
        adapter: how the library computes it.
        op: the op.
        solution: the sizes of the call; None where it has none, as the card forbids it.
        params: its parameters in that case.
    """
    chosen = {**{n: p.default for n, p in op.card.params.items()}, **(params or {})}
    form = solution.form if solution is not None else op.forms.get(chosen.get(op.choice, ""), next(iter(op.forms.values())))
    inputs, outputs = ([s.name for s in side] for side in (form.signature.inputs, form.signature.outputs))
    taken = [n if p.required else f"{n}={p.default!r}" for n, p in op.card.params.items()]
    lines = [f"def {op.name}({', '.join([*inputs, *(['*'] if taken else []), *taken])}):"]
    steps = {**({MODULE: adapter.module} if adapter.module else {}), **adapter.let, RESULT: adapter.call}
    used = frozenset().union(*(names_in(t) for t in (*steps.values(), *adapter.out.values())))
    known = {**solution.values, **{a.upper(): n for a, n in solution.sizes.items()}} if solution is not None else {}
    lines += [f"    {n} = {v!r}" for n, v in known.items() if n in used and n not in op.card.params]
    lines += [f"    {name} = {_indented(text)}" for name, text in steps.items()]
    parts = [
        _indented(adapter.out[n]) if n in adapter.out else RESULT if len(outputs) == 1 else f"{RESULT}[{i}]"
        for i, n in enumerate(outputs)
    ]
    return [*lines, f"    return {', '.join(parts)}"]


def _indented(text: str) -> str:
    """Return an expression on one line, or in parentheses."""
    text = text.strip()
    return f"({text})" if "\n" in text else text
