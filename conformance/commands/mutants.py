"""Judge the judge: run wrong versions of every formula, or of implementations, and count those that it finds wrong.

Exit status 0 only if every mutant that differs from its op was killed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from einspec.conformance.commands import add_processes, add_shard, part_of
from einspec.conformance.errors import UsageError

if TYPE_CHECKING:
    from einspec.conformance.mutation.score import Score


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="OP",
        help="only these ops, by name or alias; all when absent. Before them, with --implementations, BACKEND or FILE",
    )
    parser.add_argument(
        "--implementations",
        action="store_true",
        help="mutants of the functions of a backend or a file, numpy when none is named, which are imported into this process",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE|-",
        help="write as JSON what became of each mutant; - prints it instead",
    )
    parser.add_argument("--vectors", action="store_true", help="let the golden vectors judge, and nothing else")
    parser.add_argument("--list", action="store_true", help="list the mutants and judge none")
    add_processes(parser)
    add_shard(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line an op, those that survived with a call that shows them, and the score."""
    return _of_implementations(arguments) if arguments.implementations else _of_formulas(arguments)


def _of_formulas(arguments: argparse.Namespace) -> int:
    from einspec.card import paths, resolve
    from einspec.conformance.mutation import mutants, score
    from einspec.conformance.vectors import vectors

    names = list(dict.fromkeys(map(resolve, arguments.names))) or list(paths())
    names = part_of(names, arguments.shard)
    if arguments.list:
        for name in names:
            for mutant in mutants.mutants(name):
                print(f"{mutant.id}\n    {mutant.formula}")
        return 0
    judges = vectors.golden if arguments.vectors else None
    return _tell(arguments, names, score.scores(names, arguments.processes, judges), score.LIMITS)


def _of_implementations(arguments: argparse.Namespace) -> int:
    from einspec.card import load, paths, resolve
    from einspec.conformance.mutation import implementations, kernels
    from einspec.conformance.targets.names import TargetError, is_file, known_backends

    if arguments.vectors:
        raise UsageError("--vectors is for mutants of formulas: golden vectors have no implementation")
    named = [n for n in arguments.names if n in known_backends() or is_file(n)]
    if len(named) > 1:
        raise UsageError(f"one implementation at a time, not {' and '.join(named)}")
    name = named[0] if named else "numpy"
    wanted = list(dict.fromkeys(resolve(n) for n in arguments.names if n not in named))
    try:
        rights = implementations.rights(name)
    except TargetError as error:
        raise UsageError(str(error)) from error
    there = {op for right in rights for op in right.candidate.functions}
    lacking = [op for op in wanted if op not in there]
    if lacking:
        raise UsageError(f"{name} has no {', '.join(lacking)}")
    names = part_of([op for op in wanted or paths() if op in there], arguments.shard)
    if arguments.list:
        for op, right in itertools.product(map(load, names), rights):
            for fault in kernels.faults(op) if op.name in right.candidate.functions else ():
                print(f"{right.id(op, fault)}\n    {fault.condition}")
        return 0
    return _tell(arguments, names, implementations.scores(names, name, arguments.processes), kernels.LIMITED)


def _tell(arguments: argparse.Namespace, names: Sequence[str], parts: Iterable[Score], limits: str) -> int:
    """Print the scores of ops as they come, and then what became of all."""
    from einspec.conformance import output
    from einspec.conformance.mutation import score

    printing = output.checked({"--json": arguments.json})
    found: dict[str, Score] = {}
    for part in parts:
        found[part.op] = found[part.op].joined(part) if part.op in found else part
        print(f"{part.op}: {len(part.assessments)} mutants judged", file=sys.stderr)
    if not printing:
        print(score.table([found[name] for name in names], limits))
    if arguments.json:
        output.put(arguments.json, json.dumps(score.as_json([found[n] for n in names]), indent=1) + "\n")
    return 0 if all(s.good for s in found.values()) else 1
