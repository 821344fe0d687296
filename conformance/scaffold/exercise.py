"""An exercise: a file with the task as its docstring and one function to be written, which ``einspec check`` judges."""

from __future__ import annotations

import json
import keyword
import math
import textwrap
from pathlib import Path

from einspec.card import Op, load
from einspec.conformance.errors import UsageError
from einspec.conformance.scaffold import filled, occupied, write
from einspec.pages import text as show

IMPORTS = {"numpy": "import numpy as np", "torch": "import torch", "jax": "import jax\nimport jax.numpy as jnp"}
ARRAYS = {"numpy": "np.ndarray", "torch": "torch.Tensor", "jax": "jax.Array"}
TASK = ("Call", "Definition", "Parameters", "Sizes", "Dtypes", "Example")
"""The sections of the page of an op that make the task; the others would give the answer away."""


def new_exercise(name: str, framework: str, path: Path | None = None) -> Path:
    """Write the starter file of an exercise.

    Args:
        name: the op, by name or alias.
        framework: whose arrays the function takes: numpy, torch or jax.
        path: the file; ``<op>_exercise.py`` if absent.

    Raises:
        KeyError: there is no such op.
        UsageError: the file is there already, or Python could not import it.
    """
    op = load(name)
    path = path or Path(f"{op.name}_exercise.py")
    if path.suffix != ".py" or not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise UsageError(f"{path} cannot be imported: give a file name of letters, digits and _ that ends in .py")
    what = occupied(path.stem)
    if what:
        raise UsageError(f"{path} would hide {path.stem}, {what}; choose another file name, such as my_{path.name}")
    values = {
        "name": op.name,
        "task": _task(op),
        "file": str(path),
        "imports": IMPORTS[framework],
        "signature": _signature(op, ARRAYS[framework]),
    }
    write({path: filled("exercise.py", values)})
    return path


def _task(op: Op) -> str:
    """Return what there is to do: the summary, then the sections of the op's page that say what is computed."""
    head, *parts = show.show(op.name).split("\n\n")
    sections = {part.partition("\n")[0]: part for part in parts}
    summary = " ".join(line for line in head.splitlines()[1:]).partition("also called ")[0].strip()
    first = textwrap.fill(f"{op.name}: {summary[:1].lower()}{summary[1:]}", show.WIDTH)
    return "\n\n".join([first, *(sections[title] for title in TASK if title in sections)])


def _signature(op: Op, array: str) -> str:
    """Return the head of the function: inputs by position, parameters by name, as the card calls them."""
    signature = next(iter(op.forms.values())).signature
    common = [s for s in signature.inputs if all(s.name in {i.name for i in f.signature.inputs} for f in op.forms.values())]
    inputs = [f"{s.name}: list[{array}]" if s.listed else f"{s.name}: {array}" for s in common]
    others = any(len(f.signature.inputs) > len(common) for f in op.forms.values())
    parameters = [n if p.required else f"{n}={_literal(p.default)}" for n, p in op.card.params.items()]
    kinds = [_kind(op, s.name, s.listed, array) for s in signature.outputs]
    returned = kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
    star = [f"*others: {array}"] if others else ["*"] if parameters else []
    given = [*inputs, *star, *parameters]
    line = f"{op.name}({', '.join(given)}) -> {returned}"
    return line if len(line) < show.WIDTH else f"{op.name}(\n{''.join(f'    {g},{chr(10)}' for g in given)}) -> {returned}"


def _literal(default: object) -> str:
    """Return a default as Python writes it, an infinity too."""
    if isinstance(default, float) and not math.isfinite(default):
        return f'float("{default}")'
    return json.dumps(default) if isinstance(default, str) else repr(default)


def _kind(op: Op, name: str, listed: bool, array: str) -> str:
    integer = next(iter(op.forms.values())).dtype[name] == "int"
    return "int" if integer else f"tuple[{array}, ...]" if listed else array
