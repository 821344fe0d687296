"""Tracing clauses: none goes, and none comes to mean something else, while the spec version stays the same.

``spec/clauses.json`` holds for every clause a digest of the normative text that it rests on: what its kind promises, and the
parts of the card that say the rest, as they are after parsing, so that blanks, notes and references do not matter.

    python -m einspec.conformance.trace            says how many clauses there are and what differs from the record
    python -m einspec.conformance.trace --record   writes the record
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

import einspec
from einspec.card import Form, Op, Term, load
from einspec.clauses import KINDS, clause_ids

RECORD = Path(einspec.__file__).parent / "clauses.json"
WHOLE = ("signature", "dtype", "equations", "sizes", "require", "params", "axes", "stores")
"""The parts of a card that say what an op computes."""
CALL = ("signature", "sizes", "params", "axes")
"""The parts that say which calls there are."""
TENSORS = ("signature",)


RESTS_ON = {
    "def": WHOLE,
    "values": WHOLE,
    "total": (*WHOLE, "assume"),
    "empty": WHOLE,
    "result": (*TENSORS, "dtype"),
    "dtype": WHOLE,
    "index": WHOLE,
    "nan": WHOLE,
    "pure": TENSORS,
    "repeat": TENSORS,
    "device": TENSORS,
    "layout": WHOLE,
    "err": CALL,
    "law": CALL,
    "grad": WHOLE,
    "grad64": WHOLE,
    "transform": WHOLE,
    "state": TENSORS,
}
"""The parts of a card on which the clauses of a kind rest."""


def meaning(op: Op, clause: str) -> Any:
    """Return all that the meaning of a clause rests on, as numbers, strings and lists."""
    kind, _, detail = clause.partition(".")
    forms = {name: [_part(op, form, part) for part in RESTS_ON[kind]] for name, form in op.forms.items()}
    extra: Any = None
    if kind == "law":
        extra = {name: _law(form, detail) for name, form in op.forms.items()}
    elif kind == "err" and detail.startswith("require."):
        extra = {name: _plain(form.require.get(detail.removeprefix("require."))) for name, form in op.forms.items()}
    elif kind == "err" and detail.startswith("dtype."):
        extra = {name: form.dtype.get(detail.removeprefix("dtype.")) for name, form in op.forms.items()}
    return [clause, KINDS[kind], op.choice, forms, extra]


def digest(op: Op, clause: str) -> str:
    """Return a short digest of the meaning of a clause."""
    text = json.dumps(meaning(op, clause), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _part(op: Op, form: Form, part: str) -> Any:
    """Return one part of what a card says for a form."""
    match part:
        case "params":
            return {name: _param(name, param) for name, param in op.card.params.items()}
        case "axes" | "stores":
            return _plain(msgspec.to_builtins(getattr(op.card, part)))
    return _plain(getattr(form, part))


def _param(name: str, param: Any) -> Any:
    """Return a parameter without its description and the values that the judge tries."""
    told = msgspec.to_builtins(param)
    return {"sets": param.targets(name), **{k: str(v) for k, v in told.items() if k not in ("doc", "values", "size", "int")}}


def _law(form: Form, detail: str) -> Any:
    """Return what a form states of a law, an expression as its tree."""
    kind, _, name = detail.partition(".")
    value = getattr(form.laws, kind)
    if isinstance(value, dict):
        value = value.get(name, "")
    elif name:
        value = name in value.split()
    return _expression(value) if isinstance(value, str) else value


def _expression(text: str) -> str:
    """Return an expression without what does not matter in it: blanks, line breaks, quotes, brackets around all of it."""
    try:
        return ast.dump(ast.parse(f"({text.strip()})", mode="eval").body)
    except SyntaxError:
        return " ".join(text.split())


def _plain(value: Any) -> Any:
    """Return a tree as lists; what a term was written like is left out."""
    if isinstance(value, Term):
        return _expression(value.text)
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, f.name)) for f in fields(value) if f.name != "text")]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


@functools.cache
def current() -> dict[str, dict[str, str]]:
    """Return the digest of every clause, by op and clause."""
    return {name: {c: digest(op, c) for c in clause_ids(op)} for name, op in ((n, load(n)) for n in einspec.ops())}


def recorded(path: Path = RECORD) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the spec version of the record and its digests; nothing where there is none."""
    if not path.is_file():
        return "", {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return str(data["spec"]), data["clauses"]


def changes(version: str, before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield what a spec version may not do: take a clause away, or give it another meaning.

    Args:
        version: the version for which the record was made.
        before: the digests of the record.
        now: the digests as they are.
    """
    if version != einspec.SPEC_VERSION:
        return
    for op, ids in before.items():
        found = now.get(op, {})
        gone = [f"{op}/{c}" for c in ids if c not in found]
        other = [f"{op}/{c}" for c, known in ids.items() if found.get(c, known) != known]
        if gone:
            yield f"gone from spec {version}: {_few(gone)}: bring them back, or raise SPEC_VERSION and record again"
        if other:
            yield (
                f"not what spec {version} said: {_few(other)}: take the change back, or raise SPEC_VERSION and record again; "
                f"where only the wording differs, --record --reworded {op}"
            )


def _few(ids: Sequence[str]) -> str:
    """Return the first of some ids, and how many there are."""
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


def missing(version: str, before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield what has to be recorded: a new spec version, clauses that are not there."""
    if version != einspec.SPEC_VERSION:
        yield f"the record is of spec {version or '(none)'}, not {einspec.SPEC_VERSION}: record again"
    new = [f"{op}/{c}" for op, ids in now.items() for c in ids if c not in before.get(op, {})]
    if new:
        yield f"{len(new):,} clauses are not recorded, {new[0]} the first of them: record again"


def record(now: Mapping[str, Mapping[str, str]], path: Path = RECORD) -> None:
    """Write the digests of all clauses."""
    text = json.dumps({"spec": einspec.SPEC_VERSION, "clauses": now}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None, path: Path = RECORD) -> int:
    """Say how many clauses there are and how they stand to the record; return the exit status."""
    parser = argparse.ArgumentParser("python -m einspec.conformance.trace", description=main.__doc__)
    parser.add_argument("--record", action="store_true", help="write the record: new clauses, or all of a new spec version")
    parser.add_argument("--reworded", action="append", default=[], metavar="OP", help="it says the same in other words; or all")
    asked = parser.parse_args(argv)
    if asked.reworded and not asked.record:
        parser.error("--reworded goes with --record: alone it would hide what has changed")
    (version, before), now = recorded(path), current()
    known = {op: ids for op, ids in before.items() if not {op, "all"} & set(asked.reworded)}
    wrong = list(changes(version, known, now))
    if asked.record and not wrong:
        record(now, path)
        version, before = recorded(path)
    wrong += list(missing(version, before, now))
    counts = Counter(c.partition(".")[0] for ids in now.values() for c in ids)
    kept = sum(c in before.get(op, {}) for op, ids in now.items() for c in ids)
    print(f"spec {einspec.SPEC_VERSION}: {counts.total():,} clauses of {len(now)} ops, {kept:,} recorded")
    print("  " + ", ".join(f"{kind} {n:,}" for kind, n in counts.items()))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
