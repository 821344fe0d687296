"""Which op a function computes, found by asking it a few telling calls."""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from einspec.calls import cases
from einspec.calls.inputs import ramps
from einspec.calls.space import Case
from einspec.card import Op, load, paths
from einspec.conformance import protocol
from einspec.conformance.checks.trials import EAGER, ordinary, plain_trial
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.wrongness import wrong_output
from einspec.conformance.protocol import Outcome
from einspec.conformance.targets.names import TargetError
from einspec.conformance.targets.process import Limits, LostError, free_memory
from einspec.conformance.targets.session import Host, Session
from einspec.conformance.targets.spelling import placed
from einspec.conformance.trial import Trial

Array = np.ndarray[Any, Any]
Fixed = tuple[tuple[str, Any], ...]
"""Parameters for which a function has no place, with what it does."""
TELLING = 6
"""Calls of different sizes that a guess must stand before it is looked at closely."""
LEAST = 3
"""Calls that must give what an op gives, and not what they were given, for a guess to be worth a word."""
MOST_LOST = 3
"""Ops for which a function may end its process, or come to no end, before it is given up."""
NEAR = 2
"""How many ops that do not agree are named."""
MOST = 64
"""Calls on which a guess that is left is confirmed."""
SCOPE = 400
"""Assignments of small sizes among which these are."""


@dataclass(frozen=True)
class Guess:
    """An op that a function may compute."""

    op: str
    fixed: Fixed
    """The parameters for which the function has no place, as it behaves."""
    calls: int
    """How many calls gave what the op gives."""
    different: int = 0
    """How many gave something else."""

    @property
    def agrees(self) -> bool:
        """Whether no call told the function from the op."""
        return not self.different

    def __str__(self) -> str:
        return ", ".join([self.op, *(f"{name}={value!r}" for name, value in self.fixed)])


def identify(name: str, function: str, seconds: float, ops: Sequence[str] = ()) -> list[Guess]:
    """Return the ops that a function may compute, those that agree on all calls first.

    Args:
        name: a Python file or a module.
        function: the name of the function in it.
        seconds: how long a call may compute.
        ops: which ops are thought of; all if empty.

    Raises:
        TargetError: there is no such function, or it ends its process.
    """
    host = Host(name, Limits(seconds, free_memory()), functions=dict.fromkeys(ops or paths(), function))
    found: list[Guess] = []
    lost = 0
    try:
        for target in host.open():
            session = Session(host, target, target.devices[0])
            for op in map(load, session.functions):
                try:
                    found += _guesses(session, op)
                except LostError as error:
                    lost += 1
                    if lost == MOST_LOST:
                        raise TargetError(f"{function} ends its process: {error.reason}") from error
    finally:
        host.close()
    return sorted(found, key=lambda g: (not g.agrees, g.different, -g.calls))


def functions_in(path: str) -> list[str]:
    """Return the names of the functions that a Python file defines.

    Raises:
        UsageError: it defines none, or cannot be read.
    """
    try:
        tree = ast.parse(Path(path).read_bytes(), path)
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    if not names:
        raise UsageError(f"{path} defines no function; name one that it imports as {path}:FUNCTION")
    return names


def said(guesses: Sequence[Guess]) -> str:
    """Return in a line what was found."""
    same = [g for g in guesses if g.agrees]
    if len(same) == 1:
        return f"{same[0]} (the same on all {same[0].calls} calls)"
    if same:
        return f"{' and '.join(map(str, same))} (nothing that was asked tells them apart)"
    near = [f"{g} on {g.calls} of {g.calls + g.different} calls" for g in guesses[:NEAR]]
    return "no op of the spec" + (f"; nearest: {'; '.join(near)}" if near else "")


