"""Judging a function where a test calls for it."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console

from einspec.card import Op, load, resolve
from einspec.clauses import clause_ids, nearest
from einspec.conformance.clauses import units
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge_unit
from einspec.conformance.judge.policy import Policy
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.reports.terminal import print_witness
from einspec.conformance.run.inside import InsideSession
from einspec.conformance.run.sheets import store
from einspec.conformance.targets.names import FRAMEWORKS
from einspec.conformance.testing.inside import name_of, session_of
from einspec.conformance.tiers import OPT_IN, TIERS
from einspec.patterns import added, parse

WIDTH = 100
"""Columns of a failure: what pytest shows without breaking lines."""


@dataclass(frozen=True)
class Summary:
    """What became of the clauses of an op, none of which failed."""

    function: str
    op: str
    framework: str
    held: Mapping[str, int]
    """The clauses that hold, each with the number of inputs on which it was judged."""
    refused: Mapping[str, str]
    """The clauses of which the function refuses calls that it need not offer, each with what it raised; in other tiers, of
    which it takes all calls, they may hold."""
    not_run: Mapping[str, str]
    """The clauses that could not be judged, each with the reason."""

    @property
    def inputs(self) -> int:
        """The number of inputs on which the function was right."""
        return sum(self.held.values())

    def __str__(self) -> str:
        counts = f"{len(self.held)} clauses hold on {self.inputs:,} inputs"
        others = f"{len(self.refused)} refused, {len(self.not_run)} not run"
        return f"{self.function} is {self.op} in {self.framework}: {counts}, {others}"


def check(
    function: Callable[..., Any],
    op: str,
    *,
    ties: Literal["first", "any"] = "first",
    strict: bool = False,
    framework: Literal["numpy", "torch", "jax"] | None = None,
    clauses: Iterable[str] | None = None,
    tiers: Iterable[str] = TIERS,
    seed: int | None = None,
    examples: int = 0,
) -> Summary:
    """Check that a function computes an op, on the calls on which ``einspec check`` judges it.

    The function is called in this process, for a test is of one's own code: nothing ends a call that hangs, and nothing keeps
    a function from the answers. ``einspec check FILE.py`` judges the code of strangers, in a process of its own.

    Args:
        function: the function, under any name: also a lambda, a partial, a method or an object that is called.
        op: the name of an op, or an alias; or a pattern, as ``einspec check --pattern`` takes it.
        ties: what it promises among equal values: the ``first`` of them, as the card says, or ``any``.
        strict: what a refusal is counted as: a failure if true. The function must then do all that the card says.
        framework: whose arrays it takes; by its annotations, what its module imports or a call, where it is not given.
        clauses: the ids of the clauses to judge, of those of ``einspec.clauses``; all if absent.
        tiers: in which ways it is judged.
        seed: where drawn calls come from; the same every time if absent.
        examples: how many calls are drawn; as many as usual if 0.

    Returns:
        What holds, what the function refuses and what could not be judged.

    Raises:
        AssertionError: a clause fails, or nothing could be judged; the message holds the smallest call that shows it.
        KeyError: there is no such op.
        TargetError: the framework is not installed.
        ValueError: there is no such clause, tier or framework.
    """
    __tracebackhide__ = True
    if "->" in op:
        name = parse(op).kind
        with added({name: (op, parameters_of(function))}):
            return check(
                function, name, ties=ties, strict=strict, framework=framework,
                clauses=clauses, tiers=tiers, seed=seed, examples=examples,
            )  # fmt: skip
    found = load(resolve(op))
    wanted, chosen = _wanted(found, clauses), tuple(tiers)
    _one_of("tier", chosen, (*TIERS, *OPT_IN))
    _one_of("framework", [framework] if framework else [], FRAMEWORKS)
    policy = Policy(strict, ties, False, examples, seed, chosen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is said of the judge's inputs is no news
        session = session_of(function, found, framework or "")
        results, failure = _judged(Context(session, found, store(), policy), wanted)
    if failure is not None:
        raise AssertionError(_message(failure, name_of(function), session))
    summary = _summary(results, name_of(function), found, session)
    if not summary.held:
        others = {**summary.refused, **summary.not_run}
        reasons = "; ".join(f"{c}: {r}" for c, r in others.items()) or "none was asked for"
        raise AssertionError(f"{summary}: {reasons}")
    return summary


def parameters_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters of a function, where it tells them."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _one_of(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Check that there is what is asked for.

    Raises:
        ValueError: there is not.
    """
    for name in given:
        if name not in known:
            raise ValueError(f"no {what} {name!r}; there are: {', '.join(known)}")


def _wanted(op: Op, clauses: Iterable[str] | None) -> frozenset[str]:
    """Return the clauses that are asked for.

    Raises:
        ValueError: the op has no such clause.
    """
    have = clause_ids(op)
    asked = have if clauses is None else tuple(c.removeprefix(f"{op.name}/") for c in clauses)
    for clause in asked:
        if clause not in have:
            near = nearest(op, clause)
            hint = f"did you mean {' or '.join(near)}?" if near else "einspec.clauses lists them"
            raise ValueError(f"{op.name} has no clause {clause!r}; {hint}")
    return frozenset(asked)


def _judged(context: Context, wanted: frozenset[str]) -> tuple[list[Result], Result | None]:
    """Return the results of clauses up to the first that fails, and that one."""
    found: list[Result] = []
    for clause, tier in units(context.op, context.policy.tiers):
        if clause not in wanted:
            continue
        result = judge_unit(context, clause, tier)
        refused = result.verdict is Verdict.REFUSED
        if result.verdict.fails or (refused and context.policy.strict):
            return found, result
        found.append(result)
    return found, None


def _summary(results: list[Result], function: str, op: Op, session: InsideSession) -> Summary:
    """Return what became of every clause; one that holds in a tier may be refused in another."""
    held: dict[str, int] = {}
    refused: dict[str, str] = {}
    not_run: dict[str, str] = {}
    for result in results:
        clause = result.clause.partition("/")[2]
        if result.verdict is Verdict.HOLDS:
            held[clause] = held.get(clause, 0) + result.instances
        elif result.verdict is Verdict.REFUSED:
            refused[clause] = result.reason
        else:
            not_run[clause] = result.reason
    not_run = {c: r for c, r in not_run.items() if c not in held and c not in refused}
    return Summary(function, op.name, session.framework, held, refused, not_run)


def _message(failure: Result, function: str, session: InsideSession) -> str:
    """Return a failure as the terminal prints it."""
    head = f"{failure.verdict.upper()} {failure.clause} · {function} · {session.framework}"
    return f"{head}\n{failure.reason}\n{witness_text(failure.witness or {})}\ntier {failure.tier}"


def witness_text(data: Mapping[str, Any]) -> str:
    """Return a witness as text."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, force_terminal=False)
    print_witness(dict(data), console)
    return out.getvalue().rstrip()
