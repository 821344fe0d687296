"""Few calls that show what many would: those in which the most values of variables and turns of the definition meet."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from einspec.answers.expect import widen
from einspec.calls.space import Case
from einspec.language.formula import Node, Tuple
from einspec.semantics.oracle import Labelled, Machine

Array = np.ndarray[Any, Any]
Event = tuple[Hashable, ...]
"""A variable and its value, or a place in a definition and what happens there."""


class Traced(Machine):
    """Evaluates a definition and notes which way comparisons fall, how many terms sums have, and where NaN comes out."""

    def __init__(self, case: Case, arrays: Mapping[str, Array]) -> None:
        super().__init__(case.solution, {k: widen(v) for k, v in arrays.items()}, np, None, False)
        self.events: set[Event] = set()
        with self.quiet():
            for equation in case.form.equations:
                self.define(equation)
                lost = np.isnan(self.tensors[equation.tensor])
                self.events.add((equation.tensor, bool(lost.any()), bool(lost.all())))

    def bracket(self, op: str, left: Node, right: Node) -> Labelled:
        """Return a bracket; note whether it is ever true, ever false, and whether its sides are ever equal."""
        found = super().bracket(op, left, right)
        outcome = [bool((found.array != 0).any()), bool((found.array == 0).any())]
        if not isinstance(left, Tuple):
            outcome.append(bool((super().bracket("==", left, right).array != 0).any()))
        self.events.add((id(left), id(right), *outcome))
        return found

    def reduce(self, kind: str, names: tuple[str, ...], body: Node) -> Labelled:
        """Return a reduction; note whether none, one or several terms of it are not zero at some place."""
        found = super().reduce(kind, names, body)
        term = self.term(body)
        there = Labelled((term.array != 0).astype(np.int64), term.axes, mask=True)
        count = self.contract([there], [n for n in names if n in term.axes])
        self.events.add((id(body), *(bool(np.any(count.array == n)) for n in (0, 1)), bool(np.any(count.array > 1))))
        return found


def covering(
    found: Sequence[Case], arrays: Callable[[int], Mapping[str, Array]], cost: Callable[[Case], float], room: float
) -> list[int]:
    """Return the numbers of calls in which as many values and turns meet as can, at this cost in all.

    Mistakes show where few variables have certain values at once and the definition takes a certain turn. Greedily: each
    call is the one that adds the most combinations that were not there yet, the later one where they add as many; when all
    are there, once more.

    Args:
        found: the calls.
        arrays: gives the inputs of a call by its number.
        cost: gives what a call costs.
        room: how much there is to spend.
    """
    known: dict[Any, int] = {}
    meets = [{known.setdefault(c, len(known)) for c in _meeting(case, arrays(i))} for i, case in enumerate(found)]
    left, taken = {i for i, meet in enumerate(meets) if meet}, list[int]()
    while left and room > 0:
        seen: set[int] = set()
        queue = [(-len(meets[number]), -number) for number in left]
        heapq.heapify(queue)
        while queue and room > 0:
            gain, number = heapq.heappop(queue)
            new = -len(meets[-number] - seen)
            if new == gain and new:
                taken.append(-number)
                left.discard(-number)
                seen |= meets[-number]
                room -= cost(found[-number])
            elif new:
                heapq.heappush(queue, (new, number))
    return sorted(taken)


def _meeting(case: Case, arrays: Mapping[str, Array]) -> Iterator[Any]:
    """Yield the combinations of up to three values of variables, of which one may be a turn of the definition."""
    solution = case.solution
    values = sorted({**solution.sizes, **solution.values, **solution.ranks}.items())
    pairs = list(itertools.combinations(values, 2))
    yield from (*values, *pairs, *itertools.combinations(values, 3))
    for event in Traced(case, arrays).events:
        yield event
        yield from ((event, value) for value in values)
        yield from ((event, *pair) for pair in pairs)
