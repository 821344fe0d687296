"""The lines of a report, and their JSON Schema: a header, then backends and results as they come, a footer."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from einspec.conformance.judge.verdict import Result
from einspec.conformance.tiers import OPT_IN, TIERS

SCHEMA_VERSION = 1
"""Raised when an older reader would misunderstand a report; a new field alone does not raise it."""


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


CLAUSE = "[a-z0-9_]+/.+"
"""What the id of a clause looks like."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a report; a reader should ignore fields that it does not know."""
    (lines, result), definitions = msgspec.json.schema_components(
        [Header | Backend | Footer, Result], ref_template="#/$defs/{name}"
    )
    body = definitions["Result"]
    body["description"] = "What became of one clause on one device in one tier; the last line about it counts."
    body["properties"] = {"kind": {"enum": ["result"]}, **body["properties"]}
    body["properties"]["clause"]["pattern"] = f"^{CLAUSE}$"
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
