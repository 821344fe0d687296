"""Citations found in any text, and whether the spec that is installed still means what they cite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import einspec
from einspec import released
from einspec.card import Op, load, used
from einspec.clauses import clause_ids, find
from einspec.demands import demand
from einspec.meaning import RESTS_ON, digest, recorded
from einspec.pages.sources import authority

BETWEEN = r"(?:[^\w\[\]]|\\[a-zA-Z]+|</?[a-z]+>|&[a-z]+;)"
"""What may stand between two words of a citation: blanks, marks of a comment, of Markdown, of LaTeX, of HTML."""
VERSION = re.compile(
    rf"\beinspec{BETWEEN}{{1,20}}?spec{BETWEEN}{{1,20}}?(?P<version>\d+(?:\.\d+)+)"
    rf"(?:{BETWEEN}{{0,20}}?\[(?P<digest>[^\[\]]{{0,80}})\])?"
)
"""The end of a citation: what it is of, and the digest."""
ADDRESS = re.compile(
    r"(?<![\w/.\\-])(?P<address>(?>[a-z](?:[a-z0-9]|\\?_)*)(?:/(?:[a-z0-9.]|\\?_)*[a-z0-9])?)"
    rf"(?:[`*}}]*\]\([^()\s]*\))?{BETWEEN}{{1,60}}$"
)
"""What stands before it: an op, or an op and a clause, underscores perhaps escaped as LaTeX wants them, perhaps as a link."""
REACH = 400
"""How many characters before the end of a citation its beginning is looked for."""
WHOLE = re.compile(r"[0-9a-f]{12}")
PARTS = {
    "signature": "the signature",
    "dtype": "the dtypes",
    "equations": "the definition",
    "sizes": "the sizes that follow from others",
    "require": "the requirements",
    "params": "the parameters",
    "axes": "the least sizes of axes",
    "stores": "what may be rounded on the way",
    "assume": "what callers promise",
}
"""What the parts of a card are called, on which a clause rests."""


class Outcome(StrEnum):
    """What became of a citation."""

    SAME = "same"
    OTHER = "other"
    """The op or clause means something else here."""
    UNKNOWN = "unknown"
    """There is no such op or clause here."""
    UNREADABLE = "unreadable"
    """It does not say enough to be checked."""


class Cited(NamedTuple):
    """A citation in a text."""

    line: int
    address: str
    """The op, or the op and the clause; ``""`` where none stands before."""
    version: str
    digest: str | None
    """What stands in brackets; None where there are none."""


def citations(text: str) -> Iterator[Cited]:
    """Yield the citations in a text.

    An op or clause, ``einspec spec``, a version and a digest in brackets make one, whatever marks stand between them, over
    line breaks too. Without a digest a clause alone is one that cannot be checked; the name of an op may be any word.
    """
    for found in VERSION.finditer(text):
        first = max(0, found.start() - REACH)
        before = ADDRESS.search(text[first : found.start()])
        address = before["address"].replace("\\_", "_") if before else ""
        inside = found["digest"]
        if inside is None and "/" not in address:
            continue
        start = first + before.start("address") if before else found.start()
        shown = None if inside is None else re.sub(r"\\[a-zA-Z]+|[\W_]+", "", inside)
        yield Cited(text.count("\n", 0, start) + 1, address, found["version"], shown)


def check(cited: Cited) -> tuple[Outcome, str]:
    """Return what became of a citation, and why, in words."""
    if not cited.address:
        return Outcome.UNREADABLE, "a citation of einspec without an op or a clause before it"
    if cited.digest is None:
        return Outcome.UNREADABLE, f"{cited.address} has no digest to check: einspec cite {cited.address} gives it"
    if not WHOLE.fullmatch(cited.digest):
        text = f"[{cited.digest}] is no digest of 12 hexadecimal digits: einspec cite {cited.address} gives it"
        return Outcome.UNREADABLE, f"{cited.address}: {text}"
    try:
        op, clause = find(cited.address)
    except KeyError as error:
        return (
            Outcome.UNKNOWN,
            f"{cited.address} of spec {cited.version} is not in spec {einspec.SPEC_VERSION}: {error.args[0]}",
        )
    here = digest(op, clause or "def")
    if here == cited.digest:
        return Outcome.SAME, f"{cited.address} means the same in spec {einspec.SPEC_VERSION} [{here}]"
    head = f"{cited.address} means something else: cited of spec {cited.version} [{cited.digest}]"
    lines = [f"{head}, spec {einspec.SPEC_VERSION} here has [{here}]", *_difference(op, clause or "def", cited)]
    return Outcome.OTHER, "\n  ".join(lines)


def _difference(op: Op, clause: str, cited: Cited) -> Iterator[str]:
    """Yield what is known of how a clause differs from what was cited."""
    version, before = recorded()
    known = before.get(op.name, {})
    earlier = _as_of(cited.version, op, clause)
    others = [c for c in clause_ids(op) if digest(op, c) == cited.digest]
    if earlier == cited.digest:
        yield f"that is what spec {cited.version} said: einspec changes {op.name} --since {cited.version} shows what changed"
    elif others:
        yield f"[{cited.digest}] is what {op.name}/{others[0]} means: the digest of one clause stands with another"
    elif known.get(clause) == cited.digest:
        yield f"spec {version} was recorded with what is cited, and the card was changed since, in {_changed(op, clause)}"
    elif cited.version == version or (earlier and clause == "def"):
        yield f"spec {cited.version} never had it: the digest was not copied whole, or is of a card that was changed"
    else:
        yield f"of spec {cited.version} there is no record here: install the einspec that has it to see what it said"
    yield f"here: {demand(op, clause)}"
    yield f"einspec show {op.name}/{clause} shows the lines of the card on which it rests"


def _as_of(version: str, op: Op, clause: str) -> str:
    """Return the digest of a clause in what is kept of an earlier version, ``""`` for none; that of ``def`` is exact."""
    if version not in released.versions() or op.name not in released.digests(version):
        return ""
    return digest(released.load_as_of(version, op.name), clause)


def _changed(op: Op, clause: str) -> str:
    """Return the parts of a card that can have changed: those on which no clause rests that is as it was recorded."""
    _, before = recorded()
    steady = {c for c, known in before[op.name].items() if c in clause_ids(op) and digest(op, c) == known}
    kept = {part for c in steady for part in RESTS_ON[c.partition(".")[0]]}
    required = {c for c in {*before[op.name], *clause_ids(op)} if c.startswith("err.require.")}
    kept |= {"require"} if required <= steady else set()
    parts = [PARTS[part] for part in RESTS_ON[clause.partition(".")[0]] if part not in kept]
    through = [name for name in used(op) if before.get(name, {}).get("def") != digest(load(name), "def")]
    return " or ".join([*(parts or [authority(clause)]), *(f"the card of {name}, which it uses" for name in through)])
