"""Write golden vectors: calls with what they must give, for programs in any language.

One safetensors file an op, and index.json, whose schema `einspec schema vectors` prints.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
from pathlib import Path

from einspec.card import paths, resolve
from einspec.conformance.commands import add_shard, part_of
from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to; it is made if it is not there")
    parser.add_argument(
        "--op", action="append", default=[], metavar="OP", help="only this op, by name or alias; may be repeated"
    )
    add_shard(parser)


def needs_safetensors() -> None:
    """Raise an error that says what to install where safetensors is absent."""
    if importlib.util.find_spec("safetensors") is None:
        raise UsageError("vectors are safetensors files, and safetensors is not installed: pip install 'einspec[vectors]'")


def run(arguments: argparse.Namespace) -> int:
    """Write the files and say how many cases they hold and how large they are."""
    needs_safetensors()
    from einspec.conformance import output
    from einspec.conformance.vectors import folder

    names = list(dict.fromkeys(map(resolve, arguments.op))) or list(paths())
    names = part_of(names, arguments.shard)
    output.folder("DIR", arguments.folder)

    others = folder.written(arguments.folder) - set(names)
    if others and (arguments.op or arguments.shard != (1, 1)):
        text = f"{arguments.folder} holds vectors of {len(others)} other ops, which would go"
        raise UsageError(f"{text}; name another folder")

    done = itertools.count(1)

    def progress(name: str, size: int) -> None:
        print(f"{next(done):>{len(str(len(names)))}} of {len(names)}  {name}  {size:,} bytes", file=sys.stderr)

    index = folder.write(arguments.folder, names, progress)
    cases = sum(len(op["cases"]) for op in index["ops"].values())
    size = sum((arguments.folder / name).stat().st_size for name in (folder.INDEX, *(o["file"] for o in index["ops"].values())))
    print(f"{cases:,} cases of {len(names)} ops, {size / 1e6:.2f} MB in {arguments.folder}")
    return 0
