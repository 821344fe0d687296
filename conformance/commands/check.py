"""Judge backends, modules or files of functions.

Exit status 0 only if everything asked for was judged and holds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import random
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from einspec import folders
from einspec.card import resolve
from einspec.conformance.commands import add_shard, count, positive, seconds
from einspec.conformance.errors import UsageError
from einspec.conformance.run.request import TIMEOUT, Request
from einspec.conformance.tiers import OPT_IN, TIERS
from einspec.patterns import added

if TYPE_CHECKING:
    from einspec.conformance.judge.verdict import Result
    from einspec.conformance.run.run import Run


MOST_RANKS = 64
"""Ranks that may be asked for at once."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="BACKEND|MODULE|FILE",
        help="an installed backend, a dotted module, a Python file, or a TOML file of adapters; all installed backends if none",
    )
    parser.add_argument(
        "--op", action="append", default=[], metavar="OP", help="only this op, by name or alias; may be repeated"
    )
    parser.add_argument(
        "--pattern",
        action="append",
        default=[],
        metavar="[FUNCTION:] PATTERN",
        help="judge the only function of a file, or the one that is named, by a pattern of einops with sizes and reduction"
        " behind it, such as 'b (h p) c -> b h c, mean, p=2'; may be repeated. A docstring may say 'pattern: PATTERN' instead",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="DEVICE",
        help="only this device, such as cpu, cuda or cuda:0; may be repeated",
    )
    parser.add_argument(
        "--ranks",
        type=worlds,
        default=(),
        metavar="P,P,...",
        help="run the functions of a file that take a group on these numbers of ranks, such as 1,2,3: processes that have a"
        " part each of the tensors of a call",
    )
    parser.add_argument(
        "--tier",
        action="append",
        default=[],
        choices=(*TIERS, *OPT_IN),
        help=f"only this tier; may be repeated; {', '.join(OPT_IN)} runs only when it is asked for",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a refusal fails, and a file of functions must reject everything that the card forbids",
    )
    parser.add_argument(
        "--ties",
        choices=("first", "any"),
        default="first",
        help="what selections promise among equal values: the first, as the cards say, or any valid choice",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"how long a call may compute, or wait, before its process is ended (default {TIMEOUT:g})",
    )
    parser.add_argument(
        "--budget",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="of a processor that judging an op may take, so that a slow one is judged by a part of its calls",
    )
    parser.add_argument(
        "--memory",
        type=positive,
        default=0.0,
        metavar="GIB",
        help="how much memory a process may hold before it is ended (default: nine tenths of what is available)",
    )
    parser.add_argument("--all", action="store_true", help="judge an op to its end although it is wrong already")
    parser.add_argument(
        "--examples", type=count, default=0, metavar="N", help="how many calls are drawn for each op in the tier property"
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        metavar="N|random",
        help="where drawn calls come from; the same every time when absent; random prints the seed that it takes",
    )
    add_shard(parser)
    parser.add_argument("--allow-einspec", action="store_true", help="judge a file although it computes with einspec itself")
    parser.add_argument(
        "--known",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.jsonl",
        help="known failures, a line each as in a report; may be repeated",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.jsonl|-",
        help="write a report as JSON Lines, while the run goes on; - prints it instead of the matrix",
    )
    parser.add_argument(
        "--explain-promises", action="store_true", help="print what a file and a backend must do, and judge nothing"
    )
    parser.add_argument(
        "--explain-pairs",
        action="store_true",
        help="print which pairs of conditions the calls of each op meet, such as a dtype with a class of sizes, and why it "
        "does not meet the others, and judge nothing",
    )
    parser.add_argument("--host", default="", metavar="LABEL", help="what the report is to call this machine")


def worlds(text: str) -> tuple[int, ...]:
    """Return numbers of ranks, each once and the smallest first."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"must be numbers of ranks such as 1,2,3, each at least 1, not {text}")
    found = sorted({int(part) for part in parts})
    if found[-1] > MOST_RANKS:
        raise argparse.ArgumentTypeError(
            f"must be at most {MOST_RANKS}, the processes that one machine is asked for, not {text}"
        )
    return tuple(found)


def _check_ranks(names: Sequence[str], ops: Sequence[str]) -> None:
    """Check that what is asked for can run on ranks.

    Raises:
        UsageError: it is no Python file, an op knows no ranks, or PyTorch is not there.
    """
    from einspec.card import load, paths
    from einspec.conformance.targets.names import is_data, is_file

    for name in names:
        if not is_file(name) or is_data(name):
            raise UsageError(f"--ranks is about functions of a Python file that take a group, and {name} is none")
    for op in ops:
        if not load(op).card.ranks.axes:
            known = ", ".join(name for name in paths() if load(name).card.ranks.axes)
            raise UsageError(f"--ranks: {op} has no axes of ranks; those that do: {known}")
    if importlib.util.find_spec("torch") is None:
        raise UsageError("--ranks needs PyTorch, which is not installed: pip install 'einspec[torch]'")


def _seed(text: str) -> int:
    """Return a seed, one that nobody can know before for ``random``."""
    if text == "random":
        return random.SystemRandom().getrandbits(48)
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number or random, not {text}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print the matrix and the failures."""
    if arguments.explain_promises:
        from einspec.conformance.judge.promises import table

        print(table())
        return 0
    patterns = _patterns(arguments)
    with added(patterns):
        ops = tuple(resolve(name) for name in arguments.op) or (tuple(patterns) if arguments.pattern else ())
        return _explain_pairs(ops) if arguments.explain_pairs else _check(arguments, ops)


