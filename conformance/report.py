"""Reports as JSON Lines: a header, a line a backend, a line a result, a footer. A report that was cut off still reads."""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

import einspec
from einspec.conformance import TIERS
from einspec.conformance.judge import VERDICTS, Result
from einspec.conformance.run import Run

SCHEMA_VERSION = 1


def lines(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the lines of the report of a run."""
    yield {
        "kind": "header",
        "schema": SCHEMA_VERSION,
        "einspec": einspec.__version__,
        "spec": einspec.SPEC_VERSION,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "asked": {
            "targets": list(run.request.names),
            "ops": list(run.request.ops),
            "devices": list(run.request.devices),
            "tiers": list(run.request.tiers),
            "strict": run.request.strict,
            "ties": run.request.ties,
        },
    }
    for backend in run.backends.values():
        yield {"kind": "backend", **backend}
    for result in run.results:
        yield {"kind": "result", **result.as_dict()}
    yield {
        "kind": "footer",
        "complete": run.complete,
        "passed": run.passed,
        "seconds": run.seconds,
        "counts": run.counts,
        "problems": run.problems,
    }


def write(run: Run, path: Path) -> None:
    """Write the report of a run."""
    with path.open("w", encoding="utf-8") as file:
        dump(lines(run), file)


def dump(items: Iterable[dict[str, Any]], file: TextIO) -> None:
    """Write lines as JSON Lines."""
    for item in items:
        file.write(json.dumps(item, allow_nan=False, default=str) + "\n")


def read(path: Path) -> list[Result]:
    """Return the results of a report, also of one that was cut off in the middle of a line."""
    results = []
    names = {f.name for f in fields(Result)}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            item = json.loads(line)
        except json.JSONDecodeError:
            break
        if item.get("kind") == "result":
            results.append(Result(**{k: v for k, v in item.items() if k in names}))
    return results


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a report."""
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    texts, objects = {"type": "array", "items": text}, {"type": "object"}
    result = {
        "kind": {"const": "result"},
        "clause": {"type": "string", "pattern": "^[a-z0-9_]+/.+$"},
        "tier": {"enum": list(TIERS)},
        "verdict": {"enum": list(VERDICTS)},
        "instances": count,
        "reason": text,
        "witness": objects,
        "backend": text,
        "device": text,
        "seconds": {"type": "number"},
    }
    backend = {
        "kind": {"const": "backend"},
        "name": text,
        "framework": text,
        "bare": {"type": "boolean"},
        "versions": objects,
        "available": texts,
        "devices": texts,
        "absent": texts,
        "ops": texts,
        "missing": texts,
        "python": text,
        "platform": text,
    }
    header = {
        "kind": {"const": "header"},
        "schema": {"const": SCHEMA_VERSION},
        "einspec": text,
        "spec": text,
        "created": text,
        "platform": text,
        "python": text,
        "asked": objects,
    }
    footer = {
        "kind": {"const": "footer"},
        "complete": {"type": "boolean"},
        "passed": {"type": "boolean"},
        "seconds": {"type": "number"},
        "counts": objects,
        "problems": texts,
    }
    optional = {"reason", "witness"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "one line of an einspec report",
        "oneOf": [
            {
                "type": "object",
                "properties": p,
                "required": [k for k in p if k not in optional],
                "additionalProperties": False,
            }
            for p in (header, backend, result, footer)
        ],
    }
