"""Writing a report as JSON Lines while its run goes on, so that one that was killed leaves what it had said."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import einspec
from einspec.conformance.errors import UsageError
from einspec.conformance.output import STDOUT
from einspec.conformance.reports.lines import SCHEMA_VERSION
from einspec.conformance.reports.report import SURROGATE, encoded
from einspec.conformance.run.events import Described, Event, Judged
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run


class Writer:
    """Writes a report while its run goes on: a context manager, and a listener of the run.

    Args:
        path: the file; ``-`` is the output.
        request: what is asked for.
        host: a label for the machine; by default reports name its platform alone.
    """

    def __init__(self, path: Path, request: Request, host: str = "") -> None:
        self.path, self.request, self.host = path, request, host
        self.written: set[str] = set()
        self.problem = ""
        """Why the report cannot be written any further."""
        self.file: TextIO

    def __enter__(self) -> Writer:
        """Write the header.

        Raises:
            UsageError: the file cannot be written.
        """
        try:
            self.file = sys.stdout if self.path == STDOUT else self.path.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write the report {self.path}: {error.strerror}; name another file") from error
        options = asdict(self.request)
        header = {
            "kind": "header",
            "schema": SCHEMA_VERSION,
            "einspec": einspec.__version__,
            "spec": einspec.SPEC_VERSION,
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "asked": {"targets": options.pop("names"), **options},
        }
        self._put({**header, "host": self.host} if self.host else header)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file: without :meth:`close` the report has no footer."""
        if self.file is not sys.stdout:
            with contextlib.suppress(OSError):
                self.file.close()

    def __call__(self, event: Event) -> None:
        """Take what happens in a run, and write what belongs in a report at once."""
        match event:
            case Described(backend):
                self._put({"kind": "backend", **backend})
            case Judged(result):
                self._put({"kind": "result", **result.as_dict()})

    def close(self, run: Run) -> None:
        """Write what the run says only at its end: results that need all backends, and the footer."""
        for backend in run.backends.values():
            self(Described(backend))
        for result in run.results:
            self(Judged(result))
        self._put(
            {
                "kind": "footer",
                "complete": run.complete,
                "passed": run.passed,
                "seconds": run.seconds,
                "counts": run.counts,
                "problems": run.problems,
                "notes": run.notes,
            }
        )

    def _put(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, allow_nan=False, default=str)
        if SURROGATE in text:
            text = json.dumps(encoded(json.loads(text)))
        if text not in self.written:
            self.written.add(text)
            self._print(text + "\n")

    def _print(self, text: str) -> None:
        """Write a line as far as that is possible; a run goes on without its report."""
        try:
            if not self.problem:
                self.file.write(text)
                self.file.flush()
        except OSError as error:
            if self.path == STDOUT:
                raise
            self.problem = f"the report {self.path} is cut off: {error.strerror}; name a file that has room for it"


def write(run: Run, path: Path) -> None:
    """Write the report of a run that is over."""
    with Writer(path, run.request) as writer:
        writer.close(run)
