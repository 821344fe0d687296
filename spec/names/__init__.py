"""What others call an op: functions of other packages, each with the card or composition that it is, or why it is none.

The table is the TOML beside this file. An entry says what several functions are, in calls of ops over the names of their
arguments; what a card says under ``same_as`` is a name too, and stands on the card alone.
"""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from einspec.card import read_card, shipped
from einspec.errors import CardError
from einspec.language.tables import Table, Variant
from einspec.solve import parse_signature

FOLDER = Path(__file__).parent
FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
OPEN = "open"
"""The reason of what has no card yet: a card that says what a function is ends it."""
MOST_CLOSE = 3
"""How many names that are nearly a word are told."""
HELPERS = frozenset({"len", "list", "max", "min", "range", "reversed", "sorted", "sum", "tuple", "zip"})
"""What a composition may call besides ops: plain Python over sizes and lists."""
T = TypeVar("T")


class Reason(Table, frozen=True):
    """Why functions of a kind are in the spec or out of it."""

    title: str
    why: str
    examples: str = ""


class Package(Table, frozen=True):
    """A package whose functions have names here."""

    title: str
    prefixes: tuple[str, ...]
    """What a reader may write before the name of a function, in place of the key."""
    places: dict[str, str] = msgspec.field(default_factory=dict)
    """What a reader may write for a place within: ``F`` for ``torch.nn.functional``."""
    also: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """By place, what stands there too under the same name: functions that are methods."""
    module: str = ""
    """The module that a test imports to run its calls; none where they are not run."""
    cards: str = ""
    """What cards call it under ``same_as``."""
    method: str = ""
    """The class of its tensors, whose methods cards write as those of ``x``."""
    like: str = ""
    """Another package, whose functions it has under the same names."""
    only: tuple[str, ...] = ()
    """Which of these, where not all."""
    without: tuple[str, ...] = ()
    """Which it lacks."""


class Entry(Table, frozen=True):
    """What several functions are: a card, a composition of cards, or out of the spec."""

    means: str = msgspec.field(default="", name="is")
    """Calls of ops over the arguments of the functions."""
    calls: tuple[str, ...] = ()
    """Calls of functions that compute it; ``name: call`` where the call does not show the name."""
    given: tuple[str, ...] = ()
    """Arguments for which a test runs both sides: ``A(2, 3)`` is an array of distinct numbers of that shape."""
    unrun: str = ""
    """Why no test runs the calls, where the package is one that a test imports."""
    when: str = ""
    """Where it holds, if not always."""
    note: str = ""
    """What to look out for, or who means something else by a name."""
    out: str = ""
    """The reason why functions are not in the spec: a name of ``boundary.toml``."""
    names: tuple[str, ...] = ()
    """The functions that are not."""
    why: str = ""
    """What is particular to these, besides the reason."""


class Entries(Table, frozen=True):
    """A file of the table."""

    entry: tuple[Entry, ...]


@dataclass(frozen=True)
class Name:
    """A function of another package, and one thing that it is."""

    package: str
    function: str
    """With its package, such as ``np.moveaxis``."""
    call: str
    """The call of which it is true; empty where it is out."""
    means: str = ""
    when: str = ""
    note: str = ""
    out: str = ""
    why: str = ""
    given: tuple[str, ...] = ()
    """Arguments for which a test runs both sides."""

    @property
    def ops(self) -> tuple[str, ...]:
        """The ops that it is made of."""
        return ops_in(self.means) if self.means else ()

    @property
    def op(self) -> str:
        """The one op that it is, nothing where it is a composition or out."""
        return self.ops[0] if len(self.ops) == 1 and _is_plain(self.means) else ""

    @property
    def kind(self) -> str:
        """In a word, what it is."""
        return "card" if self.op else "composition" if self.means else "out"

    @property
    def refusal(self) -> str:
        """In a sentence, why it is out; nothing where it is not."""
        if not self.out:
            return ""
        reason = boundary()[self.out]
        if self.out == OPEN:
            return f"has no card yet: {self.why or reason.why}"
        return f"is not in the spec, {reason.title.lower()}: {' '.join(filter(None, [reason.why, self.why]))}"

    @functools.cached_property
    def is_general(self) -> bool:
        """Whether it says what the function does, not what one call with particular arguments does."""
        if not self.call:
            return True
        tree = ast.parse(self.call, mode="eval").body
        values = [*tree.args, *(k.value for k in tree.keywords)] if isinstance(tree, ast.Call) else []
        return not any(isinstance(n, ast.Constant | ast.BinOp | ast.Slice) for v in values for n in ast.walk(v))


@functools.cache
def ops_in(text: str) -> tuple[str, ...]:
    """Return the ops that an expression calls, the outermost first."""
    calls = [n for n in ast.walk(ast.parse(text, mode="eval")) if isinstance(n, ast.Call)]
    return tuple(dict.fromkeys(c.func.id for c in calls if isinstance(c.func, ast.Name) and c.func.id in shipped()))


