"""Judging a library by its adapters, and keeping what came of it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from einspec.conformance.reports.writing import Writer
from einspec.conformance.run import run
from einspec.conformance.run.request import Request
from einspec.conformance.world.libraries import Library

TIERS = ("scope", "property")
"""What libraries are judged in: small calls exhaustively, and drawn ones."""
PLACE = re.compile(r"(?<![\w./])/[^\s\"':,;()]*/site-packages/")
"""Where a package is installed, in a traceback."""


def judge(library: Library, report: Path, budget: float = 0.0) -> run.Run:
    """Judge a library and write its report, which says nothing of where things are on this machine.

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
    report.write_text(PLACE.sub("", report.read_text(encoding="utf-8")), encoding="utf-8")
    return found


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
