"""A report that is read back, whole or damaged: the lines that read are used, and what is lost is said."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from einspec.card import paths
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.verdict import Result
from einspec.conformance.reports.lines import CLAUSE, SCHEMA_VERSION, Backend, Footer, Header
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run, asked_at

SURROGATE = "\\ud"
"""How the escape of a surrogate begins, of a pair or of a lone one."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MAY_CONTROL = re.compile(r"\\u00[01789]|\\[bfr]|[\x7f-\x9f]", re.I)
"""Where JSON may hold such a character: its escapes, or itself."""
WRITTEN_BY = "einspec check --report FILE.jsonl writes a report"
LOST = "unknown"
"""What stands for what a damaged report no longer tells."""
MOST_TOLD = 5
"""Damaged lines that are told one by one."""


@dataclass
class Report:
    """A report that was read."""

    label: str
    """What tells its machine from those of other reports."""
    header: Header
    backends: dict[str, Backend] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    footer: Footer | None = None
    damage: str = ""
    """What is lost of the file, in words."""

    @property
    def incomplete(self) -> str:
        """What keeps the report from being whole, or nothing."""
        ended = "cut off" if self.footer is None else "" if self.footer.complete else "interrupted"
        reasons = "; ".join(filter(None, (ended, self.damage)))
        return f"incomplete: {reasons}" if reasons else ""

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


def encoded(value: Any) -> Any:
    """Return a value of JSON without lone surrogates, which an exception may hold and no output can show."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def read(path: Path, label: str = "") -> Report:
    """Return a report, also one that was cut off, or whose lines are damaged: what reads of it is used, and it is incomplete.

    Args:
        path: the file.
        label: what to call the machine; by default what the report says, or the name of the file.

    Raises:
        UsageError: there is no such file, or it is not a report that this version can read.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; {WRITTEN_BY}") from error
    if not any(line.strip() for line in lines):
        raise UsageError(f"{path} is empty; {WRITTEN_BY}")
    draft = Draft(path)
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            draft.take(parsed(text), number)
        except NOT_READ as error:
            draft.unread.append((number, _why(error)))
    return draft.report(label, len(lines))


def without_controls(value: Any) -> Any:
    """Return a value of JSON with the characters by which a text would command a terminal written as escapes."""
    if isinstance(value, dict):
        return {without_controls(key): without_controls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_controls(item) for item in value]
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], value) if isinstance(value, str) else value


def parsed(line: bytes) -> Any:
    """Return the value of a line of JSON.

    Raises:
        ValueError: it is none, or holds a number that JSON does not have; RecursionError where it nests too deep.
    """
    text = line.decode("utf-8")
    value = json.loads(text, parse_constant=_no_number, parse_float=_number)
    value = without_controls(value) if MAY_CONTROL.search(text) else value
    return encoded(value) if SURROGATE in text else value


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


NOT_READ = (ValueError, msgspec.ValidationError, RecursionError)
"""What reading a line raises where it is damaged; what a line of the wrong kind raises is among them."""