def _guesses(session: Session, op: Op) -> Iterator[Guess]:
    """Yield what a function may be of an op: one for each value of the parameters for which it has no place."""
    spare = tuple(n for n in op.card.params if n not in placed(session.functions[op.name].slots, op))
    if any({*order.params} & {*spare} for form in op.forms.values() for order in form.orders.values()):
        return  # numbers of axes in a body are about one rank, and what they do an op without numbers says of any
    for fixed, telling in _grouped(op, spare).items():
        first = _taken(session, op, telling[:TELLING], fixed)
        found = Counter(_agreement(session, op, first, fixed))
        if found[True] <= found[False]:
            continue
        scope, _ = cases.scope(op, SCOPE)
        more = (c for c in scope if not c.empty and _values(c, spare) == fixed)
        rest = list(itertools.islice(itertools.chain(telling[TELLING:], more), MOST))
        found.update(_agreement(session, op, _taken(session, op, rest, fixed), fixed))
        if found[True] >= LEAST:
            yield Guess(op.name, fixed, found[True], found[False])


def _values(case: Case, names: Sequence[str]) -> Fixed:
    given = case.op.bind(case.params)
    return tuple((n, given[n]) for n in names)


def _grouped(op: Op, spare: Sequence[str]) -> dict[Fixed, list[Case]]:
    """Return calls of distinct sizes by the values of some parameters, the ones that tell most first."""
    found: dict[Fixed, list[Case]] = {}
    scope, _ = cases.scope(op, SCOPE)
    plain = (c for c in scope if not c.empty and min(c.solution.sizes.values(), default=0) > 1)
    for case in itertools.chain(cases.bank(op), cases.telling(op), plain):
        found.setdefault(_values(case, spare), []).append(case)
    return {fixed: _varied(group) for fixed, group in found.items()}


def _varied(group: Sequence[Case]) -> list[Case]:
    """Return calls of each form and rank in turn, those with the fewest sizes of 1 first."""
    turns: dict[Any, list[Case]] = {}
    for case in sorted(group, key=lambda c: sum(n == 1 for n in c.solution.sizes.values())):
        turns.setdefault((id(case.form), *case.solution.ranks.values()), []).append(case)
    return [case for turn in itertools.zip_longest(*turns.values()) for case in turn if case is not None]


def _taken(session: Session, op: Op, asked: Sequence[Case], fixed: Fixed) -> list[Case]:
    """Return the calls for which a function gives something of the right shape, whatever is in it."""
    came = _outcomes(session, op, asked, [ramps(case) for case in asked], fixed)
    return [case for case, one in zip(asked, came, strict=True) if one.error is None and _fits(case, one)]


def _fits(case: Case, came: Outcome) -> bool:
    """Whether arrays have the shapes of the outputs."""
    specs = case.form.signature.outputs
    if came.result is None:
        return False
    parts = [came.result] if len(specs) == 1 else list(came.result.parts)
    if len(parts) != len(specs):
        return False
    shapes = [p.tensor.shape if p.tensor is not None else None for p in parts]
    return all(s.listed or n in (None, case.solution.shape(s)) for s, n in zip(specs, shapes, strict=True))


def _agreement(session: Session, op: Op, asked: Sequence[Case], fixed: Fixed) -> list[bool | None]:
    """Return for each call whether it gave what the op gives; None if it raised, or would tell nothing."""
    inputs = [ordinary(case) for case in asked]
    came = _outcomes(session, op, asked, inputs, fixed)
    return [_right(session, *each) for each in zip(asked, inputs, came, strict=True)]


def _right(session: Session, case: Case, arrays: Mapping[str, Array], came: Outcome) -> bool | None:
    with np.errstate(all="ignore"):
        trial = plain_trial(case, arrays, EAGER)
    wants = list(trial.expected.values())
    if came.error is not None or any(_same(a, w.array) for a in arrays.values() for w in wants if len(wants) == 1):
        return None
    return wrong_output(trial, session.outcome(trial, came)) is None


def _same(given: Array, wanted: Array) -> bool:
    """Whether an op gives back what it was given."""
    return given.shape == wanted.shape and bool((given == wanted).all())


def _outcomes(
    session: Session, op: Op, asked: Sequence[Case], inputs: Sequence[Mapping[str, Array]], fixed: Fixed
) -> list[Outcome]:
    """Return what came of calls without the parameters for which there is no place."""
    calls = []
    for case, arrays in zip(asked, inputs, strict=True):
        call = Trial(case, arrays, {}, EAGER).call()
        params = {n: v for n, v in call.params.items() if n not in dict(fixed)}
        calls.append(msgspec.structs.replace(call, params=params))
    return list(session.stream(op.name, protocol.encode(calls)))
