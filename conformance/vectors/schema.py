"""The JSON Schema of the index of a folder of golden vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from einspec.conformance.vectors.folder import FORMAT, RULES
from einspec.conformance.vectors.vectors import STORED
from einspec.dtypes import ALL


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the index."""
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    case = {"id": text, "params": {"type": "object"}}
    output = _closed({"dtype": {"enum": list(STORED)}, "rule": {"enum": list(RULES)}})
    given = _closed({"dtype": {"enum": list(ALL)}, "shape": {"anyOf": [shape, {"type": "array", "items": shape}]}})
    call = _closed({**case, "outputs": {"type": "object", "additionalProperties": output}})
    rejected = _closed(
        {**case, "inputs": {"type": "object", "additionalProperties": given}, "rejects": text, "why": text},
    )
    form = _closed({"signature": text, "formula": texts, "inputs": texts, "outputs": texts, "lists": texts})
    op = {
        "file": {"type": "string", "pattern": "^[a-z0-9_]+[.]safetensors$"},
        "summary": text,
        "choice": text,
        "forms": {"type": "object", "additionalProperties": form},
        "clauses": {"type": "object", "additionalProperties": text},
        "left_out": texts,
        "cases": {"type": "array", "items": {"oneOf": [call, rejected]}, "minItems": 1},
    }
    index = {
        "format": {"const": FORMAT},
        "einspec": text,
        "spec": text,
        "ops": {"type": "object", "additionalProperties": _closed(op)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "the index of a folder of golden vectors of einspec",
        **_closed(index),
    }


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
