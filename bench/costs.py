"""What judging each op costs: the table by which a run deals its ops out to processes and shards.

``python bench costs`` judges NumPy twice, first with nothing kept and then with the sheets of the first run, and writes
``conformance/run/costs.json``. An op costs what it took the second time, and a share of what making its sheets took.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile

from einspec.conformance.run.costs import TABLE
from einspec.conformance.run.events import Event, Finished
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import check

MADE = 0.2
"""The share of making sheets: they are made once and used by several backends."""


def seconds(request: Request) -> dict[str, float]:
    """Return how long each op of a run takes."""
    found: dict[str, float] = {}

    def listen(event: Event) -> None:
        if isinstance(event, Finished):
            found[event.op] = found.get(event.op, 0.0) + event.seconds

    check(request, listen)
    return found


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python bench costs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--op", action="append", default=[], help="only this op, and print what it costs; may be repeated")
    ops = tuple(parser.parse_args().op)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EINSPEC_CACHE"] = folder
        first, second = (seconds(Request(("numpy",), ops)) for _ in range(2))
    table = {op: round(took + MADE * max(first[op] - took, 0.0), 2) for op, took in sorted(second.items())}
    text = json.dumps(table, indent=1) + "\n"
    if ops:
        print(text, end="")
    else:
        TABLE.write_text(text, encoding="utf-8")
        print(f"{TABLE}: {len(table)} ops, {sum(first.values()):.0f} s at first, {sum(second.values()):.0f} s then")


if __name__ == "__main__":
    main()
