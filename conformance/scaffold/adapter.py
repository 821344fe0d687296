"""What `einspec new adapter` writes: which op a function of a library computes, and by which call."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from einspec.card import Op, load, paths
from einspec.conformance.errors import UsageError
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import check
from einspec.conformance.scaffold import write
from einspec.conformance.targets.conventions import CONVENTIONS
from einspec.conformance.targets.library import SETUP
from einspec.conformance.targets.names import DATA
from einspec.language.tables import SameAs

SHORT = {"torch.nn.functional": "F", "jax.numpy": "jnp", "numpy": "np"}
"""The names under which modules are known to every expression."""
PACKAGES = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "numpy": "numpy"}
"""The framework whose arrays the functions of a package take, where that is known."""


@dataclass(frozen=True)
class Found:
    """An op that a function may compute, and the call."""

    op: str
    call: str
    where: str = ""

    def text(self, admit: Sequence[str] = ()) -> str:
        """Return the table of the op."""
        lines = [f"[op.{self.op}]", *([f"where = {quoted(self.where)}"] if self.where else []), f"call = {quoted(self.call)}"]
        return "\n".join([*lines, *([f"admit = {json.dumps(list(admit))}"] if admit else [])]) + "\n"


def new_adapter(
    function: str, guesses: Iterable[tuple[str, Mapping[str, Any]]], path: Path | None, framework: str = ""
) -> tuple[Path, list[str]]:
    """Write the file and return its path, and what is to be said of it.

    Args:
        function: the dotted name of a function.
        guesses: ops that it seems to compute when it is called with tensors and parameters in the order of the card, and the
            parameters that it does not take.
        path: where to; ``FUNCTION.toml`` when absent.
        framework: whose arrays it takes; that of its package when absent.

    Raises:
        UsageError: the file is there, or nothing is known of the function.
    """
    module, _, name = function.rpartition(".")
    path = path or Path(f"{name}.toml")
    if path.suffix != DATA:
        raise UsageError(f"{path}: a file of adapters has a name that ends in {DATA}")
    if path.exists():
        raise UsageError(f"already there, and left as it is: {path}; choose another name or place")
    framework = framework or PACKAGES.get(module.partition(".")[0], "")
    if framework not in SETUP:
        raise UsageError(f"{function}: say whose arrays it takes: --framework numpy, torch or jax")
    called = f"{short(module)}.{name}"
    found = {f.op: f for f in (*_guessed(called, guesses), *_cited(called, framework))}
    if not found:
        text = "no op was found that it computes, and no card names it"
        raise UsageError(f"{function}: {text}; docs/adapters.md shows how to write an adapter by hand")
    package = module.partition(".")[0]
    head = f'framework = "{framework}"\n' + f'packages = ["{package}"]\n' * _has_version(package)
    head += "" if module in (*SHORT, framework) else f'setup = "import {module}"\n'
    remarks = []
    bodies = []
    for each in found.values():
        admit, remark = _tried(path, head, each)
        bodies.append(each.text(admit))
        remarks.append(remark)
    write({path: "\n".join([head, *bodies])})
    return path, remarks


def _tried(path: Path, head: str, found: Found) -> tuple[tuple[str, ...], str]:
    """Return the conventions that a call needs in the small scope, and what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        draft.write_text(head + found.text(tuple(CONVENTIONS)), encoding="utf-8")
        run = check(Request((str(draft),), (found.op,), tiers=("scope",)))
    if run.problems and not run.results:
        return (), f"{found.op}: {run.problems[0]}"
    needed = tuple(n for n in CONVENTIONS if any(n in r.admitted for r in run.results))
    wrong = [r for r in run.results if r.verdict.fails]
    if not wrong:
        return needed, f"{found.op}: holds in the small scope" + (f", with {', '.join(needed)} admitted" if needed else "")
    return needed, f"{found.op}: {wrong[0].clause.partition('/')[2]} is {wrong[0].verdict}: {wrong[0].reason}"


def _guessed(called: str, guesses: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterable[Found]:
    """Yield calls with tensors and parameters in the order of the card."""
    for op, fixed in guesses:
        card = load(op)
        form = next(iter(card.forms.values()))
        if fixed.get(card.choice):
            form = card.forms[fixed[card.choice]]
        given = [s.name for s in form.signature.inputs] + [n for n in card.card.params if n not in fixed]
        where = " and ".join(f"{name} == {value!r}" for name, value in fixed.items())
        yield Found(op, f"{called}({', '.join(given)})", where)


def _cited(called: str, framework: str) -> Iterable[Found]:
    """Yield calls by which cards say that the function computes the same."""
    pattern = re.compile(rf"(?<![\w.]){re.escape(called)}\(")
    for name in paths():
        for entry in _lines(load(name)):
            if entry.package == framework and pattern.search(entry.call):
                yield Found(name, " ".join(entry.call.split()), entry.when)
                break


def _lines(op: Op) -> Iterable[SameAs]:
    """Yield what a card says of who computes the same, with the form of which it says so."""
    yield from op.card.same_as
    for choice, variants in op.card.when.items():
        for value, variant in variants.items():
            for entry in variant.same_as:
                when = f"{choice} == {value!r}" + (f" and {entry.when}" if entry.when else "")
                yield SameAs(entry.package, entry.call, when)


def _has_version(package: str) -> bool:
    """Whether a report can name the version of a package: a module beside the file has none."""
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def short(module: str) -> str:
    """Return the name under which expressions know a module."""
    return SHORT.get(module, module)


def quoted(text: str) -> str:
    """Return a text as TOML has it."""
    return json.dumps(text, ensure_ascii=False)
