"""A new op in a checkout of einspec: its card, and a function to be written in each backend."""

from __future__ import annotations

import ast
import builtins
import json
import keyword
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import einspec
from einspec import card
from einspec.conformance.errors import UsageError
from einspec.conformance.scaffold import filled, occupied, write
from einspec.pages.example import example

FRAMEWORKS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}
ARRAYS = {"numpy": "Array", "torch": "Tensor", "jax": "Array"}
IMPORTS = {
    "numpy": "from typing import Any\n\nimport numpy as np\n",
    "torch": "from torch import Tensor\n",
    "jax": "from jax import Array\n",
}
IDENTITY = "x: ... a -> y: ... a", "y[..., a] = x[..., a]"
"""The card as it is written where nothing is said of the op."""
COPY = "# TODO: these two say `a copy of x`: write the shapes by named axes, then which element of x each element of y is\n"


def new_op(
    name: str, family: str, signature: str = "", definition: str = "", params: Sequence[str] = (), start: Path | None = None
) -> tuple[list[Path], list[Path], list[str]]:
    """Write the card of an op and its three functions, which raise ``NotImplementedError``.

    Args:
        name: the op.
        family: the family that it belongs to, one that there is or a new one.
        signature: the signature of the card.
        definition: the definition of the card.
        params: parameters, each ``name=axes`` where it gives the size of axes, or ``name`` where formulas read it.
        start: a folder in the checkout, the present one if absent.

    Returns:
        The files that were written, those that were changed, and remarks for the user.

    Raises:
        UsageError: this is no checkout, the name is taken, or the card says what cannot be.
    """
    root = checkout(start or Path.cwd())
    _check_names(root, name, family)
    if bool(signature) != bool(definition):
        raise UsageError("give both --signature and --definition, or neither: the names in the one are those of the other")
    signature, definition = (signature, definition) if signature else IDENTITY
    text = filled("op.toml", _values(signature, definition, params))
    op = _compiled(name, family, text)
    new: dict[Path, str] = {root / "spec" / "ops" / family / f"{name}.toml": text}
    changed: dict[Path, str] = {}
    for framework in FRAMEWORKS:
        folder = root / "impls" / framework
        path, function = folder / f"{family}.py", _function(op, framework)
        if path.is_file():
            changed[path] = _extended(path, name, function)
            continue
        new[path] = _family(framework, family, name, function)
        init = folder / "__init__.py"
        changed[init] = _registered(init.read_text(encoding="utf-8"), framework, family)
    write(new, changed)
    apart = card.OPS.resolve() != (root / "spec" / "ops").resolve()
    remark = f"the einspec that runs here reads its cards in {card.OPS}: pip install -e {root}, so that it sees the new one"
    return list(new), list(changed), [remark] if apart else []


def checkout(start: Path) -> Path:
    """Return the root of the checkout of einspec that a folder lies in.

    Raises:
        UsageError: it lies in none.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "spec" / "ops").is_dir() and all((folder / "impls" / f / "__init__.py").is_file() for f in FRAMEWORKS):
            return folder
    raise UsageError("no checkout of einspec here: an op is added to its repository; clone it and call einspec new op in there")


def _check_names(root: Path, name: str, family: str) -> None:
    cards = {p.stem: p for p in (root / "spec" / "ops").glob("*/*.toml")}
    aliases = {a: stem for stem, path in cards.items() for a in _card(path).get("aliases", ())}
    for what, word in (("an op", name), ("a family", family)):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", word):
            small = "take lower-case letters, digits and _, beginning with a letter"
            raise UsageError(f"{word!r} cannot name {what}: {small}, such as merge_heads")
    if name in cards:
        raise UsageError(f"the op {name} is there already: {cards[name].relative_to(root)}")
    if name in aliases:
        raise UsageError(f"{name} is another name of the op {aliases[name]}; take it off that card first")
    modules = {p.stem: p for f in FRAMEWORKS for p in (root / "impls" / f).glob("*.py") if p.stem != "__init__"}
    new_family = not (root / "spec" / "ops" / family).is_dir()
    if new_family and family in modules:
        path = modules[family].relative_to(root)
        raise UsageError(f"{path} is there and is no family of ops; choose another family, such as {family}_ops")
    used = {n for f in FRAMEWORKS for p in ("__init__", family) for n in _names(root / "impls" / f / f"{p}.py")}
    holders = dict.fromkeys(used, "a name that the backends use") | dict.fromkeys(modules, "a file of the backends")
    holders |= dict.fromkeys((*cards, *aliases), "an op") | ({name: "its own family"} if name == family else {})
    for what, word in (("an op", name), *([("a family", family)] if new_family else [])):
        taken = occupied(word) or ("a function of Python" if hasattr(builtins, word) else holders.get(word))
        if taken:
            raise UsageError(f"{word} cannot name {what}: it is {taken}; choose a name that says more, such as {word}_blocks")


def _card(path: Path) -> dict[str, Any]:
    """Return a card of the checkout as it stands in its file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}; mend it first") from None


