"""Write the pages of the spec: a page an op, with an address for every clause, that needs no network and no script.

They go to DIR/VERSION, which is what citations name, and as a copy to DIR/latest. A version that is there already is never
altered; --replace is for one that was not released yet. With --results the pages in DIR/latest say beside each clause who meets
it, as judged in reports of einspec check --report.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from einspec.conformance.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write")
    parser.add_argument("--replace", action="store_true", help="write over this version if it is there with other content")
    parser.add_argument("--results", type=Path, metavar="REPORT", nargs="+", default=[], help="reports of who meets it")


def run(arguments: argparse.Namespace) -> int:
    """Write the site and say where it is.

    Raises:
        UsageError: Jinja2 is not installed, or a report does not read; the folder is none, or holds this
            version with other content.
    """
    try:
        from einspec.conformance.publish.site import publish
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise UsageError(
            "einspec publish writes pages with Jinja2, which is not installed: pip install einspec[site]"
        ) from error
    import einspec

    count, size = publish(arguments.folder, arguments.replace, arguments.results)
    print(f"spec {einspec.SPEC_VERSION}: {count} files, {size / 1e6:.1f} MB; open {arguments.folder / 'latest' / 'index.html'}")
    return 0
