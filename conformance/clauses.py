"""The clauses of an op: every promise of its card, each with a stable id, and what judges it."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterable, Iterator

from einspec.card import Op
from einspec.conformance.behaviour import LAYOUTS, check_conduct, check_error, check_layout, misfits
from einspec.conformance.definition import check_definition, check_dtypes, check_empty, check_nan, dtype_clauses
from einspec.conformance.judge import Context, Result, timed
from einspec.conformance.laws import check_law, laws_of
from einspec.conformance.transforms import TRANSFORMS, check_gradient, check_transform, gradients_of
from einspec.conformance.trials import free_ties

CONDUCT = ("pure", "repeat", "device")


def clauses(op: Op) -> list[str]:
    """Return the ids of the clauses of an op within it, such as ``def`` and ``law.inverse``; the same for every backend."""
    return [
        "def",
        "empty",
        *dtype_clauses(op),
        "nan",
        *CONDUCT,
        *(f"layout.{layout}" for layout in LAYOUTS),
        *(f"err.{constraint}" for constraint in misfits(op)),
        *(f"law.{law}" for law in laws_of(op)),
        *(f"grad.{name}" for name in gradients_of(op)),
        *(f"transform.{name}" for name in TRANSFORMS),
    ]


def tier_of(clause: str) -> str:
    """Return the tier that a clause belongs to; ``def`` belongs to three."""
    return "transform" if clause.startswith(("grad.", "transform.")) else "scope"


def judge(context: Context, only: Iterable[str] | None = None) -> Iterator[Result]:
    """Yield the result of every clause of an op, or of those named, in order, with the time that each took."""
    wanted = list(only) if only is not None else clauses(context.op)
    token = free_ties.set(context.ties == "any")
    try:
        for clause in wanted:
            if clause == "def" or tier_of(clause) in context.tiers:
                yield from timed(_one(context, clause))
    finally:
        free_ties.reset(token)


def _one(context: Context, clause: str) -> Iterator[Result]:
    entry = _declared(context, clause)
    if entry:
        yield Result(context.id(clause), tier_of(clause), "unsupported", 0, entry)
        return
    try:
        yield from _quietly(_check(context, clause))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({place.filename.rsplit('/', 1)[-1]}, line {place.lineno})"
        yield Result(context.id(clause), tier_of(clause), "errored", 0, reason[:500])


def _quietly(results: Iterator[Result]) -> Iterator[Result]:
    """Yield results without the warnings that a framework gives while it is judged, which are no news."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = next(results, None)
        if result is None:
            return
        yield result


def _check(context: Context, clause: str) -> Iterator[Result]:
    kind, _, detail = clause.partition(".")
    match kind:
        case "def":
            yield from check_definition(context)
        case "empty":
            yield from check_empty(context)
        case "dtype" | "index":
            if "dtypes" not in context.cache:
                context.cache["dtypes"] = check_dtypes(context)
            yield context.cache["dtypes"][clause]
        case "nan":
            yield from check_nan(context)
        case "pure" | "repeat" | "device":
            if "conduct" not in context.cache:
                context.cache["conduct"] = {r.clause: r for r in check_conduct(context)}
            yield context.cache["conduct"][context.id(clause)]
        case "layout":
            yield from check_layout(context, detail)
        case "err":
            yield from check_error(context, detail)
        case "law":
            yield from check_law(context, detail)
        case "grad":
            yield from check_gradient(context, detail)
        case "transform":
            yield from check_transform(context, detail)


def _declared(context: Context, clause: str) -> str:
    """Return the reason that a backend gives for not supporting a clause here, or nothing."""
    session = context.session
    for what, dtype, device, reason, url in session.target.unsupported:
        covers = what in (context.op.name, context.id(clause)) and dtype in ("*", clause.removeprefix("dtype."))
        if covers and device in ("*", session.device, session.device.partition(":")[0]):
            return f"{reason} {url}".strip()
    return ""
