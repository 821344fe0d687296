"""Cite an op or a clause, or check the citations in a text.

A citation holds the digest of what the op or clause means. With --check each one in the files, which
may be any text, is compared with the spec that is installed; the exit status is 1 if one means
something else here, is not known, or cannot be read, and if there is none at all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from einspec.pages.cite import FORMATS

    parser.add_argument("address", nargs="*", metavar="OP[/CLAUSE]", help="an op, or a clause of it")
    parser.add_argument("--format", choices=FORMATS, help="bibtex by default")
    parser.add_argument("--check", nargs="+", type=Path, metavar="FILE", help="texts in which to look for citations")


def run(arguments: argparse.Namespace) -> int:
    """Print citations, or what became of those in files.

    Raises:
        UsageError: it is neither, or both; it is a pattern; a file cannot be read.
    """
    from einspec.clauses import find
    from einspec.pages.cite import citation, written

    if bool(arguments.address) == bool(arguments.check):
        raise UsageError("name an op or a clause, as in einspec cite pixel_shuffle/def, or files with --check; not both")
    if arguments.check:
        if arguments.format:
            raise UsageError("--format is about citations that are printed, not about those that are checked")
        return _check(arguments.check)
    for address in arguments.address:
        if "->" in address:
            raise UsageError(f"{address!r} is a pattern, which says all that it means: quote it; only ops are cited")
    print(written([citation(*find(address)) for address in arguments.address], arguments.format or "bibtex"))
    return 0


def _check(files: list[Path]) -> int:
    """Print what became of each citation in files, and return the exit status."""
    from einspec.pages.cited import Outcome, check, citations

    outcomes = []
    for path in files:
        for cited in citations(_text(path)):
            outcome, why = check(cited)
            outcomes.append(outcome)
            print(f"{path}:{cited.line}: {why}")
    wrong = sum(outcome is not Outcome.SAME for outcome in outcomes)
    if not outcomes:
        print(f"no citation of einspec in {', '.join(map(str, files))}: einspec cite OP/CLAUSE gives one that can be checked")
    elif wrong:
        print(f"{wrong} of {len(outcomes)} citations do not hold")
    return int(bool(wrong) or not outcomes)


def _text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if b"\0" in data:
        raise UsageError(f"cannot check {path}: it is no text; give the source that it was made from")
    return data.decode("utf-8", "replace")
