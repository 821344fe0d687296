"""Write the beginning of a backend, an adapter, an op or an exercise.

Nothing that is there is overwritten.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from shlex import quote

from einspec.conformance.commands import add_cards, seconds
from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be written, each with its own arguments."""
    kinds = parser.add_subparsers(dest="what", required=True)
    backend = kinds.add_parser("backend", help="a module with an adapter and a first op, its entry point, a workflow for CI")
    backend.add_argument("name", metavar="NAME", help="what the backend is to be called")
    backend.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="where to; einspec-NAME when absent")
    backend.add_argument(
        "--framework",
        default="numpy",
        metavar="FRAMEWORK",
        help="whose arrays its functions take: numpy (the default), torch, jax, or the import name of a namespace that follows"
        " the array API standard",
    )
    adapter = kinds.add_parser("adapter", help="a file that says which op a function of a library computes, and by which call")
    adapter.add_argument("function", metavar="MODULE.FUNCTION", help="such as torch.topk or torch.nn.functional.pixel_shuffle")
    adapter.add_argument("file", nargs="?", type=Path, metavar="FILE.toml", help="the file; FUNCTION.toml when absent")
    adapter.add_argument("--framework", default="", choices=("numpy", "torch", "jax"), help="whose arrays it takes")
    adapter.add_argument("--op", default="", metavar="OP", help="the op, by name or alias, where it is known")
    adapter.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="SECONDS", help="how long a call may compute (default 10)"
    )
    add_cards(adapter)
    op = kinds.add_parser("op", help="in a checkout of einspec, a card and a function to be written in each backend")
    op.add_argument("name", metavar="NAME", help="the op")
    op.add_argument("--family", default="axes", metavar="FAMILY", help="one that there is, axes when absent, or a new one")
    op.add_argument("--signature", default="", metavar="TEXT", help="such as 'x: b n (h d) -> y: b h n d'")
    op.add_argument("--definition", default="", metavar="TEXT", help="such as 'y[b,h,n,d] = x[b,n,(h,d)]'")
    op.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME[=AXES]",
        help="a parameter that gives the size of axes, such as num_heads=h, or one that the definition reads; may be repeated",
    )
    exercise = kinds.add_parser("exercise", help="a file with a task and one function to be written")
    exercise.add_argument("op", metavar="OP", help="name or alias")
    exercise.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the file; OP_exercise.py when absent")
    exercise.add_argument("--framework", default="numpy", choices=("numpy", "torch", "jax"), help="whose arrays it takes")
    add_cards(exercise)


def run(arguments: argparse.Namespace) -> int:
    """Write the files and print what to do next."""
    changed: list[Path] = []
    if arguments.what == "backend":
        from einspec.conformance.scaffold.backend import new_backend

        paths, remarks = new_backend(arguments.name, arguments.framework, arguments.folder)
        follow = {
            f"pip install -e {quote(str(paths[0].parent))}": "makes it known by its name",
            f"einspec smoke {arguments.name}": "is the adapter sound?",
            f"einspec check {arguments.name}": "are the ops what their cards say?",
        }
    elif arguments.what == "adapter":
        paths, remarks = _adapter(arguments)
        follow = {f"einspec check {quote(str(paths[0]))}{_cards(arguments)}": "judges it in all tiers"}
    elif arguments.what == "op":
        from einspec.conformance.scaffold.op import new_op, todo

        paths, changed, remarks = new_op(
            arguments.name, arguments.family, arguments.signature, arguments.definition, tuple(arguments.param)
        )
        follow = dict(todo(arguments.name, arguments.family))
    else:
        from einspec.conformance.scaffold.exercise import new_exercise

        paths, remarks = [new_exercise(arguments.op, arguments.framework, arguments.file)], []
        check = f"einspec check {quote(str(paths[0]))}{_cards(arguments)}"
        follow = {check: "judges it; it fails until the function is written"}
    _tell({"wrote": paths, "changed": changed}, remarks, follow)
    return 0


def _adapter(arguments: argparse.Namespace) -> tuple[list[Path], list[str]]:
    """Write an adapter of what a function is found to compute."""
    from einspec.card import resolve
    from einspec.conformance.identify import identify
    from einspec.conformance.scaffold.adapter import new_adapter
    from einspec.conformance.targets.names import TargetError

    module, _, name = arguments.function.rpartition(".")
    if not module:
        raise UsageError(f"{arguments.function}: name a function of a module, such as torch.topk")
    ops = (resolve(arguments.op),) if arguments.op else ()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "imported.py"  # a file, as the name of a module may be that of a backend
        file.write_text(f"import {module}\nfrom {module} import {name}\n", encoding="utf-8")
        try:
            guesses = [g for g in identify(str(file), name, arguments.timeout, ops) if g.agrees]
        except TargetError as error:
            raise UsageError(f"{arguments.function}: {str(error).replace(str(file), module)}") from error
    found = [(g.op, dict(g.fixed)) for g in guesses]
    path, remarks = new_adapter(arguments.function, found, arguments.file, arguments.framework)
    return [path], remarks


def _cards(arguments: argparse.Namespace) -> str:
    """Return the options by which another command uses the same cards."""
    return "".join(f" --cards {quote(str(folder))}" for folder in arguments.cards)


def _tell(done: Mapping[str, list[Path]], remarks: Iterable[str], follow: Mapping[str, str]) -> None:
    """Print what was written and the steps that come next."""
    here = Path.cwd()
    for word, paths in done.items():
        for path in paths:
            print(f"{word} {path.relative_to(here) if path.is_relative_to(here) else path}")
    for remark in remarks:
        print(f"note: {remark}")
    print("next:")
    width = max(map(len, follow))
    for command, purpose in follow.items():
        print(f"  {command:<{width}}  # {purpose}")
