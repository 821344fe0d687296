"""Which op is meant by what others call it: what the search looks through, and the tables of names elsewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from einspec.card import Op, load, paths
from einspec.conformance.publish.words import linked

FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
SAME, OTHER = "=", "≠"
"""What words of the search begin with: a call that computes the op, and something that has its name and does not."""
ORDINARY = frozenset({"and", "by", "data", "dim", "axis", "format", "layout", "mode", "of", "the", "to", "with"})
"""What stands beside the name of a function in the words of who differs, and is none."""


@dataclass(frozen=True)
class Call:
    """A function of another package that computes an op."""

    package: str
    function: str
    call: str
    op: str
    when: str


@dataclass(frozen=True)
class Contested:
    """A name that does not always mean one thing."""

    word: str
    meanings: list[tuple[str, Markup]]
    """The op, or who means something else by it, each with what is meant."""


def words_of(op: Op) -> list[str]:
    """Return what the search knows of an op, the surest first: its names, calls that are the same, who differs, its summary."""
    same = [f"{SAME}{e.package}: {' '.join(e.call.split())}" for f in op.forms.values() for e in f.same_as]
    differs = [f"{OTHER}{d.who}: {' '.join(d.how.split())}" for d in op.card.differs]
    return list(dict.fromkeys([op.name, *op.card.aliases, *same, *differs, op.card.summary, op.family]))


def calls() -> list[Call]:
    """Return the functions of other packages that compute an op by themselves, by package and name."""
    found = {}
    for name in paths():
        for value, form in load(name).forms.items():
            for entry in form.same_as:
                call = " ".join(entry.call.split())
                function = single_function(call)
                if function:
                    where = f"{load(name).choice}={value}" if value and len(load(name).forms) > 1 else ""
                    when = " and ".join(filter(None, [where, entry.when]))
                    found[entry.package, function.lower(), name, call, when] = Call(entry.package, function, call, name, when)
    return [found[key] for key in sorted(found)]


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
    if any(isinstance(n, ast.Call | ast.Lambda | ast.ListComp) for p in parts for n in ast.walk(p)):
        return ""
    names = ast.unparse(head)
    return names if FUNCTION.fullmatch(names) else ""


def contested() -> list[Contested]:
    """Return the names that lead to several ops, or that somebody uses for something else."""
    leads: dict[str, dict[str, str]] = {}
    for name in paths():
        op = load(name)
        for word in (name, *op.card.aliases):
            leads.setdefault(_key(word), {})[name] = word
    for call in calls():
        word = call.function.rpartition(".")[2]
        leads.setdefault(_key(word), {}).setdefault(call.op, word)
    others: dict[str, list[tuple[str, Markup, str]]] = {}
    for name in paths():
        for entry in load(name).card.differs:
            for word in {_key(w.rpartition(".")[2]) for w in FUNCTION.findall(entry.who)} - {*ORDINARY, ""}:
                if word in leads:
                    others.setdefault(word, []).append((entry.who, linked(" ".join(entry.how.split())), name))
    found = []
    for word, ops in sorted(leads.items()):
        if len(ops) > 1 or word in others:
            own = [(op, linked(load(op).card.summary)) for op in ops]
            found.append(Contested(next(iter(ops.values())), [*own, *((who, how) for who, how, _ in others.get(word, []))]))
    return found


def _key(word: str) -> str:
    """Return a name as it is compared: case and underscores do not matter."""
    return word.lower().replace("_", "")


def families() -> Iterator[tuple[str, list[Op]]]:
    """Yield the families with their ops."""
    found: dict[str, list[Op]] = {}
    for name in paths():
        found.setdefault(load(name).family, []).append(load(name))
    yield from found.items()
