"""Judge the judge: run wrong versions of every formula as if they were backends, and count those that it finds wrong.

Exit status 0 only if every mutant that differs from its op was killed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from einspec.conformance.commands import add_processes, add_shard, part_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("ops", nargs="*", metavar="OP", help="only these ops, by name or alias; all when absent")
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
    from einspec.card import paths, resolve
    from einspec.conformance import output
    from einspec.conformance.mutation import mutants, score
    from einspec.conformance.vectors import vectors

    names = list(dict.fromkeys(map(resolve, arguments.ops))) or list(paths())
    names = part_of(names, arguments.shard)
    printing = output.checked({"--json": arguments.json})
    if arguments.list:
        for name in names:
            for mutant in mutants.mutants(name):
                print(f"{mutant.id}\n    {mutant.formula}")
        return 0
    found: dict[str, score.Score] = {}
    judges = vectors.golden if arguments.vectors else None
    for part in score.scores(names, arguments.processes, judges):
        found[part.op] = found[part.op].joined(part) if part.op in found else part
        print(f"{part.op}: {len(part.assessments)} mutants judged", file=sys.stderr)
    if not printing:
        print(score.table([found[name] for name in names]))
    if arguments.json:
        output.put(arguments.json, json.dumps(score.as_json([found[n] for n in names]), indent=1) + "\n")
    return 0 if all(s.good for s in found.values()) else 1
