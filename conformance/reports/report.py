"""Reports as JSON Lines: a header, then backends and results as they come, a footer. One that was cut off still reads."""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec

import einspec
from einspec.card import paths
from einspec.conformance import OPT_IN, TIERS
from einspec.conformance.commands import UsageError
from einspec.conformance.judge import Result
from einspec.conformance.request import Request
from einspec.conformance.run import Run, asked_at

SCHEMA_VERSION = 1
"""Raised when an older reader would misunderstand a report; a new field alone does not raise it."""
SURROGATE = "\\ud"
"""How the escape of a surrogate begins, of a pair or of a lone one."""


class Header(msgspec.Struct, tag_field="kind", tag="header"):
    """The first line: what was asked for, where and when."""

    schema: Annotated[int, msgspec.Meta(ge=1, description="version of this schema")]
    einspec: Annotated[str, msgspec.Meta(description="version of the judge")]
    spec: Annotated[str, msgspec.Meta(description="version of the spec")]
    created: Annotated[str, msgspec.Meta(description="ISO 8601, UTC")]
    platform: str
    python: str
    asked: Annotated[dict[str, Any], msgspec.Meta(description="targets, ops, devices, tiers and options; empty for all")]
    host: Annotated[str, msgspec.Meta(description="a label for the machine, where one was given")] = ""


class Backend(msgspec.Struct, tag_field="kind", tag="backend"):
    """What was judged; a backend may have several lines, whose ops are to be taken together."""

    name: str
    framework: str
    bare: Annotated[bool, msgspec.Meta(description="a file of functions, which promises less than a backend")]
    versions: dict[str, str]
    available: Annotated[list[str], msgspec.Meta(description="devices that are there")]
    devices: Annotated[list[str], msgspec.Meta(description="devices that were judged")]
    absent: Annotated[list[str], msgspec.Meta(description="kinds of device that it knows and that are not there")]
    ops: list[str]
    missing: Annotated[list[str], msgspec.Meta(description="ops that it does not define")]
    python: str
    platform: str


class Footer(msgspec.Struct, tag_field="kind", tag="footer"):
    """The last line; a report without it was cut off."""

    complete: Annotated[bool, msgspec.Meta(description="the run came to its end")]
    passed: bool
    seconds: float
    counts: Annotated[dict[str, int], msgspec.Meta(description="results by verdict")]
    problems: Annotated[list[str], msgspec.Meta(description="what fails the run beside its results")]
    notes: Annotated[list[str], msgspec.Meta(description="what backends did besides, such as printing")] = []


@dataclass
class Report:
    """A report that was read."""

    label: str
    """What tells its machine from those of other reports."""
    header: Header
    backends: dict[str, Backend] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    footer: Footer | None = None

    @property
    def incomplete(self) -> str:
        """What keeps the report from being whole, or nothing."""
        if self.footer is None:
            return "incomplete: cut off"
        return "" if self.footer.complete else "incomplete: interrupted"

    @property
    def request(self) -> Request:
        """What was asked for."""
        return asked(self.header)

    @property
    def run(self) -> Run:
        """The run that wrote the report."""
        problems = [*(self.footer.problems if self.footer else [])]
        problems += [f"{self.label}: {self.incomplete}"] if self.incomplete else []
        seconds = self.footer.seconds if self.footer else round(sum(r.seconds for r in self.results), 2)
        backends = {name: msgspec.structs.asdict(b) for name, b in self.backends.items()}
        found = Run(self.request, list(self.results), backends, problems)
        found.seconds, found.complete = seconds, not self.incomplete
        found.notes = [*(self.footer.notes if self.footer else [])]
        return found


def asked(header: Header) -> Request:
    """Return what a header says was asked for."""
    return msgspec.convert({**header.asked, "names": header.asked.get("targets", [])}, Request)


class Writer:
    """Writes a report while its run goes on: a context manager, and a listener of the run.

    Args:
        path: the file.
        request: what is asked for.
        host: a label for the machine; by default reports name its platform alone.
    """

    def __init__(self, path: Path, request: Request, host: str = "") -> None:
        self.path, self.request, self.host = path, request, host
        self.written: set[str] = set()
        self.file: TextIO

    def __enter__(self) -> Writer:
        """Write the header.

        Raises:
            UsageError: the file cannot be written.
        """
        try:
            self.file = self.path.open("w", encoding="utf-8")
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
        self.file.close()

    def __call__(self, kind: str, data: Any) -> None:
        """Take one message of a run, and write what belongs in a report at once."""
        if kind == "backend":
            self._put({"kind": "backend", **data})
        elif kind == "result":
            self._put({"kind": "result", **data.as_dict()})

    def close(self, run: Run) -> None:
        """Write what the run says only at its end: results that need all backends, and the footer."""
        for backend in run.backends.values():
            self("backend", backend)
        for result in run.results:
            self("result", result)
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
            text = json.dumps(encodable(text))
        if text not in self.written:
            self.written.add(text)
            self.file.write(text + "\n")
            self.file.flush()


