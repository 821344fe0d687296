"""Judging a library by its adapters, and keeping what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.reports.writing import Writer
from einspec.conformance.run import run
from einspec.conformance.run.request import Request
from einspec.conformance.world.libraries import Library

TIERS = ("scope", "property")
"""What libraries are judged in: small calls exhaustively, and drawn ones."""
PLACE = re.compile(r"(?<![\w./])/[^\s\"':,;()]*/site-packages/")
"""Where a package is installed, in a traceback."""
SHOWN = ("call", "inputs", "params", "expected", "got", "difference")
"""The parts of a witness that are kept."""


def judge(library: Library, report: Path, budget: float = 0.0) -> run.Run:
    """Judge a library and write its report: what the page needs, and nothing of where things are on this machine.

    Args:
        library: which one; what it requires is installed.
        report: the file; the library stands in it by the name of its adapters.
        budget: seconds of a processor that judging an op may take; 0 for those of the library.
    """
    request = Request((library.adapters,), tiers=TIERS, budget=budget or library.budget)
    named = replace(request, names=(Path(library.adapters).name,))
    with _environment(library.environment), Writer(report, named) as writer:
        found = run.check(request, writer)
        writer.close(found)
    lines = map(json.loads, report.read_text(encoding="utf-8").splitlines())
    text = "".join(json.dumps(line) + "\n" for line in shorten(lines))
    report.write_text(without_places(text), encoding="utf-8")
    return found


def without_places(text: str) -> str:
    """Return the text of a report without the folders of this machine; what is left of a path begins with the package."""
    roots = {sys.prefix, sys.base_prefix, *(path.partition("/lib/python")[0] for path in sys.path if path.startswith("/"))}
    text = PLACE.sub("", text)
    for root in sorted(roots - {"/", ""}, key=len, reverse=True):
        text = text.replace(root, "")  # of a traceback that was cut off in the middle of a path
    return text


def shorten(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a report that say what each op came to, without those of other clauses that hold or were not run.

    Of those that hold only through a convention the first of each op is kept, of a witness the input and what came. The footer
    says how many there were of each verdict.
    """
    conventions = set()
    for line in lines:
        if line["kind"] == "result":
            op, _, clause = line["clause"].partition("/")
            convention = (op, *line.get("admitted", ()))
            quiet = line["verdict"] in (Verdict.HOLDS, Verdict.NOT_RUN)
            if quiet and clause != "def" and (len(convention) == 1 or convention in conventions):
                continue
            conventions.add(convention)
            if "witness" in line:
                line["witness"] = {part: line["witness"][part] for part in SHOWN if part in line["witness"]}
        yield line


@contextlib.contextmanager
def _environment(own: Mapping[str, str]) -> Iterator[None]:
    """Have variables in the environment of the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