def _parsed(path: Path) -> ast.Module:
    """Return a Python file of the checkout, which somebody may be in the middle of writing."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read as Python: {error}; mend it first, so that the op can be added to it"
        ) from None


def _names(path: Path) -> Iterator[str]:
    """Yield the names that a module defines or imports, but for what it takes whole from its families."""
    for node in _parsed(path).body if path.is_file() else ():
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (a.asname or a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (t.id for t in targets if isinstance(t, ast.Name))


def _values(signature: str, definition: str, params: Sequence[str]) -> dict[str, str]:
    tables = []
    for given in params:
        name, _, axes = given.partition("=")
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UsageError(f"--param {given!r}: expected a name, or a name and the axes whose size it gives, as num_heads=h")
        size = [f"size = {json.dumps(axes)}", "min = 1"] if axes else ["values = [0, 1, 2]  # TODO: what the judge is to try"]
        doc = f"TODO: what {name} counts or chooses, and what it may be, as in: number of heads; must divide the features"
        tables.append("\n".join([f"\n[params.{name}]", *size, f'doc = "{doc}"']))
    lines = definition.strip()
    return {
        "since": einspec.SPEC_VERSION,
        "todo": COPY if (signature, definition) == IDENTITY else "",
        "signature": json.dumps(signature.strip(), ensure_ascii=False),
        "definition": f'"""\n{lines}\n"""' if "\n" in lines else json.dumps(lines, ensure_ascii=False),
        "params": "\n".join(tables) + "\n" * bool(tables),
    }


def _compiled(name: str, family: str, text: str) -> card.Op:
    """Return the op of a card that is not in its place yet, once it is sure that calls of it can be made up."""
    try:
        op = card.compile_card(name, family, card.parse_card(text))
    except ValueError as error:
        raise UsageError(f"the card would be wrong: {error}") from None
    except RecursionError:
        raise UsageError("the card would be wrong: the definition nests too deep; define tensors on the way") from None
    try:
        compile(_function(op, "numpy"), name, "exec")
    except SyntaxError as error:
        raise UsageError(f"no function could take these inputs and parameters: {error.msg}; give each its own name") from None
    try:
        example(op)
    except (ValueError, TypeError, KeyError, IndexError):
        raise UsageError(
            f"no call of {name} can be made up: where the parts of (h d) stand alone in no input, one of them is given by a"
            " parameter, as --param num_heads=h"
        ) from None
    return op


def _function(op: card.Op, framework: str) -> str:
    signature, array = next(iter(op.forms.values())).signature, ARRAYS[framework]
    inputs = [f"{s.name}: Sequence[{array}]" if s.listed else f"{s.name}: {array}" for s in signature.inputs]
    given = [*inputs, *(["*"] if op.card.params else []), *(f"{n}: int" for n in op.card.params)]
    kinds = [f"tuple[{array}, ...]" if s.listed else array for s in signature.outputs]
    returned = kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
    head = f"@op\ndef {op.name}({', '.join(given)}) -> {returned}:\n"
    return f'{head}    """Compute {op.name} (see its card)."""\n    raise NotImplementedError("{op.name} is not written yet")\n'


def _family(framework: str, family: str, name: str, function: str) -> str:
    """Return the file of a new family."""
    standard = ["from collections.abc import Sequence\n"] if "Sequence[" in function else []
    imports = IMPORTS[framework] if not standard or framework == "numpy" else "\n" + IMPORTS[framework]
    head = (
        f'"""{FRAMEWORKS[framework]}: TODO: in a few words, what the ops of {family} are about."""\n\n'
        "from __future__ import annotations\n"
    )
    array = "\nArray = np.ndarray[Any, Any]\n" if framework == "numpy" else ""
    body = f'\nfrom einspec.impls.checked_{framework} import op\n\n__all__ = [\n    "{name}",\n]\n{array}\n\n{function}'
    return f"{head}\n{''.join(standard)}{imports}{body}"


def _extended(path: Path, name: str, function: str) -> str:
    """Return the file of a family with one function more, at its end and in ``__all__``."""
    source = path.read_text(encoding="utf-8")
    assigned = (n for n in _parsed(path).body if isinstance(n, ast.Assign))
    exported = next((n for n in assigned if ast.unparse(n.targets[0]) == "__all__" and isinstance(n.value, ast.List)), None)
    if exported is None:
        raise UsageError(f"{path} has no list __all__ of its ops to add the op to; give it one, as the files beside it have")
    names = sorted((*ast.literal_eval(exported.value), name))
    lines = source.splitlines()
    lines[exported.lineno - 1 : exported.end_lineno] = ["__all__ = [", *(f'    "{n}",' for n in names), "]"]
    if "Sequence[" in function and not re.search(r"^from collections\.abc import .*\bSequence\b", source, re.M):
        at = lines.index("from __future__ import annotations") + 1
        lines[at:at] = ["", "from collections.abc import Sequence"]
    return "\n".join(lines) + f"\n\n\n{function}"


def _registered(source: str, framework: str, family: str) -> str:
    """Return the ``__init__.py`` of a backend with the import of one more family, in its place in the alphabet."""
    start = f"from einspec.impls.{framework}."
    lines = source.splitlines()
    places = [i for i, line in enumerate(lines) if line.startswith(start) and line.partition("#")[0].rstrip().endswith("*")]
    after = [i for i in places if lines[i].removeprefix(start).split()[0] < family]
    at = after[-1] + 1 if after else places[0]
    reason = "" if after else lines[places[0]].partition("F403")[2]
    if reason:  # the reason stands on the first of the imports
        lines[places[0]] = lines[places[0]].removesuffix(reason)
    lines.insert(at, f"{start}{family} import *  # noqa: F403{reason}")
    return "\n".join(lines) + "\n"


def todo(name: str, family: str) -> Mapping[str, str]:
    """Return the steps that come next, in their order, each with what it is for."""
    return {
        f"edit spec/ops/{family}/{name}.toml": "what it means: replace every TODO; the cards beside it are models",
        f"einspec show {name}": "its page: read it as someone who has never heard of it",
        f"edit impls/{{{','.join(FRAMEWORKS)}}}/{family}.py": "the three functions, which raise NotImplementedError so far",
        f"einspec check {' '.join(FRAMEWORKS)} --op {name}": "the clauses that fail are what is left to do",
        f"einspec mutants {name}": "whether the judge would see every wrong version of the card",
        "python -m einspec.conformance.trace --record": "writes down which clauses there are",
        f"edit changelog.d/{name}.op.md": "one line about the op for whoever installs the next version",
        "ruff check --fix && ruff format": "the order of imports",
    }