def _patterns(arguments: argparse.Namespace) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the functions that go by a pattern, each with the pattern and its parameters.

    Raises:
        UsageError: it is not clear which function is meant.
    """
    from einspec.conformance.targets import patterned
    from einspec.conformance.targets.names import TargetError, is_data, is_file

    files = [Path(name) for name in arguments.targets if is_file(name) and not is_data(name)]
    if arguments.pattern and len(files) != 1:
        raise UsageError("--pattern is about a function of one file: einspec check FILE.py --pattern PATTERN")
    found: list[patterned.Patterned] = []
    for path in files:
        try:
            found += patterned.given(path, arguments.pattern) if arguments.pattern else patterned.said(path)
        except TargetError:
            continue  # the run says what is wrong with the file
    own: dict[str, patterned.Patterned] = {}
    for entry in found:
        if patterned.is_named(entry.function):
            print(f"einspec: {entry.function} is judged by the op of that name, not by its pattern", file=sys.stderr)
        elif own.setdefault(entry.function, entry) is not entry:
            raise UsageError(f"two functions {entry.function} go by patterns: check one file at a time")
    return {name: (entry.pattern, entry.params) for name, entry in own.items()}


def _check(arguments: argparse.Namespace, ops: tuple[str, ...]) -> int:
    """Judge, print the matrix and the failures."""
    from rich.console import Console

    from einspec.conformance import output
    from einspec.conformance.reports import terminal
    from einspec.conformance.reports.writing import Writer
    from einspec.conformance.run import run
    from einspec.conformance.targets.declared import DeclarationError, read_known
    from einspec.conformance.targets.names import default_names, expand_names

    names = tuple(expand_names(arguments.targets) if arguments.targets else default_names())
    if arguments.ranks:
        _check_ranks(names, ops)
    printing = output.checked({"--report": arguments.report}, [*map(Path, names), *arguments.known])
    for path in arguments.known:
        try:
            read_known(path)
        except DeclarationError as error:
            raise UsageError(str(error)) from error
    request = Request(
        names,
        ops,
        tuple(arguments.device),
        tuple(arguments.tier) or TIERS,
        arguments.strict,
        arguments.ties,
        arguments.timeout,
        arguments.memory,
        tuple(str(path.resolve()) for path in arguments.known),
        arguments.all,
        arguments.examples,
        arguments.seed,
        arguments.shard,
        arguments.allow_einspec,
        arguments.budget,
        arguments.ranks,
        folders.folders(),
    )
    if arguments.seed is not None:
        print(f"einspec: drawn with --seed {arguments.seed}", file=sys.stderr)
    console = output.console()
    watcher = terminal.Watcher(Console(stderr=True), sys.stderr.isatty(), request)
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(Writer(arguments.report, request, arguments.host)) if arguments.report else None
        stack.enter_context(watcher.progress)
        found = run.check(request, lambda event: [listen(event) for listen in (watcher, writer) if listen])
        if writer:
            writer.close(found)
            found.problems += [writer.problem] if writer.problem else []
    if not printing:
        terminal.show_run(found, console, _advice(found))
    return 0 if found.passed else 1


def _explain_pairs(names: tuple[str, ...]) -> int:
    """Print what the calls of ops meet, one after the other, of all ops where none is named."""
    from einspec.card import paths
    from einspec.conformance.run.pairs import pairs, text

    for name in names or paths():
        print(text(pairs(name)), flush=True)
    return 0


def _advice(found: Run) -> Iterator[str]:
    """Yield where to ask what the functions of a file are that are wrong by their definition."""
    from einspec.conformance.targets.names import is_data, is_file

    bare = {name for name, backend in found.backends.items() if backend["bare"]}
    wrong = {r.backend.partition(" (")[0] for r in found.results if r.backend in bare and _is_wrong(r)}
    for name in filter(is_file, found.request.names):
        if Path(name).name in wrong and not is_data(name):
            yield f"einspec which {shlex.quote(name)} says whether a function is another op"


def _is_wrong(result: Result) -> bool:
    return result.clause.endswith("/def") and result.verdict == "wrong"