def _why(error: Exception) -> str:
    """Return in few words why a line does not read."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "not JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)


@dataclass
class Draft:
    """A report while its lines are read."""

    path: Path
    header: Header | None = None
    backends: dict[str, Backend] = field(default_factory=dict)
    results: dict[tuple[str, ...], Result] = field(default_factory=dict)
    """A later line about the same thing counts."""
    footer: Footer | None = None
    unread: list[tuple[int, str]] = field(default_factory=list)
    """The lines that do not read, each with the reason."""

    def take(self, item: Any, number: int) -> None:
        """Add one line.

        Raises:
            ValueError: it is no line of a report.
            UsageError: the file is not one report that this version reads.
        """
        kind = item.get("kind") if isinstance(item, dict) else None
        if kind == "header":
            if self.header:
                where = f"{self.path}, line {number}"
                raise UsageError(f"{where}: a second report begins; give each report as a file of its own")
            self.header = self.checked(item)
        elif kind == "backend":
            backend = msgspec.convert(item, Backend)
            if backend.name in self.backends:
                backend.ops = list(dict.fromkeys([*self.backends[backend.name].ops, *backend.ops]))
            self.backends[backend.name] = backend
        elif kind == "result":
            result = msgspec.convert(item, Result)
            if not re.fullmatch(CLAUSE, result.clause):
                raise ValueError(f"no clause: {result.clause!r}")
            self.results[result.backend, result.device, result.clause, result.tier] = result
        elif kind == "footer":
            self.footer = msgspec.convert(item, Footer)
        else:
            raise ValueError(f"no kind of line: {kind!r}")

    def checked(self, item: dict[str, Any]) -> Header:
        """Return a header.

        Raises:
            ValueError: it does not read.
            UsageError: it is that of a version that this one cannot read.
        """
        schema = item.get("schema")
        if isinstance(schema, int) and schema > SCHEMA_VERSION:
            newer = f"einspec {item.get('einspec')} with schema {schema}"
            raise UsageError(
                f"{self.path} was written by {newer}; this one reads up to {SCHEMA_VERSION}: install a newer einspec"
            )
        header = msgspec.convert(item, Header)
        asked(header)
        return header

    def report(self, label: str, lines: int) -> Report:
        """Return the report, with stand-ins for the lines that are lost.

        Raises:
            UsageError: no line is one of a report.
        """
        if not (self.header or self.backends or self.results or self.footer):
            number, why = self.unread[0]
            raise UsageError(f"{self.path} is no einspec report: none of its lines is one, line {number}: {why}; {WRITTEN_BY}")
        losses = [] if self.header else ["its header"]
        for backend, device, *_ in self.results:
            if backend not in self.backends:
                self.backends[backend] = _unknown(backend)
                losses.append(f"the description of {backend}")
            known = self.backends[backend]
            if known.python == LOST:
                known.devices = known.available = list(dict.fromkeys([*known.devices, device]))
        header = self.header or self.lost_header()
        report = Report(label or header.host or self.path.stem, header, self.backends, [], self.footer)
        report.damage = self.damage(lines, losses)
        _sort(report, list(self.results.values()))
        return report

    def lost_header(self) -> Header:
        """Return what takes the place of a header that is lost: what the other lines tell of what was asked for."""
        told = {"targets": list(self.backends), "tiers": list(dict.fromkeys(r.tier for r in self.results.values()))}
        return Header(SCHEMA_VERSION, LOST, LOST, LOST, LOST, LOST, told)

    def damage(self, lines: int, losses: Sequence[str]) -> str:
        """Return in words what is lost of the file; a last line that was only begun is not among it."""
        unread = [u for u in self.unread if self.footer or u != (lines, "not JSON")]
        told = ", ".join(f"line {number}: {why}" for number, why in unread[:MOST_TOLD])
        more = f" and {len(unread) - MOST_TOLD} more" if len(unread) > MOST_TOLD else ""
        parts = [f"{len(unread)} of {lines} lines of {self.path} could not be read ({told}{more})"] if unread else []
        parts += [f"{self.path} has lost {' and '.join(losses)}"] if losses else []
        return "; ".join(parts)


def _unknown(name: str) -> Backend:
    """Return what takes the place of the description of a backend that is lost."""
    return Backend(name, LOST, False, {}, [], [], [], [], [], LOST, LOST)


def _sort(report: Report, results: list[Result]) -> None:
    """Put backends in the order in which they were asked for, and results in that of backend, device and op."""
    request, order = report.request, {op: i for i, op in enumerate(paths())}
    report.backends = dict(sorted(report.backends.items(), key=lambda item: asked_at(request, item[0])))
    for backend in report.backends.values():
        backend.ops.sort(key=lambda op: order.get(op, len(order)))
    names = {name: i for i, name in enumerate(report.backends)}
    results.sort(key=lambda r: (names.get(r.backend, len(names)), r.device, order.get(r.op, len(order))))
    report.results = results
