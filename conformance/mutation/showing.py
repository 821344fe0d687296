"""Calls on which a fault has to show if it shows anywhere within 2**17 elements: not those that the judge makes up."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from einspec.calls.covering import full_spaces
from einspec.calls.inputs import filled, ramps
from einspec.calls.routes import Pattern, routes
from einspec.calls.space import Case, usual_numbers
from einspec.card import Op
from einspec.clauses import dtypes_of
from einspec.conformance.mutation.fault import Fault
from einspec.conformance.protocol import PLAIN, Way, WayKind
from einspec.conformance.trial import Trial
from einspec.dtypes import INTEGERS
from einspec.language.linear import EXACT

Array = np.ndarray[Any, Any]
MOST = 2**17
"""How many elements each tensor has at most."""
CALLS = 24
"""How many sizes are tried at most on which a fault may show."""
OTHERS = ((1, 1), (2, 3), (3, 1), (1, 2), (4, 2))
"""How long the other axes are, in turn."""
WAYS: Mapping[str, WayKind] = {"compiled": "compile", "mapped": "vmap", "eager": "eager", "differentiated": "vjp"}
"""The way of calling in which a function finds itself elsewhere."""
PATTERNS: tuple[Pattern, ...] = ("first", "last", "balanced")


def showing(op: Op, fault: Fault) -> Iterator[Trial]:
    """Yield the calls on which a fault is looked for, each with no answer: what it must give the function itself gives."""
    way = _way(fault)
    for seed, case in enumerate(itertools.islice(filter(fault.fits, _cases(op, fault)), CALLS), 9_000_000):
        for dtype in fault.dtypes or ("float32",):
            others = _inputs(case, dtype, seed + 1000)
            for arrays in _inputs(case, dtype, seed):
                yield Trial(case, arrays, {}, way, extra=next(others) if fault.repeats else {})


def _way(fault: Fault) -> Way:
    if fault.repeats:
        return Way("twice")
    if fault.acts in WAYS:
        return Way(WAYS[fault.acts])
    if fault.layout == "expanded":
        return Way(expand=0)
    return Way(layout=fault.layout) if fault.layout else PLAIN


def _cases(op: Op, fault: Fault) -> Iterator[Case]:
    """Yield calls with each axis, or number, as long as shows the fault; and with another one as long as that needs."""
    for number, space in enumerate(full_spaces(op)):
        every = range(len(space.variables))
        for beside, length, place in itertools.product(OTHERS, fault.lengths, every):
            alone = None if fault.pairs else _case(op, number, ((place, length),), beside)
            if alone is not None:
                yield alone
                continue
            for other, second in itertools.product(every, fault.pairs or (length, 2 * length)):
                found = _case(op, number, ((place, length), (other, second)), beside) if other != place else None
                if found is not None:
                    yield found


@functools.lru_cache(maxsize=20_000)
def _case(op: Op, number: int, fixed: tuple[tuple[int, int], ...], beside: tuple[int, ...]) -> Case | None:
    """Return a call of a space with some sizes, None where there is none that is small enough."""
    space = full_spaces(op)[number]
    wanted, usual, values = dict(fixed), usual_numbers(space), list[Any]()
    for i, own in enumerate(space.candidates):
        if i in wanted and (i in space.axes or (own and isinstance(own[0], int))):
            values.append(max(wanted[i], space.least[i]))
        elif i in space.axes:
            values.append(max(beside[i % len(beside)], space.least[i]))
        else:
            values.append(usual.get(i, own[-1] if own else 1))
    if math.prod(max(1, values[i]) for i in space.axes) > 64 * MOST:
        return None
    case = space.case(values, 0)
    if case is None or case.empty:
        return None
    sizes = [math.prod(shape) for shape in (*case.shapes, *map(case.solution.shape, case.form.signature.outputs))]
    return case if max(sizes, default=0) <= MOST else None


def _inputs(case: Case, dtype: str, seed: int) -> Iterator[dict[str, Array]]:
    """Yield inputs of every kind: a ramp, values of each stratum, and routes that go to one expert."""
    index = dtype if dtype in INTEGERS and dtype not in dtypes_of(case.op) else "int32"
    own = "float32" if dtype not in dtypes_of(case.op) else dtype
    yield ramps(case, own, index)
    strata = ("small", "gauss", "special", *(("bits",) if case.form.kind in EXACT else ()))
    for number, stratum in enumerate(strata):
        yield filled(case, own, stratum, seed + number, index=index)
    for pattern in PATTERNS if case.form.values else ():
        yield filled(case, own, "small", seed, index=index, known=routes(case, pattern, seed))