@functools.cache
def _is_plain(text: str) -> bool:
    """Whether an expression is one call of plain arguments."""
    tree = ast.parse(text, mode="eval").body
    return isinstance(tree, ast.Call) and sum(isinstance(n, ast.Call | ast.ListComp) for n in ast.walk(tree)) == 1


def single_function(call: str) -> str:
    """Return the function of a call that is made of plain arguments, ``""`` for a composition."""
    try:
        tree = ast.parse(call, mode="eval").body
    except SyntaxError:
        return ""
    if not isinstance(tree, ast.Call):
        return ""
    parts = [*tree.args, *(k.value for k in tree.keywords)]
    head: ast.expr = tree.func
    if isinstance(head, ast.Call):  # a module with its parameters, called on a tensor
        parts += [*head.args, *(k.value for k in head.keywords)]
        head = head.func
    if any(isinstance(n, ast.Call | ast.Lambda | ast.ListComp) and not _is_cast(n) for p in parts for n in ast.walk(p)):
        return ""
    names = ast.unparse(head)
    return names if FUNCTION.fullmatch(names) else ""


def _is_cast(node: ast.AST) -> bool:
    """Whether a call only takes an argument as another type: ``tuple(xs)``, ``index.long()``."""
    match node:
        case ast.Call(func=ast.Name(id="tuple" | "list"), args=[ast.Name()]):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name()), args=[], keywords=[]):
            return True
    return False


def key_of(word: str) -> str:
    """Return a name as it is compared: ``GatherND`` is ``gather_nd``, and so is ``gather-nd``."""
    return re.sub(r"[\s_-]", "", word.lower())


