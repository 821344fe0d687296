"""What became of clauses from one report to the next: better, worse, new, gone; and what changed around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from einspec.conformance.judge.verdict import Result
from einspec.conformance.reports.report import Report

RANK = {"holds": 2, "refused": 1, "known": 0, "unsupported": 0, "not run": 0, "wrong": -1, "errored": -1}
"""What a verdict is worth: less is worse. Between those of the same worth a change is neither."""
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Change:
    """One clause whose verdict is another one now; ``None`` where the report does not have the clause."""

    backend: str
    device: str
    clause: str
    tier: str
    old: Result | None
    new: Result | None

    @property
    def title(self) -> str:
        """What happened to it."""
        if self.new is None:
            return "gone"
        if self.old is None:
            return f"new clause, {self.new.verdict}"
        words = {"holds": "holding", "wrong": "wrong", "errored": "errored"}
        return f"newly {words.get(self.new.verdict, self.new.verdict)}, {was(self.old)} before"

    @property
    def worse(self) -> bool:
        """Whether it is less than it was: a clause that is gone is worse where it held or was refused."""
        if self.old is None:
            return self.new is not None and RANK[self.new.verdict] < 0
        return (RANK[self.new.verdict] if self.new else 0) < RANK[self.old.verdict]

    @property
    def better(self) -> bool:
        """Whether it is more than it was; a failure that is only no longer judged is not."""
        if self.new is None or self.new.verdict in ("not run", "unsupported", "known"):
            return False
        return self.old is not None and RANK[self.new.verdict] > RANK[self.old.verdict]


def clauses(number: int) -> str:
    """Return a number of clauses in words."""
    return f"{number:,} clause{'' if number == 1 else 's'}"


def was(result: Result) -> str:
    """Return a verdict as something past."""
    return {"holds": "held"}.get(result.verdict, result.verdict)


@dataclass
class Diff:
    """What differs between two reports."""

    changes: list[Change] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    """Versions and machines that changed, and what was left out of the comparison."""
    losses: list[str] = field(default_factory=list)
    """What makes the newer report worse as a whole."""
    compared: int = 0
    """Clauses that both reports have."""

    @property
    def worse(self) -> list[Change]:
        """The changes for the worse."""
        return [c for c in self.changes if c.worse]

    @property
    def better(self) -> list[Change]:
        """The changes for the better."""
        return [c for c in self.changes if c.better]

    @property
    def other(self) -> list[Change]:
        """The changes that are neither."""
        return [c for c in self.changes if not c.worse and not c.better]

    @property
    def passed(self) -> bool:
        """Whether nothing got worse."""
        return not self.worse and not self.losses


def diff(old: Report, new: Report) -> Diff:
    """Return what differs; backends are the same by name and device.

    What the newer run was not asked for is left out and said, so that a run of one op compares with a run of all.
    """
    before, after = _keyed(old), _keyed(new)
    found, left_out = Diff(facts=list(_facts(old, new))), 0
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if one and other:
            found.compared += 1
        if other is None and not asked(new, key):
            left_out += 1
        elif one is None or other is None or one.verdict != other.verdict:
            found.changes.append(Change(*key, one, other))
    if left_out:
        found.facts.append(f"left out, as the newer run was not asked for them: {clauses(left_out)}")
    if new.incomplete and not old.incomplete:
        found.losses.append(f"{new.label}: {new.incomplete}")
    found.losses += [p for p in new.run.problems if p not in old.run.problems and p not in found.losses and not new.incomplete]
    return found


def _keyed(report: Report) -> dict[Key, Result]:
    return {(r.backend, r.device, r.clause, r.tier): r for r in report.results}


def asked(report: Report, key: Key) -> bool:
    """Whether a run was asked for a clause, as its header tells; a backend that it lists or that is named there."""
    backend, device, clause, tier = key
    request = report.request
    return (
        (backend in report.backends or backend in request.names)
        and (not request.ops or clause.partition("/")[0] in request.ops)
        and (not request.devices or bool({device, device.partition(":")[0]} & set(request.devices)))
        and tier in request.tiers
    )


def _facts(old: Report, new: Report) -> Iterator[str]:
    for what in ("einspec", "spec", "python", "platform"):
        one, other = getattr(old.header, what), getattr(new.header, what)
        if one != other:
            yield f"{what}: {one}, now {other}"
    for name, backend in new.backends.items():
        if name not in old.backends:
            yield f"{name}: only in the newer report"
            continue
        versions, now = old.backends[name].versions, backend.versions
        for package in dict.fromkeys([*versions, *now]):
            if versions.get(package) != now.get(package):
                yield f"{name}: {package} {versions.get(package, 'absent')}, now {now.get(package, 'absent')}"
    yield from (f"{name}: only in the older report" for name in old.backends if name not in new.backends)
    for option in ("strict", "ties"):
        one, other = (getattr(r.request, option) for r in (old, new))
        if one != other:
            yield f"asked with {option}={one}, now {option}={other}"
