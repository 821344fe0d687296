"""Whether what a target says of itself names clauses and devices that there are, each failure once."""

from __future__ import annotations

from einspec.card import load
from einspec.clauses import clause_ids
from einspec.conformance.clauses import tiers_of
from einspec.conformance.targets.declared import never_tried, unknown_devices
from einspec.conformance.targets.names import TargetError
from einspec.conformance.targets.session import Session


def check_declared(session: Session) -> None:
    """Check what a target says of itself.

    Raises:
        TargetError: an id or a device is unknown, or two entries are about the same failure; the
            message gives what there is.
    """
    name, target = session.target.name, session.target
    problems = [*unknown_devices(session.unsupported, target.known_devices, target.devices)]
    problems += never_tried(session.known, session.unsupported)
    for problem in problems:
        raise TargetError(f"{name}: {problem}")
    for i, known in enumerate(session.known):
        same = next((k for k in session.known[:i] if k.overlaps(known) and k.where != known.where), None)
        if same:
            both = f"{same.where} and {known.where}"
            raise TargetError(f"{name}: {both} are about the same failure: delete one")
        op, _, clause = known.clause.partition("/")
        if clause in clause_ids(load(op)) and known.tier not in tiers_of(clause):
            tiers = ", ".join(tiers_of(clause))
            raise TargetError(f"{name}: {known.where}: {known.clause} is judged in {tiers}, no other tier")
    entries = [*((u.what, "unsupported") for u in session.unsupported), *((k.clause, k.where) for k in session.known)]
    for what, where in entries:
        op, slash, clause = what.partition("/")
        if slash and clause not in (have := clause_ids(load(op))):
            near = [c for c in have if c.startswith(clause.partition(".")[0])]
            raise TargetError(f"{name}: {where}: no clause {what}; {op} has {', '.join(near or have)}")