def encodable(text: str) -> Any:
    """Return the value of JSON without lone surrogates, which an exception may hold and no output can show."""
    value = json.loads(text)
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) if SURROGATE in text else value


def write(run: Run, path: Path) -> None:
    """Write the report of a run that is over."""
    with Writer(path, run.request) as writer:
        writer.close(run)


def read(path: Path, label: str = "") -> Report:
    """Return a report, also one that was cut off in the middle of a line.

    Args:
        path: the file.
        label: what to call the machine; by default what the report says, or the name of the file.

    Raises:
        UsageError: there is no such file, or it is not a report that this version can read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    header = _header(path, lines)
    report = Report(label or header.host or path.stem, header)
    results: dict[tuple[str, ...], Result] = {}
    for number, text in enumerate(lines[1:], 2):
        try:
            _take(report, results, encodable(text))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise UsageError(f"{path}, line {number}, is no JSON: the file is damaged before its end") from error
        except (msgspec.ValidationError, ValueError) as error:
            raise UsageError(f"{path}, line {number}: {error}; einspec schema report prints what fits") from error
    _sort(report, list(results.values()))
    return report


def _header(path: Path, lines: list[str]) -> Header:
    """Return the header, or say what the file is instead of a report."""
    if lines == [""]:
        raise UsageError(f"{path} is empty; einspec check --report FILE.jsonl writes a report")
    try:
        item = json.loads(lines[0])
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} is no JSON Lines file; einspec check --report FILE.jsonl writes a report") from error
    if not isinstance(item, dict) or item.get("kind") != "header" or "einspec" not in item:
        raise UsageError(f"{path} is no einspec report: its first line is no header; einspec check --report writes one")
    if isinstance(item.get("schema"), int) and item["schema"] > SCHEMA_VERSION:
        newer = f"einspec {item['einspec']} with schema {item['schema']}"
        raise UsageError(f"{path} was written by {newer}; this one reads up to {SCHEMA_VERSION}: install a newer einspec")
    try:
        header = msgspec.convert(item, Header)
        asked(header)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}, line 1: {error}; einspec schema report prints what fits") from error
    return header


def _take(report: Report, results: dict[tuple[str, ...], Result], item: Any) -> None:
    """Add one line; a later line about the same thing counts."""
    kind = item.get("kind") if isinstance(item, dict) else None
    if kind == "backend":
        backend = msgspec.convert(item, Backend)
        if backend.name in report.backends:
            backend.ops = list(dict.fromkeys([*report.backends[backend.name].ops, *backend.ops]))
        report.backends[backend.name] = backend
    elif kind == "result":
        result = msgspec.convert(item, Result)
        if result.backend not in report.backends:
            raise ValueError(f"a result of {result.backend!r}, which no line before describes")
        results[result.backend, result.device, result.clause, result.tier] = result
    elif kind == "footer":
        report.footer = msgspec.convert(item, Footer)
    elif kind == "header":
        raise ValueError("a second report begins; give each report as a file of its own")
    else:
        raise ValueError(f"no kind of line: {kind!r}")


def _sort(report: Report, results: list[Result]) -> None:
    """Put backends in the order in which they were asked for, and results in that of backend, device and op."""
    request, order = report.request, {op: i for i, op in enumerate(paths())}
    report.backends = dict(sorted(report.backends.items(), key=lambda item: asked_at(request, item[0])))
    for backend in report.backends.values():
        backend.ops.sort(key=lambda op: order.get(op, len(order)))
    names = {name: i for i, name in enumerate(report.backends)}
    results.sort(key=lambda r: (names.get(r.backend, len(names)), r.device, order.get(r.op, len(order))))
    report.results = results


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a report; a reader should ignore fields that it does not know."""
    (lines, result), definitions = msgspec.json.schema_components(
        [Header | Backend | Footer, Result], ref_template="#/$defs/{name}"
    )
    body = definitions["Result"]
    body["description"] = "What became of one clause on one device in one tier; the last line about it counts."
    body["properties"] = {"kind": {"enum": ["result"]}, **body["properties"]}
    body["properties"]["clause"]["pattern"] = "^[a-z0-9_]+/.+$"
    body["properties"]["tier"]["enum"] = [*TIERS, *OPT_IN]
    body["required"] = ["kind", *body["required"]]
    definitions["Header"]["properties"]["schema"]["maximum"] = SCHEMA_VERSION
    for definition in definitions.values():
        definition["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "one line of an einspec report",
        "anyOf": [*lines["anyOf"], result],
        "$defs": definitions,
    }
