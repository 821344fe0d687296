"""The clauses of an op: every promise of its card, each with a stable id, and what judges it."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

from einspec.card import Op, load
from einspec.conformance import OPT_IN, TIERS
from einspec.conformance.behaviour import LAYOUTS, check_layout, conduct
from einspec.conformance.declared import unknown_devices
from einspec.conformance.definition import check_definition, check_empty
from einspec.conformance.expect import loses_nan
from einspec.conformance.gradients import check_gradient, gradients_of
from einspec.conformance.judge import Context, Result, timed
from einspec.conformance.known import holding_back
from einspec.conformance.laws import check_law, laws_of
from einspec.conformance.nan import check_nan
from einspec.conformance.rejects import check_error
from einspec.conformance.scale.large import check_large
from einspec.conformance.surroundings import changed, check_state, restore, surroundings
from einspec.conformance.targets import Target, TargetError
from einspec.conformance.transforms import TRANSFORMS, check_transform
from einspec.conformance.trials import free_ties
from einspec.conformance.typed import check_dtype, dtype_clauses
from einspec.conformance.witness import told
from einspec.constraints import constraints

CONDUCT = ("pure", "repeat", "device")
Check = Callable[[Context, str, str], Iterable[Result]]
"""Takes the context, the part of the clause id behind its kind, and the tier."""
CHECKS: dict[str, Check] = {
    "def": lambda context, _, tier: check_large(context) if tier == "large" else check_definition(context, tier),
    "empty": lambda context, *_: check_empty(context),
    "dtype": lambda context, name, _: check_dtype(context, f"dtype.{name}"),
    "index": lambda context, name, _: check_dtype(context, f"index.{name}"),
    "nan": lambda context, *_: check_nan(context),
    **{name: lambda context, *_, name=name: [conduct(context)[context.id(name)]] for name in CONDUCT},
    "layout": lambda context, layout, _: check_layout(context, layout),
    "err": lambda context, constraint, _: check_error(context, constraint),
    "law": lambda context, law, _: check_law(context, law),
    "grad": lambda context, wrt, _: check_gradient(context, wrt),
    "transform": lambda context, name, _: check_transform(context, name),
    "state": lambda context, *_: check_state(context),
}
"""What judges a clause, by the kind that its id begins with."""


def clauses(op: Op) -> list[str]:
    """Return the ids of the clauses of an op within it, such as ``def`` and ``law.inverse``; the same for every backend."""
    return [
        "def",
        "empty",
        *dtype_clauses(op),
        "nan",
        *CONDUCT,
        *(f"layout.{layout}" for layout in LAYOUTS),
        *(f"err.{constraint}" for constraint in constraints(op)),
        *(f"law.{law}" for law in laws_of(op)),
        *(f"grad.{name}" for name in gradients_of(op)),
        *(f"transform.{name}" for name in TRANSFORMS),
        "state",
    ]


def tiers_of(clause: str) -> tuple[str, ...]:
    """Return the tiers in which a clause is judged."""
    if clause == "def":
        return (*(t for t in TIERS if t != "transform"), *OPT_IN)
    return ("transform",) if clause.startswith(("grad.", "transform.")) else ("scope",)


def units(op: Op, tiers: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is judged one after the other: each clause of an op in each of these tiers that it belongs to."""
    return [(clause, tier) for clause in clauses(op) for tier in tiers_of(clause) if tier in tiers]


def judge(context: Context, only: Iterable[str] | None = None) -> Iterator[Result]:
    """Yield the results of every clause of an op, or of those named, in order, with the time that each took."""
    wanted = None if only is None else list(only)
    for clause, tier in units(context.op, context.tiers):
        if wanted is None or clause in wanted:
            yield from judge_unit(context, clause, tier)


def judge_unit(context: Context, clause: str, tier: str) -> list[Result]:
    """Return what becomes of a clause in a tier; what it changes in the process around it is put right again."""
    excuse = context.session.target.excuse(context.op.name, clause, context.session.device)
    if excuse:
        return [Result(context.id(clause), tier, "unsupported", 0, excuse)]
    adapter = context.session.adapter
    before = surroundings(adapter)
    token = free_ties.set(context.ties == "any")
    lossy = loses_nan.set(context.bare and getattr(adapter, "loses_nan_in_maxima", False))
    try:
        return list(timed(holding_back(context, clause, tier, lambda: _guarded(context, clause, tier))))
    finally:
        free_ties.reset(token)
        loses_nan.reset(lossy)
        for change in changed(before, surroundings(adapter)):
            context.changes.setdefault(change, f"{clause} ({tier})")
        restore(adapter, before)


def _guarded(context: Context, clause: str, tier: str) -> Iterator[Result]:
    """Yield results; what the judge or the adapter raises is one, and the warnings that a framework gives are no news."""
    kind, _, detail = clause.partition(".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from list(CHECKS[kind](context, detail, tier))
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{told(error)} ({place.filename.rsplit('/', 1)[-1]}, line {place.lineno})"
        yield Result(context.id(clause), tier, "errored", 0, reason[:500])


def check_declared(target: Target) -> None:
    """Check that what a target says of itself names clauses and devices that there are, each failure once.

    Raises:
        TargetError: an id or a device is unknown, or two entries are about the same failure; the message gives what there is.
    """
    for problem in unknown_devices(target.unsupported, target.adapter):
        raise TargetError(f"{target.name}: {problem}")
    for i, known_failure in enumerate(target.known):
        same = next((k for k in target.known[:i] if k.overlaps(known_failure) and k.where != known_failure.where), None)
        if same:
            raise TargetError(f"{target.name}: {same.where} and {known_failure.where} are about the same failure: delete one")
        op, _, clause = known_failure.clause.partition("/")
        if clause in clauses(load(op)) and known_failure.tier not in tiers_of(clause):
            tiers = ", ".join(tiers_of(clause))
            raise TargetError(
                f"{target.name}: {known_failure.where}: {known_failure.clause} is judged in {tiers}, no other tier"
            )
    for what, where in target.declared:
        op, slash, clause = what.partition("/")
        if slash and clause not in (known := clauses(load(op))):
            near = [c for c in known if c.startswith(clause.partition(".")[0])]
            raise TargetError(f"{target.name}: {where}: no clause {what}; {op} has {', '.join(near or known)}")