def _read(name: str, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads((FOLDER / name).read_text(encoding="utf-8")), kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CardError(f"names/{name}: {error}") from None


@functools.cache
def packages() -> dict[str, Package]:
    """Return the packages by the name that the table gives them."""
    return _read("packages.toml", dict[str, Package])


@functools.cache
def boundary() -> dict[str, Reason]:
    """Return the reasons why something is in the spec or out of it."""
    return _read("boundary.toml", dict[str, Reason])


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Return the entries of the table.

    Raises:
        CardError: one contradicts itself, or names what there is not.
    """
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        if path.name not in ("packages.toml", "boundary.toml"):
            for entry in _read(path.name, Entries).entry:
                check_entry(f"names/{path.name}", entry)
                found.append(entry)
    return tuple(found)


def check_entry(where: str, entry: Entry) -> None:
    """Check that an entry says one thing, of packages, ops and reasons that there are.

    Raises:
        CardError: it does not.
    """
    label = f"{where}: {(*entry.calls, *entry.names, '?')[0]}"
    if bool(entry.means) == bool(entry.out) or bool(entry.means) != bool(entry.calls) or bool(entry.out) != bool(entry.names):
        raise CardError(f"{label}: an entry has 'is' and 'calls', or 'out' and 'names'")
    if entry.out and entry.out not in boundary():
        raise CardError(f"{label}: no reason {entry.out!r} in boundary.toml")
    if entry.means:
        try:
            tree = ast.parse(entry.means, mode="eval")
        except SyntaxError as error:
            raise CardError(f"{label}: {error.msg}: {entry.means!r}") from None
        functions = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
        called = [f.id for f in functions if isinstance(f, ast.Name)]
        unknown = [c for c in called if c not in shipped() and c not in HELPERS]
        if unknown:
            raise CardError(f"{label}: no op {unknown[0]!r}: {entry.means!r}")
    for function in (*map(_function_of, entry.calls), *entry.names):
        if function.partition(".")[0] not in packages():
            raise CardError(f"{where}: {function!r} begins with no package of packages.toml")


def _split(call: str) -> tuple[str, str]:
    """Return the name that an entry gives to a call, and the call."""
    named = re.match(r"([A-Za-z_][\w.]*): (.*)", call)
    return (named[1], named[2]) if named else (single_function(call), call)


def _function_of(call: str) -> str:
    return _split(call)[0]


def _stated() -> Iterator[Name]:
    """Yield what the table says."""
    for entry in entries():
        for call in entry.calls:
            function, shown = _split(call)
            yield Name(
                function.partition(".")[0],
                function,
                shown,
                entry.means,
                entry.when,
                entry.note,
                given=() if entry.unrun else entry.given,
            )
        for function in entry.names:
            yield Name(function.partition(".")[0], function, "", out=entry.out, why=entry.why, note=entry.note)


def _on_cards() -> Iterator[Name]:
    """Yield what cards say: functions that compute an op by themselves."""
    for name, path in shipped().items():
        card = read_card(path)
        choice, variants = next(iter(card.when.items()), ("", {"": Variant()}))
        for value, variant in variants.items():
            inputs = [s.name for s in parse_signature(variant.signature or card.signature, name).inputs]
            keywords = [f"{n}={n}" for n in card.params if n != choice]
            keywords += [f'{choice}="{value}"'] if choice else []
            means = f"{name}({', '.join([*inputs, *keywords])})"
            for entry in card.same_as + variant.same_as:
                call = " ".join(entry.call.split())
                function = single_function(call)
                package, shown = _home(entry.package, function) if function else ("", "")
                if package:
                    yield Name(package, shown, call, means, entry.when)


def _home(label: str, function: str) -> tuple[str, str]:
    """Return the package of a function that a card names, and its name there; nothing where it is of no package."""
    own = {key: package for key, package in packages().items() if package.cards == label}
    package, name = _whole(function)
    if package in own:
        return package, name
    for key, each in own.items():
        if each.method and function.startswith("x."):
            return key, f"{key}.{each.method}.{function.removeprefix('x.')}"
    key = next(iter(own), "")
    return (key, f"{key}.{function}") if key and not own[key].module else ("", "")


@functools.cache
def _places() -> dict[str, tuple[str, str]]:
    """Return the package and the place that each prefix stands for, the longest first."""
    found = {prefix: (key, key) for key, package in packages().items() for prefix in package.prefixes}
    found |= {prefix: (key, place) for key, package in packages().items() for prefix, place in package.places.items()}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _whole(word: str) -> tuple[str, str]:
    """Return the package of a name with a prefix, and the name as the table writes it; nothing where the prefix is unknown."""
    for prefix, (package, place) in _places().items():
        if word.startswith(f"{prefix}."):
            return package, place + word.removeprefix(prefix)
    return "", ""


@functools.cache
def every() -> tuple[Name, ...]:
    """Return all names, what a function does in general before what calls with particular arguments do."""
    found = [*_stated(), *_on_cards()]
    for key, package in packages().items():
        if package.like:
            found += [_renamed(n, key) for n in found if n.package == package.like and _has(package, n)]
    carded = {n.function for n in found if n.op and n.is_general}
    found = [n for n in dict.fromkeys(found) if n.out != OPEN or n.function not in carded]
    return tuple(sorted(found, key=lambda n: (n.function.lower(), not n.is_general)))


def _has(package: Package, name: Name) -> bool:
    rest = name.function.partition(".")[2]
    return (not package.only or rest in package.only) and rest not in package.without


def _renamed(name: Name, package: str) -> Name:
    """Return a name as another package has it."""
    own = re.compile(rf"\b{name.package}\.")
    function = f"{package}.{name.function.partition('.')[2]}"
    return replace(name, package=package, function=function, call=own.sub(f"{package}.", name.call))


@functools.cache
def _by_key() -> Mapping[str, tuple[Name, ...]]:
    found: dict[str, list[Name]] = {}
    for name in every():
        found.setdefault(key_of(name.function.rpartition(".")[2]), []).append(name)
    return {key: tuple(names) for key, names in found.items()}


def words() -> list[str]:
    """Return the names of functions without their packages, as they are first written."""
    return list(dict.fromkeys(found[0].function.rpartition(".")[2] for found in _by_key().values()))


def find(word: str) -> tuple[Name, ...]:
    """Return what a name means: with a package what it is there, without one what it is in each; nothing for an unknown one."""
    word = word.strip().removesuffix("()")
    named = _by_key().get(key_of(word.rpartition(".")[2]), ())
    if "." not in word:
        return named
    package, whole = _whole(word)
    own = tuple(n for n in named if n.package == package)
    exact = tuple(n for n in own if key_of(n.function) == key_of(whole))
    return exact or (own if _stands_at(package, whole) else ())


def _stands_at(package: str, whole: str) -> bool:
    """Whether what a package has elsewhere stands at a place too: the table says so, or writes no places of that package."""
    place, _, last = whole.rpartition(".")
    if package in _with_places():
        return key_of(last) in map(key_of, packages()[package].also.get(place, ()))
    return place != package


@functools.cache
def _with_places() -> frozenset[str]:
    """Return the packages whose functions the table writes with the places within."""
    return frozenset(n.package for n in every() if n.function.count(".") > 1)


def close(word: str) -> list[str]:
    """Return names of functions that are nearly a word, of the package that it names if it names one."""
    import difflib

    package, _ = _whole(word)
    own: dict[str, dict[str, None]] = {}
    for key, found in _by_key().items():
        if functions := dict.fromkeys(n.function for n in found if package in ("", n.package)):
            own[key] = functions
    near = difflib.get_close_matches(key_of(word.rpartition(".")[2]), own, n=MOST_CLOSE, cutoff=0.7)
    return [function for key in near for function in own[key]][:MOST_CLOSE]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a file of the table."""
    return msgspec.json.schema(Entries)
